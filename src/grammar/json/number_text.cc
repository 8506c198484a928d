#include "grammar/json/number_text.h"

#include <algorithm>
#include <map>

namespace sinter {

void NumberSet::intersect(const NumberSet& other) {
  integers &= other.integers;
  fractions &= other.fractions;
  const auto tighten = [](std::optional<NumberBound>& mine,
                          const std::optional<NumberBound>& theirs, bool upper) {
    if (!theirs) return;
    const bool tighter =
        !mine || (upper ? theirs->value < mine->value : theirs->value > mine->value);
    if (tighter) {
      mine = theirs;
    } else if (mine->value == theirs->value) {
      mine->exclusive |= theirs->exclusive;
    }
  };
  tighten(low, other.low, false);
  tighten(high, other.high, true);
  const auto append = [](std::vector<Decimal>& mine, const std::vector<Decimal>& theirs) {
    for (const Decimal& value : theirs) {
      if (std::find(mine.begin(), mine.end(), value) == mine.end()) mine.push_back(value);
    }
  };
  append(multiples_of, other.multiples_of);
  append(no_multiples_of, other.no_multiples_of);
  append(except, other.except);
  if (!other.only) return;
  if (only) {
    std::erase_if(*only, [&](const Decimal& value) {
      return std::find(other.only->begin(), other.only->end(), value) == other.only->end();
    });
  } else {
    only = other.only;
  }
}

bool NumberSet::has(const Decimal& value) const {
  if (!(value.is_integer() ? integers : fractions)) return false;
  if (low && (low->exclusive ? value <= low->value : value < low->value)) return false;
  if (high && (high->exclusive ? value >= high->value : value > high->value)) return false;
  const auto divides = [&](const Decimal& step) { return is_multiple(value, step); };
  const auto is_value = [&](const Decimal& other) { return other == value; };
  return std::all_of(multiples_of.begin(), multiples_of.end(), divides) &&
         std::none_of(no_multiples_of.begin(), no_multiples_of.end(), divides) &&
         (!only || std::any_of(only->begin(), only->end(), is_value)) &&
         std::none_of(except.begin(), except.end(), is_value);
}

bool NumberSet::is_unbounded() const {
  return !low && !high && multiples_of.empty() && no_multiples_of.empty() && !only &&
         except.empty();
}

bool NumberSet::is_empty() const {
  if (!integers && !fractions) return true;
  if (const auto few = members()) return few->empty();
  return low && high &&
         (low->value > high->value ||
          (low->value == high->value && (low->exclusive || high->exclusive)));
}

std::optional<std::vector<Decimal>> NumberSet::members() const {
  constexpr int kFew = 64;
  std::vector<Decimal> found;
  if (only) {
    for (const Decimal& value : *only) {
      if (has(value)) found.push_back(value);
    }
    return found;
  }
  if (fractions || !low || !high) return std::nullopt;
  if (low->value > high->value) return found;
  const auto floor_of = [](const NumberBound& bound) -> std::optional<int64_t> {
    const std::string digits = bound.value.whole_digits();
    if (digits.size() > 15) return std::nullopt;
    const int64_t whole = std::stoll(digits);
    return bound.value.negative() ? -whole - 1 : whole;
  };
  const auto first = floor_of(*low), last = floor_of(*high);
  if (!first || !last || *last - *first > kFew) return std::nullopt;
  for (int64_t i = *first; i <= *last + 1; ++i) {
    const Decimal value = Decimal::parse(std::to_string(i));
    if (has(value)) found.push_back(value);
  }
  return found;
}

namespace {

// Regular expressions for texts of numbers without exponents. A magnitude is a text without its
// sign; "-0" is a way to say 0.
class Texts {
 public:
  Texts(RegexSet& set, bool integers_only, bool strict)
      : r_(set), integers_only_(integers_only), strict_(strict) {}

