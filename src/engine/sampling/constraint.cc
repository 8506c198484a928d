// Bans what a grammar forbids. It comes as bits, so whole words of 64 tokens are passed over.
#include <algorithm>

#include "engine/sampling/processors.h"

namespace sinter {

const Processor kConstraint = {
    "constraint",
    [](const SamplingParams&, const SamplingContext& c) { return !c.allowed.empty(); },
    [](std::span<float> logits, const SamplingStep& step) {
      constexpr size_t kBits = 64;
      const std::span<const uint64_t> allowed = step.context.allowed;
      for (size_t first = 0; first < logits.size(); first += kBits) {
        const uint64_t word = first / kBits < allowed.size() ? allowed[first / kBits] : 0;
        if (word == ~uint64_t{0}) continue;
        const size_t n = std::min(kBits, logits.size() - first);
        for (size_t i = 0; i < n; ++i) {
          if ((word >> i & 1) == 0) logits[first + i] = kBanned;
        }
      }
    },
    nullptr};

}  // namespace sinter
