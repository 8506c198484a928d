// Choosing a token: a pure function of (logits, parameters, position), so that no batch, restart or
// neighbour can change an answer.
#pragma once

#include <cstdint>
#include <span>

namespace sinter {

using Token = int32_t;

struct SamplingParams {
  float temperature = 0;  // 0 = greedy, ties to the lowest id
  int32_t top_k = 0;      // 0 = off
  float top_p = 1;
  float min_p = 0;
  uint64_t seed = 0;
};

// Throws Error(bad_input, "sampling-range") on parameters outside their ranges.
void check(const SamplingParams& params);

// Order: temperature, softmax, top-k, top-p, min-p, renormalise, one draw at (seed, position).
// Throws Error(corrupt, "logits-not-finite") when the model gave NaN or infinity.
Token sample(std::span<const float> logits, const SamplingParams& params, int32_t position);

}  // namespace sinter
