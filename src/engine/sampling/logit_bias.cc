// Adds what the caller says to single logits.
#include "engine/sampling/processors.h"

namespace sinter {

const Processor kLogitBias = {
    "logit_bias",
    [](const SamplingParams& p, const SamplingContext&) { return !p.logit_bias.empty(); },
    [](std::span<float> logits, const SamplingStep& step) {
      for (const LogitBias& b : step.params.logit_bias) {
        logits[static_cast<size_t>(b.token)] += b.bias;
      }
    },
    nullptr};

}  // namespace sinter
