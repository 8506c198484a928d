// Integer codecs: codes of 8, 4, 3 or 2 bits, one scale (and perhaps one zero point) per group of
// columns or per row. Codes are unsigned on disk: a symmetric code q is stored as q + 2^(bits-1).
//
//   code i of a row sits at bits [bits*i, bits*i + bits) of a little-endian stream:
//     4 bit   byte j = code[2j] | code[2j+1] << 4
//     3 bit   three bytes hold eight codes: c0 | c1 << 3 | ... | c7 << 21
//   so a row's bytes equal compressed-tensors' pack-quantized int32 words, little endian.
//
//   parameters of a row: scale[n_groups], then (u codecs) zero_point[n_groups] as uint8.
//   value = (code - zero) * scale, in float32, with zero = 2^(bits-1) where there is no zero point.
//
// The default grid is compressed-tensors' (its calculate_qparams): symmetric scale = peak /
// ((2^bits - 1) / 2); asymmetric scale = (hi - lo) / (2^bits - 1) with zero inside [lo, hi].
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "format/codecs.h"
#include "format/scale.h"

namespace sinter {

float store_positive_scale(DType dtype, float scale, uint8_t* at) {
  constexpr float kMaxScale = 0x1p119f;  // times any code it stays finite in float32
  if (dtype == DType::f32) {
    if (scale == 0) scale = std::numeric_limits<float>::epsilon();
    scale = std::min(scale, kMaxScale);
    std::memcpy(at, &scale, sizeof scale);
    return scale;
  }
  const bool half = dtype == DType::f16;
  constexpr uint16_t kHalfEpsilon = 0x1400, kBrainEpsilon = 0x3C00;  // 2^-10, 2^-7
  constexpr uint16_t kHalfMax = 0x7BFF, kBrainMax = 0x7B00;          // 65504, kMaxScale
  uint16_t stored = half ? f32_to_f16(scale) : f32_to_bf16(scale);
  if (scale == 0) stored = half ? kHalfEpsilon : kBrainEpsilon;
  stored = std::clamp<uint16_t>(stored, 1, half ? kHalfMax : kBrainMax);  // 1: smallest subnormal
  std::memcpy(at, &stored, sizeof stored);
  return half ? f16_to_f32(stored) : bf16_to_f32(stored);
}

namespace {

int64_t group_of(const Format& format, int64_t cols) {
  return format.group == 0 ? cols : format.group;
}

// Nearest integer in [0, top], ties to even; NaN gives 0.
uint8_t nearest_code(float x, int top) {
  x = x > 0 ? x : 0;
  x = std::min(x, static_cast<float>(top));
  return static_cast<uint8_t>(std::bit_cast<uint32_t>(x + 0x1p23f));  // whose last digit is 1
}

// nearest_code(w / scale + zero), a step at a time: loops that compilers make vectors of.
void nearest_codes(std::span<const float> w, float scale, float zero, int top, uint8_t* codes) {
  constexpr size_t kRun = 64;
  std::array<float, kRun> x;
  for (size_t at = 0; at < w.size(); at += kRun) {
    const size_t n = std::min(kRun, w.size() - at);
    for (size_t i = 0; i < n; ++i) x[i] = w[at + i] / scale + zero;
    for (size_t i = 0; i < n; ++i) x[i] = x[i] > 0 ? x[i] : 0;
    for (size_t i = 0; i < n; ++i) x[i] = std::min(x[i], static_cast<float>(top)) + 0x1p23f;
    for (size_t i = 0; i < n; ++i) {
      codes[at + i] = static_cast<uint8_t>(std::bit_cast<uint32_t>(x[i]));
    }
  }
}

template <int bits, bool asymmetric>
struct Integer {
  static constexpr int kTop = (1 << bits) - 1;
  static constexpr int kMiddle = 1 << (bits - 1);

  static int64_t col_multiple(const Format& format) {
    constexpr int64_t kWhole = bits == 8 ? 1 : bits == 3 ? 32 : 32 / bits;  // whole 32-bit words
    return std::lcm(kWhole, std::max<int64_t>(format.group, 1));
  }

  static int64_t row_bytes(const Format&, int64_t cols) { return cols * bits / 8; }

  static int64_t param_bytes(const Format& format, int64_t cols) {
    return format.n_groups(cols) * (traits(format.scale).bytes + (asymmetric ? 1 : 0));
  }

  static void fit_row(const Format& format, std::span<const float> w, const Fit& fit,
                      uint8_t* params) {
    const auto cols = static_cast<int64_t>(w.size());
    const int64_t n_groups = format.n_groups(cols), group = group_of(format, cols);
    const int64_t scale_bytes = traits(format.scale).bytes;
    for (int64_t g = 0; g < n_groups; ++g) {
      const auto part = w.subspan(static_cast<size_t>(g * group), static_cast<size_t>(group));
      uint8_t* at = params + g * scale_bytes;
      if constexpr (asymmetric) {
        SINTER_CHECK(fit.group_peaks.empty());
        float lo = 0, hi = 0;
        for (const float x : part) {
          lo = std::min(lo, x);
          hi = std::max(hi, x);
        }
        lo *= fit.shrink_of(static_cast<size_t>(g));
        hi *= fit.shrink_of(static_cast<size_t>(g));
        constexpr auto kSteps = static_cast<float>(kTop);
        float scale = (hi - lo) / kSteps;
        if (!std::isfinite(scale)) scale = hi / kSteps - lo / kSteps;
        scale = store_positive_scale(format.scale, scale, at);
        params[n_groups * scale_bytes + g] = nearest_code(-lo / scale, kTop);
      } else {
        store_positive_scale(
            format.scale, fit.peak(static_cast<size_t>(g), part) / (static_cast<float>(kTop) / 2),
            at);
      }
    }
  }

