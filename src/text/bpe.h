// Byte-pair encoding: the symbols of a word are merged two by two, the pair of the lowest rank
// first and the leftmost of equals, until no neighbours can be merged.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/vocabulary.h"

namespace sinter {

struct BpeOptions {
  std::string unk_token;  // empty: characters without a token are dropped
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;  // a word that is a token is that token, mergeable or not
  bool sees_bytes = false;     // words are raw bytes, to be spelled in the byte-level alphabet
};

class Bpe {
 public:
  using Parts = std::pair<std::string_view, std::string_view>;

  // What one thread works with: memory, and the words it has met. Any content gives the same ids.
  class Scratch {
   public:
    Scratch();

   private:
    friend class Bpe;
    // Tuned with bench/tokenizer_bench: 32768 words of up to 30 bytes cover 99% of English text.
    static constexpr size_t kMaxKey = 30, kMaxIds = 8, kWords = 1 << 15;
    struct alignas(64) Word {  // the last word of its hash
      std::array<Token, kMaxIds> ids{};
      uint8_t n_ids = 0;
      uint8_t key_size = 0;  // 0: free
      std::array<char, kMaxKey> key{};
    };
    static_assert(sizeof(Word) == 64);
    std::vector<Word> words_;
    std::vector<Token> symbols_;
    std::vector<int32_t> ranks_;  // of the pair that begins at a symbol
    std::vector<int32_t> next_, previous_;
    std::vector<uint64_t> heap_;
    std::string spelled_;
  };

  // `merges` in order of rank. Throws Error(corrupt, "tokenizer-merge") on a merge of or into what
  // is not in the vocabulary. The vocabulary must outlive this.
  Bpe(const Vocabulary& vocabulary, const std::vector<Parts>& merges, BpeOptions options,
      const std::string& where);

  // Appends the ids of one word. Throws Error(corrupt, "tokenizer-unknown-token").
  void encode(std::string_view word, Scratch& scratch, std::vector<Token>& out) const;

 private:
  struct Merge {
    uint64_t pair = kNoPair;
    int32_t rank = 0;
    Token merged = 0;
  };
  static constexpr uint64_t kNoPair = ~uint64_t{0};
  static constexpr int32_t kNoRank = INT32_MAX;
  static uint64_t pair_of(Token a, Token b) {
    return (uint64_t{static_cast<uint32_t>(a)} << 32) | static_cast<uint32_t>(b);
  }

  const Merge* find_merge(Token a, Token b) const;
  int32_t rank_of(Token a, Token b) const;
  void find_word_boundary(const std::vector<Parts>& merges);
  void encode_uncached(std::string_view word, Scratch& scratch, std::vector<Token>& out) const;
  void encode_cached(std::string_view word, Scratch& scratch, std::vector<Token>& out) const;
  void spell_symbols(std::string_view word, std::vector<Token>& symbols) const;
  void merge_short(Scratch& scratch) const;
  void merge_long(Scratch& scratch) const;

  const Vocabulary& vocabulary_;
  BpeOptions options_;
  Token unk_ = -1;
  std::array<Token, 256> of_byte_{};  // the symbol of a raw byte (sees_bytes) or of ASCII; -1: none
  std::array<Token, 256> fallback_{};  // <0xHH>; -1: none
  std::vector<Merge> merges_;          // open addressing
  bool splits_at_marks_ = false;
};

}  // namespace sinter
