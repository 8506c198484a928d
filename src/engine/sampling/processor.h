// A step between logits and a token. There are two kinds: one edits logits, one narrows the tokens
// that may be drawn (temperature is of the second kind: it changes how likely they are). All edits
// run before the first narrowing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampling/candidates.h"
#include "engine/sampling/params.h"

namespace sinter {

// What an answer depends on besides logits and parameters.
struct SamplingContext {
  std::span<const Token> tokens = {};  // the prompt and what was generated
  size_t prompt_tokens = 0;
  uint32_t choice = 0;               // which of several answers to one prompt
  std::span<const Token> stop = {};  // what ends an answer
  // Bit t % 64 of word t / 64: token t may come next; tokens past the end may not. Empty: all may.
  std::span<const uint64_t> allowed = {};

  size_t generated() const { return tokens.size() - prompt_tokens; }
  bool may(Token t) const {
    const auto i = static_cast<size_t>(t);
    return allowed.empty() || (i / 64 < allowed.size() && (allowed[i / 64] >> (i % 64) & 1) != 0);
  }
};

// How often tokens occur: memory that is kept, so that nobody allocates for each token.
class TokenCounts {
 public:
  // Counts `tokens` (all < vocab), forgetting what was counted before.
  void count(std::span<const Token> tokens, size_t vocab);
  std::span<const Token> distinct() const { return distinct_; }
  uint32_t operator[](Token t) const { return counts_[static_cast<size_t>(t)]; }
  // Remembers the largest of the values (> 0) given for t since clear(); operator[] reads it.
  void raise(Token t, uint32_t value);
  void clear(size_t vocab);

 private:
  std::vector<uint32_t> counts_;  // [vocab]
  std::vector<Token> distinct_;
};

struct SamplingScratch {
  TokenCounts counts;
  std::vector<uint32_t> matches;  // for DRY
};

struct SamplingStep {
  const SamplingParams& params;
  const SamplingContext& context;
  const ChainRules& rules;
  SamplingScratch& scratch;
};

struct Processor {
  const char* name;
  // Whether it would do anything, now or later in the answer.
  bool (*active)(const SamplingParams&, const SamplingContext&);
  // Exactly one of the two. Bans are -infinity. logits: [vocab].
  void (*edit)(std::span<float> logits, const SamplingStep& step);
  void (*narrow)(Candidates& candidates, const SamplingStep& step);
};

// The one list.
std::span<const Processor* const> all_processors();

inline constexpr float kBanned = -__builtin_inff();

// The draws of one position: which one is chosen, and whether XTC strikes.
enum class Draw : uint64_t { token = 0, xtc = 1 };
double uniform(const SamplingStep& step, Draw draw);

}  // namespace sinter
