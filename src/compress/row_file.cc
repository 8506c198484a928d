#include "compress/row_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include "base/error.h"

namespace sinter {
namespace {

[[noreturn]] void fail_io(const std::string& path, const char* what) {
  fail(Fault::io, "file-io", "{}: cannot {}: {}", path, what, std::strerror(errno));
}

constexpr int64_t kPiece = 64;  // rows that are converted at a time

std::span<float> floats_of(MatMut rows) {
  return {rows.at, static_cast<size_t>(rows.rows * rows.cols)};
}
std::span<const float> floats_of(MatView rows) {
  return {rows.at, static_cast<size_t>(rows.rows * rows.cols)};
}

void read_bytes(int fd, const std::string& path, std::span<std::byte> to, int64_t offset) {
  while (!to.empty()) {
    const ssize_t n = ::pread(fd, to.data(), to.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io(path, "read");
    if (n == 0) fail(Fault::io, "file-io", "{}: shorter than it was written", path);
    to = to.subspan(static_cast<size_t>(n));
    offset += n;
  }
}

void write_bytes(int fd, const std::string& path, std::span<const std::byte> from, int64_t offset) {
  while (!from.empty()) {
    const ssize_t n = ::pwrite(fd, from.data(), from.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io(path, "write");
    from = from.subspan(static_cast<size_t>(n));
    offset += n;
  }
}

}  // namespace

RowFile::RowFile(std::string path, int64_t cols, DType stored, bool keep)
    : path_(std::move(path)), cols_(cols), stored_(stored) {
  SINTER_CHECK(stored == DType::f32 || stored == DType::bf16);
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | (keep ? 0 : O_TRUNC), 0644);
  if (fd_ < 0) fail_io(path_, "open");
}

RowFile::~RowFile() { ::close(fd_); }

int64_t RowFile::row_bytes() const { return cols_ * traits(stored_).bytes; }

int64_t RowFile::rows() const {
  struct stat s {};
  if (::fstat(fd_, &s) != 0) fail_io(path_, "ask its size");
  return s.st_size / row_bytes();
}

void RowFile::read(int64_t first, MatMut rows) const {
  SINTER_CHECK(rows.cols == cols_ && rows.stride == cols_);
  if (stored_ == DType::f32) {
    read_bytes(fd_, path_, std::as_writable_bytes(floats_of(rows)), first * row_bytes());
    return;
  }
  std::vector<uint16_t> piece(static_cast<size_t>(std::min(rows.rows, kPiece) * cols_));
  for (int64_t at = 0; at < rows.rows; at += kPiece) {
    const MatMut part{rows.at + at * cols_, std::min(kPiece, rows.rows - at), cols_, cols_};
    const std::span<float> floats = floats_of(part);
    const std::span<uint16_t> halves = std::span(piece).first(floats.size());
    read_bytes(fd_, path_, std::as_writable_bytes(halves), (first + at) * row_bytes());
    std::ranges::transform(halves, floats.begin(), bf16_to_f32);
  }
}

void RowFile::write(int64_t first, MatView rows) {
  SINTER_CHECK(rows.cols == cols_ && rows.stride == cols_);
  if (stored_ == DType::f32) {
    write_bytes(fd_, path_, std::as_bytes(floats_of(rows)), first * row_bytes());
    return;
  }
  std::vector<uint16_t> piece(static_cast<size_t>(std::min(rows.rows, kPiece) * cols_));
  for (int64_t at = 0; at < rows.rows; at += kPiece) {
    const MatView part{rows.at + at * cols_, std::min(kPiece, rows.rows - at), cols_, cols_};
    const std::span<const float> floats = floats_of(part);
    const std::span<uint16_t> halves = std::span(piece).first(floats.size());
    std::ranges::transform(floats, halves.begin(), f32_to_bf16);
    write_bytes(fd_, path_, std::as_bytes(halves), (first + at) * row_bytes());
  }
}

std::string RowFile::digest() const { return sha256_file(path_); }

}  // namespace sinter
