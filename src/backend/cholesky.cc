// Which factor, and why one factorisation is enough: Cholesky from the last row up gives H = S^T S,
// S lower triangular (of J H J = L L^T, with J the reversal, it is S = J L^T J). Then H^-1 = S^-1
// S^-T = U^T U with U = S^-T, which is upper triangular with a positive diagonal, and there is only
// one such. So nothing is inverted but S, as it comes.
//
// By halves, so that nearly all work is in large products:
//   [H11 .  ]   [S11^T S21^T] [S11 .  ]     S22^T S22 = H22       -> T22 = S22^-1
//   [H21 H22] = [.     S22^T] [S21 S22]     S21 = T22^T H21
//                                           S11^T S11 = H11 - S21^T S21  -> T11 = S11^-1
//   S^-1 = [T11 .; -T22 S21 T11, T22]
#include "backend/cholesky.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "backend/cpu/instruction_sets.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/matmul.h"
#include "backend/cpu/product_kernels.h"
#include "backend/matmul.h"
#include "base/error.h"
#include "base/huge_buffer.h"

namespace sinter {
namespace {

// Sums of a block of up to this size are in double, on one thread.
constexpr int64_t kBlock = 64;

MatMut part(MatMut m, int64_t row, int64_t col, int64_t rows, int64_t cols) {
  return {m.at + row * m.stride + col, rows, cols, m.stride};
}

// The definition, in double. False where a pivot is not positive; a NaN is not.
bool invert_block(MatMut h) {
  const int64_t n = h.rows;
  double s[kBlock][kBlock], t[kBlock][kBlock];
  for (int64_t i = n - 1; i >= 0; --i) {
    for (int64_t j = i; j >= 0; --j) {
      double sum = double{h.at[i * h.stride + j]};
      for (int64_t k = i + 1; k < n; ++k) sum -= s[k][i] * s[k][j];
      if (j < i) {
        s[i][j] = sum / s[i][i];
      } else {
        // At least 2^-126, so that no factor leaves the range of floats.
        if (!(sum >= 0x1p-126) || !std::isfinite(sum)) return false;
        s[i][i] = std::sqrt(sum);
      }
    }
  }
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < n; ++i) {
      double sum = i == j ? 1 : 0;
      for (int64_t k = j; k < i; ++k) sum -= s[i][k] * t[k][j];
      t[i][j] = i < j ? 0 : sum / s[i][i];
      h.at[i * h.stride + j] = static_cast<float>(t[i][j]);
    }
  }
  return true;
}

class Inverter {
 public:
  Inverter(ThreadPool& threads, const cpu::ProductKernels& kernels)
      : threads_(threads), kernels_(kernels) {}

  // The lower triangle of H becomes S^-1, and what is above it zero.
  bool run(MatMut h) {
    const int64_t n = h.rows;
    if (n <= kBlock) return invert_block(h);
    const int64_t n1 = (n / 2 + kBlock - 1) / kBlock * kBlock, n2 = n - n1;
    const MatMut h11 = part(h, 0, 0, n1, n1), h21 = part(h, n1, 0, n2, n1);
    const MatMut h22 = part(h, n1, n1, n2, n2);
    if (!run(h22)) return false;
    HugeBuffer memory(n2 * n1 * 4);
    const MatMut s21 = {reinterpret_cast<float*>(memory.at()), n2, n1, n1};
    by_chunks(n2, [&](int64_t from, int64_t count) {  // T22^T is zero before the diagonal
      product({part(h22, from, from, n2 - from, count), true}, part(h21, from, 0, n2 - from, n1),
              part(s21, from, 0, count, n1));
    });
    cpu::multiply(threads_, kernels_, {s21, true}, {s21, false}, h11, Into::subtract, true);
    if (!run(h11)) return false;
    by_chunks(n1, [&](int64_t from, int64_t count) {  // T11's columns are zero before it
      product({part(s21, 0, from, n2, n1 - from), false}, part(h11, from, from, n1 - from, count),
              part(h21, 0, from, n2, count));
    });
    by_chunks(n2, [&](int64_t from, int64_t count) {  // T22's rows are zero beyond it
      product({part(h22, from, 0, count, from + count), false}, part(h21, 0, 0, from + count, n1),
              part(s21, from, 0, count, n1));
    });
    threads_.run(n2, kBlock, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        std::ranges::transform(MatView(s21).row(i), h21.row(i).begin(), std::negate<>());
      }
    });
    for (int64_t i = 0; i < n1; ++i) std::fill_n(h.at + i * h.stride + n1, n2, 0.0f);
    return true;
  }

 private:
  // A triangle in pieces, so that most of its zeros are not multiplied.
  template <typename Body>
  static void by_chunks(int64_t size, const Body& body) {
    const int64_t chunk = std::max<int64_t>(256, (size / 6 + kBlock - 1) / kBlock * kBlock);
    for (int64_t from = 0; from < size; from += chunk) body(from, std::min(chunk, size - from));
  }
  void product(const cpu::Operand& a, MatView b, MatMut c) {
    cpu::multiply(threads_, kernels_, a, {b, false}, c, Into::set, false);
  }

  ThreadPool& threads_;
  const cpu::ProductKernels& kernels_;
};

}  // namespace

bool upper_inverse_factor(ThreadPool& threads, MatMut h) {
  SINTER_CHECK(h.rows == h.cols);
  if (h.rows == 0) return true;
  const cpu::ProductKernels& fastest = *cpu::kernels_named("").products;
  const cpu::ProductKernels& kernels = fastest.whole != nullptr ? *fastest.whole : fastest;
  if (!Inverter(threads, kernels).run(h)) return false;
  mirror_lower(threads, h);
  bool finite = true;
  for (int64_t i = 0; i < h.rows; ++i) {
    std::fill_n(h.at + i * h.stride, i, 0.0f);
    for (const float x : h.row(i)) finite = finite && std::isfinite(x);
  }
  return finite;
}

}  // namespace sinter
