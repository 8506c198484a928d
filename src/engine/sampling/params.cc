#include "engine/sampling/params.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "engine/sampling/processors.h"

namespace sinter {
namespace {

constexpr size_t kMostWords = 4096;     // of bad_words, and of logit_bias
constexpr size_t kMostWordTokens = 64;  // of one bad word

[[noreturn]] void out_of_range(const char* name, const char* expected, double found) {
  fail(Fault::bad_input, "sampling-range", "sampling: expected {}, found {} {}", expected, name,
       found);
}

void check_range(const char* name, const char* expected, double value, bool holds) {
  if (!holds || std::isnan(value)) out_of_range(name, expected, value);
}

void check_ranges(const SamplingParams& p) {
  const auto real = [](const char* name, const char* expected, float v, bool holds) {
    check_range(name, expected, static_cast<double>(v), holds);
  };
  real("temperature", "0 <= temperature <= 100", p.temperature,
       p.temperature >= 0 && p.temperature <= 100);
  check_range("top_k", "top_k >= 0", p.top_k, p.top_k >= 0);
  real("top_p", "0 < top_p <= 1", p.top_p, p.top_p > 0 && p.top_p <= 1);
  real("min_p", "0 <= min_p < 1", p.min_p, p.min_p >= 0 && p.min_p < 1);
  real("repetition_penalty", "0 < repetition_penalty <= 100 (1 = none)", p.repetition_penalty,
       p.repetition_penalty > 0 && p.repetition_penalty <= 100);
  real("frequency_penalty", "-100 <= frequency_penalty <= 100", p.frequency_penalty,
       std::abs(p.frequency_penalty) <= 100);
  real("presence_penalty", "-100 <= presence_penalty <= 100", p.presence_penalty,
       std::abs(p.presence_penalty) <= 100);
  real("typical_p", "0 < typical_p <= 1", p.typical_p, p.typical_p > 0 && p.typical_p <= 1);
  real("top_n_sigma", "0 <= top_n_sigma <= 1000", p.top_n_sigma,
       p.top_n_sigma >= 0 && p.top_n_sigma <= 1000);
  real("xtc_probability", "0 <= xtc_probability <= 1", p.xtc_probability,
       p.xtc_probability >= 0 && p.xtc_probability <= 1);
  real("xtc_threshold", "0 < xtc_threshold <= 1", p.xtc_threshold,
       p.xtc_threshold > 0 && p.xtc_threshold <= 1);
  real("dry_multiplier", "0 <= dry_multiplier <= 100", p.dry_multiplier,
       p.dry_multiplier >= 0 && p.dry_multiplier <= 100);
  real("dry_base", "1 <= dry_base <= 100", p.dry_base, p.dry_base >= 1 && p.dry_base <= 100);
  check_range("dry_allowed_length", "dry_allowed_length >= 1", p.dry_allowed_length,
              p.dry_allowed_length >= 1);
  check_range("dry_window", "dry_window >= -1 (-1 = all tokens)", p.dry_window, p.dry_window >= -1);
  check_range("min_tokens", "min_tokens >= 0", p.min_tokens, p.min_tokens >= 0);
  check_range("no_repeat_ngram", "no_repeat_ngram >= 0", p.no_repeat_ngram, p.no_repeat_ngram >= 0);
}

void check_tokens(const SamplingParams& p, int32_t vocab) {
  const int32_t end = vocab > 0 ? vocab : std::numeric_limits<int32_t>::max();
  const auto token = [end](const char* name, Token t) {
    if (t < 0 || t >= end) {
      fail(Fault::bad_input, "token-range",
           "sampling: {} names token {}; expected ids below the model's vocabulary of {}", name, t,
           end);
    }
  };
  const auto few = [](const char* name, size_t n, size_t most) {
    if (n > most) {
      fail(Fault::bad_input, "sampling-range",
           "sampling: expected at most {} entries of {}, found {}", most, name, n);
    }
  };
  few("logit_bias", p.logit_bias.size(), kMostWords);
  for (size_t i = 0; i < p.logit_bias.size(); ++i) {
    const LogitBias& b = p.logit_bias[i];
    token("logit_bias", b.token);
    check_range("logit_bias", "a bias from -100 to 100, or -infinity to ban the token",
                static_cast<double>(b.bias), std::abs(b.bias) <= 100 || b.bias == kBanned);
    for (size_t j = 0; j < i; ++j) {
      if (p.logit_bias[j].token == b.token) {
        fail(Fault::bad_input, "sampling-conflict", "sampling: logit_bias names token {} twice",
             b.token);
      }
    }
  }
  few("bad_words", p.bad_words.size(), kMostWords);
  for (const std::vector<Token>& word : p.bad_words) {
    few("one of bad_words", word.size(), kMostWordTokens);
    if (word.empty()) {
      fail(Fault::bad_input, "sampling-range",
           "sampling: a bad word has no tokens; it would ban nothing or all");
    }
    for (const Token t : word) token("bad_words", t);
  }
  for (const Token t : p.dry_breakers) token("dry_breakers", t);
  if (!std::is_sorted(p.dry_breakers.begin(), p.dry_breakers.end())) {
    fail(Fault::bad_input, "sampling-range", "sampling: expected dry_breakers in ascending order");
  }
}

// What cannot be honoured is refused.
void check_together(const SamplingParams& p) {
  for (const Processor* processor : all_processors()) {
    if (!processor->active(p, {}) || p.chain.has(*processor)) continue;
    fail(
        Fault::bad_input, "sampling-conflict",
        "sampling: {} is asked for, and the sampler \"{}\" ({}) has no such step; leave it out, or "
        "take the sampler \"seed\", which has all",
        processor->name, p.chain.name(), p.chain.text());
  }
  const bool greedy = is_greedy(p);
  for (const Processor* processor : {&kTypical, &kXtc}) {
    if (greedy && processor->active(p, {})) {
      fail(Fault::bad_input, "sampling-conflict",
           "sampling: {} may drop the most likely token, which temperature {} asks for; raise the "
           "temperature, or leave {} out",
           processor->name, p.temperature, processor->name);
    }
  }
}

}  // namespace

bool is_greedy(const SamplingParams& p) {
  return p.temperature == 0 || p.temperature < p.chain.rules().greedy_below;
}

std::string describe(const SamplingParams& p) {
  std::string text = fmt::format("sampler {}: ", p.chain.name());
  for (const Processor* processor : p.chain.order()) {
    if (!processor->active(p, {}) || (processor->narrow && is_greedy(p))) continue;
    text += fmt::format("{}, ", processor->name);
  }
  return text + (is_greedy(p) ? "the most likely token" : "one draw");
}

void check(const SamplingParams& params, int32_t vocab) {
  check_ranges(params);
  check_tokens(params, vocab);
  check_together(params);
}

}  // namespace sinter
