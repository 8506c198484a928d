// Rows of floats on disk: the activations of a whole corpus, which may be larger than memory.
// Plain reads and writes, so that they are not part of this process's memory either.
#pragma once

#include <string>

#include "base/digest.h"
#include "base/threads.h"
#include "tensor/dtype.h"
#include "tensor/view.h"

namespace sinter {

class RowFile {
 public:
  // Creates `path`, or opens it with what it holds if `keep`. `stored`: f32, or bf16, to which what
  // is written is rounded. Throws Error(io).
  RowFile(std::string path, int64_t cols, DType stored, bool keep = false);
  ~RowFile();
  RowFile(const RowFile&) = delete;
  RowFile& operator=(const RowFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t rows() const;
  int64_t row_bytes() const;
  void read(int64_t first, MatMut rows, ThreadPool& threads) const;
  // Throws Error(io), as on a full disk.
  void write(int64_t first, MatView rows, ThreadPool& threads);
  // SHA-256 of all bytes.
  std::string digest() const;

 private:
  std::string path_;
  int64_t cols_;
  DType stored_;
  int fd_ = -1;
};

}  // namespace sinter
