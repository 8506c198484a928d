// Nucleus sampling (arXiv 1904.09751): keeps the fewest of the most likely tokens that together
// have the mass p; at least one.
#include "engine/sampling/processors.h"

namespace sinter {

const Processor kTopP = {
    "top_p", [](const SamplingParams& p, const SamplingContext&) { return p.top_p < 1; }, nullptr,
    [](Candidates& candidates, const SamplingStep& step) {
      const double mass = static_cast<double>(step.params.top_p) * candidates.total();
      size_t n = 0;
      double kept = 0;
      while (n < candidates.size() && (n == 0 || kept < mass)) kept += candidates.weight(n++);
      candidates.keep(0, n);
    }};

}  // namespace sinter
