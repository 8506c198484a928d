// Codecs: every one in the list round-trips; the byte layouts are pinned to vectors made elsewhere
// (compressed-tensors' words, the GPTQ 3-bit stream) and to values worked by hand below.
#include "format/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "format/codecs.h"
#include "format/scale.h"

namespace sinter {
namespace {

using Bytes = std::vector<uint8_t>;

Format grouped(const Codec& codec, int32_t group, DType scale = DType::f32) {
  return {.codec = &codec, .group = group, .scale = scale};
}

Bytes fit(const Format& f, const std::vector<float>& w, const Fit& how = {}) {
  Bytes params(static_cast<size_t>(f.codec->param_bytes(f, static_cast<int64_t>(w.size()))));
  f.codec->fit_row(f, w, how, params.data());
  return params;
}

Bytes pack(const Format& f, const std::vector<float>& w, const Bytes& params) {
  Bytes codes(static_cast<size_t>(f.codec->row_bytes(f, static_cast<int64_t>(w.size()))));
  f.codec->pack_row(f, w, params.data(), codes.data());
  return codes;
}

std::vector<float> unpack(const Format& f, const Bytes& codes, const Bytes& params, size_t cols) {
  std::vector<float> w(cols);
  f.codec->unpack_row(f, codes.data(), params.data(), w);
  return w;
}

std::vector<float> random_row(size_t n, uint64_t seed) {
  std::vector<float> w(n);
  for (size_t i = 0; i < n; ++i) {  // a bell, roughly: the mean of four uniforms
    double sum = 0;
    for (uint64_t k = 0; k < 4; ++k) sum += random_uniform(seed, k, i) - 0.5;
    w[i] = static_cast<float>(sum * 0.04);
  }
  return w;
}

Bytes words(std::initializer_list<uint32_t> list) {
  Bytes bytes;
  for (const uint32_t w : list) {
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<uint8_t>(w >> (8 * i)));
  }
  return bytes;
}

// Every format worth testing: each codec whole-row and grouped, with each type of scale.
std::vector<Format> all_formats() {
  std::vector<Format> formats;
  for (const Codec* codec : codecs()) {
    if (!has_groups(*codec)) {
      formats.push_back({.codec = codec});
      continue;
    }
    for (const DType scale : {DType::bf16, DType::f16, DType::f32}) {
      formats.push_back({.codec = codec, .group = 0, .scale = scale});
      if (codec == &kI8Row || codec == &kF8Row) continue;
      for (const int32_t group : {1, 12, 32, 128}) {
        formats.push_back({.codec = codec, .group = group, .scale = scale});
      }
    }
  }
  return formats;
}

// A row is whole blocks with their scales inside, so that packing is also fitting.
bool is_block(const Format& f) {
  return !f.codec->is_plain && f.codec->param_bytes(f, f.codec->col_multiple(f)) == 0;
}

TEST(Format, EveryCodecRoundTripsWithinHalfAStep) {
  for (const Format& f : all_formats()) {
    if (is_block(f)) continue;  // its scale lies among its codes: see gguf_blocks_test.cc
    SCOPED_TRACE(to_string(f));
    const std::vector<float> w = random_row(384, 7);
    require_columns(f, 384, "w");
    const Bytes params = fit(f, w), codes = pack(f, w, params);
    const std::vector<float> back = unpack(f, codes, params, w.size());
    for (size_t i = 0; i < w.size(); ++i) {
      double bound = 0.004 * std::abs(w[i]);  // bf16 has 8 bits
      if (f.codec->grid != nullptr && f.codec->grid->levels == Grid::Levels::e4m3) {
        bound = 0.07 * std::abs(w[i]) + 1e-6;  // half a step, and the scale's own rounding
      } else if (!f.codec->is_plain && !has_groups(*f.codec)) {
        const size_t block = i / 32 * 32;  // 4 bits: levels are at most a third of the peak apart
        float peak = 0;
        for (size_t k = block; k < block + 32; ++k) peak = std::max(peak, std::abs(w[k]));
        bound = 0.2 * peak;
      } else if (!f.codec->is_plain) {
        const size_t g = f.group == 0 ? 0 : i / static_cast<size_t>(f.group);
        const float step =
            load_scale(f.scale, params.data() + g * static_cast<size_t>(traits(f.scale).bytes));
        // Half a step, and what rounding the scale itself may clip at the far end of the codes.
        const double clipped = f.scale == DType::f32 ? 1e-4 * step
                               : f.scale == DType::f16
                                   ? std::exp2(f.codec->bits) * std::max(0x1p-11 * step, 0x1p-25)
                                   : std::exp2(f.codec->bits) * 0x1p-8 * step;
        bound = 0.5 * step + clipped;
      }
      ASSERT_NEAR(back[i], w[i], bound) << i;
    }
    // A value on the grid stays where it is: packing what was unpacked gives the same codes.
    EXPECT_EQ(pack(f, back, params), codes);
  }
}

// value = scale[g] * level(q) - offset[g] says what unpack_row says, within rounding.
TEST(Format, GridsMeanWhatUnpackingMeans) {
  for (const Format& f : all_formats()) {
    if (f.codec->grid == nullptr) continue;
    SCOPED_TRACE(to_string(f));
    const Grid& grid = *f.codec->grid;
    const size_t cols = 768;
    const std::vector<float> w = random_row(cols, 11);
    const Bytes params = fit(f, w), codes = pack(f, w, params);
    const std::vector<float> want = unpack(f, codes, params, cols);
    const size_t group = grid.group > 0 ? static_cast<size_t>(grid.group)
                         : f.group > 0  ? static_cast<size_t>(f.group)
                                        : cols;
    const size_t super = grid.super > 0 ? std::min(cols, static_cast<size_t>(grid.super)) : cols;
    const size_t n_super = grid.super > 0 ? (cols + super - 1) / super : 0;
    std::vector<uint8_t> q(cols);
    std::vector<float> scale(cols / group), offset(grid.has_offset ? cols / group : 0);
    std::vector<float> super_scale(n_super), super_offset(grid.has_offset ? n_super : 0);
    f.codec->grid_row(f, codes.data(), params.data(),
                      {.codes = q,
                       .scale = scale,
                       .offset = offset,
                       .super_scale = super_scale,
                       .super_offset = super_offset});
    for (size_t i = 0; i < cols; ++i) {
      ASSERT_LT(q[i], 1 << grid.bits);
      double level = q[i] - grid.bias;
      if (grid.levels == Grid::Levels::table) level = grid.table[q[i]];
      if (grid.levels == Grid::Levels::e4m3) {
        const int exponent = (q[i] >> 3) & 15, mantissa = q[i] & 7;
        level = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
        if (q[i] & 0x80) level = -level;
      }
      double s = scale[i / group], o = grid.has_offset ? offset[i / group] : 0;
      if (n_super > 0) s *= super_scale[i / super];
      if (n_super > 0 && grid.has_offset) o *= super_offset[i / super];
      ASSERT_NEAR(s * level - o, want[i], 1e-6 * (std::abs(s * level) + std::abs(o))) << i;
    }
  }
}

TEST(Format, NamesRoundTrip) {
  for (const Format& f : all_formats()) EXPECT_EQ(format_named(to_string(f)), f) << to_string(f);
  EXPECT_EQ(to_string(grouped(kI4Group, 64, DType::bf16)), "i4_group:64");
  EXPECT_EQ(to_string(grouped(kU4Group, 128, DType::f16)), "u4_group:128/f16");
  EXPECT_EQ(to_string({.codec = &kI8Row}), "i8_row");
  for (const char* bad :
       {"", "i5_group:64", "i4_group:", "i4_group:0", "i4_group:-4", "i4_group:6x",
        "i4_group:99999999999", "i4_group:64/f64", "bf16:64", "bf16/f16", "i8_row:64", "q4_0:32",
        "q4_k/f16", "i4_group:64/f16/f16", "f8_row:64", "mxfp4:32", "nvfp4/f32"}) {
    try {
      format_named(bad);
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), "format-unknown") << bad;
    }
  }
}

