// Grids of whole numbers in GGUF's blocks: every format that has a place there, by what both sides
// dequantise to; and those that have none.
#include "artifact/gguf_exact.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "base/random.h"

namespace sinter {
namespace {

constexpr int64_t kRows = 9, kCols = 256;

struct Matrix {
  std::vector<uint8_t> codes, params;
  Weight weight;
};

// Rounded weights of magnitudes that differ from row to row.
Matrix rounded(const std::string& format) {
  Matrix m;
  m.weight = {.format = format_named(format), .rows = kRows, .cols = kCols};
  const Format& f = m.weight.format;
  m.codes.resize(static_cast<size_t>(kRows * m.weight.row_bytes()));
  m.params.resize(static_cast<size_t>(kRows * m.weight.param_bytes()));
  std::vector<float> w(kCols);
  for (int64_t r = 0; r < kRows; ++r) {
    for (size_t i = 0; i < w.size(); ++i) {
      w[i] = static_cast<float>((random_uniform(5, static_cast<uint64_t>(r), i) - 0.4) *
                                std::exp2(static_cast<double>(-r)));
    }
    uint8_t* params = m.params.data() + r * m.weight.param_bytes();
    f.codec->fit_row(f, w, {}, params);
    f.codec->pack_row(f, w, params, m.codes.data() + r * m.weight.row_bytes());
  }
  m.weight.codes = m.codes.data();
  m.weight.params = m.params.data();
  return m;
}

// What it fits; every row is then packed and compared.
std::string fits(const Weight& w, const char* wanted = nullptr) {
  ThreadPool threads(2);
  std::string why;
  const Codec* target =
      exact_blocks(w, wanted == nullptr ? nullptr : format_named(wanted).codec, threads, why);
  EXPECT_EQ(target == nullptr, !why.empty());
  if (target == nullptr) return why;
  const Format f{.codec = target};
  std::vector<uint8_t> blocks(static_cast<size_t>(target->row_bytes(f, w.cols)));
  std::vector<float> before(static_cast<size_t>(w.cols)), after(before.size());
  for (int64_t r = 0; r < w.rows; ++r) {
    pack_exact_row(w, r, *target, blocks.data());
    target->unpack_row(f, blocks.data(), nullptr, after);
    unpack_row(w, r, before);
    EXPECT_EQ(before, after) << r;
  }
  return target->name;
}

TEST(GgufExact, WholeNumbersHaveAPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"i4_group:32", "q4_0"},     {"i4_group:128/f16", "q4_0"}, {"i4_group:256", "q4_0"},
      {"i3_group:32", "q4_0"},     {"u3_group:64", "q4_0"},      {"i2_group:32", "q4_0"},
      {"u2_group:32/f16", "q4_0"}, {"i8_row", "q8_0"},           {"i8_group:32/f16", "q8_0"},
      {"mxfp4", "q5_0"},           {"u4_group:32/f16", "q5_0"},
  };
  for (const auto& [format, target] : cases) {
    SCOPED_TRACE(format);
    EXPECT_EQ(fits(rounded(format).weight), target);
  }
}

// Zero points fit Q4_1 where scale * zero is a half, too: scales of few digits.
TEST(GgufExact, MinimaThatAreHalves) {
  Matrix m = rounded("u4_group:32/f16");
  const int64_t n_groups = kCols / 32;
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t g = 0; g < n_groups; ++g) {
      uint8_t* scale = m.params.data() + r * m.weight.param_bytes() + 2 * g;
      scale[0] = 0;  // 2 binary digits of 10 are left behind the point
    }
  }
  EXPECT_EQ(fits(m.weight), "q4_1");
  EXPECT_EQ(fits(m.weight, "q5_0"), "q5_0");
  EXPECT_EQ(fits(m.weight, "q8_0"), "q8_0");
}

TEST(GgufExact, WhatHasNoPlaceSaysWhy) {
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(fits(rounded("i4_group:32/f32").weight), "no F16"));
  EXPECT_TRUE(has(fits(rounded("i4_group:16").weight), "groups of 16"));
  EXPECT_TRUE(has(fits(rounded("f8_row").weight), "f8_row is no grid of whole numbers"));
  EXPECT_TRUE(has(fits(rounded("nvfp4").weight), "nvfp4 is no grid of whole numbers"));
  EXPECT_TRUE(has(fits(rounded("u8_group:32/f16").weight), "levels"));
  EXPECT_TRUE(has(fits(rounded("i8_row").weight, "q4_0"), "levels"));
  Matrix ordered = rounded("i4_group:32");
  std::vector<int32_t> order(kCols);
  std::iota(order.rbegin(), order.rend(), 0);
  ordered.weight.column_order = order.data();
  EXPECT_TRUE(has(fits(ordered.weight), "desc_act"));
}

// Scales that are no numbers, codes that nobody chose: refused, or the same values.
TEST(GgufExact, AnyBytes) {
  for (const char* format :
       {"u4_group:32/f16", "u4_group:32/f32", "i8_row", "mxfp4", "u2_group:64"}) {
    for (uint64_t seed = 0; seed < 40; ++seed) {
      Matrix m = rounded(format);
      const auto damage = [&](std::vector<uint8_t>& bytes, uint64_t stream) {
        for (uint64_t i = 0; i < 1 + seed % 8; ++i) {
          bytes[random_bits(seed, stream, i) % bytes.size()] =
              static_cast<uint8_t>(random_bits(seed, stream + 1, i));
        }
      };
      damage(m.codes, 1);
      damage(m.params, 3);
      fits(m.weight);
    }
  }
}

}  // namespace
}  // namespace sinter
