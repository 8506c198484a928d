#include "compress/channel_statistics.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sinter {

int64_t grain_of(int64_t line, int64_t least) {
  constexpr int64_t kNumbers = 1 << 15;
  return std::max(least, kNumbers / std::max<int64_t>(line, 1));
}

void ChannelStatistics::resize(int64_t k) {
  const auto n = static_cast<size_t>(k);
  peak.resize(n);
  for (std::vector<double>* sums : {&sum, &sum_abs, &sum_squares}) sums->resize(n);
  standing_out.resize(n);
}

// Columns are split over threads and rows taken in order, so threads change nothing.
void ChannelStatistics::add(MatView x, ThreadPool* threads) {
  if (peak.empty()) resize(x.cols);
  SINTER_CHECK(static_cast<int64_t>(peak.size()) == x.cols);
  const auto over = [&](int64_t n, int64_t grain, const auto& body) {
    if (threads == nullptr) {
      body(0, n);
    } else {
      threads->run(n, grain, body);
    }
  };
  n_tokens += x.rows;
  std::vector<float> limits(static_cast<size_t>(x.rows));  // from which on a value stands out
  over(x.rows, grain_of(x.cols, 16), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float token = 0;
      for (const float v : x.row(i)) token += std::abs(v);
      limits[static_cast<size_t>(i)] = kStandsOut * token / static_cast<float>(x.cols);
    }
  });
  over(x.cols, grain_of(x.rows, 64), [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < x.rows; ++i) {
      const std::span<const float> row = x.row(i);
      const float limit = limits[static_cast<size_t>(i)];
      for (auto j = static_cast<size_t>(begin); j < static_cast<size_t>(end); ++j) {
        const float size = std::abs(row[j]);
        peak[j] = std::max(peak[j], size);
        sum[j] += double{row[j]};
        sum_abs[j] += double{size};
        sum_squares[j] += double{row[j]} * double{row[j]};
        standing_out[j] += size > 0 && size >= limit ? 1 : 0;
      }
    }
  });
}

void ChannelStatistics::merge(const ChannelStatistics& other) {
  if (other.peak.empty()) return;
  if (peak.empty()) resize(static_cast<int64_t>(other.peak.size()));
  SINTER_CHECK(peak.size() == other.peak.size());
  n_tokens += other.n_tokens;
  for (size_t j = 0; j < peak.size(); ++j) {
    peak[j] = std::max(peak[j], other.peak[j]);
    sum[j] += other.sum[j];
    sum_abs[j] += other.sum_abs[j];
    sum_squares[j] += other.sum_squares[j];
    standing_out[j] += other.standing_out[j];
  }
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(std::llround(share * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(at), values.end());
  return values[at];
}

std::vector<int64_t> outlier_channels(std::span<const float> peak) {
  const double median = quantile(std::vector<double>(peak.begin(), peak.end()), 0.5);
  std::vector<int64_t> channels;
  for (size_t j = 0; j < peak.size(); ++j) {
    if (median > 0 && double{peak[j]} >= kOutlierRatio * median) {
      channels.push_back(static_cast<int64_t>(j));
    }
  }
  std::stable_sort(channels.begin(), channels.end(), [&](int64_t a, int64_t b) {
    return peak[static_cast<size_t>(a)] > peak[static_cast<size_t>(b)];
  });
  return channels;
}

}  // namespace sinter