TEST(Format, ColumnsMustFillGroupsAndWords) {
  const auto refused = [](const Format& f, int64_t cols) {
    try {
      require_columns(f, cols, "layer.weight");
      return false;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), "format-columns");
      EXPECT_NE(std::string(e.what()).find("layer.weight"), std::string::npos);
      return true;
    }
  };
  EXPECT_TRUE(refused(grouped(kI4Group, 128), 64));   // the group is larger than the row
  EXPECT_TRUE(refused(grouped(kI4Group, 128), 192));  // does not divide it
  EXPECT_TRUE(refused(grouped(kI4Group, 0), 12));     // half a word
  EXPECT_TRUE(refused(grouped(kI3Group, 0), 48));
  EXPECT_TRUE(refused(grouped(kI8Row, 0), 0));
  EXPECT_FALSE(refused(grouped(kI8Row, 0), 7));
  EXPECT_FALSE(refused(grouped(kI4Group, 12), 24));
  EXPECT_FALSE(refused(grouped(kI3Group, 0), 96));
}

// With scale 1, symmetric codes are the values: compressed-tensors' vectors, read off its words.
TEST(Integer, BytesAreCompressedTensorsWords) {
  const float one = 1;
  Bytes params(4);
  std::memcpy(params.data(), &one, 4);
  EXPECT_EQ(pack(grouped(kI4Group, 0), {-8, -7, -6, -5, -4, -3, -2, -1}, params),
            words({0x76543210}));
  EXPECT_EQ(pack(grouped(kI4Group, 0), {0, 1, 2, 3, 4, 5, 6, 7}, params), words({0xFEDCBA98}));
  EXPECT_EQ(pack(grouped(kI8Row, 0), {1, 2, -1, -128}, params), words({0x007F8281}));
  std::vector<float> three(32);
  for (size_t i = 0; i < 32; ++i) three[i] = static_cast<float>(i % 8) - 4;
  EXPECT_EQ(pack(grouped(kI3Group, 0), three, params), words({0x88FAC688, 0xC688FAC6, 0xFAC688FA}));
  // 2 bit by hand: -2 -1 0 1 are codes 0 1 2 3, low bits first: 0b11100100.
  EXPECT_EQ(
      pack(grouped(kI2Group, 0), {-2, -1, 0, 1, -2, -1, 0, 1, 1, 1, 1, 1, -2, -2, -2, -2}, params),
      (Bytes{0xE4, 0xE4, 0xFF, 0x00}));
}

