#include "compress/column_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace sinter {

ColumnGrid::ColumnGrid(const Format& format, int64_t cols)
    : format_(format),
      grid_(*format.codec->grid),
      group_(scale_columns(format, cols)),
      zero_codes_(static_cast<size_t>(format.codec->row_bytes(format, cols))),
      codes_(static_cast<size_t>(cols)),
      scale_(static_cast<size_t>(cols / group_)),
      offset_(grid_.has_offset ? scale_.size() : 0) {
  if (grid_.super > 0) {
    super_scale_.resize(static_cast<size_t>((cols + grid_.super - 1) / grid_.super));
    super_offset_.resize(grid_.has_offset ? super_scale_.size() : 0);
  }
}

void ColumnGrid::read(const uint8_t* params) {
  format_.codec->grid_row(format_, zero_codes_.data(), params,
                          {codes_, scale_, offset_, super_scale_, super_offset_});
  for (size_t g = 0; g < scale_.size() && grid_.super > 0; ++g) {
    const size_t super = g * static_cast<size_t>(group_) / static_cast<size_t>(grid_.super);
    scale_[g] *= super_scale_[super];
    if (grid_.has_offset) offset_[g] *= super_offset_[super];
  }
}

float ColumnGrid::nearest(float x, int64_t col) const {
  const auto g = static_cast<size_t>(col / group_);
  const float scale = scale_[g], offset = grid_.has_offset ? offset_[g] : 0.0f;
  const float level = (x + offset) / scale;
  if (grid_.levels == Grid::Levels::linear) {
    const auto last = static_cast<float>((1 << grid_.bits) - 1 - grid_.bias);
    const float q = std::clamp(std::nearbyint(level), static_cast<float>(-grid_.bias), last);
    return q * scale - offset;
  }
  if (grid_.levels == Grid::Levels::e4m3) return e4m3_to_f32(f32_to_e4m3(level)) * scale - offset;
  float best = 0, least = std::numeric_limits<float>::infinity();
  for (int code = 0; code < 1 << grid_.bits; ++code) {
    const auto candidate = static_cast<float>(grid_.table[code]);
    const float distance = std::abs(candidate - level);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best * scale - offset;
}

}  // namespace sinter
