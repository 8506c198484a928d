// All kernels over the Lanes that stand before this, and their table. Included inside an unnamed
// namespace.

// Each needs the one before.
// clang-format off
#include "backend/cpu/panel_kernels.h"
#include "backend/cpu/attention_kernels.h"
#include "backend/cpu/vector_kernels.h"
// clang-format on

constexpr Kernels table(const char* name, bool (*supported)(), const PeakKernels* peaks,
                        const ProductKernels* products) {
#ifdef SINTER_MATRIX
  constexpr bool kInt8Matrices = true;
#else
  constexpr bool kInt8Matrices = false;
#endif
  return {.name = name,
          .supported = supported,
          .peaks = peaks,
          .products = products,
          .tiles = Lanes::kTiles,
          .int8_matrices = kInt8Matrices,
          .exact = kExactPanels,
          .int8 = kInt8Panels,
          .attend = kAttendPages,
          .dot = dot,
          .quadratic_form = quadratic_form,
          .rms_norm = rms_norm,
          .rope = rope,
          .silu_mul = silu_mul,
          .add = add,
          .peak = peak,
          .round_codes = round_codes};
}
