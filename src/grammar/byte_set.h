// A set of bytes: 256 bits.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sinter {

struct ByteSet {
  std::array<uint64_t, 4> words{};

  static constexpr ByteSet all() { return {{~0ull, ~0ull, ~0ull, ~0ull}}; }
  static constexpr ByteSet of(uint8_t byte) {
    ByteSet set;
    set.insert(byte);
    return set;
  }
  static constexpr ByteSet range(uint8_t first, uint8_t last) {
    ByteSet set;
    for (int byte = first; byte <= last; ++byte) set.insert(static_cast<uint8_t>(byte));
    return set;
  }
  constexpr void insert(uint8_t byte) { words[byte >> 6] |= 1ull << (byte & 63); }
  constexpr bool has(uint8_t byte) const { return (words[byte >> 6] >> (byte & 63)) & 1; }
  constexpr bool empty() const { return (words[0] | words[1] | words[2] | words[3]) == 0; }
  constexpr int count() const {
    int n = 0;
    for (const uint64_t word : words) n += std::popcount(word);
    return n;
  }
  constexpr int first() const {  // -1: none
    for (int i = 0; i < 4; ++i) {
      if (words[static_cast<size_t>(i)] != 0) {
        return 64 * i + std::countr_zero(words[static_cast<size_t>(i)]);
      }
    }
    return -1;
  }
  constexpr ByteSet operator~() const { return {{~words[0], ~words[1], ~words[2], ~words[3]}}; }
  constexpr ByteSet& operator|=(const ByteSet& other) {
    for (size_t i = 0; i < 4; ++i) words[i] |= other.words[i];
    return *this;
  }
  constexpr ByteSet& operator&=(const ByteSet& other) {
    for (size_t i = 0; i < 4; ++i) words[i] &= other.words[i];
    return *this;
  }
  friend constexpr ByteSet operator|(ByteSet a, const ByteSet& b) { return a |= b; }
  friend constexpr ByteSet operator&(ByteSet a, const ByteSet& b) { return a &= b; }
  friend constexpr bool operator==(const ByteSet&, const ByteSet&) = default;
};

}  // namespace sinter
