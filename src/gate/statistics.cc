// Sums of binomial terms run from the small ones up, in doubles; sources are named in the header.
#include "gate/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace sinter {
namespace {

// log of n!, by a sign-free form of lgamma (std::lgamma writes a global).
double log_factorial(int64_t n) {
  int sign = 0;
  return lgamma_r(static_cast<double>(n) + 1, &sign);
}

// Solves f(x) = 0 for a decreasing f on [low, high].
double bisect(double low, double high, const std::function<double(double)>& f) {
  for (int i = 0; i < 80 && high - low > 1e-13; ++i) {
    const double middle = (low + high) / 2;
    (f(middle) > 0 ? low : high) = middle;
  }
  return (low + high) / 2;
}

// Tango's score statistic for H: p_won - p_lost = delta. The constrained maximum likelihood
// estimate of p_lost is the larger root of 2n q^2 + (-won - lost + (2n - won + lost) delta) q
// - lost delta (1 - delta) = 0, here with the roles of his cells as in the header.
double tango_score(double lost, double won, double n, double delta) {
  const double b = -won - lost + (2 * n - won + lost) * delta;
  const double c = -lost * delta * (1 - delta);
  const double q = (std::sqrt(std::max(0.0, b * b - 8 * n * c)) - b) / (4 * n);  // p_lost
  const double variance = n * (2 * q + delta * (1 - delta));
  const double excess = won - lost - n * delta;
  if (variance <= 0) return excess == 0 ? 0 : std::copysign(1e300, excess);
  return excess / std::sqrt(variance);
}

double tango_low(int64_t lost, int64_t won, int64_t n, double z) {
  const auto l = static_cast<double>(lost);
  const auto w = static_cast<double>(won);
  const auto m = static_cast<double>(n);
  return bisect(-1, (w - l) / m, [&](double delta) { return tango_score(l, w, m, delta) - z; });
}

// Where the counter-based bits say: n draws from [0, n), two from every 64 bits.
class Draws {
 public:
  Draws(uint64_t seed, uint64_t stream, size_t n) : seed_(seed), stream_(stream), n_(n) {}
  size_t next() {
    if (have_ == 0) bits_ = random_bits(seed_, stream_, index_++);
    have_ = 1 - have_;
    const uint64_t half = have_ == 1 ? bits_ & 0xFFFFFFFF : bits_ >> 32;
    return static_cast<size_t>((half * n_) >> 32);
  }

 private:
  uint64_t seed_;
  uint64_t stream_;
  uint64_t index_ = 0;
  uint64_t bits_ = 0;
  uint64_t n_;
  int have_ = 0;
};

Interval percentile_interval(std::vector<double>& statistics, double confidence) {
  std::sort(statistics.begin(), statistics.end());
  return {percentile(statistics, (1 - confidence) / 2),
          percentile(statistics, (1 + confidence) / 2)};
}

double sorted_percentile(std::span<const double> sorted, double q) {
  const double rank = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(rank);
  if (below + 1 >= sorted.size()) return sorted.back();
  const double part = rank - static_cast<double>(below);
  return sorted[below] + part * (sorted[below + 1] - sorted[below]);
}

// For one count of won items: how likely it is, and from which counts of lost ones the rule no
// longer says kept, and says lost.
struct AnswerRow {
  int64_t won;
  double weight;
  int64_t unclear_from;
  int64_t lost_from;
};

// Both counts only rise with `won`, so each row goes on where the one before stopped.
std::vector<AnswerRow> answer_table(int64_t n, double churn, double margin, double confidence) {
  const double p_won = std::clamp(churn, 0.0, 1.0);
  std::vector<AnswerRow> table;
  int64_t unclear_from = 0;
  int64_t lost_from = 0;
  for (int64_t won = 0; won <= n; ++won) {
    const double weight = binomial_pmf(won, n, p_won);
    if (weight < 1e-12) {
      if (static_cast<double>(won) > p_won * static_cast<double>(n)) break;
      continue;
    }
    const auto answer = [&](int64_t lost) {
      return success_rule(lost, won, n, margin, confidence);
    };
    while (unclear_from <= n - won && answer(unclear_from) == Success::kept) ++unclear_from;
    lost_from = std::max(lost_from, unclear_from);
    while (lost_from <= n - won && answer(lost_from) != Success::lost) ++lost_from;
    table.push_back({won, weight, unclear_from, lost_from});
  }
  return table;
}

OperatingPoint point_of(const std::vector<AnswerRow>& table, int64_t n, double churn, double loss) {
  const double p_won = std::clamp(churn, 0.0, 1.0);
  const double p_lost = std::clamp(churn + loss, 0.0, 1 - p_won);
  const double p = p_won >= 1 ? 0 : std::min(1.0, p_lost / (1 - p_won));
  OperatingPoint point;
  for (const AnswerRow& row : table) {
    const double kept = binomial_cdf(row.unclear_from - 1, n - row.won, p);
    const double not_lost = binomial_cdf(row.lost_from - 1, n - row.won, p);
    point.kept += row.weight * kept;
    point.unclear += row.weight * std::max(0.0, not_lost - kept);
    point.lost += row.weight * std::max(0.0, 1 - not_lost);
  }
  return point;
}

}  // namespace

