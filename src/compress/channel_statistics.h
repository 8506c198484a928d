// What is known of each channel (column) of rows that pass by: of the inputs of a linear, of keys
// or of values. Every row counts once, however they are cut into pieces.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/threads.h"
#include "tensor/view.h"

namespace sinter {

// A channel is an outlier if its largest |x| is at least so many times that of the median channel:
// an eight-bit scale of the peak then leaves the median channel 12 levels or fewer. (Published
// rules are of a token's values, not of channels: at least 6.0 in LLM.int8(), arXiv:2208.07339;
// at least 1000 times the median in "Massive Activations in Large Language Models",
// arXiv:2402.17762.)
constexpr double kOutlierRatio = 10;
// It stands out in a token in which |x| is at least so many times the token's mean |x|.
constexpr float kStandsOut = 6;

struct ChannelStatistics {
  int64_t n_tokens = 0;
  std::vector<float> peak;                        // [k]: largest |x|
  std::vector<double> sum, sum_abs, sum_squares;  // [k]
  std::vector<int64_t> standing_out;              // [k]: tokens in which it does

  ChannelStatistics() = default;  // of as many columns as the first rows have
  explicit ChannelStatistics(int64_t k) { resize(k); }
  // Finite numbers only. `threads` may be null; they change nothing.
  void add(MatView x, ThreadPool* threads);
  // Of both.
  void merge(const ChannelStatistics& other);

 private:
  void resize(int64_t k);
};

// Of ThreadPool::run, over lines of so many numbers each: less work than this is not worth a
// thread.
int64_t grain_of(int64_t line, int64_t least);

// The value that a share of `values` lies below (nearest rank); 0 of none.
double quantile(std::vector<double> values, double share);

// By falling peak; equal ones by number.
std::vector<int64_t> outlier_channels(std::span<const float> peak);

}  // namespace sinter
