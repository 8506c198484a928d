// AVX-512's products.
#include <immintrin.h>

#include "backend/cpu/kernels.h"
#include "backend/cpu/product_kernels.h"

namespace sinter::cpu {
namespace {

// Each needs the one before.
// clang-format off
#include "backend/cpu/avx512/lanes.h"
#include "backend/cpu/product_tiles.h"
// clang-format on

}  // namespace

const ProductKernels kAvx512Products = kFusedProducts;

}  // namespace sinter::cpu
