// AVX-512 with VNNI: four products of bytes in one instruction.
#include "backend/cpu/kernels.h"

#include <immintrin.h>

namespace sinter::cpu {
namespace {

bool supported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}

// Each needs the one before.
// clang-format off
#include "backend/cpu/avx512/lanes.h"
#include "backend/cpu/panel_kernels.h"
#include "backend/cpu/attention_kernels.h"
#include "backend/cpu/vector_kernels.h"
// clang-format on

}  // namespace

const Kernels kAvx512VnniKernels = {.name = "avx512vnni",
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
