// ECMA-262 regular expressions as PCRE2 runs them; the validator's, unlike the grammar's own.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace sinter {

class EcmaPattern {
 public:
  // Throws Error(bad_input, "schema-invalid").
  EcmaPattern(std::string_view source, std::string_view where);
  // Whether it is somewhere in the text. Throws Error(exhausted, "grammar-limit") where matching
  // takes unreasonably long.
  bool finds(std::string_view text) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace sinter
