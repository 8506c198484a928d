// The plain path: arrays of 16 instead of vectors. Every other instruction set is tested against
// it.
#include "backend/cpu/kernels.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/peak_kernels.h"
#include "backend/cpu/product_kernels.h"

namespace sinter::cpu {
namespace {

// Each needs the one before.
// clang-format off
#include "backend/cpu/ref/lanes.h"
#include "backend/cpu/kernel_table.h"
// clang-format on

bool supported() { return true; }

}  // namespace

const Kernels kRefKernels = table("ref", supported, &kRefPeaks, &kRefProducts);

}  // namespace sinter::cpu
