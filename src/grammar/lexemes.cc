// See lexemes.h.
#include "grammar/lexemes.h"

namespace sinter {

LexemeAutomaton::LexemeAutomaton(const Grammar& grammar)
    : grammar_(grammar), regexes_(grammar.regexes) {
  const auto classes = regexes_.byte_classes();
  std::copy(classes.begin(), classes.end(), classes_.begin());
  representatives_.assign(regexes_.class_representatives().begin(),
                          regexes_.class_representatives().end());
  n_classes_ = representatives_.size();
  accepted_.clear(), rests_.clear();
  SINTER_CHECK(intern() == kDead);
}

uint32_t LexemeAutomaton::intern() {
  words_.assign(1, static_cast<uint32_t>(accepted_.size()));
  words_.insert(words_.end(), accepted_.begin(), accepted_.end());
  words_.insert(words_.end(), rests_.begin(), rests_.end());
  const uint32_t state = states_.intern(words_);
  if (state == flags_.size()) {
    next_.resize(states_.size() * n_classes_, kUnknown);
    flags_.push_back(
        static_cast<uint8_t>((accepted_.empty() ? 0 : kAccepts) | (rests_.empty() ? 0 : kGoesOn)));
  }
  return state;
}

uint32_t LexemeAutomaton::start(std::span<const uint32_t> lexemes) {
  accepted_.clear(), rests_.clear();
  for (const uint32_t lexeme : lexemes) {
    rests_.push_back(lexeme);
    rests_.push_back(grammar_.lexemes[lexeme].regex.id);
  }
  return intern();
}

uint32_t LexemeAutomaton::state_of(std::span<const LexemeRest> rests) {
  accepted_.clear(), rests_.clear();
  for (const LexemeRest& rest : rests) {
    rests_.push_back(rest.lexeme);
    rests_.push_back(rest.regex.id);
  }
  return intern();
}

std::vector<LexemeRest> LexemeAutomaton::rests(uint32_t state) const {
  const auto words = states_.at(state);
  std::vector<LexemeRest> out;
  for (size_t i = 1 + words[0]; i < words.size(); i += 2) {
    out.push_back({words[i], Regex{words[i + 1]}});
  }
  return out;
}

uint32_t LexemeAutomaton::compute_next(uint32_t state, uint8_t byte_class) {
  accepted_.clear(), rests_.clear();
  const auto words = states_.at(state);
  for (size_t i = 1 + words[0]; i < words.size(); i += 2) {
    const uint32_t lexeme = words[i];
    const Regex rest = regexes_.derivative({words[i + 1]}, representatives_[byte_class]);
    if (regexes_.is_empty(rest)) continue;
    const bool ends = regexes_.nullable(rest);
    if (ends) accepted_.push_back(lexeme);
    if (rest == regexes_.empty() || (ends && grammar_.lexemes[lexeme].lazy)) continue;
    rests_.push_back(lexeme);
    rests_.push_back(rest.id);
  }
  const uint32_t made = intern();
  next_[state * n_classes_ + byte_class] = made;
  return made;
}

}  // namespace sinter
