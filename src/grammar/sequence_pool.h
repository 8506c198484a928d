// Sequences of 32-bit words, each kept once and named by a number: what makes "is this a state that
// we know?" one look-up, for lexer states, rows, parser states and the rest.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sinter {

class SequencePool {
 public:
  SequencePool() : slots_(64, 0), begins_{0} {}

  // The number of this sequence; numbers count up from 0. The span must not lie in this pool.
  uint32_t intern(std::span<const uint32_t> words) {
    const uint64_t hash = hash_of(words);
    size_t slot = hash & (slots_.size() - 1);
    for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
      const uint32_t id = slots_[slot] - 1;
      if (hashes_[id] == static_cast<uint32_t>(hash >> 32) && equal(at(id), words)) return id;
    }
    words_.insert(words_.end(), words.begin(), words.end());
    begins_.push_back(words_.size());
    hashes_.push_back(static_cast<uint32_t>(hash >> 32));
    slots_[slot] = static_cast<uint32_t>(size());  // id + 1
    if (size() * 2 > slots_.size()) grow();
    return static_cast<uint32_t>(size() - 1);
  }

  // Valid until the next intern().
  std::span<const uint32_t> at(uint32_t id) const {
    return std::span(words_).subspan(begins_[id], begins_[id + 1] - begins_[id]);
  }
  size_t size() const { return hashes_.size(); }
  size_t memory_bytes() const {
    return words_.capacity() * 4 + slots_.capacity() * 4 + size() * 12;
  }

 private:
  static bool equal(std::span<const uint32_t> a, std::span<const uint32_t> b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }
  static uint64_t hash_of(std::span<const uint32_t> words) {
    uint64_t hash = 0x9E3779B97F4A7C15ull + words.size();
    for (const uint32_t word : words) {
      hash = (hash ^ word) * 0xD6E8FEB86659FD93ull;
      hash ^= hash >> 32;
    }
    return hash;
  }
  void grow() {
    std::vector<uint32_t> larger(slots_.size() * 2, 0);
    for (uint32_t id = 0; id < size(); ++id) {
      size_t slot = hash_of(at(id)) & (larger.size() - 1);
      while (larger[slot] != 0) slot = (slot + 1) & (larger.size() - 1);
      larger[slot] = id + 1;
    }
    slots_ = std::move(larger);
  }

  std::vector<uint32_t> words_;
  std::vector<uint32_t> slots_;  // id + 1; 0: free
  std::vector<size_t> begins_;
  std::vector<uint32_t> hashes_;
};

}  // namespace sinter
