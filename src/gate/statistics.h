// Paired statistics of the gate. `lost` = items that the baseline passed and the candidate did not,
// `won` = the reverse, n = all items that ran on both. Every function is pure and deterministic;
// the bootstrap draws from the counter-based generator.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace sinter {

struct Interval {
  double low = 0;
  double high = 0;
};

double normal_quantile(double p);  // 0 < p < 1

// P(X = k), P(X <= k) and P(X >= k) of a binomial distribution.
double binomial_pmf(int64_t k, int64_t n, double p);
double binomial_cdf(int64_t k, int64_t n, double p);
double binomial_upper(int64_t k, int64_t n, double p);

// Exact McNemar test. Two-sided: min(1, 2 P(Bin(lost + won, 1/2) <= min)). One-sided, against "the
// candidate is worse": P(Bin(lost + won, 1/2) >= lost).
double mcnemar_two_sided(int64_t lost, int64_t won);
double mcnemar_worse(int64_t lost, int64_t won);

// Wilson's score interval of a share k of n.
Interval wilson(int64_t k, int64_t n, double confidence);
// Upper bound (exact, Clopper-Pearson) of a rate of which none of n occurred: 1 - alpha^(1/n).
double none_seen_bound(int64_t n, double confidence);

// Tango's score interval of the paired difference (won - lost) / n (Tango 1998, Statistics in
// Medicine 17:891). Two-sided of this confidence: its low end is the one-sided bound of
// (1 + confidence) / 2. Unlike Wald's it holds where nothing flipped.
Interval tango(int64_t lost, int64_t won, int64_t n, double confidence);

// Percentile bootstrap of the mean of per-item differences.
Interval bootstrap_mean(std::span<const double> differences, double confidence, int resamples,
                        uint64_t seed);
// The same of the median.
Interval bootstrap_median(std::span<const double> values, double confidence, int resamples,
                          uint64_t seed);

double median(std::span<const double> values);
// Linear interpolation between the order statistics (NumPy's default). 0 <= q <= 1.
double percentile(std::span<const double> values, double q);

// Sign test against "as many rise as fall": P(Bin(rises + falls, 1/2) >= rises).
double sign_test_rises(int64_t rises, int64_t falls);

// Holm's step-down adjustment: entry i is the adjusted p-value of test i.
std::vector<double> holm(std::span<const double> p);

// What `lost` and `won` of n say about success at a margin:
//   kept     a loss beyond the margin is excluded (Tango's one-sided bound, non-inferiority);
//   lost     the loss seen is beyond the margin, and more than chance (exact one-sided McNemar);
//   unclear  neither: too few items, or too much churn, to tell.
// So a candidate that is truly as good is called lost in at most 1 - confidence of all runs, and
// one that is truly worse by the margin is called kept in about as many.
enum class Success { kept, lost, unclear };
Success success_rule(int64_t lost, int64_t won, int64_t n, double margin, double confidence);

// What a number of items can tell: the probability of each answer of success_rule when the share
// `churn` of the items is won by chance, and `churn + loss` is lost. Exact.
struct OperatingPoint {
  double kept = 0;
  double lost = 0;
  double unclear = 0;
};
OperatingPoint operating_point(int64_t n, double churn, double loss, double margin,
                               double confidence);
// The smallest true loss that success_rule answers with `lost` at least `power` of the time (to
// 1e-4; 1 where there is none).
double detectable_loss(int64_t n, double churn, double margin, double confidence, double power);

}  // namespace sinter
