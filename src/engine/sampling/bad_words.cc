// Bans the last token of each bad word (a sequence of tokens) that the text has begun to spell.
#include <algorithm>

#include "engine/sampling/processors.h"

namespace sinter {

const Processor kBadWords = {
    "bad_words",
    [](const SamplingParams& p, const SamplingContext&) { return !p.bad_words.empty(); },
    [](std::span<float> logits, const SamplingStep& step) {
      const SamplingContext& c = step.context;
      const std::span<const Token> seen =
          step.rules.bad_words_see_prompt ? c.tokens : c.tokens.subspan(c.prompt_tokens);
      for (const std::vector<Token>& word : step.params.bad_words) {
        const std::span<const Token> begun(word.data(), word.size() - 1);
        if (begun.size() > seen.size()) continue;
        const auto tail = seen.last(begun.size());
        if (std::equal(begun.begin(), begun.end(), tail.begin())) {
          logits[static_cast<size_t>(word.back())] = kBanned;
        }
      }
    },
    nullptr};

}  // namespace sinter
