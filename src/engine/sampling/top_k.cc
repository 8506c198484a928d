// Keeps the k most likely tokens.
#include <algorithm>

#include "engine/sampling/processors.h"

namespace sinter {

const Processor kTopK = {
    "top_k", [](const SamplingParams& p, const SamplingContext&) { return p.top_k > 0; }, nullptr,
    [](Candidates& candidates, const SamplingStep& step) {
      size_t n = std::min(candidates.size(), static_cast<size_t>(step.params.top_k));
      if (step.rules.top_k_keeps_ties) {
        const float least = candidates[n - 1].value;
        while (n < candidates.size() && candidates[n].value == least) ++n;
      }
      candidates.keep(0, n);
    }};

}  // namespace sinter
