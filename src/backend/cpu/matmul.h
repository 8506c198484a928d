// backend/matmul.h with the kernels named: for its tests and measurements.
#pragma once

#include "backend/cpu/product_kernels.h"
#include "backend/into.h"
#include "base/threads.h"
#include "tensor/view.h"

namespace sinter::cpu {

struct Operand {
  MatView at;
  bool transposed;
};

// C = A B (or += or -=), or of that, `lower`, the tiles on or below the diagonal.
void multiply(ThreadPool& threads, const ProductKernels& kernels, const Operand& a,
              const Operand& b, MatMut c, Into into, bool lower);

}  // namespace sinter::cpu
