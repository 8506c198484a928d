// AMX (tiles of int8) on top of AVX-512 VNNI: many inputs meet a panel in matrix instructions. The
// sums are exact integers, so the answers are those of avx512vnni, bit for bit.
#include "backend/cpu/kernels.h"

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sinter::cpu {
namespace {

bool supported() {
  if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("amx-tile") &&
        __builtin_cpu_supports("amx-int8"))) {
    return false;
  }
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // Linux: arch_prctl(2)
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// Each needs the one before.
// clang-format off
#include "backend/cpu/avx512/lanes.h"
#include "backend/cpu/amx/matrix.h"
#include "backend/cpu/panel_kernels.h"
#include "backend/cpu/attention_kernels.h"
#include "backend/cpu/vector_kernels.h"
// clang-format on

}  // namespace

const Kernels kAmxKernels = {.name = "amx",
                             .supported = supported,
                             .tiles = Lanes::kTiles,
                             .int8_rows = true,
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
