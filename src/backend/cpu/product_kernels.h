// What an instruction set brings to backend/matmul.h: it packs strips of the factors and multiplies
// two of them into one tile of sums. As kernels.h has it, files of an instruction set include this,
// <immintrin.h> and nothing else, and export nothing but their table.
#pragma once

#include <stdint.h>

#include "backend/into.h"

namespace sinter::cpu {

// Some neighbouring rows of A, or columns of B, over a block of k.
struct Strip {
  const float* at;
  int64_t stride;
  bool along_k;  // element (i, k) at i * stride + k; else at k * stride + i
  int64_t width;
  int64_t k;
};

struct ProductKernels {
  int64_t rows, cols;  // of a tile of C
  int64_t k_step;      // packed strips are padded with zeros to a multiple of it
  // Packs four bytes an element, ordered along k, so that a strip can be entered at any multiple of
  // k_step; narrow strips are padded with zeros. False if no value needs more than bfloat16.
  bool (*pack_a)(const Strip& from, uint8_t* to);
  bool (*pack_b)(const Strip& from, uint8_t* to);
  // sums = A B, or += A B unless `first`; sums: [rows, cols], aligned to 64 bytes. k: a multiple of
  // k_step. a_wide, b_wide: what pack_a and pack_b said.
  void (*multiply)(const uint8_t* a, bool a_wide, const uint8_t* b, bool b_wide, int64_t k,
                   bool first, float* sums);
  // The first n_rows x n_cols of sums into C.
  void (*store)(const float* sums, int64_t n_rows, int64_t n_cols, Into into, float* c,
                int64_t stride);
};

extern const ProductKernels kRefProducts;
#ifdef SINTER_X86
extern const ProductKernels kAvx2Products;
extern const ProductKernels kAvx512Products;
extern const ProductKernels kAmxProducts;
#endif

}  // namespace sinter::cpu
