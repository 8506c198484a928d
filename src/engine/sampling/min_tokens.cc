// Bans what would end the answer until it has the least number of tokens; but where the constraint
// allows nothing else than to end, the answer ends.
#include <algorithm>
#include <bit>

#include "engine/sampling/processors.h"

namespace sinter {
namespace {

bool only_the_end_is_allowed(const SamplingContext& c) {
  if (c.allowed.empty()) return false;
  int others = 0;
  for (const uint64_t word : c.allowed) others += std::popcount(word);
  for (size_t i = 0; i < c.stop.size(); ++i) {
    const auto earlier = c.stop.first(i);
    const bool again = std::find(earlier.begin(), earlier.end(), c.stop[i]) != earlier.end();
    if (!again && c.may(c.stop[i])) --others;
  }
  return others == 0;
}

}  // namespace

const Processor kMinTokens = {"min_tokens",
                              [](const SamplingParams& p, const SamplingContext& c) {
                                return static_cast<size_t>(p.min_tokens) > c.generated();
                              },
                              [](std::span<float> logits, const SamplingStep& step) {
                                if (only_the_end_is_allowed(step.context)) return;
                                for (const Token t : step.context.stop)
                                  logits[static_cast<size_t>(t)] = kBanned;
                              },
                              nullptr};

}  // namespace sinter
