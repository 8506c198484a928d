// OpenAI's presence penalty: logit -= penalty, once for each token that was generated.
#include "engine/sampling/processors.h"

namespace sinter {

const Processor kPresencePenalty = {
    "presence_penalty",
    [](const SamplingParams& p, const SamplingContext&) { return p.presence_penalty != 0; },
    [](std::span<float> logits, const SamplingStep& step) {
      TokenCounts& counts = step.scratch.counts;
      counts.count(counted_tokens(step), logits.size());
      for (const Token t : counts.distinct()) {
        logits[static_cast<size_t>(t)] -= step.params.presence_penalty;
      }
    },
    nullptr};

}  // namespace sinter
