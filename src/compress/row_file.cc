#include "compress/row_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace sinter {
namespace {

[[noreturn]] void fail_io(const std::string& path, const char* what) {
  fail(Fault::io, "file-io", "{}: cannot {}: {}", path, what, std::strerror(errno));
}

}  // namespace

RowFile::RowFile(std::string path, int64_t cols, bool keep) : path_(std::move(path)), cols_(cols) {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | (keep ? 0 : O_TRUNC), 0644);
  if (fd_ < 0) fail_io(path_, "open");
}

RowFile::~RowFile() { ::close(fd_); }

int64_t RowFile::rows() const {
  struct stat s {};
  if (::fstat(fd_, &s) != 0) fail_io(path_, "ask its size");
  return s.st_size / (cols_ * static_cast<int64_t>(sizeof(float)));
}

void RowFile::read(int64_t first, MatMut rows) const {
  SINTER_CHECK(rows.cols == cols_ && rows.stride == cols_);
  auto* at = reinterpret_cast<char*>(rows.at);
  const int64_t row_bytes = cols_ * static_cast<int64_t>(sizeof(float));
  int64_t offset = first * row_bytes;
  for (int64_t left = rows.rows * row_bytes; left > 0;) {
    const ssize_t n = ::pread(fd_, at, static_cast<size_t>(left), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io(path_, "read");
    if (n == 0) fail(Fault::io, "file-io", "{}: shorter than it was written", path_);
    at += n;
    offset += n;
    left -= n;
  }
}

void RowFile::write(int64_t first, MatView rows) {
  SINTER_CHECK(rows.cols == cols_ && rows.stride == cols_);
  const auto* at = reinterpret_cast<const char*>(rows.at);
  const int64_t row_bytes = cols_ * static_cast<int64_t>(sizeof(float));
  int64_t offset = first * row_bytes;
  for (int64_t left = rows.rows * row_bytes; left > 0;) {
    const ssize_t n = ::pwrite(fd_, at, static_cast<size_t>(left), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io(path_, "write");
    at += n;
    offset += n;
    left -= n;
  }
}

std::string RowFile::digest() const { return sha256_file(path_); }

}  // namespace sinter
