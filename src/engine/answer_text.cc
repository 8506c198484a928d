#include "engine/answer_text.h"

#include <algorithm>

namespace sinter {

AnswerText::AnswerText(const Tokenizer& tokenizer, AnswerTextOptions options,
                       std::function<void(std::string_view)> emit)
    : options_(std::move(options)),
      emit_(std::move(emit)),
      stream_(tokenizer.stream(options_.skip_special)),
      stops_(options_.stop_strings) {}

void AnswerText::emit(const std::string& piece) {
  if (piece.empty()) return;
  text_ += piece;
  if (emit_) emit_(piece);
}

bool AnswerText::push(Token token) {
  ++n_tokens_;
  const std::vector<Token>& stop = options_.stop_tokens;
  if (std::find(stop.begin(), stop.end(), token) != stop.end()) return false;
  const std::string piece = stream_->push(token);
  emit(n_tokens_ < options_.min_tokens ? stops_.pass(piece) : stops_.push(piece));
  return stops_.found();
}

void AnswerText::finish() {
  emit(stops_.push(stream_->finish()));
  emit(stops_.finish());
}

}  // namespace sinter