  Regex digit(int first = 0, int last = 9) {
    if (first > last) return r_.nothing();
    return r_.bytes(
        ByteSet::range(static_cast<uint8_t>('0' + first), static_cast<uint8_t>('0' + last)));
  }
  Regex digits(uint32_t min, uint32_t max) { return r_.repeat(digit(), min, max); }
  // Behind a first digit, or behind the point.
  Regex more_digits(uint32_t min) { return digits(min, std::max(min, kMoreWhole)); }
  Regex digits_behind(uint32_t min) { return digits(min, kMaxBehind); }
  Regex whole() { return r_.either(digit(0, 0), r_.concat(digit(1, 9), more_digits(0))); }
  Regex minus(Regex magnitude) { return r_.concat(r_.byte('-'), magnitude); }
  Regex signed_(Regex magnitude) { return r_.concat(r_.optional(r_.byte('-')), magnitude); }
  // Behind an integer: nothing, or only zeros.
  Regex zeros() {
    if (integers_only_) return strict_ ? r_.empty() : r_.optional(r_.literal(".0"));
    return r_.optional(r_.concat(r_.byte('.'), r_.plus(digit(0, 0))));
  }
  Regex any_fraction() {
    return integers_only_ ? zeros() : r_.optional(r_.concat(r_.byte('.'), digits_behind(1)));
  }
  Regex positive_fraction() {  // its digits, some of them not 0
    return r_.both(digits_behind(1),
                   r_.concat({{digits(0, kUnbounded), digit(1, 9), digits(0, kUnbounded)}}));
  }

  Regex integer() { return signed_(r_.concat(whole(), zeros())); }
  Regex plain() { return signed_(r_.concat(whole(), any_fraction())); }
  Regex fraction() {
    const Regex behind = strict_ ? digits_behind(1) : positive_fraction();
    return signed_(r_.concat({{whole(), r_.byte('.'), behind}}));
  }

  Regex equal(const Decimal& value) {
    const std::string behind = value.fraction_digits();
    const Regex tail =
        behind.empty() ? zeros() : r_.concat({{r_.literal("." + behind), r_.star(digit(0, 0))}});
    const Regex text = r_.concat(r_.literal(value.whole_digits()), tail);
    if (value.is_zero()) return signed_(text);
    return value.negative() ? minus(text) : text;
  }

  Regex at_least(const NumberBound& bound) {
    if (!bound.value.negative()) return magnitude_from(bound.value, bound.exclusive);
    return r_.either(r_.concat(whole(), any_fraction()),
                     minus(magnitude_to(bound.value, bound.exclusive)));
  }
  Regex at_most(const NumberBound& bound) {
    if (bound.value.negative()) return minus(magnitude_from(bound.value, bound.exclusive));
    const bool below_zero = bound.value.is_zero() && bound.exclusive;
    return r_.either(minus(magnitude_from(Decimal(), below_zero)),
                     magnitude_to(bound.value, bound.exclusive));
  }

  // The multiples of step: with N the digits of the number and as many behind the point as the
  // step has, N is divisible by M = 2^a 5^b c. The last max(a,b) digits decide about 2^a 5^b, all
  // digits about c.
  Regex multiple_of(const Decimal& step) {
    constexpr uint64_t kLargest = 100'000, kLargestOdd = 30;
    n_behind_ = step.exponent() < 0 ? -step.exponent() : 0;
    uint64_t m = 0;
    const std::string scaled = n_behind_ > 0 ? step.digits() : step.whole_digits();
    if (scaled.size() <= 15) m = std::stoull(scaled);
    if (m == 0 || n_behind_ > 30) too_hard();
    n_last_ = 0, modulus_ = 1;
    int twos = 0, fives = 0;
    for (; m % 2 == 0; m /= 2) ++twos, modulus_ *= 2;
    for (; m % 5 == 0; m /= 5) ++fives, modulus_ *= 5;
    n_last_ = std::max(twos, fives);
    if (modulus_ > kLargest || m > kLargestOdd) too_hard();
    tails_.clear();
    std::vector<Regex> choices;
    const int n_whole = std::max(0, n_last_ - n_behind_);  // digits before the point that matter
    if (n_whole == 0) {
      choices.push_back(r_.concat(whole(), behind_point(0)));
    } else {
      const int top = n_whole + n_behind_;
      for (int length = 1; length <= n_whole; ++length) {
        choices.push_back(before_point(length + n_behind_, 0, length > 1 ? 1 : 0));
      }
      choices.push_back(r_.concat({{digit(1, 9), more_digits(0), before_point(top, 0, 0)}}));
    }
    const Regex last = r_.either(choices);
    return signed_(m == 1 ? last : r_.both(last, divisible(static_cast<int>(m))));
  }

 private:
  static constexpr uint32_t kMoreWhole = 17, kMaxBehind = 30;

  [[noreturn]] void too_hard() {
    fail(Fault::unsupported, "grammar-unsupported",
         "multiples of a number with so large a factor prime to 10 take too large an automaton");
  }

