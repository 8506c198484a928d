// Where a literal or a regular expression matches, as the pre-tokenizers and the Replace normalizer
// of tokenizer.json need it. The regexes are written for Oniguruma (Ruby syntax); what of that
// PCRE2 reads alike is translated, and everything else is refused rather than read differently.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace sinter {

struct Span {
  size_t begin;
  size_t end;  // bytes
  bool hit;    // a match, else the gap between two
};

// The end of the match that begins at `at`; for patterns that match at every place.
using MatchEnd = size_t (*)(std::string_view text, size_t at);

class Pattern {
 public:
  static Pattern literal(std::string text);
  // `where` begins the message of Error(unsupported, "tokenizer-regex").
  static Pattern regex(std::string_view source, const std::string& where);
  static Pattern regex_by_pcre2(std::string_view source,
                                const std::string& where);  // never by hand

  // Appends hits and gaps that together cover `text`, which must be valid UTF-8, left to right.
  // Throws Error(exhausted, "tokenizer-regex-limit") where matching takes unreasonably long.
  void cover(std::string_view text, std::vector<Span>& out) const;

  bool by_hand() const { return match_end_ != nullptr; }

 private:
  struct Compiled;
  void cover_literal(std::string_view text, std::vector<Span>& out) const;
  void cover_regex(std::string_view text, std::vector<Span>& out) const;

  std::string literal_;
  MatchEnd match_end_ = nullptr;
  std::shared_ptr<const Compiled> compiled_;
};

// The hand-coded matcher for one of the patterns in wide use, or null.
MatchEnd find_known_split(std::string_view source);

// {"String": TEXT} or {"Regex": SOURCE}.
Pattern read_pattern(const Json& json, const std::string& where);

// Oniguruma's pattern in PCRE2's words. Throws as Pattern::regex does.
std::string translate_regex(std::string_view source, const std::string& where);

}  // namespace sinter
