#include "compress/row_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include "base/error.h"

namespace sinter {
namespace {

[[noreturn]] void fail_io(const std::string& path, const char* what, int problem) {
  fail(Fault::io, "file-io", "{}: cannot {}: {}", path, what, std::strerror(problem));
}

constexpr int64_t kPiece = 64;  // rows that a thread converts at a time

std::span<float> floats_of(MatMut rows) {
  return {rows.at, static_cast<size_t>(rows.rows * rows.cols)};
}
std::span<const float> floats_of(MatView rows) {
  return {rows.at, static_cast<size_t>(rows.rows * rows.cols)};
}

constexpr int kShort = -1;  // the file ended

// All bytes, or an errno or kShort.
int read_bytes(int fd, std::span<std::byte> to, int64_t offset) {
  while (!to.empty()) {
    const ssize_t n = ::pread(fd, to.data(), to.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : kShort;
    to = to.subspan(static_cast<size_t>(n));
    offset += n;
  }
  return 0;
}

int write_bytes(int fd, std::span<const std::byte> from, int64_t offset) {
  while (!from.empty()) {
    const ssize_t n = ::pwrite(fd, from.data(), from.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    from = from.subspan(static_cast<size_t>(n));
    offset += n;
  }
  return 0;
}

// body(begin, end) on pieces of n rows, by threads; returns the last problem of any.
template <typename Body>
int in_pieces(int64_t n, ThreadPool& threads, const Body& body) {
  std::atomic<int> problem{0};
  threads.run(n, kPiece, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at += kPiece) {
      if (const int p = body(at, std::min(at + kPiece, end)); p != 0) problem = p;
    }
  });
  return problem;
}

}  // namespace

RowFile::RowFile(std::string path, int64_t cols, DType stored, bool keep)
    : path_(std::move(path)), cols_(cols), stored_(stored) {
  SINTER_CHECK(stored == DType::f32 || stored == DType::bf16);
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | (keep ? 0 : O_TRUNC), 0644);
  if (fd_ < 0) fail_io(path_, "open", errno);
}

RowFile::~RowFile() { ::close(fd_); }

int64_t RowFile::row_bytes() const { return cols_ * traits(stored_).bytes; }

int64_t RowFile::rows() const {
  struct stat s {};
  if (::fstat(fd_, &s) != 0) fail_io(path_, "ask its size", errno);
  return s.st_size / row_bytes();
}

void RowFile::read(int64_t first, MatMut rows, ThreadPool& threads) const {
  SINTER_CHECK(rows.cols == cols_ && rows.stride == cols_);
  const int problem = in_pieces(rows.rows, threads, [&](int64_t begin, int64_t end) {
    const auto floats = floats_of(MatMut{rows.at + begin * cols_, end - begin, cols_, cols_});
    const int64_t offset = (first + begin) * row_bytes();
    if (stored_ == DType::f32) return read_bytes(fd_, std::as_writable_bytes(floats), offset);
    std::vector<uint16_t> halves(floats.size());
    const int p = read_bytes(fd_, std::as_writable_bytes(std::span(halves)), offset);
    std::ranges::transform(halves, floats.begin(), bf16_to_f32);
    return p;
  });
  if (problem == kShort) fail(Fault::io, "file-io", "{}: shorter than it was written", path_);
  if (problem != 0) fail_io(path_, "read", problem);
}

void RowFile::write(int64_t first, MatView rows, ThreadPool& threads) {
  SINTER_CHECK(rows.cols == cols_ && rows.stride == cols_);
  const int problem = in_pieces(rows.rows, threads, [&](int64_t begin, int64_t end) {
    const auto floats = floats_of(MatView{rows.at + begin * cols_, end - begin, cols_, cols_});
    const int64_t offset = (first + begin) * row_bytes();
    if (stored_ == DType::f32) return write_bytes(fd_, std::as_bytes(floats), offset);
    std::vector<uint16_t> halves(floats.size());
    std::ranges::transform(floats, halves.begin(), f32_to_bf16);
    return write_bytes(fd_, std::as_bytes(std::span(halves)), offset);
  });
  if (problem != 0) fail_io(path_, "write", problem);
}

std::string RowFile::digest() const { return sha256_file(path_); }

}  // namespace sinter
