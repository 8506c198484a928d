#include "engine/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace sinter {
namespace {

Token best(std::span<const float> logits) {
  size_t at = 0;
  bool finite = std::isfinite(logits[0]);
  for (size_t i = 1; i < logits.size(); ++i) {
    finite = finite && std::isfinite(logits[i]);
    if (logits[i] > logits[at]) at = i;
  }
  if (!finite) {
    fail(Fault::corrupt, "logits-not-finite",
         "the model's logits hold NaN or infinity; check the weights with `sinter inspect`");
  }
  return static_cast<Token>(at);
}

}  // namespace

void check(const SamplingParams& p) {
  if (!(p.temperature >= 0 && p.temperature <= 100) || p.top_k < 0 ||
      !(p.top_p > 0 && p.top_p <= 1) || !(p.min_p >= 0 && p.min_p < 1)) {
    fail(Fault::bad_input, "sampling-range",
         "sampling: expected 0 <= temperature <= 100, top_k >= 0, 0 < top_p <= 1, 0 <= min_p < 1; "
         "found temperature {}, top_k {}, top_p {}, min_p {}",
         p.temperature, p.top_k, p.top_p, p.min_p);
  }
}

Token sample(std::span<const float> logits, const SamplingParams& p, int32_t position) {
  const Token greedy = best(logits);
  if (p.temperature == 0) return greedy;

  std::vector<Token> order(logits.size());  // most likely first, ties by id
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](Token a, Token b) {
    const float la = logits[static_cast<size_t>(a)], lb = logits[static_cast<size_t>(b)];
    return la != lb ? la > lb : a < b;
  });
  if (p.top_k > 0 && static_cast<size_t>(p.top_k) < order.size()) {
    order.resize(static_cast<size_t>(p.top_k));
  }
  std::vector<double> weight(order.size());  // relative to the most likely token
  const auto peak = static_cast<double>(logits[static_cast<size_t>(greedy)]);
  for (size_t i = 0; i < order.size(); ++i) {
    const auto x = static_cast<double>(logits[static_cast<size_t>(order[i])]);
    weight[i] = std::exp((x - peak) / static_cast<double>(p.temperature));
  }
  const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
  size_t n = 0;
  double kept = 0;
  while (n < weight.size() && (n == 0 || kept < static_cast<double>(p.top_p) * total) &&
         weight[n] >= static_cast<double>(p.min_p)) {
    kept += weight[n++];
  }
  const double draw =
      random_uniform(p.seed, 0, static_cast<uint64_t>(static_cast<uint32_t>(position))) * kept;
  double sum = 0;
  for (size_t i = 0; i + 1 < n; ++i) {
    sum += weight[i];
    if (draw < sum) return order[i];
  }
  return order[n - 1];
}

}  // namespace sinter