TEST(Integer, SymmetricGridWorkedByHand) {
  // peak 15, 4 bits: scale 15 / 7.5 = 2. -15/2 = -7.5 -> -8 (even); 15/2 -> 8 -> clamped to 7;
  // 5/2 = 2.5 -> 2 (even); 7/2 = 3.5 -> 4; -1/2 -> -0.5 -> 0; 0.9 -> 0; 1.1 -> 1.
  const std::vector<float> w = {-15, 15, 5, 7, -1, 0.9f, 1.1f, 0};
  const Format f = grouped(kI4Group, 8);
  const Bytes params = fit(f, w), codes = pack(f, w, params);
  EXPECT_EQ(load_scale(DType::f32, params.data()), 2);
  EXPECT_EQ(codes, (Bytes{0xF0, 0xCA, 0x88, 0x89}));
  EXPECT_EQ(unpack(f, codes, params, 8), (std::vector<float>{-16, 14, 4, 8, 0, 0, 2, 0}));
}

TEST(Integer, AsymmetricGridWorkedByHand) {
  // lo -2, hi 13: scale 15/15 = 1, zero point 2. 4.5 + 2 = 6.5 -> 6 (even); 5.5 -> 7.5 -> 8.
  const std::vector<float> w = {-2, 13, 4.5f, 5.5f, 0, 1, 14, -9};
  const Format f = grouped(kU4Group, 8);
  std::vector<float> fitted = w;
  fitted[6] = fitted[7] = 0;
  const Bytes params = fit(f, fitted), codes = pack(f, w, params);
  ASSERT_EQ(params.size(), 5u);
  EXPECT_EQ(load_scale(DType::f32, params.data()), 1);
  EXPECT_EQ(params[4], 2);
  EXPECT_EQ(codes, (Bytes{0xF0, 0x86, 0x32, 0x0F}));
  EXPECT_EQ(unpack(f, codes, params, 8), (std::vector<float>{-2, 13, 4, 6, 0, 1, 13, -2}));
  // All positive: zero stays inside the range, so lo is 0 and the peak is exact.
  const Bytes positive = fit(f, {3, 15, 4, 5, 6, 7, 8, 9});
  EXPECT_EQ(load_scale(DType::f32, positive.data()), 1);
  EXPECT_EQ(positive[4], 0);
}

