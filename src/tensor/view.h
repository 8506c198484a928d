// Matrices of float32 in memory that somebody else owns. Shapes and bytes, no arithmetic.
#pragma once

#include <cstdint>
#include <span>

namespace sinter {

struct MatView {
  const float* at = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;  // floats from one row to the next
  std::span<const float> row(int64_t i) const {
    return {at + i * stride, static_cast<size_t>(cols)};
  }
};

struct MatMut {
  float* at = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
  std::span<float> row(int64_t i) const { return {at + i * stride, static_cast<size_t>(cols)}; }
  operator MatView() const { return {at, rows, cols, stride}; }
  MatMut first_rows(int64_t n) const { return {at, n, cols, stride}; }
};

}  // namespace sinter
