// What a request asks of sampling: values alone, which processors (processors.h) read. A value that
// is left at its default switches its processor off.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/sampling/chain.h"

namespace sinter {

using Token = int32_t;

struct LogitBias {
  Token token = 0;
  float bias = 0;  // added to the logit; -infinity bans the token
  friend bool operator==(const LogitBias&, const LogitBias&) = default;
};

struct SamplingParams {
  float temperature = 0;  // 0 = greedy, ties to the lowest id
  int32_t top_k = 0;      // 0 = off
  float top_p = 1;
  float min_p = 0;
  uint64_t seed = 0;

  float repetition_penalty = 1;  // CTRL (arXiv 1909.05858): positive logits / it, others * it
  float frequency_penalty = 0;   // subtracted for each time that a token occurred
  float presence_penalty = 0;    // subtracted once if it occurred
  float typical_p = 1;           // locally typical sampling (arXiv 2202.00666)
  float top_n_sigma = 0;         // arXiv 2411.07641; 0 = off
  float xtc_probability = 0;     // "exclude top choices": how often; 0 = off
  float xtc_threshold = 0.1f;    // a choice is a top one from this probability on; over 0.5: off
  float dry_multiplier = 0;      // "don't repeat yourself": penalty = it * base ^ (match - allowed)
  float dry_base = 1.75f;
  int32_t dry_allowed_length = 2;  // matches shorter than this are free
  int32_t dry_window = -1;         // last tokens looked at; -1 = all
  // No match reaches over these tokens, and they are never taxed. Ascending.
  std::vector<Token> dry_breakers = {};
  std::vector<LogitBias> logit_bias = {};
  std::vector<std::vector<Token>> bad_words = {};  // token sequences that must not be completed
  int32_t min_tokens = 0;                          // no stop token, no stop string before so many
  int32_t no_repeat_ngram = 0;                     // no n tokens occur twice; 0 = off

  SamplerChain chain = SamplerChain::preset("seed");
};

// Throws Error(bad_input, "sampling-range") on a value outside its range, "sampling-conflict" on
// values that cannot hold together or that the chain has no place for. `vocab` bounds token ids;
// 0: not known yet.
void check(const SamplingParams& params, int32_t vocab = 0);

bool is_greedy(const SamplingParams& params);

// The steps that will act, for people: "sampler seed: temperature, top_p, one draw".
std::string describe(const SamplingParams& params);

// Every value, and the chain: all that (with logits and tokens) an answer depends on.
Json to_json(const SamplingParams& params);
// Throws Error(bad_input, "json-field" | ...); missing fields keep their defaults, unknown ones are
// errors ("sampling-field").
SamplingParams sampling_params(const Json& json, const std::string& where);

}  // namespace sinter