TEST(Integer, ScaleIsRoundedBeforeCodesAreChosen) {
  // 1.01 / 127.5 as bf16 is 0.00793457: codes must be those of the rounded scale.
  std::vector<float> w(32, 0.33f);
  w[0] = 1.01f;
  const Format f = grouped(kI8Group, 32, DType::bf16);
  const Bytes params = fit(f, w), codes = pack(f, w, params);
  const float scale = load_scale(DType::bf16, params.data());
  EXPECT_NE(scale, 1.01f / 127.5f);
  EXPECT_EQ(codes[1] - 128, std::lround(0.33f / scale));
}

TEST(Integer, ShrinkClipsThePeak) {
  const Format f = grouped(kI4Group, 8);
  const std::vector<float> w = {-15, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(load_scale(DType::f32, fit(f, w, {.shrink = 0.5f}).data()), 1);
}

TEST(Integer, ParametersAreScalesThenZeroPoints) {
  const Format f = grouped(kU4Group, 8, DType::f16);
  const Bytes params = fit(f, {-1, 0, 0, 0, 0, 0, 0, 14, -3, 0, 0, 0, 0, 0, 0, 12});
  ASSERT_EQ(params.size(), 6u);
  EXPECT_EQ(params[4], 1);
  EXPECT_EQ(params[5], 3);
}

// Groups at the edges of float: finite parameters, never a zero divisor, and zeros stay zeros.
TEST(Integer, ZeroAndDenormalAndHugeGroups) {
  for (const Format& f : all_formats()) {
    if (!has_groups(*f.codec) || f.group == 1) continue;
    SCOPED_TRACE(to_string(f));
    const float tiny = std::numeric_limits<float>::denorm_min();
    for (const float peak :
         {0.0f, tiny, 1e-40f, 1e-30f, 1e30f, std::numeric_limits<float>::max()}) {
      std::vector<float> w(384, 0.0f);
      for (size_t i = 0; i < w.size(); i += 3) w[i] = i % 2 == 0 ? peak : -peak;
      const Bytes params = fit(f, w);
      const std::vector<float> back = unpack(f, pack(f, w, params), params, w.size());
      for (size_t i = 0; i < w.size(); ++i) {
        ASSERT_TRUE(std::isfinite(back[i])) << peak;
        if (w[i] == 0) {
          ASSERT_EQ(back[i], 0) << peak;
        }
      }
      const float scale = load_scale(f.scale, params.data());
      EXPECT_TRUE(std::isfinite(scale) && scale > 0) << peak;
    }
  }
}

TEST(Integer, ZeroGroupGetsEpsilonOfItsType) {
  const std::vector<float> zeros(8, 0.0f);
  EXPECT_EQ(load_scale(DType::bf16, fit(grouped(kI4Group, 8, DType::bf16), zeros).data()), 0x1p-7f);
  EXPECT_EQ(load_scale(DType::f16, fit(grouped(kI4Group, 8, DType::f16), zeros).data()), 0x1p-10f);
  EXPECT_EQ(load_scale(DType::f32, fit(grouped(kI4Group, 8, DType::f32), zeros).data()), 0x1p-23f);
}

TEST(Integer, HostileParametersCannotCrash) {
  std::vector<float> w(96);
  for (const Format& f : all_formats()) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      if (96 % f.codec->col_multiple(f) != 0) continue;
      Bytes params(static_cast<size_t>(f.codec->param_bytes(f, 96))), codes;
      for (size_t i = 0; i < params.size(); ++i) {
        params[i] = static_cast<uint8_t>(random_bits(seed, 1, i));
      }
      codes.resize(static_cast<size_t>(f.codec->row_bytes(f, 96)));
      for (size_t i = 0; i < codes.size(); ++i) {
        codes[i] = static_cast<uint8_t>(random_bits(seed, 2, i));
      }
      f.codec->unpack_row(f, codes.data(), params.data(), w);
      f.codec->pack_row(f, w, params.data(), codes.data());  // of NaN and infinity, too
    }
  }
}

