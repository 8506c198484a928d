#include "compress/profile/measure.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <mutex>

#include "artifact/scheme.h"
#include "base/error.h"

namespace sinter {
namespace {

// Clipping at 99.99 % is between the percentiles that "Integer Quantization for Deep Learning
// Inference" (arXiv:2004.09602) found best for one model or another: 99.9 to 99.9999.
constexpr double kClippedShare = 0.9999;
constexpr double kUnscaledFp8Limit = 448, kHalfFloatLimit = 65504;
constexpr double kTopChannels = 0.01;
// Numbers that rounding is tried on at a time: they are held twice.
constexpr int64_t kTriedTogether = 1 << 20;

bool is_static(ActivationMode mode) { return has_input_scale({.activation = mode}); }

// How many |x| there are up to each bfloat16 number.
class Magnitudes {
 public:
  Magnitudes() : counts_(kBins) {}

  void add(MatView x, ThreadPool& threads) {
    threads.run(x.rows, grain_of(x.cols, 64), [&](int64_t begin, int64_t end) {
      std::vector<int64_t> counts(kBins);
      for (int64_t i = begin; i < end; ++i) {
        for (const float v : x.row(i)) ++counts[bin(v)];
      }
      const std::lock_guard lock(mutex_);  // integers add up to the same in any order
      for (size_t b = 0; b < kBins; ++b) counts_[b] += counts[b];
    });
  }

  // The smallest bfloat16 that a share of all |x| do not exceed.
  double below(double share) const {
    int64_t all = 0, seen = 0;
    for (const int64_t n : counts_) all += n;
    for (size_t b = 0; b < kBins; ++b) {
      seen += counts_[b];
      if (static_cast<double>(seen) >= share * static_cast<double>(all)) {
        return double{std::bit_cast<float>(static_cast<uint32_t>(b << 16))};
      }
    }
    return 0;
  }

 private:
  static constexpr size_t kBins = 0x8000;  // magnitudes of a bfloat16
  // Of the next bfloat16, upwards.
  static size_t bin(float v) {
    return std::min<size_t>(((std::bit_cast<uint32_t>(v) & 0x7FFFFFFF) + 0xFFFF) >> 16, kBins - 1);
  }
  std::vector<int64_t> counts_;
  std::mutex mutex_;
};

// Values beyond a limit, and tokens with any.
class Beyond {
 public:
  explicit Beyond(float limit) : limit_(limit) {}
  void add(MatView x, ThreadPool& threads) {
    threads.run(x.rows, grain_of(x.cols, 16), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t n = 0;
        for (const float v : x.row(i)) n += std::abs(v) > limit_ ? 1 : 0;
        values_ += n;
        tokens_ += n > 0 ? 1 : 0;
      }
    });
  }
  int64_t values() const { return values_; }
  int64_t tokens() const { return tokens_; }

 private:
  float limit_;
  std::atomic<int64_t> values_ = 0, tokens_ = 0;
};

// A way of rounding, and its squared error so far, channel by channel.
struct Trial {
  Activation activation;
  std::string range;
  std::vector<double> squares;
};

// to[j] += (a_ij - b_ij)^2, rows in order.
void add_squares(MatView a, MatView b, ThreadPool& threads, std::vector<double>& to) {
  threads.run(a.cols, grain_of(a.rows, 64), [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < a.rows; ++i) {
      for (auto j = static_cast<size_t>(begin); j < static_cast<size_t>(end); ++j) {
        const double d = double{a.row(i)[j]} - double{b.row(i)[j]};
        to[j] += d * d;
      }
    }
  });
}

double ratio(double error, double size) { return size > 0 ? std::sqrt(error / size) : 0; }

double total(std::span<const double> v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return sum;
}

ProfiledRounding result_of(const Trial& t, const std::vector<double>& sizes) {
  std::vector<double> channels;
  for (size_t j = 0; j < sizes.size(); ++j) {
    if (sizes[j] > 0) channels.push_back(ratio(t.squares[j], sizes[j]));
  }
  return {.activations = to_string(t.activation.mode),
          .range = t.range,
          .error = ratio(total(t.squares), total(sizes)),
          .channel_error = quantile(std::move(channels), 0.5)};
}

