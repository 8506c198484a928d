#include "text/jinja/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "text/jinja/format.h"
#include "text/jinja/markup.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {
namespace {

[[noreturn]] void too_wide() {
  throw Raised{Raised::Kind::unsupported, "an integer beyond 64 bits is not supported"};
}

[[noreturn]] void cannot(std::string_view symbol, const Value& a, const Value& b) {
  if (a.is_undefined()) raise_undefined(a);
  if (b.is_undefined()) raise_undefined(b);
  raise_type(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", symbol, type_name(a),
                         type_name(b)));
}

[[noreturn]] void zero_division() {
  throw Raised{Raised::Kind::runtime, "ZeroDivisionError: division by zero"};
}

int64_t integer_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0) result = checked_multiply(result, base);
    exponent >>= 1;
    if (exponent > 0) {
      if (base == 0 || base == 1) return exponent > 0 ? result * base : result;
      base = checked_multiply(base, base);
    }
  }
  return result;
}

Value real_power(double a, double b) {
  if (a == 0 && b < 0) {
    throw Raised{Raised::Kind::runtime,
                 "ZeroDivisionError: 0.0 cannot be raised to a negative power"};
  }
  if (a < 0 && std::floor(b) != b && std::isfinite(b)) {
    throw Raised{Raised::Kind::unsupported, "complex numbers are not supported"};
  }
  const double r = std::pow(a, b);
  if (std::isinf(r) && std::isfinite(a) && std::isfinite(b)) {
    throw Raised{Raised::Kind::runtime, "OverflowError: numerical result out of range"};
  }
  return Value::real(r);
}

double real_modulo(double a, double b) {
  double m = std::fmod(a, b);
  if (m != 0) {
    if ((b < 0) != (m < 0)) m += b;
  } else {
    m = std::copysign(0.0, b);
  }
  return m;
}

double real_floor_divide(double a, double b) {
  const double m = std::fmod(a, b);
  double d = (a - m) / b;
  if (m != 0 && (b < 0) != (m < 0)) d -= 1;
  if (d == 0) return std::copysign(0.0, a / b);
  const double f = std::floor(d);
  return d - f > 0.5 ? f + 1 : f;
}

Value integer_arithmetic(std::string_view symbol, int64_t a, int64_t b) {
  int64_t r = 0;
  if (symbol == "+") return Value::integer(checked_add(a, b));
  if (symbol == "-") {
    if (__builtin_sub_overflow(a, b, &r)) too_wide();
    return Value::integer(r);
  }
  if (symbol == "*") return Value::integer(checked_multiply(a, b));
  if (symbol == "**") {
    if (b < 0) return real_power(static_cast<double>(a), static_cast<double>(b));
    return Value::integer(integer_power(a, b));
  }
  if (b == 0) zero_division();
  if (symbol == "/") {
    // The quotient correctly rounded, as Python's: 64-bit mantissas, then one rounding to double,
    // which is exact whenever both operands fit in 53 bits.
    constexpr int64_t kExact = int64_t{1} << 53;
    if (std::abs(static_cast<double>(a)) <= kExact && std::abs(static_cast<double>(b)) <= kExact) {
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    }
    return Value::real(
        static_cast<double>(static_cast<long double>(a) / static_cast<long double>(b)));
  }
  if (b == -1) return symbol == "%" ? Value::integer(0) : negate(Value::integer(a));
  int64_t quotient = a / b;
  int64_t remainder = a % b;
  if (remainder != 0 && (remainder < 0) != (b < 0)) {
    --quotient;
    remainder += b;
  }
  return Value::integer(symbol == "%" ? remainder : quotient);
}

Value real_arithmetic(std::string_view symbol, double a, double b) {
  if (symbol == "+") return Value::real(a + b);
  if (symbol == "-") return Value::real(a - b);
  if (symbol == "*") return Value::real(a * b);
  if (symbol == "**") return real_power(a, b);
  if (b == 0) zero_division();
  if (symbol == "/") return Value::real(a / b);
  if (symbol == "%") return Value::real(real_modulo(a, b));
  return Value::real(real_floor_divide(a, b));
}

Value add_sequences(const Value& a, const Value& b, Meter* meter) {
  std::vector<Value> items;
  const size_t n = a.items().size() + b.items().size();
  meter->reserve(static_cast<int64_t>(n * sizeof(Value)));
  items.reserve(n);
  items.insert(items.end(), a.items().begin(), a.items().end());
  items.insert(items.end(), b.items().begin(), b.items().end());
  return a.is(Kind::list) ? Value::list(meter, std::move(items))
                          : Value::tuple(meter, std::move(items));
}

