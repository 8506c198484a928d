#include "engine/sampling/processors.h"

#include <algorithm>

#include "base/random.h"

namespace sinter {

std::span<const Processor* const> all_processors() {
  static constexpr const Processor* kAll[] = {
      &kLogitBias,
      &kRepetitionPenalty,
      &kFrequencyPenalty,
      &kPresencePenalty,
      &kDry,
      &kBadWords,
      &kMinTokens,
      &kNoRepeatNgram,
      &kConstraint,  // what edits logits; then what narrows
      &kTemperature,
      &kTopNSigma,
      &kTopK,
      &kTopP,
      &kMinP,
      &kTypical,
      &kXtc,
  };
  return kAll;
}

void TokenCounts::clear(size_t vocab) {
  for (const Token t : distinct_) counts_[static_cast<size_t>(t)] = 0;
  distinct_.clear();
  counts_.resize(vocab);
}

void TokenCounts::count(std::span<const Token> tokens, size_t vocab) {
  clear(vocab);
  for (const Token t : tokens) {
    if (counts_[static_cast<size_t>(t)]++ == 0) distinct_.push_back(t);
  }
}

void TokenCounts::raise(Token t, uint32_t value) {
  uint32_t& kept = counts_[static_cast<size_t>(t)];
  if (kept == 0) distinct_.push_back(t);
  kept = std::max(kept, value);
}

double uniform(const SamplingStep& step, Draw draw) {
  const uint64_t stream = uint64_t{step.context.choice} | static_cast<uint64_t>(draw) << 32;
  return random_uniform(step.params.seed, stream, step.context.tokens.size());
}

}  // namespace sinter
