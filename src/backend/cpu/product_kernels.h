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

// What is multiplied.
struct PackedStrips {
  const uint8_t* a;
  const uint8_t* b;
  bool a_wide, b_wide;  // what pack_a and pack_b said
  int64_t k;            // a multiple of k_step
  // To be fetched meanwhile, as far as a kernel does: the strip that comes next, so many bytes of
  // it (a multiple of 64) with every k_step, and the rows of C where the sums will go.
  const uint8_t* next;
  int64_t next_bytes;
  const float* c;
  int64_t c_stride;
};

struct ProductKernels {
  int64_t rows, cols;  // of a tile of C
  int64_t k_step;      // packed strips are padded with zeros to a multiple of it
  // Packs element_bytes an element, ordered along k, so that a strip can be entered at any multiple
  // of k_step; narrow strips are padded with zeros. False if no value needs more than bfloat16.
  int64_t element_bytes;
  bool (*pack_a)(const Strip& from, uint8_t* to);
  bool (*pack_b)(const Strip& from, uint8_t* to);
  // Around a thread's calls of multiply.
  void (*enter)();
  void (*leave)();
  // sums = A B; sums: [rows, cols], aligned to 64 bytes.
  void (*multiply)(const PackedStrips& strips, float* sums);
  // The first n_rows x n_cols of sums into C.
  void (*store)(const float* sums, int64_t n_rows, int64_t n_cols, Into into, float* c,
                int64_t stride);
  // The same in whole floats, where these split or round them; else null.
  const ProductKernels* whole;
  // The same of factors rounded to bfloat16, where that is quicker; else null.
  const ProductKernels* rounded;
};

extern const ProductKernels kRefProducts;
#ifdef SINTER_X86
extern const ProductKernels kAvx2Products;
extern const ProductKernels kAvx512Products;
extern const ProductKernels kAmxProducts;
extern const ProductKernels kAmxRoundedProducts;
#endif

}  // namespace sinter::cpu
