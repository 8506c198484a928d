// Against the definitions, in long double and without the tricks.
#include "model/logits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace sinter {
namespace {

std::vector<float> random_logits(uint64_t seed, size_t n, double width) {
  std::vector<float> z(n);
  for (size_t i = 0; i < n; ++i) {
    z[i] = static_cast<float>((random_uniform(seed, 0, i) - 0.5) * width);
  }
  return z;
}

std::vector<long double> softmax(const std::vector<float>& z) {
  long double sum = 0;
  for (const float x : z) sum += std::exp(static_cast<long double>(x));
  std::vector<long double> p;
  for (const float x : z) p.push_back(std::exp(static_cast<long double>(x)) / sum);
  return p;
}

long double defined_divergence(const std::vector<float>& a, const std::vector<float>& b) {
  const std::vector<long double> p = softmax(a), q = softmax(b);
  long double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] * std::log(p[i] / q[i]);
  return sum;
}

// Both ways of it.
std::pair<double, double> divergences(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> p;
  for (const long double x : softmax(a)) p.push_back(static_cast<float>(x));
  return {divergence(a, b), divergence({a, log_sum_exp(a), p}, b)};
}

TEST(Logits, DivergenceIsAsDefined) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const double width = seed % 2 == 0 ? 8 : 60;
    const std::vector<float> a = random_logits(seed, 1000, width);
    for (const double difference : {1e-2, 0.5, 20.0}) {
      std::vector<float> b = random_logits(seed + 100, 1000, difference);
      for (size_t i = 0; i < b.size(); ++i) b[i] += a[i];
      const auto expected = static_cast<double>(defined_divergence(a, b));
      const auto [whole, row] = divergences(a, b);
      EXPECT_NEAR(whole, expected, 1e-9 * expected + 1e-13) << seed << " " << difference;
      EXPECT_NEAR(row, expected, 1e-5 * expected) << seed << " " << difference;
    }
    EXPECT_EQ(divergence(a, a), 0);
  }
}

// Beyond what exp() can hold, and where it is none.
TEST(Logits, ShiftsCancelAndWhatIsNoNumberStaysNone) {
  const std::vector<float> a = {1024, 1025, 1023}, b = {-2048, -2046, -2048};
  const double expected = static_cast<double>(defined_divergence({0, 1, -1}, {0, 2, 0}));
  const auto [whole, row] = divergences({0, 1, -1}, b);
  EXPECT_NEAR(divergence(a, b), expected, 1e-12);
  EXPECT_NEAR(whole, expected, 1e-12);
  EXPECT_NEAR(row, expected, 1e-6);
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(divergence(a, std::vector<float>{0, kNone, 0})));
  EXPECT_TRUE(std::isnan(divergence(std::vector<float>{0, 0, kNone}, a)));
}

TEST(Logits, LogProbabilitiesAreAsDefined) {
  const std::vector<float> z = random_logits(7, 300, 30);
  const std::vector<long double> p = softmax(z);
  std::vector<float> out(z.size());
  log_softmax(z, out);
  for (size_t i = 0; i < z.size(); ++i) {
    const auto expected = static_cast<double>(std::log(p[i]));
    EXPECT_NEAR(log_probability(z, static_cast<Token>(i)), expected, 1e-12 * std::abs(expected));
    EXPECT_EQ(out[i], static_cast<float>(log_probability(z, static_cast<Token>(i))));
  }
}

TEST(Logits, TiesGoToTheLowestId) {
  EXPECT_EQ(first_choice(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(first_choice(std::vector<float>{-1}), 0);
}

}  // namespace
}  // namespace sinter
