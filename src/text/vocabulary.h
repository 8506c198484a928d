// Spellings of tokens, by id and by text. Ids may have gaps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace sinter {

constexpr Token kMaxToken = (1 << 22) - 1;

// A hash that nobody can aim at: seeded once per process. No result may depend on it.
uint64_t hash_text(std::string_view text);
uint64_t hash_number(uint64_t number);

class Vocabulary {
 public:
  // False if the spelling or the id is taken. Precondition: 0 <= id <= kMaxToken.
  bool add(std::string_view spelling, Token id);

  Token find(std::string_view spelling) const;  // -1: none
  bool has(Token id) const {
    return id >= 0 && static_cast<size_t>(id) < entries_.size() && entries_[at(id)].used;
  }
  std::string_view spelling(Token id) const {  // Precondition: has(id)
    const Entry& e = entries_[at(id)];
    return std::string_view(text_).substr(e.begin, e.size);
  }
  Token n_ids() const { return static_cast<Token>(entries_.size()); }  // largest id + 1
  size_t size() const { return used_; }

 private:
  struct Entry {
    uint64_t begin = 0;
    uint32_t size = 0;
    bool used = false;
  };
  static size_t at(Token id) { return static_cast<size_t>(id); }
  size_t slot_of(std::string_view spelling) const;
  void grow();

  std::string text_;
  std::vector<Entry> entries_;  // by id
  std::vector<Token> slots_;    // open addressing; -1: free
  size_t used_ = 0;
};

}  // namespace sinter
