// What one instruction set must bring: a few float32 primitives, and unpackers for the codecs it is
// fast at. Files of an instruction set include this, <immintrin.h> and nothing else, and define
// nothing with external linkage but their table: an inline std:: function compiled with AVX-512
// could become the copy that the linker keeps for every CPU.
#pragma once

#include <stdint.h>

namespace sinter::cpu {

// Weight rows in a tile of dot_tile.
inline constexpr int kTileRows = 8;

// A row of integer codes: value = (code - zero) * scale, both per group; `zeros` already holds the
// code's offset (8 for symmetric 4-bit codes).
struct UnpackRow {
  const uint8_t* codes;
  const float* scales;  // [cols / group]
  const float* zeros;   // [cols / group]
  int64_t cols;
  int64_t group;
};

struct Kernels {
  const char* name;
  bool (*supported)();

  // y[m * y_stride + r] = sum over k of w[r * k + ...] x[m * x_stride + ...], for n_rows <=
  // kTileRows weight rows (contiguous, k apart) and n_x inputs. Each sum runs over k upwards in
  // lanes of this instruction set's width, then over the lanes in a fixed order: it never depends
  // on n_rows, n_x.
  void (*dot_tile)(const float* w, int n_rows, const float* x, int64_t x_stride, int64_t n_x,
                   int64_t k, float* y, int64_t y_stride);
  // Exact: sum of (w - 128) * x over k. w: offset-binary int8 codes.
  int32_t (*dot_i8)(const uint8_t* w, const int8_t* x, int64_t k);
  float (*dot)(const float* a, const float* b, int64_t n);
  // y += weights[0] rows[0] + weights[1] rows[1] + ..., added in this order; rows: [n_rows, n].
  void (*add_rows)(const float* weights, const float* rows, int64_t n_rows, int64_t n, float* y);
  // x[i] = exp(x[i] - shift), within 3 ulp; 0 far below, infinity far above, NaN stays NaN.
  void (*exp)(float shift, float* x, int64_t n);
  // y *= a
  void (*scale)(float a, float* y, int64_t n);

  // Unpackers of plain types, and of integer codes by width. Null = the codec's own plain code.
  void (*unpack_bf16)(const uint8_t* codes, int64_t cols, float* out);
  void (*unpack_f16)(const uint8_t* codes, int64_t cols, float* out);
  void (*unpack_8)(const UnpackRow& row, float* out);
  void (*unpack_4)(const UnpackRow& row, float* out);
};

extern const Kernels kRefKernels;
#ifdef SINTER_X86
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

}  // namespace sinter::cpu
