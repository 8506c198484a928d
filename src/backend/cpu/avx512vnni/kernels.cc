// AVX-512 with VNNI: four products of bytes in one instruction.
#include "backend/cpu/kernels.h"

#include <immintrin.h>

#include "backend/cpu/peak_kernels.h"
#include "backend/cpu/product_kernels.h"

namespace sinter::cpu {
namespace {

// Each needs the one before.
// clang-format off
#include "backend/cpu/avx512/lanes.h"
#include "backend/cpu/kernel_table.h"
// clang-format on

bool supported() { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }

}  // namespace

const Kernels kAvx512VnniKernels = table("avx512vnni", supported, &kAvx512Peaks, &kAvx512Products);

}  // namespace sinter::cpu