std::vector<ProfiledHead> heads_of(const InputToMeasure& input, const ChannelStatistics& both,
                                   const std::vector<Trial>& trials,
                                   const std::vector<double>& sizes) {
  std::vector<ProfiledHead> heads;
  const auto n = static_cast<size_t>(input.head_dim);
  for (size_t at = 0; n > 0 && at < sizes.size(); at += n) {
    ProfiledHead& h = heads.emplace_back();
    h.peak = double{*std::max_element(both.peak.begin() + static_cast<ptrdiff_t>(at),
                                      both.peak.begin() + static_cast<ptrdiff_t>(at + n))};
    h.rms = ratio(total(std::span(both.sum_squares).subspan(at, n)),
                  static_cast<double>(both.n_tokens) * static_cast<double>(n));
    for (const Trial& t : trials) {
      h.errors.push_back(ratio(total(std::span(t.squares).subspan(at, n)),
                               total(std::span(sizes).subspan(at, n))));
    }
  }
  return heads;
}

// The rows of x that rounding is tried on.
Matrix rounded_rows(const RowPlan& plan, int64_t first_row, MatView x) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < x.rows; ++i) {
    if (plan.is_rounded(first_row + i)) rows.push_back(i);
  }
  Matrix out(static_cast<int64_t>(rows.size()), x.cols);
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::span<const float> from = x.row(rows[i]);
    std::copy(from.begin(), from.end(), out.row(static_cast<int64_t>(i)).begin());
  }
  return out;
}

double peak_of(const ChannelStatistics& s) {
  return s.peak.empty() ? 0 : double{*std::max_element(s.peak.begin(), s.peak.end())};
}

double top_share(const std::vector<double>& squares) {
  std::vector<double> order = squares;
  std::sort(order.begin(), order.end(), std::greater<>());
  const auto n = static_cast<size_t>(std::ceil(kTopChannels * static_cast<double>(order.size())));
  const double all = total(squares);
  return all > 0 ? total(std::span<const double>(order).first(n)) / all : 0;
}

}  // namespace

RowPlan::RowPlan(const Calibration& calibration, int64_t rounded) {
  for (const auto& sequence : calibration.sequences) {
    const size_t half = halves_[0] <= halves_[1] ? 0 : 1;
    const auto n = static_cast<int64_t>(sequence.size());
    halves_[half] += n;
    n_rows_ += n;
    if (!pieces_.empty() && pieces_.back().half == half) {
      pieces_.back().end = n_rows_;
    } else {
      pieces_.push_back({.end = n_rows_, .half = half});
    }
  }
  rounded_ = rounded == 0 ? n_rows_ : std::min(rounded, n_rows_);
}

bool RowPlan::is_rounded(int64_t row) const {
  if (rounded_ == n_rows_) return true;  // and the products below stay small
  return (row + 1) * rounded_ / n_rows_ > row * rounded_ / n_rows_;
}

void RowPlan::each_half(int64_t first_row, int64_t n_rows,
                        const std::function<void(size_t, int64_t, int64_t)>& body) const {
  auto piece = std::upper_bound(pieces_.begin(), pieces_.end(), first_row,
                                [](int64_t row, const Piece& p) { return row < p.end; });
  for (int64_t at = first_row; at < first_row + n_rows; ++piece) {
    SINTER_CHECK(piece != pieces_.end());
    const int64_t end = std::min(piece->end, first_row + n_rows);
    body(piece->half, at - first_row, end - at);
    at = end;
  }
}

std::vector<ActivationMode> input_modes() {
  std::vector<ActivationMode> modes = {ActivationMode::int8};  // --activations int8
  for (const Preset& p : presets()) {
    const ActivationMode mode = p.scheme.activation;
    if (mode == ActivationMode::exact) continue;
    if (std::find(modes.begin(), modes.end(), mode) == modes.end()) modes.push_back(mode);
  }
  return modes;
}

std::vector<ActivationMode> cache_modes() {
  std::vector<ActivationMode> modes = input_modes();
  std::erase_if(modes, [](ActivationMode m) { return !is_static(m); });
  return modes;
}