Value repeat(const Value& value, int64_t times, Meter* meter) {
  if (value.is(Kind::text)) {
    Writer out(meter);
    out.repeat(value.bytes(), times);
    return Value::text(meter, out.take(), value.as_text().markup);
  }
  std::vector<Value> items;
  const auto& source = value.items();
  if (times > 0 && !source.empty()) {
    const int64_t most = (int64_t{1} << 40) / static_cast<int64_t>(source.size());
    meter->reserve(std::min(times, most) * static_cast<int64_t>(source.size() * sizeof(Value)));
    for (int64_t i = 0; i < times; ++i) items.insert(items.end(), source.begin(), source.end());
    meter->step(static_cast<int64_t>(items.size()));
  }
  return value.is(Kind::list) ? Value::list(meter, std::move(items))
                              : Value::tuple(meter, std::move(items));
}

bool is_repeatable(const Value& v) { return v.is(Kind::text) || v.is_sequence(); }

// Python allows one underscore between digits.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto alnum = [&](size_t k) {
      return k < text.size() && std::isalnum(static_cast<unsigned char>(text[k])) != 0;
    };
    if (i == 0 || !alnum(i - 1) || !alnum(i + 1)) return std::nullopt;
  }
  return out;
}

}  // namespace

int64_t checked_add(int64_t a, int64_t b) {
  int64_t r = 0;
  if (__builtin_add_overflow(a, b, &r)) too_wide();
  return r;
}

int64_t checked_multiply(int64_t a, int64_t b) {
  int64_t r = 0;
  if (__builtin_mul_overflow(a, b, &r)) too_wide();
  return r;
}

std::string repr_of_real(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<size_t>(end.ptr - buffer.data()));
  const size_t e = text.find('e');
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  int exponent = 0;
  const std::string_view tail = text.substr(e + 1);
  std::from_chars(tail.data() + (tail.front() == '+' ? 1 : 0), tail.data() + tail.size(), exponent);
  const std::string sign = text.front() == '-' ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    const std::string fraction =
        digits.size() > 1 ? fmt::format(".{}", digits.substr(1)) : std::string();
    return fmt::format("{}{}{}e{}{:02}", sign, digits[0], fraction, exponent < 0 ? '-' : '+',
                       std::abs(exponent));
  }
  if (exponent < 0) {
    return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  }
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::optional<int64_t> parse_integer(std::string_view text, int base) {
  if (base != 0 && (base < 2 || base > 36)) raise_value("int() base must be >= 2 and <= 36, or 0");
  text = strip_spaces(text, true, true);
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.size() >= 2 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    const int prefix_base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (prefix_base != 0 && (base == 0 || base == prefix_base)) {
      text.remove_prefix(2);
      if (!text.empty() && text[0] == '_') text.remove_prefix(1);
      base = prefix_base;
    } else if (base == 0) {
      base = text.find_first_not_of("0_") == std::string_view::npos ? 10 : -1;
    }
  }
  if (base < 0) return std::nullopt;
  if (base == 0) base = 10;
  const std::optional<std::string> digits = without_underscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  const std::string signed_digits = (negative ? "-" : "") + *digits;
  int64_t value = 0;
  const char* last = signed_digits.data() + signed_digits.size();
  if ((*digits)[0] == '-' || (*digits)[0] == '+') return std::nullopt;
  const auto [end, error] = std::from_chars(signed_digits.data(), last, value, base);
  if (end != last || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) too_wide();
  return value;
}

