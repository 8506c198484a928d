// Top-n-sigma (arXiv 2411.07641): keeps tokens whose logit is within n standard deviations (of all
// logits) of the largest. The temperature plays no part.
#include "engine/sampling/processors.h"

namespace sinter {

const Processor kTopNSigma = {
    "top_n_sigma",
    [](const SamplingParams& p, const SamplingContext&) { return p.top_n_sigma > 0; }, nullptr,
    [](Candidates& candidates, const SamplingStep& step) {
      const double reach = static_cast<double>(step.params.top_n_sigma) * candidates.deviation();
      const double least = static_cast<double>(candidates[0].value) - reach;
      size_t n = 1;
      while (n < candidates.size() && static_cast<double>(candidates[n].value) >= least) ++n;
      candidates.keep(0, n);
    }};

}  // namespace sinter
