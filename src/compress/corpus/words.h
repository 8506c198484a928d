// Text as a row of word hashes: lower case, letters and digits only, so that spacing, punctuation
// and markup do not hide that two texts are the same. A character of Chinese, Japanese, Thai ... is
// a word, because such scripts write no spaces.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace sinter {

// Appends to `words`. `text` should be UTF-8; what is not separates words.
void append_words(std::string_view text, std::vector<uint64_t>& words);

// A good mixing of 64 bits (the finaliser of SplitMix64).
inline uint64_t mix_bits(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9;
  x ^= x >> 27;
  x *= 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// Hashes of all runs of n words, by prefixes: each in constant time.
class WordRuns {
 public:
  explicit WordRuns(const std::vector<uint64_t>& words);
  size_t n_words() const { return prefix_.size() - 1; }
  uint64_t at(size_t begin, size_t n) const;  // begin + n <= n_words()

 private:
  std::vector<uint64_t> prefix_, power_;
};

}  // namespace sinter
