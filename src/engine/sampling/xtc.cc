// XTC, "exclude top choices" (p-e-w, text-generation-webui pull request 6335): now and then drops
// all tokens that reach the threshold but the least likely of them.
#include "engine/sampling/processors.h"

namespace sinter {

const Processor kXtc = {
    "xtc",
    [](const SamplingParams& p, const SamplingContext&) {
      return p.xtc_probability > 0 && p.xtc_threshold <= 0.5f;  // two can reach a half at most
    },
    nullptr,
    [](Candidates& candidates, const SamplingStep& step) {
      if (uniform(step, Draw::xtc) >= static_cast<double>(step.params.xtc_probability)) return;
      const double least = static_cast<double>(step.params.xtc_threshold) * candidates.total();
      size_t n = 0;
      while (n < candidates.size() && candidates.weight(n) >= least) ++n;
      if (n > 1) candidates.keep(n - 1, candidates.size() - (n - 1));
    }};

}  // namespace sinter
