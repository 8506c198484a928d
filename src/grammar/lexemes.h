// All lexemes that may stand at a place, matched at once: a deterministic automaton, built state by
// state when a text asks for it. A state is what is left of each lexeme that still lives.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/sequence_pool.h"

namespace sinter {

// What is left of a lexeme.
struct LexemeRest {
  uint32_t lexeme = 0;
  Regex regex;
};

class LexemeAutomaton {
 public:
  static constexpr uint32_t kDead = 0;  // the state from which nothing goes on

  explicit LexemeAutomaton(const Grammar& grammar);

  uint32_t start(std::span<const uint32_t> lexemes);     // sorted
  uint32_t state_of(std::span<const LexemeRest> rests);  // none of them accepted
  // `byte_class` as classes() says. kDead: no lexeme goes on, and none ends.
  uint32_t next(uint32_t state, uint8_t byte_class) {
    const uint32_t known = next_[state * n_classes_ + byte_class];
    return known != kUnknown ? known : compute_next(state, byte_class);
  }
  // Lexemes that end here.
  std::span<const uint32_t> accepted(uint32_t state) const {
    const auto words = states_.at(state);
    return words.subspan(1, words[0]);
  }
  bool accepts(uint32_t state) const { return (flags_[state] & kAccepts) != 0; }
  bool goes_on(uint32_t state) const { return (flags_[state] & kGoesOn) != 0; }
  std::vector<LexemeRest> rests(uint32_t state) const;  // of the lexemes that may go on

  size_t n_classes() const { return n_classes_; }
  std::span<const uint8_t, 256> classes() const { return classes_; }
  RegexSet& regexes() { return regexes_; }
  size_t memory_bytes() const {
    return states_.memory_bytes() + next_.capacity() * 4 + regexes_.memory_bytes();
  }

 private:
  static constexpr uint32_t kUnknown = UINT32_MAX;
  enum Flag : uint8_t { kAccepts = 1, kGoesOn = 2 };
  uint32_t compute_next(uint32_t state, uint8_t byte_class);
  uint32_t intern();

  const Grammar& grammar_;
  RegexSet regexes_;
  size_t n_classes_;
  std::array<uint8_t, 256> classes_;
  std::vector<uint8_t> representatives_;
  SequencePool states_;  // number of accepted lexemes, these, then (lexeme, regex)
  std::vector<uint32_t> next_;
  std::vector<uint8_t> flags_;
  std::vector<uint32_t> accepted_, rests_, words_;  // scratch
};

}  // namespace sinter