  // Digits that say more (less) than the digits from `at` on, as many as these.
  Regex greater(const std::string& than, size_t at) {
    if (at == than.size()) return r_.nothing();
    const int d = than[at] - '0';
    const auto n_left = static_cast<uint32_t>(than.size() - at - 1);
    return r_.either(r_.concat(digit(d + 1, 9), digits(n_left, n_left)),
                     r_.concat(digit(d, d), greater(than, at + 1)));
  }
  Regex less(const std::string& than, size_t at) {
    if (at == than.size()) return r_.nothing();
    const int d = than[at] - '0';
    const auto n_left = static_cast<uint32_t>(than.size() - at - 1);
    const int least = at == 0 && than.size() > 1 ? 1 : 0;
    return r_.either(r_.concat(digit(least, d - 1), digits(n_left, n_left)),
                     r_.concat(digit(d, d), less(than, at + 1)));
  }
  // The same behind the point, where texts may be longer (or shorter) than the bound.
  Regex greater_behind(const std::string& than, size_t at, bool exclusive) {
    if (at == than.size()) return exclusive ? positive_fraction() : digits_behind(0);
    const int d = than[at] - '0';
    return r_.either(r_.concat(digit(d + 1, 9), digits_behind(0)),
                     r_.concat(digit(d, d), greater_behind(than, at + 1, exclusive)));
  }
  Regex less_behind(const std::string& than, size_t at, bool exclusive) {
    if (at == than.size()) return exclusive ? r_.nothing() : r_.star(digit(0, 0));
    const int d = than[at] - '0';
    const Regex more = r_.either(r_.concat(digit(0, d - 1), digits_behind(0)),
                                 r_.concat(digit(d, d), less_behind(than, at + 1, exclusive)));
    return at == 0 ? more : r_.optional(more);
  }

  Regex magnitude_from(const Decimal& bound, bool exclusive) {
    const std::string front = bound.whole_digits(), behind = bound.fraction_digits();
    const auto n = static_cast<uint32_t>(front.size());
    Regex tail = r_.nothing();
    if (behind.empty() && !exclusive) {
      tail = any_fraction();
    } else if (!integers_only_) {
      tail = r_.concat(r_.byte('.'), greater_behind(behind, 0, exclusive));
    }
    return r_.either(
        {{r_.concat({{digit(1, 9), more_digits(n), any_fraction()}}),
          r_.concat(greater(front, 0), any_fraction()), r_.concat(r_.literal(front), tail)}});
  }
  Regex magnitude_to(const Decimal& bound, bool exclusive) {
    const std::string front = bound.whole_digits(), behind = bound.fraction_digits();
    const auto n = static_cast<uint32_t>(front.size());
    Regex tail = r_.nothing();
    if (behind.empty()) {
      if (!exclusive) tail = zeros();
    } else {
      tail = zeros();
      if (!integers_only_) {
        tail = r_.optional(r_.concat(r_.byte('.'), less_behind(behind, 0, exclusive)));
      }
    }
    Regex shorter = r_.nothing();
    if (n > 1) shorter = r_.either(digit(0, 0), r_.concat(digit(1, 9), digits(0, n - 2)));
    return r_.either(
        {{r_.concat(shorter, any_fraction()), r_.concat(less(front, 0), any_fraction()),
          r_.concat(r_.literal(front), tail)}});
  }

