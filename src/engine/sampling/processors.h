// The processors, by name: for chains and tests. Each has a file.
#pragma once

#include "engine/sampling/processor.h"

namespace sinter {

extern const Processor kLogitBias, kRepetitionPenalty, kFrequencyPenalty, kPresencePenalty, kDry,
    kBadWords, kMinTokens, kNoRepeatNgram, kConstraint;
extern const Processor kTemperature, kTopNSigma, kTopK, kTopP, kMinP, kTypical, kXtc;

// What frequency and presence penalties count.
std::span<const Token> counted_tokens(const SamplingStep& step);

}  // namespace sinter
