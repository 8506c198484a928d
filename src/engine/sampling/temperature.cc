// Divides logits, which changes how likely tokens are and never their order: kept as a factor, so
// that no rounding makes two tokens equal.
#include <algorithm>

#include "engine/sampling/processors.h"

namespace sinter {

const Processor kTemperature = {"temperature",
                                [](const SamplingParams& p, const SamplingContext&) {
                                  return p.temperature != 0 && p.temperature != 1;
                                },
                                nullptr,
                                [](Candidates& candidates, const SamplingStep& step) {
                                  candidates.set_temperature(static_cast<double>(std::max(
                                      step.params.temperature, step.rules.least_temperature)));
                                }};

}  // namespace sinter
