// OpenAI's frequency penalty: logit -= penalty * (times that the token was generated).
#include "engine/sampling/processors.h"

namespace sinter {

std::span<const Token> counted_tokens(const SamplingStep& step) {
  const SamplingContext& c = step.context;
  const auto window = static_cast<size_t>(step.rules.penalty_window);
  if (window > 0) return c.tokens.last(std::min(window, c.tokens.size()));
  return c.tokens.subspan(c.prompt_tokens);
}

const Processor kFrequencyPenalty = {
    "frequency_penalty",
    [](const SamplingParams& p, const SamplingContext&) { return p.frequency_penalty != 0; },
    [](std::span<float> logits, const SamplingStep& step) {
      TokenCounts& counts = step.scratch.counts;
      counts.count(counted_tokens(step), logits.size());
      for (const Token t : counts.distinct()) {
        logits[static_cast<size_t>(t)] -=
            step.params.frequency_penalty * static_cast<float>(counts[t]);
      }
    },
    nullptr};

}  // namespace sinter
