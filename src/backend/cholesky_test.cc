#include "backend/cholesky.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace sinter {
namespace {

constexpr int64_t kGap = 3;  // floats between rows

struct Square {
  explicit Square(int64_t k) : floats(static_cast<size_t>(k * (k + kGap))) {
    view = {floats.data(), k, k, k + kGap};
  }
  float& at(int64_t i, int64_t j) { return view.at[i * view.stride + j]; }
  std::vector<float> floats;
  MatMut view;
};

// X^T X / n + damp * mean diagonal, of correlated channels of very different sizes.
Square hessian(int64_t k, double damp) {
  const int64_t n = 2 * k;
  std::vector<double> x(static_cast<size_t>(n * k));
  for (int64_t t = 0; t < n; ++t) {
    const double shared = 2 * random_uniform(1, 0, static_cast<uint64_t>(t)) - 1;
    for (int64_t j = 0; j < k; ++j) {
      const double own = 2 * random_uniform(1, 1, static_cast<uint64_t>(t * k + j)) - 1;
      x[static_cast<size_t>(j * n + t)] =
          (shared + own) * (j % 17 == 3 ? 20 : 1.0 / double(1 + j % 5));
    }
  }
  Square h(k);
  double trace = 0;
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t t = 0; t < n; ++t) {
        sum += x[static_cast<size_t>(i * n + t)] * x[static_cast<size_t>(j * n + t)];
      }
      h.at(i, j) = h.at(j, i) = static_cast<float>(sum / double(n));
    }
    trace += double{h.at(i, i)};
  }
  for (int64_t i = 0; i < k; ++i) h.at(i, i) += static_cast<float>(damp * trace / double(k));
  return h;
}

// U upper with a positive diagonal and U H U^T = I say that H^-1 = U^T U, and only one U does.
TEST(UpperInverseFactor, IsTheDefinition) {
  for (const int64_t k : {1, 2, 5, 63, 64, 65, 130, 620}) {
    Square h = hessian(k, 0.01), u = h;
    u.view.at = u.floats.data();
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = i + 1; j < k; ++j) u.at(i, j) = std::nanf("");  // is not read
    }
    ThreadPool threads(2);
    ASSERT_TRUE(upper_inverse_factor(threads, u.view));
    std::vector<double> hu(static_cast<size_t>(k * k));  // [j][i] = (H U^T)[j][i]
    double worst = 0;
    for (int64_t i = 0; i < k; ++i) {
      ASSERT_GT(u.at(i, i), 0);
      for (int64_t j = 0; j < i; ++j) ASSERT_EQ(u.at(i, j), 0);
      for (int64_t j = 0; j < k; ++j) {
        double sum = 0;
        for (int64_t l = i; l < k; ++l) sum += double{h.at(j, l)} * double{u.at(i, l)};
        hu[static_cast<size_t>(j * k + i)] = sum;
      }
    }
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < k; ++j) {
        double sum = 0;
        for (int64_t l = j; l < k; ++l)
          sum += double{u.at(j, l)} * hu[static_cast<size_t>(l * k + i)];
        worst = std::max(worst, std::abs(sum - (i == j ? 1 : 0)));
      }
    }
    EXPECT_LT(worst, 2e-4) << k;
  }
}

TEST(UpperInverseFactor, AnyNumberOfThreadsGivesTheSameBits) {
  const Square h = hessian(200, 0.01);
  std::vector<float> one;
  for (const int n_threads : {1, 2, 3, 8}) {
    Square u = h;
    u.view.at = u.floats.data();
    ThreadPool threads(n_threads);
    ASSERT_TRUE(upper_inverse_factor(threads, u.view));
    if (n_threads == 1) one = u.floats;
    EXPECT_EQ(u.floats, one);
  }
}

TEST(UpperInverseFactor, NoForWhatIsNotPositiveDefinite) {
  const float bad[] = {0, -1, std::nanf(""), std::numeric_limits<float>::infinity(), 1e-45f};
  ThreadPool threads(2);
  for (const int64_t where : {0, 70, 199}) {
    for (const float x : bad) {
      Square h = hessian(200, 0.01);
      h.at(where, where) = x;
      EXPECT_FALSE(upper_inverse_factor(threads, h.view)) << x << " at " << where;
    }
    for (const float x : {std::nanf(""), -std::numeric_limits<float>::infinity(), 1e30f}) {
      Square h = hessian(200, 0.01);
      h.at(std::max<int64_t>(where, 6), 5) = x;
      EXPECT_FALSE(upper_inverse_factor(threads, h.view)) << x << " below " << where;
    }
  }
}

}  // namespace
}  // namespace sinter
