// Exact decimal numbers: what the digits of a JSON number say, with no binary rounding. A number
// that the JSON library holds as a double counts as its shortest decimal text (0.1 is one tenth).
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "base/json.h"

namespace sinter {

class Decimal {
 public:
  Decimal() = default;  // 0
  // Precondition: number.is_number().
  static Decimal of(const Json& number);
  // Precondition: the syntax of a JSON number, an exponent of at most six digits.
  static Decimal parse(std::string_view text);

  bool negative() const { return negative_; }
  bool is_zero() const { return digits_.empty(); }
  bool is_integer() const { return exponent_ >= 0; }
  // Its absolute value is digits() * 10^exponent(); no zeros lead or trail, and 0 has no digits.
  const std::string& digits() const { return digits_; }
  int exponent() const { return exponent_; }
  std::string whole_digits() const;     // before the point: "0", or no leading zero
  std::string fraction_digits() const;  // behind it, without trailing zeros: "" for integers
  Decimal magnitude() const;

  friend bool operator==(const Decimal&, const Decimal&) = default;
  friend std::strong_ordering operator<=>(const Decimal& a, const Decimal& b);

 private:
  bool negative_ = false;
  std::string digits_;
  int exponent_ = 0;
};

// Whether value / step is an integer. Precondition: step is not 0 and has at most 36 digits.
bool is_multiple(const Decimal& value, const Decimal& step);

}  // namespace sinter
