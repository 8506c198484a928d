#include "grammar/json/decimal.h"

#include <charconv>

namespace sinter {

Decimal Decimal::of(const Json& number) { return parse(number.dump()); }

Decimal Decimal::parse(std::string_view text) {
  Decimal d;
  if (!text.empty() && text[0] == '-') d.negative_ = true, text.remove_prefix(1);
  if (const size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view power = text.substr(e + 1);
    if (!power.empty() && power[0] == '+') power.remove_prefix(1);
    std::from_chars(power.data(), power.data() + power.size(), d.exponent_);
    text = text.substr(0, e);
  }
  for (size_t i = 0, point = text.find('.'); i < text.size(); ++i) {
    if (text[i] == '.') continue;
    d.digits_ += text[i];
    if (i > point) --d.exponent_;
  }
  d.digits_.erase(0, std::min(d.digits_.find_first_not_of('0'), d.digits_.size()));
  while (!d.digits_.empty() && d.digits_.back() == '0') d.digits_.pop_back(), ++d.exponent_;
  if (d.digits_.empty()) d = Decimal();
  return d;
}

std::string Decimal::whole_digits() const {
  if (exponent_ >= 0) {
    return digits_.empty() ? "0" : digits_ + std::string(static_cast<size_t>(exponent_), '0');
  }
  const auto n_behind = static_cast<size_t>(-exponent_);
  return n_behind >= digits_.size() ? "0" : digits_.substr(0, digits_.size() - n_behind);
}

std::string Decimal::fraction_digits() const {
  if (exponent_ >= 0) return "";
  const auto n_behind = static_cast<size_t>(-exponent_);
  if (n_behind > digits_.size()) return std::string(n_behind - digits_.size(), '0') + digits_;
  return digits_.substr(digits_.size() - n_behind);
}

Decimal Decimal::magnitude() const {
  Decimal d = *this;
  d.negative_ = false;
  return d;
}

std::strong_ordering operator<=>(const Decimal& a, const Decimal& b) {
  if (a.negative_ != b.negative_) return b.negative_ <=> a.negative_;
  const Decimal& x = a.negative_ ? b : a;  // of two negative ones the larger magnitude is less
  const Decimal& y = a.negative_ ? a : b;
  if (x.is_zero() || y.is_zero()) return x.digits_.size() <=> y.digits_.size();
  const auto top = [](const Decimal& d) {
    return static_cast<int>(d.digits_.size()) + d.exponent_;
  };
  if (top(x) != top(y)) return top(x) <=> top(y);
  return x.digits_.compare(y.digits_) <=> 0;  // no zeros trail: a longer one is larger
}

bool is_multiple(const Decimal& value, const Decimal& step) {
  if (value.is_zero()) return true;
  // No zeros trail in the digits, so a step with a higher power of ten cannot divide.
  if (step.exponent() > value.exponent()) return false;
  unsigned __int128 divisor = 0;
  for (const char digit : step.digits())
    divisor = divisor * 10 + static_cast<unsigned>(digit - '0');
  unsigned __int128 rest = 0;
  const auto feed = [&](char digit) {
    rest = (rest * 10 + static_cast<unsigned>(digit - '0')) % divisor;
  };
  for (const char digit : value.digits()) feed(digit);
  for (int i = step.exponent(); i < value.exponent(); ++i) feed('0');
  return rest == 0;
}

}  // namespace sinter
