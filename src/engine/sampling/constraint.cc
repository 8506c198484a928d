// Bans what a grammar forbids. It comes as bits, so whole words of 64 tokens are passed over.
#include <algorithm>

#include "engine/sampling/lanes.h"
#include "engine/sampling/processors.h"

namespace sinter {

namespace {

SINTER_VECTOR_CLONES void ban(std::span<float> logits, std::span<const uint64_t> allowed) {
  constexpr size_t kBits = 64;
  for (size_t first = 0; first < logits.size(); first += kBits) {
    const uint64_t word = first / kBits < allowed.size() ? allowed[first / kBits] : 0;
    if (word == ~uint64_t{0}) continue;
    const size_t n = std::min(kBits, logits.size() - first);
    float* x = logits.data() + first;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
      const Int8 bits = {1, 2, 4, 8, 16, 32, 64, 128};
      const Int8 may = (bits & static_cast<int32_t>(word >> i & 255)) != 0;
      Float8 v;
      load(v, x + i);
      store(x + i, may ? v : Float8{} + kBanned);
    }
    for (; i < n; ++i) x[i] = (word >> i & 1) != 0 ? x[i] : kBanned;
  }
}

}  // namespace

const Processor kConstraint = {
    "constraint",
    [](const SamplingParams&, const SamplingContext& c) { return !c.allowed.empty(); },
    [](std::span<float> logits, const SamplingStep& step) { ban(logits, step.context.allowed); },
    nullptr};

}  // namespace sinter
