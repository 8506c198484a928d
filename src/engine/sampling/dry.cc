// DRY, "don't repeat yourself" (p-e-w, text-generation-webui pull request 5677): a token that would
// prolong a repetition loses multiplier * base ^ (length of the repetition - allowed length).
//
//   a b c x . . . a b c |   the last 3 tokens occurred before; there x came next: x is taxed
//
// No repetition reaches over a breaker, and breakers are never taxed.
#include <algorithm>
#include <cmath>

#include "engine/sampling/processors.h"

namespace sinter {
namespace {

// matches[k] = how many of the last tokens equal those that end k tokens earlier: the Z-function of
// the reversed tokens, in linear time. matches[0] is not used.
void find_matches(std::span<const Token> tokens, std::vector<uint32_t>& matches) {
  const size_t n = tokens.size();
  const auto back = [&](size_t i) { return tokens[n - 1 - i]; };
  matches.assign(n, 0);
  size_t left = 0, right = 0;  // the match that reaches furthest: [left, right)
  for (size_t k = 1; k < n; ++k) {
    size_t length = k < right ? std::min<size_t>(right - k, matches[k - left]) : 0;
    while (k + length < n && back(length) == back(k + length)) ++length;
    matches[k] = static_cast<uint32_t>(length);
    if (k + length > right) {
      left = k;
      right = k + length;
    }
  }
}

void edit(std::span<float> logits, const SamplingStep& step) {
  const SamplingParams& p = step.params;
  std::span<const Token> tokens = step.context.tokens;
  if (p.dry_window >= 0) tokens = tokens.last(std::min(tokens.size(), size_t(p.dry_window)));
  const auto is_breaker = [&](Token t) {
    return std::binary_search(p.dry_breakers.begin(), p.dry_breakers.end(), t);
  };
  const auto last_breaker = std::find_if(tokens.rbegin(), tokens.rend(), is_breaker);
  const auto longest = static_cast<uint32_t>(last_breaker - tokens.rbegin());
  const auto allowed = static_cast<uint32_t>(p.dry_allowed_length);
  if (longest < allowed) return;

  find_matches(tokens, step.scratch.matches);
  TokenCounts& lengths = step.scratch.counts;  // of the longest repetition that a token prolongs
  lengths.clear(logits.size());
  for (size_t k = 1; k < tokens.size(); ++k) {
    const uint32_t length = std::min(step.scratch.matches[k], longest);
    if (length >= allowed) lengths.raise(tokens[tokens.size() - k], length);
  }
  constexpr float kMost = 1e30f;  // finite, and more than any logit
  for (const Token t : lengths.distinct()) {
    if (is_breaker(t)) continue;
    const float tax =
        p.dry_multiplier * std::pow(p.dry_base, static_cast<float>(lengths[t] - allowed));
    logits[static_cast<size_t>(t)] -= std::min(tax, kMost);
  }
}

}  // namespace

const Processor kDry = {"dry",
                        [](const SamplingParams& p, const SamplingContext&) {
                          return p.dry_multiplier > 0 && p.dry_window != 0;
                        },
                        edit, nullptr};

}  // namespace sinter
