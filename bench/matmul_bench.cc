// Rates of backend/matmul.h and backend/cholesky.h, beside the peaks of the same run.
// matmul_bench [ISA [THREADS [ROUNDS]]]: the best of so many rounds.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "backend/cholesky.h"
#include "backend/matmul.h"
#include "backend/peaks.h"
#include "base/random.h"

using namespace sinter;

namespace {

struct Matrix {
  // With `bits` of mantissa at most: 7 is what bfloat16 has.
  Matrix(int64_t rows, int64_t cols, int bits = 23) : floats(static_cast<size_t>(rows * cols)) {
    const auto steps = static_cast<double>(1 << bits);
    for (size_t i = 0; i < floats.size(); ++i) {
      floats[i] = static_cast<float>(std::floor(steps * random_uniform(1, 1, i)) / steps - 0.5);
    }
    view = {floats.data(), rows, cols, cols};
  }
  std::vector<float> floats;
  MatMut view;
};

double best_seconds(int rounds, const std::function<void()>& work) {
  double best = 1e30;
  for (int i = 0; i <= rounds; ++i) {  // the first warms up
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (i > 0) best = std::min(best, took.count());
  }
  return best;
}

void show(const std::string& what, double multiply_adds, double seconds) {
  fmt::print("{:<44} {:9.1f} ms {:8.0f} GFLOP/s\n", what, seconds * 1e3,
             2e-9 * multiply_adds / seconds);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) setenv("SINTER_ISA", argv[1], 1);
  const int n_threads = argc > 2 ? std::atoi(argv[2]) : 0;
  const int rounds = std::max(1, argc > 3 ? std::atoi(argv[3]) : 5);
  ThreadPool threads(n_threads);
  for (const PeakRate& peak : PeakMeter(n_threads, "").arithmetic()) {
    fmt::print("peak {:<39} {:12} {:8.0f} GFLOP/s\n", peak.name, "", peak.ops_per_s / 1e9);
  }

  struct Shape {
    int64_t m, n, k;
    int bits;
  };
  for (const auto& [m, n, k, bits] :
       {Shape{2048, 2048, 5632, 23}, Shape{2048, 2048, 5632, 7}, Shape{512, 5632, 2048, 23}}) {
    Matrix a(m, k), b(n, k, bits), c(m, n);
    const double s = best_seconds(rounds, [&] { matmul_nt(threads, a.view, b.view, c.view); });
    show(fmt::format("A B^T  {} x {} x {}{}", m, n, k, bits == 7 ? ", B bfloat16" : ""),
         static_cast<double>(m * n * k), s);
    if (bits == 7) continue;
    const double rounded = best_seconds(rounds, [&] {
      matmul_nt(threads, a.view, b.view, c.view, Into::set, Precision::bfloat16);
    });
    show(fmt::format("A B^T  {} x {} x {}, rounded", m, n, k), static_cast<double>(m * n * k),
         rounded);
  }
  for (const int64_t k : {128, 512}) {
    Matrix a(5632, k), b(k, 2048), c(5632, 2048);
    const double s =
        best_seconds(rounds, [&] { matmul_nn(threads, a.view, b.view, c.view, Into::subtract); });
    show(fmt::format("C - A B  5632 x 2048 x {}", k), static_cast<double>(5632 * 2048 * k), s);
  }
  for (const auto& [n_tokens, k] :
       {std::pair<int64_t, int64_t>{512, 2048}, {4096, 2048}, {4096, 5632}}) {
    Matrix x(n_tokens, k), h(k, k);
    const double s = best_seconds(rounds, [&] { add_gram(threads, x.view, h.view); });
    show(fmt::format("X^T X  {} tokens, k {}; both triangles", n_tokens, k),
         static_cast<double>(n_tokens * k * k), s);
    const double rounded =
        best_seconds(rounds, [&] { add_gram_lower(threads, x.view, h.view, Precision::bfloat16); });
    show(fmt::format("X^T X  {} tokens, k {}; rounded, lower", n_tokens, k),
         static_cast<double>(n_tokens * k * k), rounded);
  }
  for (const int64_t k : {2048, 5632}) {
    Matrix h(k, k), u(k, k);
    for (int64_t i = 0; i < k; ++i)
      h.floats[static_cast<size_t>(i * k + i)] = static_cast<float>(k);
    const double s = best_seconds(1, [&] {
      u.floats = h.floats;
      if (!upper_inverse_factor(threads, {u.floats.data(), k, k, k})) std::abort();
    });
    show(fmt::format("upper factor of an inverse, k {}", k), static_cast<double>(k * k * k) / 3, s);
  }
  return 0;
}
