// For tests: an empty directory of this process's own, in memory where the system has such a place,
// because an artifact is synced to disk file by file.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

namespace sinter {

inline std::filesystem::path scratch_directory(const std::string& name) {
  namespace fs = std::filesystem;
  const fs::path memory = "/dev/shm";
  const bool usable = ::access(memory.c_str(), W_OK) == 0;
  const fs::path dir =
      (usable ? memory : fs::temp_directory_path()) / (name + "-" + std::to_string(::getpid()));
  fs::remove_all(dir);
  fs::create_directories(dir);
  return dir;
}

}  // namespace sinter
