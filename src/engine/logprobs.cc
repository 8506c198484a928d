#include "engine/logprobs.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sinter {

const char* to_string(LogprobKind kind) {
  constexpr const char* kNames[] = {"none", "raw", "processed"};
  return kNames[static_cast<size_t>(kind)];
}

PositionLogprobs raw_logprobs(Candidates& scratch, std::span<const float> logits, Token token,
                              int32_t top) {
  scratch.reset(logits, false);
  const double log_total = std::log(scratch.total());
  const double best = static_cast<double>(scratch[0].value);
  const auto of = [&](float logit) { return static_cast<double>(logit) - best - log_total; };
  const float chosen = logits[static_cast<size_t>(token)];
  PositionLogprobs out{{token, of(chosen)}, 1, {}};
  out.rank += std::count_if(logits.begin(), logits.end(), [&](float x) { return x > chosen; });
  const size_t n = std::min(static_cast<size_t>(top), scratch.size());
  for (size_t i = 0; i < n; ++i) out.top.push_back({scratch[i].token, of(scratch[i].value)});
  return out;
}

PositionLogprobs processed_logprobs(Sampler& sampler, Token token, int32_t top) {
  size_t at = 0;
  while (sampler.left(at).token != token) ++at;
  const float chosen = sampler.left(at).value;
  PositionLogprobs out{{token, sampler.log_probability(chosen)}, 1, {}};
  while (at > 0 && sampler.left(at - 1).value == chosen) --at;
  out.rank += static_cast<int64_t>(at);
  const size_t n = std::min(static_cast<size_t>(top), sampler.n_left());
  for (size_t i = 0; i < n; ++i) {
    const Candidate c = sampler.left(i);
    out.top.push_back({c.token, sampler.log_probability(c.value)});
  }
  return out;
}

}  // namespace sinter