std::optional<double> parse_real(std::string_view text) {
  text = strip_spaces(text, true, true);
  const std::optional<std::string> plain = without_underscores(text);
  if (!plain || plain->empty()) return std::nullopt;
  std::string lower = to_lower(*plain);
  const bool negative = lower[0] == '-';
  if (lower[0] == '-' || lower[0] == '+') lower.erase(0, 1);
  const double sign = negative ? -1 : 1;
  if (lower == "inf" || lower == "infinity") return sign * HUGE_VAL;
  if (lower == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (lower.find_first_not_of("0123456789.e+-") != std::string::npos) return std::nullopt;
  if (lower.empty() || lower[0] == '-' || lower[0] == '+') return std::nullopt;
  double value = 0;
  const char* last = lower.data() + lower.size();
  const auto [end, error] = std::from_chars(lower.data(), last, value);
  if (end != last || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) {  // 1e999 is inf, 1e-999 is 0
    value = std::strtod(lower.c_str(), nullptr);
  }
  return sign * value;
}

Order compare_numbers(const Value& a, const Value& b) {
  const auto from = [](auto x, auto y) {
    return x < y ? Order::less : x > y ? Order::greater : x == y ? Order::equal : Order::none;
  };
  if (a.is_integral() && b.is_integral()) return from(a.as_integer(), b.as_integer());
  const auto wide = [](const Value& v) {
    return v.is_integral() ? static_cast<long double>(v.as_integer())
                           : static_cast<long double>(v.as_real());
  };
  return from(wide(a), wide(b));
}

int64_t integer_of_real(double value) {
  if (std::isnan(value)) raise_value("cannot convert float NaN to integer");
  if (std::isinf(value)) {
    throw Raised{Raised::Kind::runtime, "OverflowError: cannot convert float infinity to integer"};
  }
  if (value >= 9223372036854775808.0 || value < -9223372036854775808.0) too_wide();
  return static_cast<int64_t>(value);
}

Value arithmetic(std::string_view symbol, const Value& a, const Value& b, Meter* meter) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) {
      return integer_arithmetic(symbol, a.as_integer(), b.as_integer());
    }
    return real_arithmetic(symbol, a.as_real(), b.as_real());
  }
  if (symbol == "+") {
    if (a.is(Kind::text) && b.is(Kind::text)) {
      const bool markup = a.as_text().markup || b.as_text().markup;
      Writer out(meter);
      out.add(markup ? escape(a, meter).bytes() : a.bytes());
      out.add(markup ? escape(b, meter).bytes() : b.bytes());
      return Value::text(meter, out.take(), markup);
    }
    if (a.is_sequence() && a.kind() == b.kind()) return add_sequences(a, b, meter);
    if (a.is(Kind::text) && !b.is_undefined()) {
      raise_type(fmt::format("can only concatenate str (not \"{}\") to str", type_name(b)));
    }
  } else if (symbol == "*") {
    if (is_repeatable(a) && b.is_integral()) return repeat(a, b.as_integer(), meter);
    if (is_repeatable(b) && a.is_integral()) return repeat(b, a.as_integer(), meter);
  } else if (symbol == "%" && a.is(Kind::text)) {
    return format_percent(a, b, meter);
  }
  cannot(symbol, a, b);
}

Value negate(const Value& value) {
  if (value.is_integral()) {
    if (value.as_integer() == INT64_MIN) too_wide();
    return Value::integer(-value.as_integer());
  }
  if (value.is(Kind::real)) return Value::real(-value.as_real());
  if (value.is_undefined()) raise_undefined(value);
  raise_type(fmt::format("bad operand type for unary -: '{}'", type_name(value)));
}

Value absolute(const Value& value) {
  if (value.is_integral()) {
    return value.as_integer() < 0 ? negate(value) : Value::integer(value.as_integer());
  }
  if (value.is(Kind::real)) return Value::real(std::fabs(value.as_real()));
  if (value.is_undefined()) raise_undefined(value);
  raise_type(fmt::format("bad operand type for abs(): '{}'", type_name(value)));
}

Value round_number(const Value& value, int64_t digits) {
  if (value.is_integral()) {
    const int64_t n = value.as_integer();
    if (digits >= 0) return Value::integer(n);
    if (digits < -18) return Value::integer(0);
    int64_t unit = 1;
    for (int64_t i = digits; i < 0; ++i) unit *= 10;
    const Value rest = integer_arithmetic("%", n, unit);
    int64_t down = n - rest.as_integer();
    const int64_t twice = rest.as_integer() - (unit - rest.as_integer());
    if (twice > 0 || (twice == 0 && (down / unit) % 2 != 0)) down = checked_add(down, unit);
    return Value::integer(down);
  }
  if (!value.is(Kind::real)) {
    if (value.is_undefined()) raise_undefined(value);
    raise_type(fmt::format("type {} doesn't define __round__ method", type_name(value)));
  }
  const double x = value.as_real();
  if (!std::isfinite(x) || digits > 323) return value;
  if (digits < -308) return Value::real(std::copysign(0.0, x));
  if (digits >= 0) {  // printf rounds the exact binary value, half to even, as round() does
    const std::string text = fmt::format("{:.{}f}", x, static_cast<int>(digits));
    return Value::real(std::strtod(text.c_str(), nullptr));
  }
  const double unit = std::pow(10.0, static_cast<double>(-digits));
  return Value::real(std::nearbyint(x / unit) * unit);
}

double ceil_or_floor(const Value& value, int64_t digits, bool up) {
  if (value.is_undefined()) raise_undefined(value);
  if (!value.is_number()) raise_type(fmt::format("must be real number, not {}", type_name(value)));
  const double unit = std::pow(10.0, static_cast<double>(digits));
  const double scaled = value.as_real() * unit;
  if (!std::isfinite(scaled)) integer_of_real(scaled);
  return (up ? std::ceil(scaled) : std::floor(scaled)) / unit;
}

}  // namespace sinter::jinja
