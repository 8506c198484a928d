// An answer's tokens as text, as it comes: never half a character, nothing that may still become a
// stop string, and stop tokens have no text.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/stop_strings.h"
#include "text/tokenizer.h"

namespace sinter {

struct AnswerTextOptions {
  bool skip_special = true;
  std::vector<Token> stop_tokens = {};
  std::vector<std::string> stop_strings = {};
  int32_t min_tokens = 0;  // no stop string begins before so many tokens
};

class AnswerText {
 public:
  // Throws Error(bad_input, "stop-string").
  AnswerText(const Tokenizer& tokenizer, AnswerTextOptions options,
             std::function<void(std::string_view)> emit = {});

  // True when a stop string is complete: the answer ends here. For Request::ends.
  bool push(Token token);
  void finish();  // the answer has ended: emits what was held back

  const std::string& text() const { return text_; }  // emitted so far
  const std::string& stop_string() const { return stops_.which(); }

 private:
  void emit(const std::string& piece);

  AnswerTextOptions options_;
  std::function<void(std::string_view)> emit_;
  std::unique_ptr<Tokenizer::Stream> stream_;
  StopStrings stops_;
  std::string text_;
  int32_t n_tokens_ = 0;
};

}  // namespace sinter
