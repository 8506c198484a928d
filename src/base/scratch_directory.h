// A directory for files that nobody keeps: new, empty, nobody else's, in memory where the system
// has such a place, gone with this object.
#pragma once

#include <filesystem>
#include <string>

namespace sinter {

class ScratchDirectory {
 public:
  // `name` is for who looks at what a killed process left. Throws Error(io, "file-io").
  explicit ScratchDirectory(const std::string& name);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace sinter
