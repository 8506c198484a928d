// FP4 E2M1 codecs: 4 bits a code in fixed blocks of columns, each block with its own small scale.
//
//   code   s ee m, of magnitude {0, 0.5, 1, 1.5, 2, 3, 4, 6}
//   codes of a row: byte j = code[2j] | code[2j+1] << 4
//
//   mxfp4      block of 32. Parameters: one E8M0 byte a block, 2^(b-127). value = level * scale
//              (OCP microscaling formats, 1.0).
//   nvfp4      block of 16. Parameters: one E4M3 byte a block, then one float32 of the matrix.
//              value = level * (block * matrix): ModelOpt's weight_scale_2.
//   nvfp4_div  the same, but value = level * (block / matrix): compressed-tensors'
//              weight_global_scale. A codec of its own, because a float32 quotient is in general no
//              product with anything, and values must be those of the tool that wrote them.
//
// Every operation is one in float32, in the order of the parentheses. Zeros keep their sign, but
// not those of nvfp4: ModelOpt's table has one zero.
//
// The default grids are compressed-tensors'. mxfp4: the exponent of the peak less 2, of a peak
// whose mantissa is 1.75 or more plus one. nvfp4: the matrix's scale maps Fit::matrix_peak to 6 *
// 448; a block's is its own peak / 6 on that scale, to the nearest E4M3. Codes are nearest, ties to
// the even code.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "format/codecs.h"
#include "format/scale.h"

namespace sinter {
namespace {

// Twice the magnitudes, so that they are whole: the grid's scale is half the block's.
constexpr std::array<int8_t, 16> kTwice = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
constexpr std::array<float, 16> kLevels = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                           -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

uint8_t nearest_code(float x) {
  // Between codes i and i + 1; a tie goes to the even one.
  constexpr std::array<float, 7> kMiddles = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5};
  const float magnitude = std::abs(x);
  uint8_t code = 0;
  while (code < 7 && (magnitude > kMiddles[code] || (code % 2 == 1 && magnitude == kMiddles[code])))
    ++code;
  return static_cast<uint8_t>(code | (std::signbit(x) ? 8 : 0));
}

float e8m0(uint8_t exponent) {
  if (exponent == 0xFF) return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(1.0f, exponent - 127);
}

struct Mx {
  static constexpr int32_t kBlock = 32;
  static constexpr bool kSignedZeros = true;
  static constexpr bool kMatrixScale = false;
  static constexpr Grid kGrid = {
      .levels = Grid::Levels::table, .bits = 4, .table = kTwice.data(), .group = kBlock};

  static int64_t param_bytes(int64_t cols) { return cols / kBlock; }

  static float scale(const uint8_t* params, size_t block, size_t) { return e8m0(params[block]); }

  static void fit(std::span<const float> w, const Fit& fit, uint8_t* params) {
    for (size_t b = 0; b < w.size() / kBlock; ++b) {
      const auto peak = std::bit_cast<uint32_t>(
          std::min(fit.peak(b, w.subspan(b * kBlock, kBlock)), std::numeric_limits<float>::max()));
      const int exponent = static_cast<int>((peak + (1u << 21)) >> 23) - 2;
      *params++ = static_cast<uint8_t>(std::clamp(exponent, 0, 254));
    }
  }

  static void grid(const uint8_t* params, const GridRow& row) {
    for (size_t b = 0; b < row.scale.size(); ++b) row.scale[b] = 0.5f * e8m0(params[b]);
  }
};

template <bool divides>
struct Nv {
  static constexpr int32_t kBlock = 16;
  static constexpr bool kSignedZeros = divides;
  static constexpr bool kMatrixScale = true;
  static constexpr Grid kGrid = {.levels = Grid::Levels::table,
                                 .bits = 4,
                                 .table = kTwice.data(),
                                 .group = kBlock,
                                 .super = std::numeric_limits<int32_t>::max()};

  static int64_t param_bytes(int64_t cols) {
    return cols / kBlock + static_cast<int64_t>(sizeof(float));
  }

  static float scale(const uint8_t* params, size_t block, size_t n_blocks) {
    const float matrix = load_scale(DType::f32, params + n_blocks);
    return divides ? e4m3_to_f32(params[block]) / matrix : e4m3_to_f32(params[block]) * matrix;
  }

