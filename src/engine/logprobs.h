// How likely tokens were: raw, as the model's logits have it (temperature 1, nothing edited), or
// processed, as the sampler drew. In nats.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampling/sampler.h"

namespace sinter {

enum class LogprobKind : uint8_t { none, raw, processed };
const char* to_string(LogprobKind kind);

struct LogprobsAsked {
  LogprobKind kind = LogprobKind::none;  // of generated tokens
  bool prompt = false;                   // those of the prompt but its first, always raw
  int32_t top = 0;                       // most likely tokens to name beside each
};

struct TokenLogprob {
  Token token = 0;
  double logprob = 0;
};

// Of one position.
struct PositionLogprobs {
  TokenLogprob chosen;            // or, in a prompt, given
  int64_t rank = 1;               // 1 + how many tokens were likelier
  std::vector<TokenLogprob> top;  // most likely first; fewer where fewer were left
};

PositionLogprobs raw_logprobs(Candidates& scratch, std::span<const float> logits, Token token,
                              int32_t top);
// Of what `sampler` drew last.
PositionLogprobs processed_logprobs(Sampler& sampler, Token token, int32_t top);

}  // namespace sinter