// The vectors of formats.md: an FP8 row, and NVFP4 and MXFP4 rows as compressed-tensors packs them.
TEST(Float8, CodesAreNearestAndSaturate) {
  const float one = 1;
  Bytes params(4);
  std::memcpy(params.data(), &one, 4);
  const std::vector<float> w = {1, -1, 448, 500, 0x1p-10f, 1.0625f, 1.1875f, -0x1p-9f};
  const Bytes codes = {0x38, 0xB8, 0x7E, 0x7E, 0x00, 0x38, 0x3A, 0x81};
  EXPECT_EQ(pack(grouped(kF8Row, 0), w, params), codes);
  EXPECT_EQ(unpack(grouped(kF8Row, 0), codes, params, 8),
            (std::vector<float>{1, -1, 448, 448, 0, 1, 1.25f, -0x1p-9f}));
  EXPECT_EQ(load_scale(DType::f32, fit(grouped(kF8Group, 2), {-448, 1, 3, 896}).data() + 4), 2);
}

TEST(Float4, RowsAreCompressedTensorsBytes) {
  const std::vector<float> w = {0, 0.5f, -0.5f, 1, -1, 1.5f, 2, -2, 3, -3, 4, -4, 6, -6, 0.25f, 5};
  const Bytes codes = {0x10, 0x29, 0x3A, 0xC4, 0xD5, 0xE6, 0xF7, 0x60};
  const Format divides = {.codec = &kNvfp4Div}, multiplies = {.codec = &kNvfp4};
  const Bytes params = fit(divides, w);
  EXPECT_EQ(params, (Bytes{0x7E, 0x00, 0x00, 0xE0, 0x43}));  // 448, and 448 as float32
  EXPECT_EQ(pack(divides, w, params), codes);
  EXPECT_EQ(fit(multiplies, w), (Bytes{0x7E, 0x25, 0x49, 0x12, 0x3B}));  // 1 / 448
  std::vector<float> expected = w;
  expected[14] = 0;
  expected[15] = 4;
  EXPECT_EQ(unpack(divides, codes, params, 16), expected);
  EXPECT_TRUE(std::signbit(unpack(divides, Bytes(8, 0x88), params, 16)[3]));  // a zero's sign
  EXPECT_FALSE(std::signbit(unpack(multiplies, Bytes(8, 0x88), fit(multiplies, w), 16)[3]));
}

TEST(Float4, MxExponentsRoundTheMantissaUpAtSevenQuarters) {
  const auto exponent = [](float peak) {
    std::vector<float> w(32);
    w[5] = -peak;
    return static_cast<int>(fit({.codec = &kMxfp4}, w)[0]);
  };
  EXPECT_EQ(exponent(7.5f), 128);
  EXPECT_EQ(exponent(3.5f), 127);
  EXPECT_EQ(exponent(6), 127);
  EXPECT_EQ(exponent(7), 128);
  EXPECT_EQ(exponent(1), 125);
  EXPECT_EQ(exponent(0), 0);
  EXPECT_EQ(exponent(std::numeric_limits<float>::max()), 253);
  std::vector<float> w(32);
  kMxfp4.unpack_row({.codec = &kMxfp4}, Bytes(16, 0xF2).data(), Bytes{0x80}.data(), w);
  EXPECT_EQ(w[0], 2);
  EXPECT_EQ(w[1], -12);
}