  static void fit(std::span<const float> w, const Fit& fit, uint8_t* params) {
    const size_t n_blocks = w.size() / kBlock;
    const float peak = fit.matrix_peak > 0 ? fit.matrix_peak : Fit{}.peak(0, w);
    const float matrix = store_positive_scale(
        DType::f32, divides && peak > 0 ? 6 * 448 / peak : peak / (6 * 448), params + n_blocks);
    for (size_t b = 0; b < n_blocks; ++b) {
      const float step = fit.peak(b, w.subspan(b * kBlock, kBlock)) / 6;
      const uint8_t stored = f32_to_e4m3(divides ? step * matrix : step / matrix);
      params[b] = std::max<uint8_t>(stored, 1);  // a divisor: never zero
    }
  }

  static void grid(const uint8_t* params, const GridRow& row) {
    for (size_t b = 0; b < row.scale.size(); ++b) row.scale[b] = e4m3_to_f32(params[b]);
    const float matrix = load_scale(DType::f32, params + row.scale.size());
    row.super_scale[0] = divides ? 0.5f / matrix : 0.5f * matrix;
  }
};

template <typename Scales>
struct Float4 {
  static constexpr auto kBlock = static_cast<size_t>(Scales::kBlock);

  static uint8_t code_of(float x) {
    const uint8_t code = nearest_code(x);
    return !Scales::kSignedZeros && code == 8 ? 0 : code;
  }

  static float value(int code, float scale) {
    const float x = kLevels[static_cast<size_t>(code)] * scale;
    return Scales::kSignedZeros ? x : x + 0.0f;
  }

  static void fit_row(const Format&, std::span<const float> w, const Fit& fit, uint8_t* params) {
    Scales::fit(w, fit, params);
  }

  static void pack_row(const Format&, std::span<const float> w, const uint8_t* params,
                       uint8_t* codes) {
    const size_t n_blocks = w.size() / kBlock;
    for (size_t b = 0; b < n_blocks; ++b) {
      const float scale = Scales::scale(params, b, n_blocks);
      for (size_t i = b * kBlock; i < (b + 1) * kBlock; i += 2) {
        *codes++ = static_cast<uint8_t>(code_of(w[i] / scale) | code_of(w[i + 1] / scale) << 4);
      }
    }
  }

  static void unpack_row(const Format&, const uint8_t* codes, const uint8_t* params,
                         std::span<float> w) {
    const size_t n_blocks = w.size() / kBlock;
    for (size_t b = 0; b < n_blocks; ++b) {
      const float scale = Scales::scale(params, b, n_blocks);
      for (size_t i = b * kBlock; i < (b + 1) * kBlock; i += 2) {
        w[i] = value(*codes & 15, scale);
        w[i + 1] = value(*codes++ >> 4, scale);
      }
    }
  }

  static void grid_row(const Format&, const uint8_t* codes, const uint8_t* params,
                       const GridRow& row) {
    for (size_t i = 0; i < row.codes.size(); i += 2) {
      row.codes[i] = *codes & 15;
      row.codes[i + 1] = *codes++ >> 4;
    }
    Scales::grid(params, row);
  }

  static constexpr Codec codec(const char* name) {
    return {.name = name,
            .bits = 4,
            .is_plain = false,
            .has_zero_point = false,
            .has_matrix_scale = Scales::kMatrixScale,
            .col_multiple = [](const Format&) -> int64_t { return Scales::kBlock; },
            .row_bytes = [](const Format&, int64_t cols) { return cols / 2; },
            .param_bytes = [](const Format&, int64_t cols) { return Scales::param_bytes(cols); },
            .fit_row = fit_row,
            .pack_row = pack_row,
            .unpack_row = unpack_row,
            .grid = &Scales::kGrid,
            .grid_row = grid_row};
  }
};

}  // namespace

const Codec kMxfp4 = Float4<Mx>::codec("mxfp4");
const Codec kNvfp4 = Float4<Nv<false>>::codec("nvfp4");
const Codec kNvfp4Div = Float4<Nv<true>>::codec("nvfp4_div");

}  // namespace sinter
