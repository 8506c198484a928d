// A text read byte by byte: rows of the Earley parser and, between them, lexemes that have begun in
// a row and not ended. Every such state is interned and every step remembered, so the parser is an
// automaton that grows where texts go. States are numbers; a text's history is a list of them.
//
// Not safe to share between threads: who shares it holds a lock.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "grammar/earley.h"
#include "grammar/grammar.h"
#include "grammar/lexemes.h"
#include "grammar/sequence_pool.h"

namespace sinter {

class Parser {
 public:
  static constexpr uint32_t kDead = 0;

  // A lexeme (or several at once) that began in `row`.
  struct Thread {
    uint32_t row = 0;
    uint32_t lexer = 0;  // state of the LexemeAutomaton
  };

  explicit Parser(std::shared_ptr<const Grammar> grammar);

  uint32_t start() const { return start_; }
  // After one more byte; kDead if no text of the grammar goes on with it.
  uint32_t next(uint32_t state, uint8_t byte) { return step(state, classes_[byte]); }
  uint32_t step(uint32_t state, uint8_t byte_class) {
    const uint32_t known = next_[state * n_classes_ + byte_class];
    return known != kUnknown ? known : compute_step(state, byte_class);
  }
  // After a token that the grammar names by its id.
  uint32_t next_token(uint32_t state, Token token);
  // The state of texts that may be in either.
  uint32_t either(uint32_t a, uint32_t b);

  bool accepts(uint32_t state) const;  // a whole text may end here
  template <typename Visit>
  void for_each_token_range(uint32_t state, const Visit& visit) const {
    const auto words = states_.at(state);
    for (uint32_t i = 0; i < words[0]; ++i) rows_.for_each_token_range(words[1 + i], visit);
  }
  bool takes_tokens(uint32_t state) const;
  std::vector<Thread> threads(uint32_t state) const;
  uint32_t state_of(std::span<const Thread> threads);  // with no row at its end
  // The state just after `lexeme`, begun in `row`, has ended.
  uint32_t after_lexeme(uint32_t row, uint32_t lexeme);
  // What bytes may come next, as classes.
  size_t n_classes() const { return n_classes_; }
  std::span<const uint8_t, 256> classes() const { return classes_; }

  const Grammar& grammar() const { return *grammar_; }
  LexemeAutomaton& lexemes() { return lexemes_; }
  size_t memory_bytes() const {
    return states_.memory_bytes() + next_.capacity() * 4 + rows_.memory_bytes() +
           lexemes_.memory_bytes() + row_threads_.capacity() * 8 + after_.memory_bytes();
  }
  size_t n_states() const { return states_.size(); }
  size_t n_rows() const { return rows_.size(); }
  uint64_t work() const { return rows_.work(); }

 private:
  static constexpr uint32_t kUnknown = UINT32_MAX;
  uint32_t compute_step(uint32_t state, uint8_t byte_class);
  uint32_t row_after(std::span<const EarleyRows::Ending> endings);
  uint32_t lexer_at(uint32_t row);
  uint32_t intern(std::span<const uint32_t> rows);  // and threads_

  std::shared_ptr<const Grammar> grammar_;
  LexemeAutomaton lexemes_;
  EarleyRows rows_;
  size_t n_classes_;
  std::array<uint8_t, 256> classes_;
  SequencePool states_;  // number of rows, these, then (row, lexer state); sorted
  std::vector<uint32_t> next_;
  SequencePool after_;                 // endings, by number ...
  std::vector<uint32_t> row_after_;    // ... and the row after them
  std::vector<uint32_t> row_threads_;  // by row: lexer state at its beginning, kUnknown
  uint32_t start_ = 0;
  std::vector<Thread> threads_;  // scratch
  std::vector<EarleyRows::Ending> endings_;
  std::vector<uint32_t> words_;
};

}  // namespace sinter
