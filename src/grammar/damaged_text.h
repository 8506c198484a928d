// For tests: deterministic damage to the text of a grammar.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"

namespace sinter {

// One to four of: change, drop, repeat or move a stretch, or put in what grammars are made of. A
// pure function of its arguments.
inline std::string damaged(std::string_view valid, uint64_t seed) {
  constexpr std::string_view kPieces[] = {
      "(",  ")", "[",    "]",   "{",    "}",     "|", "*", "+",       "?",   "\\",
      "\"", "^", "$",    "-",   ":",    "~",     "&", "<", "::=",     "{9,", "\n",
      "#",  "/", "\xFF", "\\u", "\\p{", "99999", "%", "!", "\\ud800", ","};
  std::string text(valid);
  uint64_t draw = 0;
  const auto below = [&](size_t n) {
    return n == 0 ? size_t{0} : static_cast<size_t>(random_bits(seed, 77, draw++) % n);
  };
  for (size_t n = 1 + below(4); n > 0; --n) {
    const size_t at = below(text.size() + 1),
                 size = below(std::min<size_t>(text.size() - at, 20) + 1);
    const std::string part = text.substr(at, size);
    switch (below(5)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 1:
        text.erase(at, size);
        break;
      case 2:
        text.insert(at, part);
        break;
      case 3:
        text.insert(below(text.size() + 1), part);
        break;
      default:
        text.insert(at, kPieces[below(std::size(kPieces))]);
    }
  }
  return text;
}

}  // namespace sinter
