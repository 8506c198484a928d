// JSON strings: a regular expression over the characters of a string becomes one over its JSON
// text, quotes included. Canonical text escapes what must be escaped and nothing else, so that a
// word has few texts: \" \\ \n \t \r \b \f, other controls as \u00XX.
#pragma once

#include <string>
#include <string_view>

#include "grammar/regex.h"

namespace sinter {

class StringTexts {
 public:
  explicit StringTexts(RegexSet& set);

  // The canonical texts of these words (UTF-8 as always; what is not UTF-8 is dropped).
  Regex quoted(Regex words);
  // A string of so many characters, written in any way that JSON knows; no lone surrogates.
  Regex any(uint32_t min_length = 0, uint32_t max_length = kUnbounded);
  Regex quoted_literal(std::string_view word);
  // Words of so many characters.
  Regex length(uint32_t min, uint32_t max) { return r_.repeat(r_.any_char(), min, max); }

 private:
  RegexSet& r_;
  std::array<Regex, 256> codes_;
  Regex canonical_;  // all canonical texts, without quotes
  Regex character_;  // one character, in any way
};

}  // namespace sinter
