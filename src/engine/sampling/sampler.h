// From a row of logits to a token: the chain of a request's parameters, then the largest logit, or
// one counter-based draw. A pure function of (logits, parameters, context): the object only keeps
// memory, so that nothing is allocated for a token once it is warm.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampling/processor.h"

namespace sinter {

class Sampler {
 public:
  // Values are float32; weights and their sums double. temperature 0 takes the largest logit, of
  // equal ones the lowest id. Where the constraint leaves one token, that is the answer: nothing
  // else acts. Throws Error(corrupt, "logits-not-finite"), Error(bad_input,
  // "sampling-nothing-left") when every token is banned. Requires check()ed parameters and ids
  // below logits.size().
  Token sample(std::span<const float> logits, const SamplingParams& params,
               const SamplingContext& context);

  // What the last sample() drew from: the tokens that were left, most likely first, and
  // ln(probability) of the i-th. A greedy choice has no distribution: all tokens that were not
  // banned, at temperature 1.
  size_t n_left() const { return candidates_.size(); }
  Candidate left(size_t i) { return candidates_[i]; }
  double log_probability(float value);

 private:
  Token draw(const SamplingStep& step);

  SamplingScratch scratch_;
  std::vector<float> row_;  // edited logits
  Candidates candidates_;
  double total_ = 0;  // of the candidates' weights; 0 = not known
};

}  // namespace sinter
