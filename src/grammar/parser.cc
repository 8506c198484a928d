// See parser.h.
#include "grammar/parser.h"

#include <algorithm>
#include <tuple>

namespace sinter {

Parser::Parser(std::shared_ptr<const Grammar> grammar)
    : grammar_(std::move(grammar)),
      lexemes_(*grammar_),
      rows_(*grammar_),
      n_classes_(lexemes_.n_classes()) {
  std::copy(lexemes_.classes().begin(), lexemes_.classes().end(), classes_.begin());
  SINTER_CHECK(intern({}) == kDead);
  const uint32_t root = EarleyRows::kRoot;
  if (lexer_at(root) != LexemeAutomaton::kDead) threads_.push_back({root, lexer_at(root)});
  start_ = intern(std::span(&root, 1));
}

uint32_t Parser::lexer_at(uint32_t row) {
  if (row_threads_.size() <= row) row_threads_.resize(rows_.size(), kUnknown);
  if (row_threads_[row] == kUnknown) row_threads_[row] = lexemes_.start(rows_.lexemes(row));
  return row_threads_[row];
}

uint32_t Parser::intern(std::span<const uint32_t> rows) {
  const auto key = [](const Thread& t) { return std::tie(t.row, t.lexer); };
  std::sort(threads_.begin(), threads_.end(),
            [&](const Thread& a, const Thread& b) { return key(a) < key(b); });
  threads_.erase(std::unique(threads_.begin(), threads_.end(),
                             [&](const Thread& a, const Thread& b) { return key(a) == key(b); }),
                 threads_.end());
  if (threads_.size() > grammar_->limits.threads) {
    limit_reached("threads", grammar_->limits.threads, "too many ways to split this text");
  }
  words_.assign(1, static_cast<uint32_t>(rows.size()));
  words_.insert(words_.end(), rows.begin(), rows.end());
  for (const Thread& t : threads_) words_.insert(words_.end(), {t.row, t.lexer});
  threads_.clear();
  const uint32_t state = states_.intern(words_);
  if (state * n_classes_ == next_.size()) next_.resize(next_.size() + n_classes_, kUnknown);
  return state;
}

std::vector<Parser::Thread> Parser::threads(uint32_t state) const {
  const auto words = states_.at(state);
  std::vector<Thread> out;
  for (size_t i = 1 + words[0]; i < words.size(); i += 2) out.push_back({words[i], words[i + 1]});
  return out;
}

uint32_t Parser::state_of(std::span<const Thread> threads) {
  threads_.assign(threads.begin(), threads.end());
  return intern({});
}

uint32_t Parser::row_after(std::span<const EarleyRows::Ending> endings) {
  words_.clear();
  for (const auto& ending : endings) words_.insert(words_.end(), {ending.row, ending.lexeme});
  const uint32_t id = after_.intern(words_);
  if (id == row_after_.size()) row_after_.push_back(kUnknown);
  if (row_after_[id] == kUnknown) row_after_[id] = rows_.after(endings);
  return row_after_[id];
}

uint32_t Parser::compute_step(uint32_t state, uint8_t byte_class) {
  threads_.clear(), endings_.clear();
  const size_t n_words = states_.at(state).size();
  for (size_t i = 1 + states_.at(state)[0]; i < n_words; i += 2) {
    const uint32_t row = states_.at(state)[i];
    const uint32_t lexer = lexemes_.next(states_.at(state)[i + 1], byte_class);
    if (lexer == LexemeAutomaton::kDead) continue;
    for (const uint32_t lexeme : lexemes_.accepted(lexer)) endings_.push_back({row, lexeme});
    if (lexemes_.goes_on(lexer)) threads_.push_back({row, lexer});
  }
  uint32_t made;
  if (endings_.empty()) {
    made = intern({});
  } else {
    const uint32_t row = row_after(endings_);
    if (lexer_at(row) != LexemeAutomaton::kDead) threads_.push_back({row, lexer_at(row)});
    made = intern(std::span(&row, 1));
  }
  next_[state * n_classes_ + byte_class] = made;
  return made;
}

uint32_t Parser::after_lexeme(uint32_t row, uint32_t lexeme) {
  const EarleyRows::Ending ending{row, lexeme};
  const uint32_t after = row_after(std::span(&ending, 1));
  threads_.clear();
  if (lexer_at(after) != LexemeAutomaton::kDead) threads_.push_back({after, lexer_at(after)});
  return intern(std::span(&after, 1));
}

uint32_t Parser::next_token(uint32_t state, Token token) {
  const auto words = states_.at(state);
  const std::vector<uint32_t> rows(words.begin() + 1, words.begin() + 1 + words[0]);
  std::vector<uint32_t> after;
  for (const uint32_t row : rows) {
    const uint32_t next = rows_.after_token(row, token);
    if (next != EarleyRows::kNothing) after.push_back(next);
  }
  std::sort(after.begin(), after.end());
  after.erase(std::unique(after.begin(), after.end()), after.end());
  threads_.clear();
  for (const uint32_t row : after) {
    if (lexer_at(row) != LexemeAutomaton::kDead) threads_.push_back({row, lexer_at(row)});
  }
  return intern(after);
}

uint32_t Parser::either(uint32_t a, uint32_t b) {
  if (a == kDead || a == b) return b;
  if (b == kDead) return a;
  std::vector<uint32_t> rows;
  std::vector<Thread> both;
  for (const uint32_t state : {a, b}) {
    const auto words = states_.at(state);
    rows.insert(rows.end(), words.begin() + 1, words.begin() + 1 + words[0]);
    const auto more = threads(state);
    both.insert(both.end(), more.begin(), more.end());
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  threads_ = std::move(both);
  return intern(rows);
}

bool Parser::accepts(uint32_t state) const {
  const auto words = states_.at(state);
  for (uint32_t i = 0; i < words[0]; ++i) {
    if (rows_.accepts(words[1 + i])) return true;
  }
  return false;
}

bool Parser::takes_tokens(uint32_t state) const {
  const auto words = states_.at(state);
  for (uint32_t i = 0; i < words[0]; ++i) {
    if (rows_.takes_tokens(words[1 + i])) return true;
  }
  return false;
}

}  // namespace sinter
