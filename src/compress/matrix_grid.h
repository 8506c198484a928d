// The values that a rounded matrix can take, place by place: what a method asks that rounds weight
// by weight. Every grid format is one here, whatever its codes and scales look like.
#pragma once

#include <cstdint>
#include <vector>

#include "base/threads.h"
#include "format/format.h"

namespace sinter {

class MatrixGrid {
 public:
  // Of [rows, cols] with these parameters (Weight::params), in a format that has a grid.
  MatrixGrid(const Format& format, int64_t rows, int64_t cols, const uint8_t* params,
             ThreadPool& threads);
  // The value nearest to x that the weight at (row, col) can have.
  float nearest(float x, int64_t row, int64_t col) const;

 private:
  const Grid& grid_;
  int64_t group_, n_groups_;
  std::vector<float> scale_, offset_;  // [rows, n_groups]; no offsets: empty
};

}  // namespace sinter
