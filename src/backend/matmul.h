// Products of dense float32 matrices, for calibration: everything in one call, no weight prepared.
// Threads split the elements of C, never a sum; the order of a sum is fixed by k and the
// instruction set (that of cpu/instruction_sets.h: SINTER_ISA is honoured). So the same call gives
// the same bits on any number of threads.
//
// Precision: float32 with fused multiply-adds. Under AMX each float is a sum of two bfloat16, of
// whose four products the least is left out: at most 3 * 2^-16 sum |a b| off, of random signs
// 2^-18 sqrt(sum (a b)^2) whatever k is, a digit more than a float32 sum. Infinities and NaNs act
// as in float32; subnormals may count as zero.
// Precision::bfloat16: factors may be rounded to bfloat16, sums are float32: what a BF16 model is
// served in. At most 2^-8 sum |a b| off; a third of the time under AMX, elsewhere as float32.
#pragma once

#include "backend/into.h"
#include "base/threads.h"
#include "tensor/view.h"

namespace sinter {

enum class Precision : uint8_t { float32, bfloat16 };

// None of these may have C overlap a factor. Throw Error(exhausted, "memory-exhausted"): a call has
// up to 13 MiB, and 1 MiB a thread, which its thread keeps for the next one.

// C = A B^T, or C += or -= A B^T. a: [m, k], b: [n, k], c: [m, n].
void matmul_nt(ThreadPool& threads, MatView a, MatView b, MatMut c, Into into = Into::set,
               Precision precision = Precision::float32);
// C = A B, or C += or -= A B. a: [m, k], b: [k, n], c: [m, n].
void matmul_nn(ThreadPool& threads, MatView a, MatView b, MatMut c, Into into = Into::set);

// H += X^T X, both triangles, exactly symmetric. x: [n_tokens, k], h: [k, k]. H must be symmetric.
// Half of a product's work, and a pass over H: worth it for n_tokens of some hundreds and more. The
// same chunks of tokens give the same bits; other chunks are other sums.
void add_gram(ThreadPool& threads, MatView x, MatMut h);
// The same in two steps, for many chunks: H's lower triangle += that of X^T X, leaving what is
// above it undefined; then, after the last one, the upper triangle as the lower one mirrored.
void add_gram_lower(ThreadPool& threads, MatView x, MatMut h,
                    Precision precision = Precision::float32);
void mirror_lower(ThreadPool& threads, MatMut h);

// d^T G d, in float32, by this thread alone. g: [n, n].
float quadratic_form(std::span<const float> d, MatView g);

}  // namespace sinter
