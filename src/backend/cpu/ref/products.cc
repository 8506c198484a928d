// The plain path's products.
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "backend/cpu/product_kernels.h"

namespace sinter::cpu {
namespace {

// Each needs the one before.
// clang-format off
#include "backend/cpu/ref/lanes.h"
#include "backend/cpu/product_tiles.h"
// clang-format on

}  // namespace

const ProductKernels kRefProducts = kFusedProducts;

}  // namespace sinter::cpu
