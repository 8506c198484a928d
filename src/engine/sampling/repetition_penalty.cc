// CTRL's penalty (arXiv 1909.05858, with the usual repair for negative logits): each token of the
// prompt and the answer loses by a factor, however often it occurred.
#include "engine/sampling/processors.h"

namespace sinter {

const Processor kRepetitionPenalty = {
    "repetition_penalty",
    [](const SamplingParams& p, const SamplingContext&) { return p.repetition_penalty != 1; },
    [](std::span<float> logits, const SamplingStep& step) {
      const auto window = static_cast<size_t>(step.rules.penalty_window);
      std::span<const Token> tokens = step.context.tokens;
      if (window > 0 && tokens.size() > window) tokens = tokens.last(window);
      step.scratch.counts.count(tokens, logits.size());
      const float penalty = step.params.repetition_penalty;
      for (const Token t : step.scratch.counts.distinct()) {
        float& logit = logits[static_cast<size_t>(t)];
        logit = logit > 0 ? logit / penalty : logit * penalty;
      }
    },
    nullptr};

}  // namespace sinter
