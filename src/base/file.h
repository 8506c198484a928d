// Files: read whole, mapped, written so that a kill leaves either the old bytes or the new.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sinter {

// Throws Error(not_found | io).
std::string read_file(const std::string& path);

// Writes a temporary sibling, syncs it, renames it over `path`. Throws Error(io).
void write_file_atomically(const std::string& path, std::string_view bytes);
// The same for a file in pieces, which need not be joined in memory first.
void write_file_atomically(const std::string& path, std::span<const std::string_view> pieces);

// The same for bytes that come one after another: nothing is at `path` until commit(), and without
// it nothing is left. Throws Error(io).
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::string_view bytes);
  void commit();

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

// A read-only map of a whole file; lives as long as the last owner.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  // Lets go of the memory behind `part` of bytes(), which is read from the file again when touched:
  // for passes over files that are larger than memory.
  void forget(std::span<const std::byte> part) const;

 private:
  MappedFile(std::string path, const std::byte* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}
  std::string path_;
  const std::byte* data_;
  size_t size_;
};

// Appends whole lines to a file, each in one write, so that after SIGKILL every line is complete
// but perhaps the last: open() cuts a torn last line off. The journal of resumable work.
class LineJournal {
 public:
  explicit LineJournal(const std::string& path);
  ~LineJournal();
  LineJournal(const LineJournal&) = delete;
  LineJournal& operator=(const LineJournal&) = delete;
  void append(std::string_view line);  // without the newline; throws Error(io)

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace sinter
