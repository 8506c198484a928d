// What one instruction set must bring. Its file defines `Lanes` and includes kernel_table.h into
// its own unnamed namespace; it includes no header of the standard library that has inline
// functions: one compiled for AVX-512 could become the copy that the linker keeps for every CPU.
#pragma once

#include <stdint.h>

#include "backend/cpu/panels.h"

namespace sinter::cpu {

inline constexpr int64_t kAttendPageTokens = 32;
// Pages of one step of the softmax: part of the order of its sums.
inline constexpr int64_t kAttendBlockPages = 4;

// Queries of one sequence that share one head of keys and values, in one layer.
struct AttendJob {
  const uint8_t* const* pages;
  int64_t offset;        // bytes from a page's start to this layer's and head's keys
  int64_t value_offset;  // from there to its values
  int64_t dims;          // of the head, padded to 32
  float scale;           // of the scores
  int64_t n;             // queries
  const float* queries;  // [n, dims]
  const int32_t* begin;  // [n]: query i sees positions begin[i] .. end[i] - 1
  const int32_t* end;
  float* out;      // [n, dims]
  float* scratch;  // attend_scratch_floats(dims)
};

inline constexpr int64_t attend_scratch_floats(int64_t dims) { return 8 * dims; }

struct PeakKernels;     // peak_kernels.h
struct ProductKernels;  // product_kernels.h

struct Kernels {
  const char* name;
  bool (*supported)();
  const PeakKernels* peaks;  // what a CPU of this kind can do at best
  const ProductKernels* products;

  TileWidths tiles;
  // Many int8 inputs lie not in tiles but in matrices [n / 16][columns / 64][16][64].
  bool int8_matrices = false;
  // By CodeKind. y = W x for panels [begin, end): see panel_kernels.h. Null = no such kernel.
  using MultiplyPanels = void (*)(const PanelJob& job, int64_t begin, int64_t end);
  MultiplyPanels const* exact;
  MultiplyPanels const* int8;
  // By CodeKind: bf16, f16 and f32; null elsewhere.
  using Attend = void (*)(const AttendJob& job);
  Attend const* attend;

  float (*dot)(const float* a, const float* b, int64_t n);
  // d^T G d; g: [n, n], so many floats from row to row.
  float (*quadratic_form)(const float* d, const float* g, int64_t stride, int64_t n);
  // y = x / sqrt(mean(x^2) + eps) * gain; y may be x.
  void (*rms_norm)(const float* x, const float* gain, float eps, int64_t n, float* y);
  void (*rope)(const float* cos, const float* sin, int64_t half, float* head);
  void (*silu_mul)(const float* up, int64_t n, float* gate);
  void (*add)(const float* x, int64_t n, float* y);
  float (*peak)(const float* x, int64_t n);
  // n a multiple of 16.
  int32_t (*round_codes)(const float* x, float scale, int64_t n, int8_t* codes);
};

extern const Kernels kRefKernels;
#ifdef SINTER_X86
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512VnniKernels;
extern const Kernels kAmxKernels;
#endif

}  // namespace sinter::cpu
