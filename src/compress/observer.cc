#include "compress/observer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "backend/matmul.h"
#include "base/error.h"

namespace sinter {
namespace {

// Down to 0.5 because 2-bit grids clip that hard.
constexpr std::array<float, 21> kShrinks = {1.0f,   0.975f, 0.95f,  0.925f, 0.9f,   0.875f, 0.85f,
                                            0.825f, 0.8f,   0.775f, 0.75f,  0.725f, 0.7f,   0.675f,
                                            0.65f,  0.625f, 0.6f,   0.575f, 0.55f,  0.525f, 0.5f};

constexpr std::array kNames = {"minmax", "mse", "norm", "inputs"};

double squared(std::span<const float> d) {
  double sum = 0;
  for (const float x : d) sum += double{x} * double{x};
  return sum;
}

// |x|^2.4 = a times the fifth root of a, a = x^2: by Newton's rule, from a guess that divides the
// exponent. To 1e-6, and in loops that compilers vectorise: a third of GPTQ's time was std::pow.
double powered(std::span<const float> d) {
  constexpr size_t kRun = 64;
  constexpr float kOne = 0x3F800000;  // the bits of 1.0f
  std::array<float, kRun> p;
  double sum = 0;
  for (size_t at = 0; at < d.size(); at += kRun) {
    const size_t n = std::min(kRun, d.size() - at);
    for (size_t i = 0; i < n; ++i) {
      const float a = d[at + i] * d[at + i];
      const auto bits = static_cast<float>(std::bit_cast<int32_t>(a));
      auto root = std::bit_cast<float>(static_cast<int32_t>(kOne + (bits - kOne) * 0.2f));
      for (int step = 0; step < 3; ++step) {
        const float squared = root * root;
        root = 0.8f * root + 0.2f * a / (squared * squared);
      }
      p[i] = a * root;
    }
    for (size_t i = 0; i < n; ++i) sum += double{p[i]};
  }
  return sum;
}

}  // namespace

Observer observer_named(const std::string& name, const std::string& place) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Observer>(i);
  }
  fail(Fault::bad_input, "recipe-field", "{}: expected one of {}, found \"{}\"", place,
       fmt::join(kNames, ", "), name.substr(0, 60));
}

std::span<const float> shrinks() { return kShrinks; }

void group_errors(Observer observer, std::span<const float> w, std::span<const float> back,
                  MatView gram, std::span<double> errors) {
  const size_t group = w.size() / errors.size();
  std::vector<float> d(w.size());
  for (size_t i = 0; i < d.size(); ++i) d[i] = back[i] - w[i];
  for (size_t g = 0; g < errors.size(); ++g) {
    const auto part = std::span<const float>(d).subspan(g * group, group);
    if (observer == Observer::inputs) {
      const auto n = static_cast<int64_t>(group);
      errors[g] = double{quadratic_form(
          part, {gram.at + static_cast<int64_t>(g) * n * gram.stride, n, n, gram.stride})};
    } else {
      errors[g] = observer == Observer::norm ? powered(part) : squared(part);
    }
  }
}

void fit_by(Observer observer, const Format& format, std::span<const float> w, const Fit& fit,
            MatView gram, uint8_t* params, uint8_t* codes) {
  if (observer == Observer::minmax) {
    format.codec->fit_row(format, w, fit, params);
    return;
  }
  const auto group = static_cast<size_t>(scale_columns(format, static_cast<int64_t>(w.size())));
  const size_t n_groups = w.size() / group;
  std::vector<float> back(w.size()), best(n_groups, 1.0f);
  std::vector<double> least(n_groups, std::numeric_limits<double>::infinity());
  Fit tried = fit;
  std::vector<float> peaks;
  if (fit.group_peaks.empty() && !format.codec->has_zero_point) {  // once, not with every shrink
    for (size_t g = 0; g < n_groups; ++g) {
      peaks.push_back(Fit{}.peak(g, w.subspan(g * group, group)));
    }
    tried.group_peaks = peaks;
  }
  std::vector<double> errors(n_groups);
  for (const float shrink : kShrinks) {
    tried.shrink = shrink;
    format.codec->fit_row(format, w, tried, params);
    format.codec->pack_row(format, w, params, codes);
    format.codec->unpack_row(format, codes, params, back);
    group_errors(observer, w, back, gram, errors);
    for (size_t g = 0; g < n_groups; ++g) {
      if (errors[g] >= least[g]) continue;
      least[g] = errors[g];
      best[g] = shrink;
    }
  }
  tried.shrink = 1;
  tried.group_shrinks = best;
  format.codec->fit_row(format, w, tried, params);
}

}  // namespace sinter
