// AVX2 with FMA and F16C.
#include "backend/cpu/kernels.h"

#include <immintrin.h>

namespace sinter::cpu {
namespace {

bool supported() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

// Each needs the one before.
// clang-format off
#include "backend/cpu/avx2/lanes.h"
#include "backend/cpu/panel_kernels.h"
#include "backend/cpu/attention_kernels.h"
#include "backend/cpu/vector_kernels.h"
// clang-format on

}  // namespace

const Kernels kAvx2Kernels = {.name = "avx2",
                              .supported = supported,
                              .tiles = Lanes::kTiles,
                              .exact = kExactPanels,
                              .int8 = kInt8Panels,
                              .attend = kAttendPages,
                              .dot = dot,
                              .rms_norm = rms_norm,
                              .rope = rope,
                              .silu_mul = silu_mul,
                              .add = add,
                              .peak = peak,
                              .round_codes = round_codes};

}  // namespace sinter::cpu
