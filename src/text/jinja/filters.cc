// The list of filters, and those of single values.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/builtin_filters.h"
#include "text/jinja/number.h"
#include "text/jinja/runtime.h"

namespace sinter::jinja {
namespace {

Value filter_abs(Runtime*, const Value& value, const Arguments& arguments) {
  const Parameters given("abs", arguments, {}, 0);
  return absolute(value);
}

Value filter_default(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("default", arguments, {"default_value", "boolean"}, 0);
  if (value.is_undefined() || (given.flag(1, false) && !truth(value))) {
    return given.has(0) ? given[0] : runtime->text("");
  }
  return value;
}

// float(x): nothing where Python raises TypeError or ValueError.
std::optional<double> real_of(const Value& value) {
  if (value.is_undefined()) raise_undefined(value);
  if (value.is_number()) return value.as_real();
  return value.is(Kind::text) ? parse_real(value.bytes()) : std::nullopt;
}

Value filter_float(Runtime*, const Value& value, const Arguments& arguments) {
  const Parameters given("float", arguments, {"default"}, 0);
  if (const std::optional<double> x = real_of(value)) return Value::real(*x);
  return given.has(0) ? given[0] : Value::real(0);
}

Value filter_int(Runtime*, const Value& value, const Arguments& arguments) {
  const Parameters given("int", arguments, {"default", "base"}, 0);
  const Value fallback = given.has(0) ? given[0] : Value::integer(0);
  if (value.is_undefined()) raise_undefined(value);
  if (value.is_integral()) return Value::integer(value.as_integer());
  if (value.is(Kind::real)) {
    return value.as_real() == value.as_real() ? Value::integer(integer_of_real(value.as_real()))
                                              : fallback;
  }
  if (!value.is(Kind::text)) return fallback;
  const bool usable_base = !given.has(1) || given[1].is_integral();
  if (usable_base) {
    const int64_t base = given.integer(1, 10);
    if (base == 0 || (base >= 2 && base <= 36)) {
      if (const auto i = parse_integer(value.bytes(), static_cast<int>(base))) {
        return Value::integer(*i);
      }
    }
  }
  const std::optional<double> x = parse_real(value.bytes());
  if (!x || *x - *x != 0) return fallback;
  return Value::integer(integer_of_real(*x));
}

Value filter_round(Runtime*, const Value& value, const Arguments& arguments) {
  const Parameters given("round", arguments, {"precision", "method"}, 0);
  const std::string_view method =
      given.has(1) ? (given[1].is(Kind::text) ? given[1].bytes() : "?") : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    throw Raised{Raised::Kind::runtime, "method must be common, ceil or floor"};
  }
  const int64_t digits = given.integer(0, 0);
  if (method == "common") return round_number(value, digits);
  return Value::real(ceil_or_floor(value, digits, method == "ceil"));
}

struct NamedFilter {
  std::string_view name;
  Filter filter;
};

constexpr NamedFilter kFilters[] = {
    {"abs", filter_abs},
    {"attr", filter_attr},
    {"batch", filter_batch},
    {"capitalize", filter_capitalize},
    {"center", filter_center},
    {"count", filter_length},
    {"d", filter_default},
    {"default", filter_default},
    {"dictsort", filter_dictsort},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"filesizeformat", filter_filesizeformat},
    {"first", filter_first},
    {"float", filter_float},
    {"forceescape", filter_forceescape},
    {"format", filter_format},
    {"groupby", filter_groupby},
    {"indent", filter_indent},
    {"int", filter_int},
    {"items", filter_items},
    {"join", filter_join},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"lower", filter_lower},
    {"map", filter_map},
    {"max", filter_max},
    {"min", filter_min},
    {"reject", filter_reject},
    {"rejectattr", filter_rejectattr},
    {"replace", filter_replace},
    {"reverse", filter_reverse},
    {"round", filter_round},
    {"safe", filter_safe},
    {"select", filter_select},
    {"selectattr", filter_selectattr},
    {"slice", filter_slice},
    {"sort", filter_sort},
    {"string", filter_string},
    {"sum", filter_sum},
    {"title", filter_title},
    {"tojson", json_text},
    {"trim", filter_trim},
    {"truncate", filter_truncate},
    {"unique", filter_unique},
    {"upper", filter_upper},
    {"urlencode", filter_urlencode},
    {"wordcount", filter_wordcount},
    {"xmlattr", filter_xmlattr},
};

// jinja2 has these; no chat template needs them.
constexpr std::string_view kUnsupportedFilters[] = {"pprint", "random", "striptags", "urlize",
                                                    "wordwrap"};

}  // namespace

Filter find_filter(std::string_view name) {
  const auto* const it = std::find_if(std::begin(kFilters), std::end(kFilters),
                                      [&](const NamedFilter& f) { return f.name == name; });
  return it == std::end(kFilters) ? nullptr : it->filter;
}

bool is_known_unsupported_filter(std::string_view name) {
  return std::find(std::begin(kUnsupportedFilters), std::end(kUnsupportedFilters), name) !=
         std::end(kUnsupportedFilters);
}

}  // namespace sinter::jinja