  static float zero_point(const Format& format, const uint8_t* params, int64_t n_groups,
                          int64_t g) {
    if constexpr (asymmetric) return params[n_groups * traits(format.scale).bytes + g];
    return kMiddle;
  }

  // Calibration packs and unpacks every weight some twenty times: whole runs in plain loops, which
  // compilers make vectors of.
  static void pack_row(const Format& format, std::span<const float> w, const uint8_t* params,
                       uint8_t* codes) {
    const auto cols = static_cast<int64_t>(w.size());
    const int64_t n_groups = format.n_groups(cols), group = group_of(format, cols);
    std::vector<uint8_t> one_each(bits == 8 ? 0 : w.size());
    uint8_t* const out = bits == 8 ? codes : one_each.data();
    for (int64_t g = 0; g < n_groups; ++g) {
      const float scale = load_scale(format.scale, params + g * traits(format.scale).bytes);
      const float zero = zero_point(format, params, n_groups, g);
      nearest_codes(w.subspan(static_cast<size_t>(g * group), static_cast<size_t>(group)), scale,
                    zero, kTop, out + g * group);
    }
    if constexpr (bits == 4) {
      for (int64_t i = 0; i < cols / 2; ++i) {
        codes[i] = static_cast<uint8_t>(out[2 * i] | out[2 * i + 1] << 4);
      }
    } else if constexpr (bits < 8) {
      uint32_t held = 0;  // the stream's bits that do not fill a byte yet
      int n_held = 0;
      for (const uint8_t code : one_each) {
        held |= uint32_t{code} << n_held;
        for (n_held += bits; n_held >= 8; n_held -= 8) {
          *codes++ = static_cast<uint8_t>(held);
          held >>= 8;
        }
      }
    }
  }

  static void unpack_row(const Format& format, const uint8_t* codes, const uint8_t* params,
                         std::span<float> w) {
    const auto cols = static_cast<int64_t>(w.size());
    const int64_t n_groups = format.n_groups(cols), group = group_of(format, cols);
    std::vector<uint8_t> one_each(bits == 8 ? 0 : w.size());
    if constexpr (bits < 8) unpack_codes(codes, one_each);
    const uint8_t* const from = bits == 8 ? codes : one_each.data();
    for (int64_t g = 0; g < n_groups; ++g) {
      const float scale = load_scale(format.scale, params + g * traits(format.scale).bytes);
      const float zero = zero_point(format, params, n_groups, g);
      for (int64_t i = g * group; i < (g + 1) * group; ++i) {
        w[static_cast<size_t>(i)] = (static_cast<float>(from[i]) - zero) * scale;
      }
    }
  }

  // One byte a code.
  static void unpack_codes(const uint8_t* codes, std::span<uint8_t> out) {
    if constexpr (bits == 8) {
      std::memcpy(out.data(), codes, out.size());
    } else if constexpr (bits == 4) {
      for (size_t i = 0; i < out.size() / 2; ++i) {
        out[2 * i] = codes[i] & 15;
        out[2 * i + 1] = codes[i] >> 4;
      }
    } else {
      uint32_t held = 0;
      int n_held = 0;
      for (uint8_t& code : out) {
        if (n_held < bits) {
          held |= uint32_t{*codes++} << n_held;
          n_held += 8;
        }
        code = static_cast<uint8_t>(held & kTop);
        held >>= bits;
        n_held -= bits;
      }
    }
  }

  static constexpr Grid kGrid = {.bits = bits, .bias = kMiddle, .has_offset = asymmetric};

  static void grid_row(const Format& format, const uint8_t* codes, const uint8_t* params,
                       const GridRow& row) {
    const auto cols = static_cast<int64_t>(row.codes.size());
    const int64_t n_groups = format.n_groups(cols);
    unpack_codes(codes, row.codes);
    for (int64_t g = 0; g < n_groups; ++g) {
      const auto at = static_cast<size_t>(g);
      row.scale[at] = load_scale(format.scale, params + g * traits(format.scale).bytes);
      if constexpr (asymmetric) {
        row.offset[at] = row.scale[at] * (zero_point(format, params, n_groups, g) - kMiddle);
      }
    }
  }

  static constexpr Codec codec(const char* name) {
    return {.name = name,
            .bits = bits,
            .is_plain = false,
            .has_zero_point = asymmetric,
            .col_multiple = col_multiple,
            .row_bytes = row_bytes,
            .param_bytes = param_bytes,
            .fit_row = fit_row,
            .pack_row = pack_row,
            .unpack_row = unpack_row,
            .grid = &kGrid,
            .grid_row = grid_row};
  }
};

}  // namespace

const Codec kI8Row = Integer<8, false>::codec("i8_row");
const Codec kI8Group = Integer<8, false>::codec("i8_group");
const Codec kI4Group = Integer<4, false>::codec("i4_group");
const Codec kI3Group = Integer<3, false>::codec("i3_group");
const Codec kI2Group = Integer<2, false>::codec("i2_group");
const Codec kU8Group = Integer<8, true>::codec("u8_group");
const Codec kU4Group = Integer<4, true>::codec("u4_group");
const Codec kU3Group = Integer<3, true>::codec("u3_group");
const Codec kU2Group = Integer<2, true>::codec("u2_group");

}  // namespace sinter
