// FP8 E4M3 codecs: one byte a code, one scale per group of columns or per row.
//
//   code   s eeee mmm: value = (-1)^s * 2^(e-7) * (1 + m/8), or 2^-6 * m/8 where e is 0; no
//          infinities, 0x7F and 0xFF are NaN, the largest is 448. The byte is the checkpoint's.
//   parameters of a row: scale[n_groups], of type Format::scale.
//   value = level(code) * scale, one product in float32. compressed-tensors, transformers and
//   ModelOpt make the same product and may round it once more, to the model's type.
//
// The default grid is compressed-tensors': scale = peak / 448. Codes are nearest, ties to even,
// saturating (OCP 8-bit floating point, 1.0).
#include <algorithm>
#include <cmath>

#include "format/codecs.h"
#include "format/scale.h"

namespace sinter {
namespace {

constexpr float kLargest = 448;

int64_t param_bytes(const Format& format, int64_t cols) {
  return format.n_groups(cols) * traits(format.scale).bytes;
}

// Calls each(columns of one group, its scale).
template <typename Float, typename Each>
void for_each_group(const Format& format, const uint8_t* params, std::span<Float> w, Each each) {
  const size_t group = format.group == 0 ? w.size() : static_cast<size_t>(format.group);
  for (size_t at = 0; at < w.size(); at += group) {
    each(w.subspan(at, group), load_scale(format.scale, params));
    params += traits(format.scale).bytes;
  }
}

void fit_row(const Format& format, std::span<const float> w, const Fit& fit, uint8_t* params) {
  const size_t group = format.group == 0 ? w.size() : static_cast<size_t>(format.group);
  for (size_t g = 0; g * group < w.size(); ++g) {
    const float peak = fit.peak(g, w.subspan(g * group, group));
    store_positive_scale(format.scale, peak / kLargest, params);
    params += traits(format.scale).bytes;
  }
}

void pack_row(const Format& format, std::span<const float> w, const uint8_t* params,
              uint8_t* codes) {
  for_each_group(format, params, w, [&](std::span<const float> group, float scale) {
    for (const float x : group) *codes++ = f32_to_e4m3(x / scale);
  });
}

void unpack_row(const Format& format, const uint8_t* codes, const uint8_t* params,
                std::span<float> w) {
  for_each_group(format, params, w, [&](std::span<float> group, float scale) {
    for (float& x : group) x = e4m3_to_f32(*codes++) * scale;
  });
}

void grid_row(const Format& format, const uint8_t* codes, const uint8_t* params,
              const GridRow& row) {
  std::copy_n(codes, row.codes.size(), row.codes.begin());
  for (float& scale : row.scale) {
    scale = load_scale(format.scale, params);
    params += traits(format.scale).bytes;
  }
}

constexpr Grid kGrid = {.levels = Grid::Levels::e4m3, .bits = 8};

constexpr Codec float8(const char* name) {
  return {.name = name,
          .bits = 8,
          .is_plain = false,
          .has_zero_point = false,
          .col_multiple = [](const Format& f) -> int64_t { return std::max(f.group, 1); },
          .row_bytes = [](const Format&, int64_t cols) { return cols; },
          .param_bytes = param_bytes,
          .fit_row = fit_row,
          .pack_row = pack_row,
          .unpack_row = unpack_row,
          .grid = &kGrid,
          .grid_row = grid_row};
}

}  // namespace

const Codec kF8Row = float8("f8_row");
const Codec kF8Group = float8("f8_group");

}  // namespace sinter
