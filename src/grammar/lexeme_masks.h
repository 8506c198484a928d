// What the rest of one lexeme says about every token, whatever is around it: which tokens lie
// within it, and after which of their bytes it may end. This is the expensive half of most masks
// (the inside of a string allows a hundred thousand tokens), and it depends on the regular
// expression alone, so it is kept across states, grammars and requests, under the digest of the
// expression.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "grammar/lexemes.h"
#include "grammar/token_trie.h"

namespace sinter {

class LexemeMask {
 public:
  // A token that begins in the lexeme and goes on behind its end with a given byte: nodes of the
  // trie that this byte leads to. A leaf is its token alone.
  struct Crossing {
    std::vector<uint32_t> leaves;  // tokens
    std::vector<uint32_t> nodes;   // with more below
  };

  std::vector<uint64_t> within;  // by token: all of it belongs to the lexeme, or to a prefix
  std::vector<uint64_t> ends;    // by node of the trie: the lexeme may end there
  uint64_t steps = 0;            // what it cost to make

  const Crossing& crossing(const TokenTrie& trie, uint8_t byte) const;
  size_t memory_bytes() const;

 private:
  mutable std::mutex mutex_;
  mutable std::array<std::unique_ptr<const Crossing>, 256> crossings_;
};

// The masks of all grammars of a vocabulary; safe to share between threads.
class LexemeMaskCache {
 public:
  static constexpr size_t kDefaultBytes = size_t{64} << 20;
  explicit LexemeMaskCache(size_t max_bytes = kDefaultBytes) : max_bytes_(max_bytes) {}

  struct Key {
    RegexDigest regex;
    bool lazy = false;
    friend bool operator==(const Key&, const Key&) = default;
  };
  std::shared_ptr<const LexemeMask> find(const Key& key);
  // What is kept under this key from now on: `mask`, or what somebody else put there before.
  std::shared_ptr<const LexemeMask> insert(const Key& key, std::shared_ptr<const LexemeMask> mask);
  size_t hits() const { return hits_; }
  size_t misses() const { return misses_; }

 private:
  struct Hash {
    size_t operator()(const Key& key) const { return key.regex.low ^ (key.lazy ? 1 : 0); }
  };
  struct Entry {
    std::shared_ptr<const LexemeMask> mask;
    uint64_t used = 0;
  };
  mutable std::mutex mutex_;
  std::unordered_map<Key, Entry, Hash> entries_;
  size_t max_bytes_;
  uint64_t clock_ = 0;
  size_t hits_ = 0, misses_ = 0;
};

// Computes or finds them for one grammar. Not to be shared between threads.
class LexemeMasks {
 public:
  LexemeMasks(LexemeAutomaton& lexemes, const Grammar& grammar, const TokenTrie& trie,
              LexemeMaskCache& cache)
      : lexemes_(lexemes), grammar_(grammar), trie_(trie), cache_(cache) {}

  // `steps` grows by what it costs or once cost.
  const LexemeMask& of(const LexemeRest& rest, uint64_t& steps) { return *find(rest, steps); }
  // Whether so many tokens may come next that a mask of its own pays.
  bool is_wide(const LexemeRest& rest);
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  std::shared_ptr<const LexemeMask> find(const LexemeRest& rest, uint64_t& steps);
  std::shared_ptr<const LexemeMask> compute(const LexemeRest& rest);
  void walk_all(const LexemeRest& rest, LexemeMask& made);
  std::shared_ptr<const LexemeMask> extended(const LexemeRest& rest,
                                             const TokenTrie::LongPart& part,
                                             const std::shared_ptr<const LexemeMask>& base,
                                             uint64_t steps);
  const ByteSet& loops(uint32_t state);
  bool find_wide(const LexemeRest& rest);

  LexemeAutomaton& lexemes_;
  const Grammar& grammar_;
  const TokenTrie& trie_;
  LexemeMaskCache& cache_;
  std::unordered_map<uint64_t, std::shared_ptr<const LexemeMask>> known_;
  std::unordered_map<uint64_t, bool> wide_;
  size_t memory_bytes_ = 0;
  std::vector<uint32_t> path_;  // scratch: states by depth
  struct Loops {
    bool known = false;
    ByteSet bytes;
  };
  std::vector<Loops> loops_;  // by state: bytes that lead back to it
};

}  // namespace sinter
