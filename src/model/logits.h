// What is read off a row of logits: probabilities, the first choice, and how far another model's
// row is from it. Sums are in doubles, in the order of the vocabulary.
#pragma once

#include <cstdint>
#include <span>

#include "model/model.h"

namespace sinter {

double log_sum_exp(std::span<const float> logits);
// log softmax(logits)[token].
double log_probability(std::span<const float> logits, Token token);
// out[i] = log softmax(logits)[i]
void log_softmax(std::span<const float> logits, std::span<float> out);

// The lowest id of those with the largest logit.
Token first_choice(std::span<const float> logits);

// Kullback-Leibler divergence: sum p ln(p / q) of p = softmax(dense) and q = softmax(model), nats;
// at least 0, or NaN where a row is not finite. Requires rows of one length.
double divergence(std::span<const float> dense, std::span<const float> model);

// The same for many models beside one dense row: what depends on that alone is known.
struct DenseRow {
  std::span<const float> logits;
  double log_sum_exp;        // of the logits
  std::span<const float> p;  // softmax(logits)
};
double divergence(const DenseRow& dense, std::span<const float> model);

}  // namespace sinter
