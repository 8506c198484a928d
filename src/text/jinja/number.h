// Python's numbers: arithmetic, reading and printing. Integers are 64 bits wide; where Python would
// grow, this refuses (Raised unsupported) rather than round.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace sinter::jinja {

std::string repr_of_real(double value);  // the shortest digits that read back, in Python's layout

// int(text, base) and float(text): nothing where Python raises ValueError.
std::optional<int64_t> parse_integer(std::string_view text, int base);
std::optional<double> parse_real(std::string_view text);

Order compare_numbers(const Value& a, const Value& b);  // exact, also integer against real
int64_t integer_of_real(double value);                  // int(x): towards zero; Raised on inf, nan

// `symbol` is + - * / // % or **; strings, lists and tuples as in Python.
Value arithmetic(std::string_view symbol, const Value& a, const Value& b, Meter* meter);
Value negate(const Value& value);
Value absolute(const Value& value);
Value round_number(const Value& value, int64_t digits);  // round(), half to even
double ceil_or_floor(const Value& value, int64_t digits, bool up);

int64_t checked_add(int64_t a, int64_t b);
int64_t checked_multiply(int64_t a, int64_t b);

}  // namespace sinter::jinja