MeasuredInput measure_input(const InputToMeasure& input, const RowPlan& plan,
                            const RoundInputs& round, ThreadPool& threads) {
  MeasuredInput out;
  out.halves.fill(ChannelStatistics(input.n_channels));
  ProfiledInput& f = out.figures;
  f.name = input.name;
  f.modules = input.modules;
  Magnitudes magnitudes;
  input.visit([&](int64_t first_row, MatView x) {
    plan.each_half(first_row, x.rows, [&](size_t half, int64_t first, int64_t n) {
      out.halves[half].add({x.at + first * x.stride, n, x.cols, x.stride}, &threads);
    });
    magnitudes.add(x, threads);
  });
  ChannelStatistics both = out.halves[0];
  both.merge(out.halves[1]);
  f.stability = stability_of(input.name, out.halves);
  f.peak = peak_of(both);
  f.worst_channel = std::max_element(both.peak.begin(), both.peak.end()) - both.peak.begin();
  const double usual = quantile(std::vector<double>(both.peak.begin(), both.peak.end()), 0.5);
  f.peak_ratio = usual > 0 ? f.peak / usual : 0;
  f.median = std::min(magnitudes.below(0.5), f.peak);
  f.top_share = top_share(both.sum_squares);
  f.rms = ratio(total(both.sum_squares),
                static_cast<double>(both.n_tokens) * static_cast<double>(input.n_channels));

  const double clipped = std::min(magnitudes.below(kClippedShare), f.peak);
  f.ranges = {{.name = kPeakRange, .limit = f.peak},
              {.name = kClippedRange, .limit = clipped},
              {.name = kUnscaledFp8Range, .limit = kUnscaledFp8Limit},
              {.name = kHalfFloatRange, .limit = kHalfFloatLimit}};
  // The half with the larger peak is the one that the other's range does not hold.
  if (plan.has_halves()) {
    f.ranges.push_back(
        {.name = kHalfRange, .limit = std::min(peak_of(out.halves[0]), peak_of(out.halves[1]))});
  }
  std::vector<std::unique_ptr<Beyond>> beyond;
  for (const ProfiledRange& r : f.ranges) {
    beyond.push_back(std::make_unique<Beyond>(static_cast<float>(r.limit)));
  }

  std::vector<Trial> trials;
  for (const ActivationMode mode : input.modes) {
    const auto add = [&](float scale, const std::string& range) {
      trials.push_back({.activation = {.mode = mode, .scale = scale},
                        .range = range,
                        .squares = std::vector<double>(both.peak.size())});
    };
    if (!is_static(mode)) {
      add(0, "");
      continue;
    }
    for (const char* range : {kPeakRange, kClippedRange}) {
      const auto limit = static_cast<float>(f.range(range)->limit);
      add(input_scale({.activation = mode}, limit), range);
    }
  }
  std::vector<double> sizes(both.peak.size());
  Matrix rounded;
  input.visit([&](int64_t first_row, MatView x) {
    for (auto& b : beyond) b->add(x, threads);
    const int64_t step = std::max<int64_t>(1, kTriedTogether / x.cols);
    for (int64_t at = 0; at < x.rows; at += step) {
      const int64_t n = std::min(step, x.rows - at);
      const Matrix some =
          rounded_rows(plan, first_row + at, {x.at + at * x.stride, n, x.cols, x.stride});
      if (some.empty()) continue;
      rounded.resize(some.rows(), some.cols());
      std::fill_n(rounded.view().at, some.rows() * some.cols(), 0.0f);
      add_squares(some.view(), std::as_const(rounded).view(), threads, sizes);
      for (Trial& t : trials) {
        std::copy_n(some.view().at, some.rows() * some.cols(), rounded.view().at);
        round(t.activation, rounded.view());
        add_squares(some.view(), std::as_const(rounded).view(), threads, t.squares);
      }
    }
  });
  for (size_t r = 0; r < beyond.size(); ++r) {
    f.ranges[r].values = beyond[r]->values();
    f.ranges[r].tokens = beyond[r]->tokens();
  }
  for (const Trial& t : trials) f.roundings.push_back(result_of(t, sizes));
  f.heads = heads_of(input, both, trials, sizes);
  return out;
}

ProfiledMatrix measure_matrix(const std::string& module, MatView w, ThreadPool& threads) {
  struct Row {
    double peak = 0, second = 0, fourth = 0;
  };
  std::vector<Row> rows(static_cast<size_t>(w.rows));
  threads.run(w.rows, grain_of(w.cols, 16), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Row& r = rows[static_cast<size_t>(i)];
      for (const float v : w.row(i)) {
        const double square = double{v} * double{v};
        r.peak = std::max(r.peak, std::abs(double{v}));
        r.second += square;
        r.fourth += square * square;
      }
    }
  });
  Row all;
  for (const Row& r : rows) {
    all.peak = std::max(all.peak, r.peak);
    all.second += r.second;
    all.fourth += r.fourth;
  }
  const auto n = static_cast<double>(w.rows * w.cols);
  const double square = all.second / n;
  return {.module = module,
          .rows = w.rows,
          .cols = w.cols,
          .peak = all.peak,
          .rms = std::sqrt(square),
          .kurtosis = square > 0 ? all.fourth / n / (square * square) : 0};
}

}  // namespace sinter
