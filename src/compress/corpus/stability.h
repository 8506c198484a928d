// How much the statistics that calibration lives on depend on which half of a corpus they are taken
// from: what two halves disagree about, a fresh set of requests will disagree about too.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compress/channel_statistics.h"
#include "tensor/view.h"

namespace sinter {

// One of outlier_channels().
struct OutlierChannel {
  int64_t channel = 0;
  std::array<double, 2> peak{};  // largest |x| in each half
  int64_t tokens = 0;            // in which it stands out
};

struct LinearStability {
  std::string module;
  int64_t n_channels = 0, n_tokens = 0;
  int64_t n_dead = 0;  // channels that were 0 throughout
  // |a - b| / max(a, b) of a channel's largest |x| in the two halves, and of its mean |x|: the
  // median over channels.
  double peak_difference = 0, mean_difference = 0;
  double worst_peak_difference = 0;      // 95th percentile over channels
  double correlation = 0;                // of the channels' mean |x|, Pearson
  std::vector<OutlierChannel> outliers;  // by falling peak
};

LinearStability stability_of(const std::string& module,
                             const std::array<ChannelStatistics, 2>& halves);

// Fed by Decoder::set_tap, half by half.
class StabilityMeter {
 public:
  void begin_half(int half) { half_ = static_cast<size_t>(half); }
  void add(std::string_view module, MatView x);  // [n_tokens, n_channels]
  std::vector<LinearStability> result() const;   // in the order in which modules came

 private:
  struct Channels {
    std::array<ChannelStatistics, 2> halves;
    size_t order = 0;
  };
  size_t half_ = 0;
  std::map<std::string, Channels, std::less<>> modules_;
};

}  // namespace sinter
