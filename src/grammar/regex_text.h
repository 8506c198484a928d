// Regular expressions as text, in two dialects. What they cannot say regularly is refused with the
// place: look-around, back references, anchors in the middle, word boundaries.
#pragma once

#include <string>
#include <string_view>

#include "grammar/regex.h"

namespace sinter {

enum class RegexDialect {
  // The `pattern` of JSON Schema: ECMA-262 with the flag u. Unanchored as there: "a" finds any text
  // with an a in it; ^ and $ bind. \d and \w are ASCII; `.` is no line end.
  ecma,
  // Rust's regex crate as Lark grammars use it, and plain --regex: the whole text must match (^ at
  // the beginning and $ at the end are allowed and say nothing). \d, \w and \s are Unicode.
  rust,
};

struct RegexText {
  RegexDialect dialect = RegexDialect::rust;
  bool ignore_case = false;
  bool dot_matches_newline = false;
  bool verbose = false;  // Lark's flag x: white space and # comments are not part of it
};

// `where` begins every message ("/properties/name/pattern"). The words are valid UTF-8.
// Throws Error(bad_input, "grammar-syntax"), Error(unsupported, "grammar-unsupported") with the
// offset in bytes, Error(exhausted, "grammar-limit").
Regex parse_regex(RegexSet& set, std::string_view text, std::string_view where,
                  const RegexText& options = {}, const GrammarLimits& limits = {});

}  // namespace sinter
