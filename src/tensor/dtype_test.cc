// The scalar conversions against their definitions: every binary16 value by its fields in double,
// and rounding against the two neighbours.
#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sinter {
namespace {

double half_by_fields(uint16_t x) {
  const int exponent = (x >> 10) & 31, mantissa = x & 1023;
  const double magnitude = exponent == 0    ? std::ldexp(mantissa, -24)
                           : exponent == 31 ? (mantissa == 0 ? INFINITY : NAN)
                                            : std::ldexp(1024 + mantissa, exponent - 25);
  return (x & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(DType, HalfWidensByItsFields) {
  for (uint32_t x = 0; x < 65536; ++x) {
    const double expected = half_by_fields(static_cast<uint16_t>(x));
    const float found = f16_to_f32(static_cast<uint16_t>(x));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(found)) << x;
    } else {
      EXPECT_EQ(found, expected) << x;
      EXPECT_EQ(std::signbit(found), std::signbit(expected)) << x;
    }
  }
}

TEST(DType, HalfNarrowsToTheNearestEven) {
  for (uint16_t x = 0; x < 0x7BFF; ++x) {
    const auto next = static_cast<uint16_t>(x + 1);
    const auto a = static_cast<float>(half_by_fields(x)),
               b = static_cast<float>(half_by_fields(next));
    const float middle = (a + b) / 2;  // exact in float32
    EXPECT_EQ(f32_to_f16(a), x);
    EXPECT_EQ(f32_to_f16(middle), x % 2 == 0 ? x : next) << x;
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, a)), x) << x;
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, b)), next) << x;
    EXPECT_EQ(f32_to_f16(-b), next | 0x8000) << x;
  }
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520), 0x7C00);
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(NAN))));
}

double e4m3_by_fields(uint8_t x) {
  const int exponent = (x >> 3) & 15, mantissa = x & 7;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return (x & 0x80) != 0 ? -magnitude : magnitude;
}

TEST(DType, E4m3) {
  for (uint8_t x = 0; x < 0x7F; ++x) {
    EXPECT_EQ(e4m3_to_f32(x), e4m3_by_fields(x)) << int{x};
    EXPECT_EQ(e4m3_to_f32(x | 0x80), e4m3_by_fields(x | 0x80)) << int{x};
    EXPECT_EQ(f32_to_e4m3(e4m3_to_f32(x)), x);
    if (x == 0x7E) continue;
    const auto next = static_cast<uint8_t>(x + 1);
    const auto a = static_cast<float>(e4m3_by_fields(x)),
               b = static_cast<float>(e4m3_by_fields(next));
    const float middle = (a + b) / 2;
    EXPECT_EQ(f32_to_e4m3(middle), x % 2 == 0 ? x : next) << int{x};
    EXPECT_EQ(f32_to_e4m3(std::nextafter(middle, a)), x) << int{x};
    EXPECT_EQ(f32_to_e4m3(std::nextafter(middle, b)), next) << int{x};
    EXPECT_EQ(f32_to_e4m3(-b), next | 0x80) << int{x};
  }
  EXPECT_EQ(f32_to_e4m3(1e30f), 0x7E);
  EXPECT_EQ(f32_to_e4m3(-INFINITY), 0xFE);
  EXPECT_TRUE(std::isnan(e4m3_to_f32(f32_to_e4m3(NAN))));
  EXPECT_TRUE(std::isnan(e4m3_to_f32(0xFF)));
}

TEST(DType, BrainNarrowsToTheNearestEven) {
  for (uint32_t x = 0; x < 0x7F7F; ++x) {
    const auto a = std::bit_cast<float>(x << 16), b = std::bit_cast<float>((x + 1) << 16);
    const auto middle = std::bit_cast<float>((x << 16) | 0x8000);
    EXPECT_EQ(f32_to_bf16(a), x);
    EXPECT_EQ(f32_to_bf16(middle), x % 2 == 0 ? x : x + 1) << x;
    EXPECT_EQ(f32_to_bf16(std::nextafter(middle, a)), x) << x;
    EXPECT_EQ(f32_to_bf16(std::nextafter(middle, b)), x + 1) << x;
  }
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_EQ(f32_to_bf16(INFINITY), 0x7F80);
}

TEST(DType, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(DType::boolean); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_named(traits(dtype).name), dtype);
  }
  EXPECT_EQ(dtype_named("F8_E8M0"), std::nullopt);
}

}  // namespace
}  // namespace sinter
