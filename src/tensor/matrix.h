// A float32 matrix that owns its memory, row after row.
#pragma once

#include <vector>

#include "tensor/view.h"

namespace sinter {

class Matrix {
 public:
  Matrix() = default;
  Matrix(int64_t rows, int64_t cols) { resize(rows, cols); }
  // Keeps the memory where it suffices. What it then holds is unspecified.
  void resize(int64_t rows, int64_t cols) {
    rows_ = rows;
    cols_ = cols;
    if (floats_.size() < static_cast<size_t>(rows * cols)) {
      floats_.resize(static_cast<size_t>(rows * cols));
    }
  }
  bool empty() const { return rows_ * cols_ == 0; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  std::span<float> row(int64_t i) { return view().row(i); }
  std::span<const float> row(int64_t i) const { return view().row(i); }
  MatMut view() { return {floats_.data(), rows_, cols_, cols_}; }
  MatView view() const { return {floats_.data(), rows_, cols_, cols_}; }

 private:
  int64_t rows_ = 0, cols_ = 0;
  std::vector<float> floats_;
};

}  // namespace sinter
