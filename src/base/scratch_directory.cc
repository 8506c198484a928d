#include "base/scratch_directory.h"

#include <unistd.h>

#include <cstdlib>

#include "base/error.h"

namespace sinter {
namespace fs = std::filesystem;

ScratchDirectory::ScratchDirectory(const std::string& name) {
  const fs::path memory = "/dev/shm";
  const bool usable = ::access(memory.c_str(), W_OK) == 0;
  std::string path = (usable ? memory : fs::temp_directory_path()) / (name + "-XXXXXX");
  if (::mkdtemp(path.data()) == nullptr) {
    fail(Fault::io, "file-io", "{}: cannot create this directory", path);
  }
  path_ = path;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace sinter
