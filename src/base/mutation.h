// For tests: deterministic damage to bytes, so that a parser of untrusted input meets what a disk,
// a network or an attacker makes of a valid file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.h"

namespace sinter {

// One to four of: flip a bit, set a byte, cut the end, drop, repeat or move a stretch, or splice in
// one of the tokens that parsers fear. A pure function of its arguments.
inline std::string mutated(std::string_view valid, uint64_t seed) {
  constexpr std::string_view kTokens[] = {"{",
                                          "}",
                                          "[",
                                          "]",
                                          "\"",
                                          ":",
                                          ",",
                                          "-",
                                          "0",
                                          "null",
                                          "9223372036854775807",
                                          "18446744073709551615",
                                          "1e308",
                                          "\xFF",
                                          std::string_view("\0", 1),
                                          "..",
                                          "/",
                                          "&a",
                                          "*a"};
  std::string bytes(valid);
  uint64_t draw = 0;
  const auto below = [&](size_t n) {
    return n == 0 ? size_t{0} : static_cast<size_t>(random_bits(seed, 99, draw++) % n);
  };
  const size_t n_edits = 1 + below(4);
  for (size_t e = 0; e < n_edits; ++e) {
    const size_t at = below(bytes.size() + 1), rest = bytes.size() - at;
    const size_t n = below(std::min<size_t>(rest, 64) + 1);
    switch (below(7)) {
      case 0:
        if (rest > 0) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        if (rest > 0) bytes[at] = static_cast<char>(below(256));
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(at, n);
        break;
      case 4:
        bytes.insert(at, bytes.substr(at, n));
        break;
      case 5:
        bytes.insert(below(bytes.size() + 1), bytes.substr(at, n));
        break;
      default:
        bytes.insert(at, kTokens[below(std::size(kTokens))]);
    }
  }
  return bytes;
}

}  // namespace sinter