// Acklam's rational approximation, then one step of Halley's method on erfc: exact to rounding.
double normal_quantile(double p) {
  SINTER_CHECK(p > 0 && p < 1);
  static constexpr double kA[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                                  -2.759285104469687e+02, 1.383577518672690e+02,
                                  -3.066479806614716e+01, 2.506628277459239e+00};
  static constexpr double kB[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                                  -1.556989798598866e+02, 6.680131188771972e+01,
                                  -1.328068155288572e+01};
  static constexpr double kC[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                                  -2.400758277161838e+00, -2.549732539343734e+00,
                                  4.374664141464968e+00,  2.938163982698783e+00};
  static constexpr double kD[] = {7.784695709041462e-03, 3.224671290700398e-01,
                                  2.445134137142996e+00, 3.754408661907416e+00};
  const auto tail = [&](double q) {
    return (((((kC[0] * q + kC[1]) * q + kC[2]) * q + kC[3]) * q + kC[4]) * q + kC[5]) /
           ((((kD[0] * q + kD[1]) * q + kD[2]) * q + kD[3]) * q + 1);
  };
  double x = 0;
  if (p < 0.02425) {
    x = tail(std::sqrt(-2 * std::log(p)));
  } else if (p > 1 - 0.02425) {
    x = -tail(std::sqrt(-2 * std::log(1 - p)));
  } else {
    const double q = p - 0.5;
    const double r = q * q;
    x = (((((kA[0] * r + kA[1]) * r + kA[2]) * r + kA[3]) * r + kA[4]) * r + kA[5]) * q /
        (((((kB[0] * r + kB[1]) * r + kB[2]) * r + kB[3]) * r + kB[4]) * r + 1);
  }
  const double e = 0.5 * std::erfc(-x / std::sqrt(2.0)) - p;
  const double u = e * std::sqrt(2 * M_PI) * std::exp(x * x / 2);
  return x - u / (1 + x * u / 2);
}

double binomial_pmf(int64_t k, int64_t n, double p) {
  if (k < 0 || k > n) return 0;
  if (p <= 0) return k == 0 ? 1 : 0;
  if (p >= 1) return k == n ? 1 : 0;
  return std::exp(log_factorial(n) - log_factorial(k) - log_factorial(n - k) +
                  static_cast<double>(k) * std::log(p) +
                  static_cast<double>(n - k) * std::log1p(-p));
}

double binomial_cdf(int64_t k, int64_t n, double p) {
  if (k >= n) return 1;
  double sum = 0;
  for (int64_t i = 0; i <= k; ++i) sum += binomial_pmf(i, n, p);
  return std::min(1.0, sum);
}

double binomial_upper(int64_t k, int64_t n, double p) {
  if (k <= 0) return 1;
  double sum = 0;
  for (int64_t i = n; i >= k; --i) sum += binomial_pmf(i, n, p);
  return std::min(1.0, sum);
}

double mcnemar_two_sided(int64_t lost, int64_t won) {
  return std::min(1.0, 2 * binomial_cdf(std::min(lost, won), lost + won, 0.5));
}

double mcnemar_worse(int64_t lost, int64_t won) { return binomial_upper(lost, lost + won, 0.5); }