TEST(Fit, WhatRowsShareComesFromOutside) {
  const std::vector<float> w = {1, 2, 3, -4};
  const std::vector<float> peaks = {448, 896}, shrinks = {1, 0.5f};
  const Bytes f8 = fit(grouped(kF8Group, 2), w, {.group_peaks = peaks});
  EXPECT_EQ(load_scale(DType::f32, f8.data()), 1);
  EXPECT_EQ(load_scale(DType::f32, f8.data() + 4), 2);
  const Bytes shrunk =
      fit(grouped(kF8Group, 2), w, {.group_shrinks = shrinks, .group_peaks = peaks});
  EXPECT_EQ(load_scale(DType::f32, shrunk.data()), 1);
  EXPECT_EQ(load_scale(DType::f32, shrunk.data() + 4), 1);
  const std::vector<float> one = {15};
  EXPECT_EQ(
      load_scale(
          DType::f32,
          fit(grouped(kI4Group, 8), std::vector<float>(8, 1.0f), {.group_peaks = one}).data()),
      2);
  // The matrix's scale follows the matrix's peak, and no shrink; a block's its own.
  std::vector<float> row(32, 0.5f);
  row[20] = 6;
  for (const Codec* codec : {&kNvfp4, &kNvfp4Div}) {
    ASSERT_TRUE(codec->has_matrix_scale);
    const Format f = {.codec = codec};
    const Bytes params = fit(f, row, {.shrink = 0.5f, .matrix_peak = 2688});
    EXPECT_EQ(load_scale(DType::f32, params.data() + 2), 1);
    EXPECT_EQ(params[0], 0x13);  // 0.5 * 0.5 / 6 = 0.0417 -> 1.375 * 2^-5 = 0.043
    EXPECT_EQ(params[1], 0x30);  // 0.5
  }
}

TEST(Format, ColumnsOfOneScale) {
  EXPECT_EQ(scale_columns(grouped(kI4Group, 32), 128), 32);
  EXPECT_EQ(scale_columns({.codec = &kI8Row}, 128), 128);
  EXPECT_EQ(scale_columns({.codec = &kNvfp4Div}, 128), 16);
  EXPECT_EQ(scale_columns({.codec = &kMxfp4}, 128), 32);
}

TEST(Weight, RowsComeInTheMatrixsOrder) {
  const std::vector<float> stored = {10, 11, 12, 20, 21, 22};
  const std::vector<int32_t> order = {2, 0, 1};
  Weight weight = {.format = {.codec = &kF32},
                   .rows = 2,
                   .cols = 3,
                   .codes = reinterpret_cast<const uint8_t*>(stored.data())};
  std::vector<float> w(3);
  unpack_row(weight, 1, w);
  EXPECT_EQ(w, (std::vector<float>{20, 21, 22}));
  weight.column_order = order.data();
  unpack_row(weight, 1, w);
  EXPECT_EQ(w, (std::vector<float>{21, 22, 20}));
}

TEST(Plain, BytesAreIeee) {
  const std::vector<float> w = {1, -2};
  EXPECT_EQ(pack({.codec = &kBf16}, w, {}), (Bytes{0x80, 0x3F, 0x00, 0xC0}));
  EXPECT_EQ(pack({.codec = &kF16}, w, {}), (Bytes{0x00, 0x3C, 0x00, 0xC0}));
  EXPECT_EQ(pack({.codec = &kF32}, w, {}), (Bytes{0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0}));
  EXPECT_EQ(plain_codec(DType::bf16), &kBf16);
  EXPECT_EQ(plain_codec(DType::f64), nullptr);
}

}  // namespace
}  // namespace sinter
