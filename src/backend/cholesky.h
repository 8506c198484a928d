// The triangular factor of an inverse, which GPTQ rounds along.
#pragma once

#include "base/threads.h"
#include "tensor/view.h"

namespace sinter {

// H (symmetric; only its lower triangle is read) becomes U: upper triangular with a positive
// diagonal, zero below it, H^-1 = U^T U. The same bits on any number of threads. h: [k, k].
// False where H is not positive definite in float32, or not finite: H is then lost.
// Beside H, [k, k] / 3 floats of memory. Throws Error(exhausted, "memory-exhausted").
[[nodiscard]] bool upper_inverse_factor(ThreadPool& threads, MatMut h);

}  // namespace sinter
