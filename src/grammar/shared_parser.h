// The parser of a grammar with the masks of its states, as several texts use them: every state of
// it that one text has reached is known to the others. Who uses it holds its mutex.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "grammar/constraint.h"
#include "grammar/lexeme_masks.h"
#include "grammar/parser.h"

namespace sinter {

class SharedParser {
 public:
  SharedParser(std::shared_ptr<const Grammar> grammar,
               std::shared_ptr<GrammarVocabulary> vocabulary);

  std::mutex mutex;
  Parser parser;

  void mask(uint32_t state, std::span<uint64_t> words);
  // After the bytes, or the id, of one token.
  uint32_t after(uint32_t state, Token token);
  uint32_t after(uint32_t state, std::string_view bytes);
  bool goes_on(uint32_t state);  // with a byte or a token taken by its id
  bool is_end(Token token) const;
  // The only byte that can come next; -1: none, or several.
  int only_byte(uint32_t state);
  size_t memory_bytes() const {
    return parser.memory_bytes() + mask_bytes_ + lexeme_masks_.memory_bytes();
  }

 private:
  struct KnownMask {
    bool sparse = false;
    std::vector<uint64_t> words;  // or, sparse,
    std::vector<uint32_t> tokens;
  };
  void compute(uint32_t state, std::span<uint64_t> words);
  void keep(uint32_t state, std::span<const uint64_t> words);
  void cross(uint32_t state, const LexemeMask& mask, std::span<uint64_t> words);
  void walk(uint32_t state, uint32_t node, std::span<uint64_t> words);
  void spend(uint64_t steps);

  std::shared_ptr<GrammarVocabulary> vocabulary_;
  LexemeMasks lexeme_masks_;
  std::unordered_map<uint32_t, KnownMask> masks_;
  size_t mask_bytes_ = 0;
  uint64_t steps_ = 0, work_before_ = 0;  // of this mask
  std::vector<uint32_t> path_;            // scratch: states by depth
};

}  // namespace sinter
