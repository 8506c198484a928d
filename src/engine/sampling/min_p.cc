// Min-p (arXiv 2407.01082): keeps tokens that are at least min_p times as likely as the most likely
// one.
#include "engine/sampling/processors.h"

namespace sinter {

const Processor kMinP = {
    "min_p", [](const SamplingParams& p, const SamplingContext&) { return p.min_p > 0; }, nullptr,
    [](Candidates& candidates, const SamplingStep& step) {
      candidates.keep(0, candidates.count_from(static_cast<double>(step.params.min_p)));
    }};

}  // namespace sinter
