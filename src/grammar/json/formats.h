// The values of `format` that a grammar enforces, as regular expressions over the characters of
// the string.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "grammar/regex.h"

namespace sinter {

struct FormatWords {
  Regex words;   // all of the format; where it is no regular language, a few are missing
  Regex others;  // none of the format; with the same proviso
};

// nullopt: a name that is not among format_names().
std::optional<FormatWords> format_words(RegexSet& set, std::string_view name);
std::vector<std::string_view> format_names();
// Formats that JSON Schema defines and no regular expression comes near to.
bool is_irregular_format(std::string_view name);

}  // namespace sinter
