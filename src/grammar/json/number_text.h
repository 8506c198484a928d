// Sets of numbers, and the texts that say them. The numbers of a set are exact; of the texts of a
// number a set may leave some out (which is safe: a grammar then says less than it might):
//   - a set of all numbers has all JSON texts: 1, 1.0, 1e0; with exponents up to 99;
//   - a set of all integers has 1 and 1.0;
//   - every other set has texts without exponents: 1, 1.0, 0.00001.
// Digits end somewhere, so that every number fits what reads it and no generation runs on forever:
// 18 before the point (more where a bound has more), 30 behind it.
#pragma once

#include <optional>
#include <vector>

#include "grammar/json/decimal.h"
#include "grammar/regex.h"

namespace sinter {

struct NumberBound {
  Decimal value;
  bool exclusive = false;
  friend bool operator==(const NumberBound&, const NumberBound&) = default;
};

struct NumberSet {
  bool integers = true;   // has them, if they are not excluded by what follows
  bool fractions = true;  // has what is not an integer
  std::optional<NumberBound> low, high;
  std::vector<Decimal> multiples_of, no_multiples_of;
  std::optional<std::vector<Decimal>> only;  // these, where what stands above has them
  std::vector<Decimal> except;

  void intersect(const NumberSet& other);
  bool has(const Decimal& value) const;
  bool is_unbounded() const;  // integers and fractions alone decide
  // No member at all; false where that takes more than a look.
  bool is_empty() const;
  // The members, if they were listed or are few integers in bounds.
  std::optional<std::vector<Decimal>> members() const;
  friend bool operator==(const NumberSet&, const NumberSet&) = default;
};

// `strict_integers`: 1.0 is no integer (draft 4). Throws Error(unsupported, "grammar-unsupported")
// where a step has too large an odd part for an automaton.
Regex number_texts(RegexSet& set, const NumberSet& numbers, bool strict_integers);

}  // namespace sinter