Interval wilson(int64_t k, int64_t n, double confidence) {
  if (n == 0) return {0, 1};
  const double z = normal_quantile((1 + confidence) / 2);
  const auto m = static_cast<double>(n);
  const double p = static_cast<double>(k) / m;
  const double centre = (p + z * z / (2 * m)) / (1 + z * z / m);
  const double half = z / (1 + z * z / m) * std::sqrt(p * (1 - p) / m + z * z / (4 * m * m));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

double none_seen_bound(int64_t n, double confidence) {
  return n <= 0 ? 1 : 1 - std::pow(1 - confidence, 1 / static_cast<double>(n));
}

Interval tango(int64_t lost, int64_t won, int64_t n, double confidence) {
  SINTER_CHECK(lost >= 0 && won >= 0 && lost + won <= n);
  if (n == 0) return {-1, 1};
  const double z = normal_quantile((1 + confidence) / 2);
  return {tango_low(lost, won, n, z), -tango_low(won, lost, n, z)};
}

Interval bootstrap_mean(std::span<const double> differences, double confidence, int resamples,
                        uint64_t seed) {
  if (differences.empty()) return {0, 0};
  std::vector<double> means(static_cast<size_t>(resamples));
  for (size_t r = 0; r < means.size(); ++r) {
    Draws draws(seed, r, differences.size());
    double sum = 0;
    for (size_t i = 0; i < differences.size(); ++i) sum += differences[draws.next()];
    means[r] = sum / static_cast<double>(differences.size());
  }
  return percentile_interval(means, confidence);
}

Interval bootstrap_median(std::span<const double> values, double confidence, int resamples,
                          uint64_t seed) {
  if (values.empty()) return {0, 0};
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  // A resample of sorted values is a count of each: the median is where the counts reach half.
  std::vector<double> medians(static_cast<size_t>(resamples));
  std::vector<uint32_t> counts(sorted.size());
  const size_t n = sorted.size();
  for (size_t r = 0; r < medians.size(); ++r) {
    std::fill(counts.begin(), counts.end(), 0);
    Draws draws(seed, r, n);
    for (size_t i = 0; i < n; ++i) ++counts[draws.next()];
    const auto ranked = [&](size_t rank) {  // the value of this rank, from 0
      size_t seen = 0;
      for (size_t i = 0; i < n; ++i) {
        seen += counts[i];
        if (seen > rank) return sorted[i];
      }
      return sorted.back();
    };
    medians[r] = n % 2 == 1 ? ranked(n / 2) : (ranked(n / 2 - 1) + ranked(n / 2)) / 2;
  }
  return percentile_interval(medians, confidence);
}

double median(std::span<const double> values) { return percentile(values, 0.5); }

double percentile(std::span<const double> values, double q) {
  if (values.empty()) return 0;
  if (std::is_sorted(values.begin(), values.end())) return sorted_percentile(values, q);
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted_percentile(sorted, q);
}

double sign_test_rises(int64_t rises, int64_t falls) { return mcnemar_worse(rises, falls); }

std::vector<double> holm(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double running = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    running = std::max(running, p[order[i]] * static_cast<double>(p.size() - i));
    adjusted[order[i]] = std::min(1.0, running);
  }
  return adjusted;
}

Success success_rule(int64_t lost, int64_t won, int64_t n, double margin, double confidence) {
  if (n == 0) return Success::unclear;
  const double z = normal_quantile(confidence);
  if (tango_low(lost, won, n, z) > -margin) return Success::kept;
  const bool beyond = static_cast<double>(lost - won) > margin * static_cast<double>(n);
  return beyond && mcnemar_worse(lost, won) < 1 - confidence ? Success::lost : Success::unclear;
}

OperatingPoint operating_point(int64_t n, double churn, double loss, double margin,
                               double confidence) {
  if (n == 0) return {0, 0, 1};
  return point_of(answer_table(n, churn, margin, confidence), n, churn, loss);
}

double detectable_loss(int64_t n, double churn, double margin, double confidence, double power) {
  if (n == 0) return 1;
  const std::vector<AnswerRow> table = answer_table(n, churn, margin, confidence);
  if (point_of(table, n, churn, 1).lost < power) return 1;
  double low = 0;
  double high = 1;
  while (high - low > 5e-5) {
    const double middle = (low + high) / 2;
    (point_of(table, n, churn, middle).lost >= power ? high : low) = middle;
  }
  return high;
}

}  // namespace sinter
