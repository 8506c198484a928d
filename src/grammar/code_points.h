// A set of Unicode code points, as sorted ranges. Surrogates are never in it: no UTF-8 says them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/unicode_class.h"

namespace sinter {

class CodePointSet {
 public:
  CodePointSet() = default;
  static CodePointSet all();
  static CodePointSet of(char32_t first, char32_t last);
  static CodePointSet categories(CategorySet categories);  // \p{..}
  static CodePointSet digits(bool unicode);                // \d
  static CodePointSet white_space(bool ecma);  // \s: ECMA-262's, or Unicode's White_Space
  static CodePointSet word(bool unicode);      // \w

  void insert(char32_t first, char32_t last);  // last < first: nothing
  void insert(std::span<const CodeRange> ranges);
  void insert(const CodePointSet& other) { insert(other.ranges()); }
  CodePointSet complement() const;
  CodePointSet intersection(const CodePointSet& other) const;
  // With every character whose simple lower or upper case is that of a member.
  CodePointSet ignoring_case() const;
  bool has(char32_t code) const;
  std::span<const CodeRange> ranges() const { return ranges_; }

 private:
  void normalize();
  std::vector<CodeRange> ranges_;  // sorted, apart from each other
};

}  // namespace sinter
