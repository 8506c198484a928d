#include "compress/matrix_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace sinter {

MatrixGrid::MatrixGrid(const Format& format, int64_t rows, int64_t cols, const uint8_t* params,
                       ThreadPool& threads)
    : grid_(*format.codec->grid),
      group_(scale_columns(format, cols)),
      n_groups_(cols / group_),
      scale_(static_cast<size_t>(rows * n_groups_)),
      offset_(grid_.has_offset ? scale_.size() : 0) {
  const auto n_groups = static_cast<size_t>(n_groups_);
  const auto n_supers =
      static_cast<size_t>(grid_.super > 0 ? (cols + grid_.super - 1) / grid_.super : 0);
  const int64_t param_bytes = format.codec->param_bytes(format, cols);
  threads.run(rows, 16, [&](int64_t begin, int64_t end) {
    // grid_row speaks of codes too, which are not there yet.
    const std::vector<uint8_t> zeros(static_cast<size_t>(format.codec->row_bytes(format, cols)));
    std::vector<uint8_t> codes(static_cast<size_t>(cols));
    std::vector<float> super_scale(n_supers), super_offset(grid_.has_offset ? n_supers : 0);
    for (int64_t r = begin; r < end; ++r) {
      const size_t at = static_cast<size_t>(r) * n_groups;
      const std::span<float> scale(scale_.data() + at, n_groups);
      const std::span<float> offset(offset_.empty() ? nullptr : offset_.data() + at,
                                    offset_.empty() ? 0 : n_groups);
      format.codec->grid_row(format, zeros.data(), params + r * param_bytes,
                             {codes, scale, offset, super_scale, super_offset});
      for (size_t g = 0; g < n_groups && n_supers > 0; ++g) {
        const size_t super = g * static_cast<size_t>(group_) / static_cast<size_t>(grid_.super);
        scale[g] *= super_scale[super];
        if (!offset.empty()) offset[g] *= super_offset[super];
      }
    }
  });
}

float MatrixGrid::nearest(float x, int64_t row, int64_t col) const {
  const auto at = static_cast<size_t>(row * n_groups_ + col / group_);
  const float scale = scale_[at], offset = offset_.empty() ? 0.0f : offset_[at];
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
