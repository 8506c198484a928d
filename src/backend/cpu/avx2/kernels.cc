// AVX2 with FMA and F16C.
#include "backend/cpu/kernels.h"

#include <immintrin.h>

#include "backend/cpu/peak_kernels.h"
#include "backend/cpu/product_kernels.h"

namespace sinter::cpu {
namespace {

// Each needs the one before.
// clang-format off
#include "backend/cpu/avx2/lanes.h"
#include "backend/cpu/kernel_table.h"
// clang-format on

bool supported() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

}  // namespace

const Kernels kAvx2Kernels = table("avx2", supported, &kAvx2Peaks, &kAvx2Products);

}  // namespace sinter::cpu
