// What was asked, and how it ended.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/logprobs.h"

namespace sinter {

enum class Finish : uint8_t { none, stop, length, failed };
const char* to_string(Finish finish);

// Sees one row of logits: `position` is the position of the token that the row predicts. Throws
// nothing.
using RowObserver = std::function<void(int32_t position, std::span<const float> logits)>;

// Immutable once added to an engine.
struct Request {
  std::vector<Token> prompt;
  int32_t max_new_tokens = 0;  // 0: only score the prompt
  SamplingParams sampling;
  std::vector<Token>
      stop;  // ends generation (but see SamplingParams::min_tokens); kept as last token
  // Rows to look at: those that predict positions >= observe_from. Positions inside the prompt are
  // teacher-forced. INT32_MAX = none.
  RowObserver observe;
  int32_t observe_from = INT32_MAX;
  std::function<void(Token)> on_token;  // streaming; may be empty
  // Asked after on_token: true ends the answer with this token (a stop string, say). May be empty.
  std::function<bool(Token)> ends = {};
  uint32_t choice = 0;  // which of several answers to one prompt: other draws from the same seed
  LogprobsAsked logprobs = {};
};

struct Completion {
  std::vector<Token> tokens;  // generated
  Finish finish = Finish::none;
  std::string error;  // why, if finish is failed
  std::string error_code = {};
  Fault fault = Fault::corrupt;
  std::vector<PositionLogprobs> logprobs = {};         // of tokens; empty if not asked for
  std::vector<PositionLogprobs> prompt_logprobs = {};  // of the prompt from its second token on
};

}  // namespace sinter
