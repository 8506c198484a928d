// The values that one row of a matrix can take, column by column: what a method asks that rounds
// weight by weight. Every grid format is one here, whatever its codes and scales look like.
#pragma once

#include <cstdint>
#include <vector>

#include "format/format.h"

namespace sinter {

class ColumnGrid {
 public:
  // Of rows of `cols` weights in a format that has a grid.
  ColumnGrid(const Format& format, int64_t cols);
  // Takes a row's parameters.
  void read(const uint8_t* params);
  // The value nearest to x that column `col` can have.
  float nearest(float x, int64_t col) const;

 private:
  Format format_;
  const Grid& grid_;
  int64_t group_;
  std::vector<uint8_t> zero_codes_, codes_;
  std::vector<float> scale_, offset_, super_scale_, super_offset_;
};

}  // namespace sinter
