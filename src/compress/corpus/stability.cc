#include "compress/corpus/stability.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sinter {
namespace {

constexpr float kStandsOut = 6;

// The value that a share of `values` lies below (nearest rank).
double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(std::llround(share * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(at), values.end());
  return values[at];
}

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

void StabilityMeter::add(std::string_view module, MatView x) {
  auto it = modules_.find(module);
  if (it == modules_.end()) {
    it = modules_.emplace(std::string(module), Channels{}).first;
    it->second.order = modules_.size();
  }
  Channels& c = it->second;
  Half& half = c.halves[half_];
  const auto n = static_cast<size_t>(x.cols);
  for (Half& h : c.halves) {
    h.peak.resize(n);
    h.sum.resize(n);
  }
  c.standing_out.resize(n);
  for (int64_t r = 0; r < x.rows; ++r) {
    const auto row = x.row(r);
    float sum = 0;
    for (size_t i = 0; i < n; ++i) {
      const float size = std::abs(row[i]);
      half.peak[i] = std::max(half.peak[i], size);
      half.sum[i] += static_cast<double>(size);
      sum += size;
    }
    const float limit = kStandsOut * sum / static_cast<float>(n);
    for (size_t i = 0; i < n; ++i) c.standing_out[i] += std::abs(row[i]) >= limit ? 1 : 0;
  }
  half.n_tokens += x.rows;
}

std::vector<LinearStability> StabilityMeter::result() const {
  std::vector<LinearStability> list(modules_.size());
  for (const auto& [module, c] : modules_) {
    LinearStability& s = list[c.order - 1];
    const auto& [a, b] = c.halves;
    s.module = module;
    s.n_channels = static_cast<int64_t>(a.peak.size());
    s.n_tokens = a.n_tokens + b.n_tokens;
    std::vector<double> peaks, peak_differences, mean_differences, means_a, means_b;
    for (size_t i = 0; i < a.peak.size(); ++i) {
      const auto pa = static_cast<double>(a.peak[i]), pb = static_cast<double>(b.peak[i]);
      const double ma = a.sum[i] / static_cast<double>(std::max<int64_t>(1, a.n_tokens));
      const double mb = b.sum[i] / static_cast<double>(std::max<int64_t>(1, b.n_tokens));
      peaks.push_back(std::max(pa, pb));
      s.n_dead += peaks.back() == 0 ? 1 : 0;
      peak_differences.push_back(difference(pa, pb));
      mean_differences.push_back(difference(ma, mb));
      means_a.push_back(ma);
      means_b.push_back(mb);
    }
    s.peak_difference = quantile(peak_differences, 0.5);
    s.worst_peak_difference = quantile(peak_differences, 0.95);
    s.mean_difference = quantile(mean_differences, 0.5);
    s.correlation = correlation(means_a, means_b);
    const double median = quantile(peaks, 0.5);
    for (size_t i = 0; i < peaks.size(); ++i) {
      if (median <= 0 || peaks[i] < kOutlierRatio * median) continue;
      s.outliers.push_back(
          {.channel = static_cast<int64_t>(i),
           .peak = {static_cast<double>(a.peak[i]), static_cast<double>(b.peak[i])},
           .tokens = c.standing_out[i]});
    }
    std::stable_sort(s.outliers.begin(), s.outliers.end(),
                     [](const OutlierChannel& l, const OutlierChannel& r) {
                       return std::max(l.peak[0], l.peak[1]) > std::max(r.peak[0], r.peak[1]);
                     });
  }
  return list;
}

}  // namespace sinter
