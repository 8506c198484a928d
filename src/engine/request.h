// What was asked, and how it ended.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/sampling/params.h"

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
  std::vector<Token> stop;  // ends generation; kept as the last token
  // Rows to look at: those that predict positions >= observe_from. Positions inside the prompt are
  // teacher-forced. INT32_MAX = none.
  RowObserver observe;
  int32_t observe_from = INT32_MAX;
  std::function<void(Token)> on_token;  // streaming; may be empty
};

struct Completion {
  std::vector<Token> tokens;  // generated
  Finish finish = Finish::none;
  std::string error;  // why, if finish is failed
};

}  // namespace sinter
