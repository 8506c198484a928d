// What the gate tests: anything that answers items. Our engine, an OpenAI-compatible endpoint, or a
// fake with scripted answers; the gate knows only this.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "gate/item.h"

namespace sinter {

struct Answer {
  std::string text;             // what the user would see, special tokens (tool calls) included
  std::vector<int32_t> tokens;  // generated ids, the stop token included
  // Bytes of `text` after each token, so that a report can show which token diverged; empty = the
  // subject does not know.
  std::vector<int32_t> token_ends;
  std::string finish;  // "stop", "length"
  int32_t prompt_tokens = 0;
  float min_margin = 0;       // smallest (best - second best) logit over the generated tokens
  int32_t min_margin_at = 0;  // which generated token that was
  double seconds = 0;         // share of the batch's time; informative, never judged as behaviour
};

// Log-probabilities (natural) that the subject gives to forced text after an item's prompt.
struct Likelihood {
  std::vector<float> logprobs;  // one per token of the continuation
  double total() const {
    double sum = 0;
    for (const float l : logprobs) sum += l;
    return sum;
  }
};

// Next-token log-probabilities of one text, row by row, so that two subjects can be walked in
// lockstep without holding [n_tokens, vocab] of either.
class TextWalk {
 public:
  virtual ~TextWalk() = default;
  virtual std::span<const int32_t> tokens() const = 0;  // of the text, first token included
  // Log-probabilities [vocab] of token i given tokens 0..i-1, for i = 1, 2, ...; empty at the end.
  // The view is valid until the next call.
  virtual std::span<const float> next() = 0;
};

class Subject {
 public:
  virtual ~Subject() = default;

  // Who answers: at least {"model", "artifact_sha256", "engine"}; what else could explain a
  // difference (ISA, activation mode, KV dtype) belongs in "engine". Goes into every result.
  virtual Json identity() const = 0;

  // Answers items (greedy, under the suite's settings), in any order, as a batch. Calls `done` once
  // per item, with the answer or with the error that kept it from running (error non-empty).
  using Done = std::function<void(size_t index, const Answer& answer, const std::string& error)>;
  virtual void generate(std::span<const Item* const> items, const Done& done) = 0;

  // Teacher-forced: for each (item, continuation), the log-probabilities of the continuation's
  // tokens right after the item's prompt, followed by the end-of-turn token if `with_end`.
  struct Forced {
    const Item* item;
    std::string continuation;
    bool with_end;
  };
  using Scored =
      std::function<void(size_t index, const Likelihood& likelihood, const std::string& error)>;
  virtual void score(std::span<const Forced> forced, const Scored& done) = 0;

  // nullptr where the subject cannot give whole distributions (a remote endpoint).
  virtual std::unique_ptr<TextWalk> walk(const std::string& text) = 0;

  // The runtime-cost domain, numbers by name in two groups: {"fixed": {...}, "measured": {...}}.
  // Fixed are those that every run repeats exactly (bytes of weights on disk, bytes read per
  // token) and go into the reports; measured ones (resident memory, tokens/s of this run) go to
  // costs.json only, so that a report's bytes do not depend on the clock.
  virtual Json costs() const = 0;
};

}  // namespace sinter
