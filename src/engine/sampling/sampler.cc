#include "engine/sampling/sampler.h"

#include <bit>
#include <cmath>

#include "base/error.h"
#include "engine/sampling/processors.h"

namespace sinter {
namespace {

// The number of tokens that the constraint allows, counted up to 2; one of them.
struct Allowed {
  int n = 0;
  Token one = 0;
};

Allowed count_allowed(std::span<const uint64_t> words, size_t vocab) {
  Allowed allowed;
  for (size_t i = 0; i < words.size() && allowed.n < 2; ++i) {
    if (i * 64 >= vocab) break;
    uint64_t word = words[i];
    const size_t rest = vocab - i * 64;
    if (rest < 64) word &= (uint64_t{1} << rest) - 1;
    if (word == 0) continue;
    allowed.one = static_cast<Token>(i * 64) + std::countr_zero(word);
    allowed.n += std::popcount(word);
  }
  return allowed;
}

}  // namespace

Token Sampler::sample(std::span<const float> logits, const SamplingParams& params,
                      const SamplingContext& context) {
  const SamplingStep step{params, context, params.chain.rules(), scratch_};
  const bool constrained = !context.allowed.empty();
  const Allowed allowed = count_allowed(context.allowed, logits.size());
  if (constrained && allowed.n == 0) {
    fail(Fault::bad_input, "sampling-nothing-left",
         "sampling: the grammar allows no token at position {}; does its vocabulary lack bytes?",
         context.tokens.size());
  }
  const bool forced = constrained && allowed.n == 1;

  bool edited = false;
  for (const Processor* p : params.chain.order()) {
    if (!p->edit || !p->active(params, context) || (forced && p != &kConstraint)) continue;
    if (!edited) {
      candidates_.reset(logits, false);  // only to see that all are numbers
      row_.assign(logits.begin(), logits.end());
      edited = true;
    }
    p->edit(row_, step);
  }
  candidates_.reset(edited ? std::span<const float>(row_) : logits, edited);
  total_ = 0;
  if (candidates_.size() == 0) {
    fail(Fault::bad_input, "sampling-nothing-left",
         "sampling: at position {} logit_bias, bad_words, min_tokens, no_repeat_ngram and the "
         "grammar together ban every token; relax one of them",
         context.tokens.size());
  }
  if (is_greedy(params)) return candidates_.best();
  if (forced) return allowed.one;
  for (const Processor* p : params.chain.order()) {
    if (p->narrow && p->active(params, context)) p->narrow(candidates_, step);
  }
  return draw(step);
}

// Walks down the order until the draw's share of the mass is passed.
Token Sampler::draw(const SamplingStep& step) {
  total_ = candidates_.total();
  const double mark = uniform(step, Draw::token) * total_;
  double sum = 0;
  for (size_t i = 0; i + 1 < candidates_.size(); ++i) {
    sum += candidates_.weight(i);
    if (mark < sum) return candidates_[i].token;
  }
  return candidates_[candidates_.size() - 1].token;
}

double Sampler::log_probability(float value) {
  if (total_ == 0) total_ = candidates_.total();
  const double top = static_cast<double>(candidates_[0].value);
  return (static_cast<double>(value) - top) / candidates_.temperature() - std::log(total_);
}

}  // namespace sinter
