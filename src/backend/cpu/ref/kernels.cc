// The plain path: obvious, portable, accumulating in double. Every fast kernel is tested against
// it.
#include "backend/cpu/kernels.h"

#include <math.h>

namespace sinter::cpu {
namespace {

bool supported() { return true; }

float dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return static_cast<float>(sum);
}

void dot_tile(const float* w, int n_rows, const float* x, int64_t x_stride, int64_t n_x, int64_t k,
              float* y, int64_t y_stride) {
  for (int64_t m = 0; m < n_x; ++m) {
    for (int r = 0; r < n_rows; ++r) y[m * y_stride + r] = dot(w + r * k, x + m * x_stride, k);
  }
}

int32_t dot_i8(const uint8_t* w, const int8_t* x, int64_t k) {
  int32_t sum = 0;
  for (int64_t i = 0; i < k; ++i) sum += (w[i] - 128) * x[i];
  return sum;
}

void add_rows(const float* weights, const float* rows, int64_t n_rows, int64_t n, float* y) {
  for (int64_t r = 0; r < n_rows; ++r) {
    for (int64_t i = 0; i < n; ++i) y[i] += weights[r] * rows[r * n + i];
  }
}

void exp_shifted(float shift, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = expf(x[i] - shift);
}

void scale(float a, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] *= a;
}

}  // namespace

const Kernels kRefKernels = {.name = "ref",
                             .supported = supported,
                             .dot_tile = dot_tile,
                             .dot_i8 = dot_i8,
                             .dot = dot,
                             .add_rows = add_rows,
                             .exp = exp_shifted,
                             .scale = scale,
                             .unpack_bf16 = nullptr,
                             .unpack_f16 = nullptr,
                             .unpack_8 = nullptr,
                             .unpack_4 = nullptr};

}  // namespace sinter::cpu
