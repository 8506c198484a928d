#include "model/logits.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sinter {
namespace {

// p(i): probability of token i of the dense model, of which log_p is the logarithm.
template <typename Probability>
double divergence_by(const Probability& p, std::span<const float> dense, double dense_total,
                     std::span<const float> model) {
  SINTER_CHECK(!dense.empty() && dense.size() == model.size());
  const double model_total = log_sum_exp(model);
  double sum = 0;
  for (size_t i = 0; i < dense.size(); ++i) {
    const double log_p = double{dense[i]} - dense_total;
    sum += p(i, log_p) * (log_p - (double{model[i]} - model_total));
  }
  // Rounding can put the sum of equal distributions a hair below zero; NaN stays NaN.
  return sum < 0 ? 0 : sum;
}

}  // namespace

double log_sum_exp(std::span<const float> logits) {
  const double peak = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(double{x} - peak);
  return peak + std::log(sum);
}

double log_probability(std::span<const float> logits, Token token) {
  return double{logits[static_cast<size_t>(token)]} - log_sum_exp(logits);
}

void log_softmax(std::span<const float> logits, std::span<float> out) {
  const double total = log_sum_exp(logits);
  for (size_t i = 0; i < logits.size(); ++i) out[i] = static_cast<float>(double{logits[i]} - total);
}

Token first_choice(std::span<const float> logits) {
  return static_cast<Token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double divergence(std::span<const float> dense, std::span<const float> model) {
  return divergence_by([](size_t, double log_p) { return std::exp(log_p); }, dense,
                       log_sum_exp(dense), model);
}

double divergence(const DenseRow& dense, std::span<const float> model) {
  return divergence_by([&](size_t i, double) { return double{dense.p[i]}; }, dense.logits,
                       dense.log_sum_exp, model);
}

}  // namespace sinter
