#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace sinter {
namespace {

[[noreturn]] void fail_errno(const char* verb, const std::string& path) {
  const int e = errno;
  if (e == ENOENT) {
    fail(Fault::not_found, "file-not-found",
         "{}: expected a file, found nothing there; check the path", path);
  }
  fail(Fault::io, "file-io", "{}: cannot {}: {}", path, verb, std::strerror(e));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

size_t regular_size(int fd, const std::string& path) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) fail_errno("read", path);
  if (!S_ISREG(st.st_mode)) {
    fail(Fault::bad_input, "file-not-regular", "{}: expected a regular file, found {}", path,
         S_ISDIR(st.st_mode) ? "a directory" : "something else");
  }
  return static_cast<size_t>(st.st_size);
}

void write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      fail_errno("write", path);
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

std::string read_file(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) fail_errno("open", path);
  struct stat st {};
  if (::fstat(fd.get(), &st) == 0 && S_ISDIR(st.st_mode)) regular_size(fd.get(), path);
  std::string bytes;
  char block[65536];
  while (true) {  // not sized by fstat: pipes and /dev/stdin are welcome
    const ssize_t n = ::read(fd.get(), block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("read", path);
    if (n == 0) return bytes;
    bytes.append(block, static_cast<size_t>(n));
  }
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  write_file_atomically(path, std::span<const std::string_view>(&bytes, 1));
}

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)), temporary_(fmt::format("{}.tmp.{}", path_, ::getpid())) {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_errno("create", temporary_);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) { write_all(fd_, bytes, temporary_); }

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) fail_errno("sync", temporary_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_errno("rename to", path_);
  ::close(fd_);
  fd_ = -1;
}

void write_file_atomically(const std::string& path, std::span<const std::string_view> pieces) {
  AtomicFile file(path);
  for (const std::string_view piece : pieces) file.write(piece);
  file.commit();
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) fail_errno("open", path);
  const size_t size = regular_size(fd.get(), path);
  const std::byte* data = nullptr;
  if (size > 0) {
    void* map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (map == MAP_FAILED) fail_errno("map", path);
    data = static_cast<const std::byte*>(map);
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, data, size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::forget(std::span<const std::byte> part) const {
  SINTER_CHECK(part.empty() ||
               (part.data() >= data_ && part.data() + part.size() <= data_ + size_));
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(part.data() + part.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

LineJournal::LineJournal(const std::string& path) : path_(path) {
  std::error_code none;
  if (std::filesystem::exists(path, none)) {
    const std::string bytes = read_file(path);
    const size_t newline = bytes.rfind('\n');
    const size_t whole = newline == std::string::npos ? 0 : newline + 1;
    if (whole != bytes.size() && ::truncate(path.c_str(), static_cast<off_t>(whole)) != 0) {
      fail_errno("cut the torn last line of", path);
    }
  }
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_errno("create", path);
}

LineJournal::~LineJournal() { ::close(fd_); }

void LineJournal::append(std::string_view line) {
  std::string whole(line);
  whole += '\n';
  write_all(fd_, whole, path_);
}

}  // namespace sinter
