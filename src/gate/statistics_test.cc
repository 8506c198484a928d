#include "gate/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "base/random.h"

namespace sinter {
namespace {

// Values of SciPy, statsmodels and the definitions (tests/golden/gate/make_statistics.py).
Json golden() { return read_json_file(SINTER_SOURCE_DIR "/tests/golden/gate/statistics.json"); }

double number(const Json& row, const char* key) { return row.at(key).get<double>(); }
int64_t integer(const Json& row, const char* key) { return row.at(key).get<int64_t>(); }

TEST(Statistics, McNemarAgreesWithStatsmodels) {
  const Json all = golden();
  for (const Json& row : all.at("mcnemar")) {
    const int64_t lost = integer(row, "lost");
    const int64_t won = integer(row, "won");
    EXPECT_NEAR(mcnemar_two_sided(lost, won) / number(row, "two_sided"), 1, 1e-10) << row;
    EXPECT_NEAR(mcnemar_worse(lost, won) / number(row, "worse"), 1, 1e-10) << row;
  }
}

TEST(Statistics, TangoAgreesWithTheNumericallyConstrainedLikelihood) {
  const Json all = golden();
  for (const Json& row : all.at("tango")) {
    const Interval i = tango(integer(row, "lost"), integer(row, "won"), integer(row, "n"),
                             number(row, "confidence"));
    if (!row.at("low").is_null()) {
      EXPECT_NEAR(i.low, number(row, "low"), 1e-7) << row;
    }
    EXPECT_NEAR(i.high, number(row, "high"), 1e-7) << row;
  }
}

TEST(Statistics, OthersAgreeWithSciPyAndStatsmodels) {
  const Json all = golden();
  for (const Json& row : all.at("wilson")) {
    const Interval i = wilson(integer(row, "k"), integer(row, "n"), 0.95);
    EXPECT_NEAR(i.low, number(row, "low"), 1e-12) << row;
    EXPECT_NEAR(i.high, number(row, "high"), 1e-12) << row;
  }
  for (const Json& row : all.at("holm")) {
    const auto adjusted = holm(row.at("p").get<std::vector<double>>());
    const auto expected = row.at("adjusted").get<std::vector<double>>();
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(adjusted[i], expected[i], 1e-12);
  }
  for (const Json& row : all.at("percentile")) {
    const auto values = row.at("values").get<std::vector<double>>();
    EXPECT_NEAR(percentile(values, number(row, "q")), number(row, "value"), 1e-12) << row;
  }
  for (const Json& row : all.at("normal")) {
    EXPECT_NEAR(normal_quantile(number(row, "p")), number(row, "z"), 1e-9) << row;
  }
  for (const Json& row : all.at("binomial")) {
    const int64_t k = integer(row, "k");
    const int64_t n = integer(row, "n");
    EXPECT_NEAR(binomial_pmf(k, n, number(row, "p")) / number(row, "pmf"), 1, 1e-8) << row;
    EXPECT_NEAR(binomial_cdf(k, n, number(row, "p")) / number(row, "cdf"), 1, 1e-8) << row;
    EXPECT_NEAR(binomial_upper(k, n, number(row, "p")) / number(row, "upper"), 1, 1e-8) << row;
  }
}

TEST(Statistics, BootstrapComesNearTheNormalIntervalAndRepeatsExactly) {
  std::vector<double> d(400, 0.0);
  for (size_t i = 0; i < 40; ++i) d[i * 7] = i % 4 == 0 ? 1 : -1;
  double mean = 0;
  for (const double x : d) mean += x / 400;
  double variance = 0;
  for (const double x : d) variance += (x - mean) * (x - mean) / 400;
  const double half = 1.96 * std::sqrt(variance / 400);
  const Interval i = bootstrap_mean(d, 0.95, 4000, 7);
  EXPECT_NEAR(i.low, mean - half, 0.004);
  EXPECT_NEAR(i.high, mean + half, 0.004);
  const Interval again = bootstrap_mean(d, 0.95, 4000, 7);
  EXPECT_EQ(i.low, again.low);
  EXPECT_EQ(i.high, again.high);
  EXPECT_NE(i.low, bootstrap_mean(d, 0.95, 4000, 8).low);
}

TEST(Statistics, BootstrapOfTheMedianCoversIt) {
  std::vector<double> values;
  for (int i = 0; i < 301; ++i) values.push_back(static_cast<double>((i * 37) % 301));
  const Interval i = bootstrap_median(values, 0.95, 2000, 3);
  // The order statistics of rank n/2 -+ 1.96 sqrt(n)/2 bound the median (normal approximation).
  EXPECT_NEAR(i.low, 150 - 17, 5);
  EXPECT_NEAR(i.high, 150 + 17, 5);
}

TEST(Statistics, RuleIsFair) {
  const auto rule = [](int64_t lost, int64_t won, int64_t n) {
    return success_rule(lost, won, n, 0.01, 0.95);
  };
  EXPECT_EQ(rule(0, 0, 1200), Success::kept);
  EXPECT_EQ(rule(3, 3, 1200), Success::kept);
  EXPECT_EQ(rule(20, 0, 1200), Success::lost);
  EXPECT_EQ(rule(24, 4, 1200), Success::lost);
  EXPECT_EQ(rule(0, 0, 100), Success::unclear);  // too few to exclude 1 %
  EXPECT_EQ(rule(0, 0, 300), Success::kept);     // the least that can
  EXPECT_EQ(rule(1, 0, 30), Success::unclear);
  EXPECT_EQ(rule(100, 95, 1200), Success::unclear);  // too much churn
  EXPECT_EQ(rule(40, 10, 10000), Success::kept);     // a real loss, but of 0.3 %
  EXPECT_EQ(rule(0, 50, 1200), Success::kept);
}

// By simulation: a candidate that is as good is called lost in at most alpha of the runs, and one
// that is worse by exactly the margin is called kept in at most alpha (and a hair: the score bound
// is approximate).
TEST(Statistics, FalseAlarmsAreRarerThanAlpha) {
  struct Case {
    int64_t n;
    double churn;
    double loss;
  };
  constexpr int kRuns = 3000;
  uint64_t seed = 1;
  for (const Case& c : {Case{300, 0.02, 0}, Case{1200, 0.01, 0}, Case{1200, 0.05, 0},
                        Case{1200, 0.005, 0.01}, Case{3100, 0.02, 0.01}}) {
    int n_kept = 0;
    int n_lost = 0;
    ++seed;
    for (int run = 0; run < kRuns; ++run) {
      int64_t lost = 0;
      int64_t won = 0;
      for (int64_t i = 0; i < c.n; i += 1) {
        const double u = random_uniform(seed, static_cast<uint64_t>(run), static_cast<uint64_t>(i));
        won += u < c.churn ? 1 : 0;
        lost += u >= c.churn && u < 2 * c.churn + c.loss ? 1 : 0;
      }
      const Success s = success_rule(lost, won, c.n, 0.01, 0.95);
      n_kept += s == Success::kept ? 1 : 0;
      n_lost += s == Success::lost ? 1 : 0;
    }
    const double kept = static_cast<double>(n_kept) / kRuns;
    const double lost = static_cast<double>(n_lost) / kRuns;
    if (c.loss == 0) {
      EXPECT_LE(lost, 0.05) << c.n << " " << c.churn;
    } else {
      EXPECT_LE(kept, 0.065) << c.n << " " << c.churn;
    }
    // And the exact operating point says what the simulation finds.
    const OperatingPoint point = operating_point(c.n, c.churn, c.loss, 0.01, 0.95);
    EXPECT_NEAR(point.kept, kept, 0.035) << c.n;
    EXPECT_NEAR(point.lost, lost, 0.035) << c.n;
    EXPECT_NEAR(point.kept + point.lost + point.unclear, 1, 1e-9);
  }
}

TEST(Statistics, DetectableLossIsWhereThePowerIs) {
  const double loss = detectable_loss(1200, 0.003, 0.01, 0.95, 0.8);
  EXPECT_GT(loss, 0.01);
  EXPECT_LT(loss, 0.03);
  EXPECT_NEAR(operating_point(1200, 0.003, loss, 0.01, 0.95).lost, 0.8, 0.01);
  EXPECT_EQ(detectable_loss(3, 0, 0.01, 0.95, 0.8), 1);  // three items cannot show anything
}

}  // namespace
}  // namespace sinter
