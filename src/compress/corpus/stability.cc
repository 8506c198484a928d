#include "compress/corpus/stability.h"

#include <algorithm>
#include <cmath>

namespace sinter {
namespace {

double difference(double a, double b) {
  const double larger = std::max(a, b);
  return larger > 0 ? std::abs(a - b) / larger : 0;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  double mean_a = 0, mean_b = 0;
  for (size_t i = 0; i < a.size(); ++i) mean_a += a[i] / n, mean_b += b[i] / n;
  double aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
    ab += (a[i] - mean_a) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : aa == bb ? 1 : 0;
}

}  // namespace

LinearStability stability_of(const std::string& module,
                             const std::array<ChannelStatistics, 2>& halves) {
  const auto& [a, b] = halves;
  ChannelStatistics both = a;
  both.merge(b);
  LinearStability s;
  s.module = module;
  s.n_channels = static_cast<int64_t>(both.peak.size());
  s.n_tokens = both.n_tokens;
  // A half without tokens has seen zeros.
  const auto at = [](const auto& values, size_t i) {
    return values.empty() ? 0 : static_cast<double>(values[i]);
  };
  std::vector<double> peak_differences, mean_differences, means_a, means_b;
  for (size_t i = 0; i < both.peak.size(); ++i) {
    const double ma = at(a.sum_abs, i) / static_cast<double>(std::max<int64_t>(1, a.n_tokens));
    const double mb = at(b.sum_abs, i) / static_cast<double>(std::max<int64_t>(1, b.n_tokens));
    s.n_dead += both.peak[i] == 0 ? 1 : 0;
    peak_differences.push_back(difference(at(a.peak, i), at(b.peak, i)));
    mean_differences.push_back(difference(ma, mb));
    means_a.push_back(ma);
    means_b.push_back(mb);
  }
  s.peak_difference = quantile(peak_differences, 0.5);
  s.worst_peak_difference = quantile(peak_differences, 0.95);
  s.mean_difference = quantile(mean_differences, 0.5);
  s.correlation = correlation(means_a, means_b);
  for (const int64_t c : outlier_channels(both.peak)) {
    const auto i = static_cast<size_t>(c);
    s.outliers.push_back(
        {.channel = c, .peak = {at(a.peak, i), at(b.peak, i)}, .tokens = both.standing_out[i]});
  }
  return s;
}

void StabilityMeter::add(std::string_view module, MatView x) {
  auto it = modules_.find(module);
  if (it == modules_.end()) {
    it = modules_.emplace(std::string(module), Channels{}).first;
    it->second.order = modules_.size();
  }
  it->second.halves[half_].add(x, nullptr);
}

std::vector<LinearStability> StabilityMeter::result() const {
  std::vector<LinearStability> list(modules_.size());
  for (const auto& [module, c] : modules_) list[c.order - 1] = stability_of(module, c.halves);
  return list;
}

}  // namespace sinter
