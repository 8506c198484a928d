// A group's scale as stored: bf16, f16 or f32, little endian, any alignment.
#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"

namespace sinter {

inline float load_scale(DType dtype, const uint8_t* at) {
  if (dtype == DType::f32) {
    float x;
    std::memcpy(&x, at, sizeof x);
    return x;
  }
  uint16_t x;
  std::memcpy(&x, at, sizeof x);
  return dtype == DType::f16 ? f16_to_f32(x) : bf16_to_f32(x);
}

// Stores `scale` rounded to the nearest positive finite value of `dtype`, and returns that value: a
// scale is a divisor, so it is never zero, and a group of zeros (scale == 0) gets epsilon.
float store_positive_scale(DType dtype, float scale, uint8_t* at);

}  // namespace sinter