  uint64_t power_of_ten(int exponent) const {
    uint64_t power = 1 % modulus_;
    for (int i = 0; i < exponent; ++i) power = power * 10 % modulus_;
    return power;
  }
  // What is left of the residue after the digit at the place of 10^exponent.
  uint64_t after(uint64_t residue, int d, int exponent) const {
    const uint64_t part = static_cast<uint64_t>(d) * power_of_ten(exponent) % modulus_;
    return (residue + modulus_ - part) % modulus_;
  }
  // n_left digits of N are to come, of which n_behind_ behind the point; they must leave `residue`.
  Regex before_point(int n_left, uint64_t residue, int least) {
    if (n_left == n_behind_) return behind_point(residue);
    const auto key = std::tuple(n_left, residue, least);
    if (const auto found = tails_.find(key); found != tails_.end()) return found->second;
    std::vector<Regex> choices;
    for (int d = least; d <= 9; ++d) {
      choices.push_back(
          r_.concat(digit(d, d), before_point(n_left - 1, after(residue, d, n_left - 1), 0)));
    }
    return tails_[key] = r_.either(choices);
  }
  Regex behind_point(uint64_t residue) {
    if (n_behind_ == 0) return residue == 0 ? zeros() : r_.nothing();
    return r_.either(residue == 0 ? r_.empty() : r_.nothing(),
                     r_.concat(r_.byte('.'), fraction_tail(n_behind_, residue)));
  }
  Regex fraction_tail(int n_left, uint64_t residue) {
    if (n_left == 0) return residue == 0 ? r_.star(digit(0, 0)) : r_.nothing();
    const auto key = std::tuple(n_left, residue, -1);
    if (const auto found = tails_.find(key); found != tails_.end()) return found->second;
    std::vector<Regex> choices;
    for (int d = 0; d <= 9; ++d) {
      choices.push_back(
          r_.concat(digit(d, d), fraction_tail(n_left - 1, after(residue, d, n_left - 1))));
    }
    // Zeros to come may as well stay away.
    if (n_left < n_behind_ && residue == 0) choices.push_back(r_.empty());
    return tails_[key] = r_.either(choices);
  }

  // Digit strings, with a point anywhere, divisible by m (prime to 10, so that zeros at the end
  // change nothing): states are residues, and are eliminated one by one (Kleene).
  Regex divisible(int m) {
    const auto n = static_cast<size_t>(m);
    std::vector<std::vector<Regex>> path(n, std::vector<Regex>(n, r_.nothing()));
    for (int from = 0; from < m; ++from) {
      for (int d = 0; d <= 9; ++d) {
        Regex& edge = path[static_cast<size_t>(from)][static_cast<size_t>((from * 10 + d) % m)];
        edge = r_.either(edge, r_.concat(digit(d, d), r_.optional(r_.byte('.'))));
      }
    }
    for (size_t gone = n; gone-- > 1;) {
      const Regex loop = r_.star(path[gone][gone]);
      for (size_t from = 0; from < gone; ++from) {
        for (size_t to = 0; to < gone; ++to) {
          path[from][to] =
              r_.either(path[from][to], r_.concat({{path[from][gone], loop, path[gone][to]}}));
        }
      }
    }
    return r_.star(path[0][0]);
  }

  RegexSet& r_;
  bool integers_only_, strict_;
  int n_behind_ = 0, n_last_ = 0;
  uint64_t modulus_ = 1;
  std::map<std::tuple<int, uint64_t, int>, Regex> tails_;
};

}  // namespace

Regex number_texts(RegexSet& r, const NumberSet& numbers, bool strict_integers) {
  if (!numbers.integers && !numbers.fractions) return r.nothing();
  const bool integers_only = !numbers.fractions;
  Texts texts(r, integers_only, strict_integers);
  if (numbers.only) {
    std::vector<Regex> choices;
    for (const Decimal& value : *numbers.only) {
      if (numbers.has(value)) choices.push_back(Texts(r, true, strict_integers).equal(value));
    }
    return r.either(choices);
  }
  if (numbers.is_unbounded() && !integers_only && numbers.integers) {
    const Regex sign = r.optional(r.bytes(ByteSet::of('+') | ByteSet::of('-')));
    const Regex power =
        r.concat({{r.bytes(ByteSet::of('e') | ByteSet::of('E')), sign, texts.digits(1, 2)}});
    return r.concat(texts.plain(), r.optional(power));
  }
  std::vector<Regex> all;
  if (numbers.low) all.push_back(texts.at_least(*numbers.low));
  if (numbers.high) all.push_back(texts.at_most(*numbers.high));
  for (const Decimal& step : numbers.multiples_of) all.push_back(texts.multiple_of(step));
  for (const Decimal& step : numbers.no_multiples_of) {
    all.push_back(r.complement(Texts(r, false, strict_integers).multiple_of(step)));
  }
  for (const Decimal& value : numbers.except) {
    all.push_back(r.complement(Texts(r, false, strict_integers).equal(value)));
  }
  // Only complements and steps may say more than the integers (the fractions) asked for.
  const bool bounded = all.size() == size_t{numbers.low.has_value()} + numbers.high.has_value();
  if (!numbers.integers) {
    all.push_back(texts.fraction());
  } else if (!bounded || all.empty()) {
    all.push_back(integers_only ? texts.integer() : texts.plain());
  }
  return r.both(all);
}

}  // namespace sinter
