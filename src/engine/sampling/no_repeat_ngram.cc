// Bans each token that would repeat n tokens of the text, prompt included.
#include <algorithm>

#include "engine/sampling/processors.h"

namespace sinter {

const Processor kNoRepeatNgram = {
    "no_repeat_ngram",
    [](const SamplingParams& p, const SamplingContext&) { return p.no_repeat_ngram > 0; },
    [](std::span<float> logits, const SamplingStep& step) {
      const std::span<const Token> tokens = step.context.tokens;
      const auto begun = static_cast<size_t>(step.params.no_repeat_ngram) - 1;
      if (tokens.size() <= begun) return;
      const auto tail = tokens.last(begun);
      for (size_t i = 0; i + begun < tokens.size(); ++i) {
        if (std::equal(tail.begin(), tail.end(), tokens.begin() + static_cast<ptrdiff_t>(i))) {
          logits[static_cast<size_t>(tokens[i + begun])] = kBanned;
        }
      }
    },
    nullptr};

}  // namespace sinter
