// The plain path: arrays of 16 instead of vectors. Every other instruction set is tested against
// it.
#include "backend/cpu/kernels.h"

#include <math.h>
#include <string.h>

namespace sinter::cpu {
namespace {

bool supported() { return true; }

// Each needs the one before.
// clang-format off
#include "backend/cpu/ref/lanes.h"
#include "backend/cpu/panel_kernels.h"
#include "backend/cpu/attention_kernels.h"
#include "backend/cpu/vector_kernels.h"
// clang-format on

}  // namespace

const Kernels kRefKernels = {.name = "ref",
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
