// Locally typical sampling (arXiv 2202.00666): keeps the tokens whose surprise -ln p is nearest to
// the entropy, as many as have the mass p. Surprise grows along the order of candidates, so they
// are a piece of it that grows on both sides from where surprise passes the entropy.
#include <cmath>
#include <limits>

#include "engine/sampling/processors.h"

namespace sinter {
namespace {

void narrow(Candidates& candidates, const SamplingStep& step) {
  const double total = candidates.total();
  const double top = static_cast<double>(candidates[0].value);
  const auto surprise = [&](size_t i) {
    const double value = static_cast<double>(candidates[i].value);
    return std::log(total) - (value - top) / candidates.temperature();
  };
  const double entropy = candidates.entropy();
  size_t first = 0;
  while (first < candidates.size() && surprise(first) < entropy) ++first;
  size_t last = first;  // the piece is [first, last)
  constexpr double kFar = std::numeric_limits<double>::infinity();
  const double mass = static_cast<double>(step.params.typical_p) * total;
  double kept = 0, distance = 0;
  while (first > 0 || last < candidates.size()) {
    const double left = first > 0 ? entropy - surprise(first - 1) : kFar;
    const double right = last < candidates.size() ? surprise(last) - entropy : kFar;
    const double next = std::min(left, right);
    const bool tie = step.rules.typical_keeps_ties && next == distance && last > first;
    if (kept >= mass && last > first && !tie) break;
    distance = next;
    kept += candidates.weight(left <= right ? --first : last++);
  }
  candidates.keep(first, last - first);
}

}  // namespace

const Processor kTypical = {
    "typical_p", [](const SamplingParams& p, const SamplingContext&) { return p.typical_p < 1; },
    nullptr, narrow};

}  // namespace sinter
