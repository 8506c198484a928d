// AMX (tiles of int8 and of bfloat16) on top of AVX-512 VNNI: many inputs meet a panel in matrix
// instructions. Sums of int8 are exact integers, so the answers are those of avx512vnni, bit for
// bit.
#include "backend/cpu/kernels.h"

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/cpu/peak_kernels.h"
#include "backend/cpu/product_kernels.h"

namespace sinter::cpu {
namespace {

// Each needs the one before.
// clang-format off
#include "backend/cpu/avx512/lanes.h"
#include "backend/cpu/amx/matrix.h"
#include "backend/cpu/kernel_table.h"
// clang-format on

bool supported() {
  if (!has_avx512() || !__builtin_cpu_supports("avx512vnni") ||
      !__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("amx-tile") ||
      !__builtin_cpu_supports("amx-int8") || !__builtin_cpu_supports("amx-bf16")) {
    return false;
  }
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // Linux: arch_prctl(2)
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

const Kernels kAmxKernels = table("amx", supported, &kAvx512Peaks, &kAmxProducts);

}  // namespace sinter::cpu
