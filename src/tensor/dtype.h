// Types of stored tensors, and the scalar conversions that define them.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sinter {

// The element types that safetensors names and Sinter can meet.
enum class DType : uint8_t {
  f64,
  f32,
  f16,
  bf16,
  f8_e4m3,
  f8_e5m2,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean
};

struct DTypeTraits {
  DType dtype;
  std::string_view name;  // as safetensors spells it
  int32_t bytes;
};

const DTypeTraits& traits(DType dtype);
std::optional<DType> dtype_named(std::string_view safetensors_name);

inline float bf16_to_f32(uint16_t x) { return std::bit_cast<float>(uint32_t{x} << 16); }

// Round to nearest even; NaN stays a (quiet) NaN.
inline uint16_t f32_to_bf16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>((u >> 16) | 0x40);
  return static_cast<uint16_t>((u + 0x7FFF + ((u >> 16) & 1)) >> 16);
}

float e4m3_to_f32(uint8_t x);  // FP8 E4M3 without infinities; 0x7F and 0xFF are NaN
// Round to nearest even, saturating at 448; NaN stays NaN.
uint8_t f32_to_e4m3(float x);

float f16_to_f32(uint16_t x);  // IEEE 754 binary16
uint16_t f32_to_f16(float x);  // round to nearest even, overflow to infinity

}  // namespace sinter
