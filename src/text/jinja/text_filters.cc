#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/builtin_filters.h"
#include "text/jinja/format.h"
#include "text/jinja/markup.h"
#include "text/jinja/number.h"
#include "text/jinja/string_methods.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {
namespace {

// The filter that is the string method of the same name, after str().
Value by_method(Runtime* runtime, std::string_view method, const Value& value,
                const Arguments& arguments) {
  Function::Body body = nullptr;
  find_string_method(method, &body);
  return body(runtime, to_soft_str(value, runtime->meter()), arguments);
}

Value no_arguments(Runtime* runtime, std::string_view method, const Value& value,
                   const Arguments& arguments) {
  const Parameters given(method, arguments, {}, 0);
  return by_method(runtime, method, value, {});
}

std::string quote_url(std::string_view text, bool for_query) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x80 && std::isalnum(byte) != 0) || c == '_' || c == '.' || c == '-' || c == '~' ||
        (c == '/' && !for_query)) {
      out += c;
    } else if (c == ' ' && for_query) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

}  // namespace

Value filter_upper(Runtime* runtime, const Value& value, const Arguments& arguments) {
  return no_arguments(runtime, "upper", value, arguments);
}
Value filter_lower(Runtime* runtime, const Value& value, const Arguments& arguments) {
  return no_arguments(runtime, "lower", value, arguments);
}
Value filter_capitalize(Runtime* runtime, const Value& value, const Arguments& arguments) {
  return no_arguments(runtime, "capitalize", value, arguments);
}

Value filter_center(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("center", arguments, {"width"}, 0);
  return by_method(runtime, "center", value,
                   {.positional = {Value::integer(given.integer(0, 80))}, .named = {}});
}

Value filter_trim(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("trim", arguments, {"chars"}, 0);
  Arguments passed;
  if (given.has(0)) passed.positional.push_back(given[0]);
  return by_method(runtime, "strip", value, passed);
}

Value filter_string(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("string", arguments, {}, 0);
  return to_soft_str(value, runtime->meter());
}

Value filter_safe(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("safe", arguments, {}, 0);
  const Value text = to_soft_str(value, runtime->meter());
  return Value::text(runtime->meter(), std::string(text.bytes()), true);
}

Value filter_escape(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("escape", arguments, {}, 0);
  return escape(value, runtime->meter());
}

Value filter_forceescape(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("forceescape", arguments, {}, 0);
  return escape(to_str(value, runtime->meter()), runtime->meter());
}

Value filter_format(Runtime* runtime, const Value& value, const Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    throw Raised{Raised::Kind::runtime,
                 "can't handle positional and keyword arguments at the same time"};
  }
  Value passed = Value::tuple(runtime->meter(), arguments.positional);
  if (!arguments.named.empty()) {
    std::vector<std::pair<Value, Value>> entries;
    for (const auto& [name, v] : arguments.named) entries.emplace_back(runtime->text(name), v);
    passed = Value::dict(make_dict(runtime->meter(), entries));
  }
  return format_percent(to_soft_str(value, runtime->meter()), passed, runtime->meter());
}

Value filter_replace(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("replace", arguments, {"old", "new", "count"}, 2);
  Meter* meter = runtime->meter();
  const int64_t count = given.has(2) && !given[2].is(Kind::none) ? given.integer(2, -1) : -1;
  const Value text = to_str(value, meter);
  const Value from = to_str(given[0], meter);
  const Value to = to_str(given[1], meter);
  return runtime->text(replace_all(text.bytes(), from.bytes(), to.bytes(), count, meter));
}

Value filter_title(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("title", arguments, {}, 0);
  const Value text = to_soft_str(value, runtime->meter());
  runtime->meter()->step(static_cast<int64_t>(text.bytes().size() / 16));
  const auto separates = [](char32_t c) {
    return c == '-' || is_space(c) || c == '(' || c == '{' || c == '[' || c == '<';
  };
  Writer out(runtime->meter());
  const std::string_view all = text.bytes();
  for (size_t i = 0; i < all.size();) {  // runs of separators alternate with words
    const size_t start = i;
    const bool separator = separates(decode(all, &i));
    const size_t second = i;
    while (i < all.size()) {
      size_t next = i;
      if (separates(decode(all, &next)) != separator) break;
      i = next;
    }
    out.add(to_upper(all.substr(start, second - start)));
    out.add(to_lower(all.substr(second, i - second)));
  }
  return runtime->text(out.take());
}

Value filter_indent(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("indent", arguments, {"width", "first", "blank"}, 0);
  if (value.is_undefined()) raise_undefined(value);
  if (!value.is(Kind::text)) raise_type(fmt::format("expected str, found {}", type_name(value)));
  Writer indention(runtime->meter());
  if (given.has(0) && given[0].is(Kind::text)) {
    indention.add(given[0].bytes());
  } else {
    indention.repeat(" ", given.integer(0, 4));
  }
  const bool blank = given.flag(2, false);
  const std::string text = std::string(value.bytes()) + "\n";
  runtime->meter()->step(static_cast<int64_t>(text.size() / 16));
  const std::vector<std::string_view> lines = split_lines(text, false);
  Writer out(runtime->meter());
  if (given.flag(1, false)) out.add(indention.text());
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) {
      out.add("\n");
      if (blank || !lines[i].empty()) out.add(indention.text());
    }
    out.add(lines[i]);
  }
  return Value::text(runtime->meter(), out.take(), value.as_text().markup);
}

Value filter_truncate(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("truncate", arguments, {"length", "killwords", "end", "leeway"}, 0);
  const int64_t most = given.integer(0, 255);
  const Value end = given.has(2) ? given[2] : runtime->text("...");
  const int64_t leeway = given.has(3) && !given[3].is(Kind::none) ? given.integer(3, 5) : 5;
  const int64_t end_length = length_or_raise(end);
  if (most < end_length || leeway < 0) {
    throw Raised{Raised::Kind::runtime,
                 fmt::format("AssertionError: expected length >= {}, got {}", end_length, most)};
  }
  if (length_or_raise(value) <= checked_add(most, leeway)) return value;
  if (!value.is(Kind::text) || !end.is(Kind::text)) raise_type("truncate needs text");
  std::string_view kept = value.bytes().substr(0, byte_offset(value.bytes(), most - end_length));
  if (!given.flag(1, false)) kept = kept.substr(0, kept.rfind(' '));
  const Value text = Value::text(runtime->meter(), std::string(kept), value.as_text().markup);
  return arithmetic("+", text, end, runtime->meter());
}

Value filter_wordcount(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("wordcount", arguments, {}, 0);
  const Value text = to_soft_str(value, runtime->meter());
  runtime->meter()->step(static_cast<int64_t>(text.bytes().size() / 16));
  int64_t n = 0;
  bool inside = false;
  for (size_t i = 0; i < text.bytes().size();) {
    const bool word = is_word(decode(text.bytes(), &i));
    n += word && !inside ? 1 : 0;
    inside = word;
  }
  return Value::integer(n);
}

Value filter_urlencode(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("urlencode", arguments, {}, 0);
  Meter* meter = runtime->meter();
  const auto cursor = value.is(Kind::text) ? nullptr : iterate(value, meter);
  Writer out(meter);
  if (!cursor) {
    out.add(quote_url(to_str(value, meter).bytes(), false));
    return runtime->text(out.take());
  }
  const auto pair = [&](const Value& name, const Value& v) {
    if (!out.text().empty()) out.add("&");
    out.add(quote_url(to_str(name, meter).bytes(), true));
    out.add("=");
    out.add(quote_url(to_str(v, meter).bytes(), true));
  };
  if (value.is(Kind::dict)) {
    for (const auto& [name, v] : value.as_dict().entries()) pair(name, v);
    return runtime->text(out.take());
  }
  for (Value item; cursor->next(&item);) {
    const std::vector<Value> two = to_vector(item, meter);
    if (two.size() != 2) raise_value("urlencode needs pairs");
    pair(two[0], two[1]);
  }
  return runtime->text(out.take());
}

Value filter_xmlattr(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("xmlattr", arguments, {"autospace"}, 0);
  if (value.is_undefined()) raise_undefined(value);
  if (!value.is(Kind::dict)) raise_type("xmlattr needs a dict");
  Meter* meter = runtime->meter();
  Writer out(meter);
  for (const auto& [key, v] : value.as_dict().entries()) {
    if (v.is(Kind::none) || v.is_undefined()) continue;
    if (!key.is(Kind::text)) raise_type("expected string or bytes-like object");
    if (key.bytes().find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      raise_value(fmt::format("Invalid character in attribute name: {}", quote(key.bytes())));
    }
    if (!out.text().empty() || given.flag(0, true)) out.add(" ");
    out.add(escape(key, meter).bytes());
    out.add("=\"");
    out.add(escape(v, meter).bytes());
    out.add("\"");
  }
  return runtime->text(out.take());
}

Value filter_filesizeformat(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("filesizeformat", arguments, {"binary"}, 0);
  const bool binary = given.flag(0, false);
  double bytes = 0;
  if (value.is_undefined()) raise_undefined(value);
  if (value.is(Kind::text)) {
    const std::optional<double> x = parse_real(value.bytes());
    if (!x) raise_value("could not convert string to float");
    bytes = *x;
  } else if (value.is_number()) {
    bytes = value.as_real();
  } else {
    raise_type(fmt::format("float() argument must not be '{}'", type_name(value)));
  }
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return runtime->text("1 Byte");
  if (bytes < base) return runtime->text(fmt::format("{} Bytes", integer_of_real(bytes)));
  static constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base * base;
  for (size_t i = 0; i < kPrefixes.size(); ++i, unit *= base) {
    if (bytes < unit || i + 1 == kPrefixes.size()) {
      const char prefix = binary && i == 0 ? 'K' : kPrefixes[i];
      return runtime->text(
          fmt::format("{:.1f} {}{}B", base * bytes / unit, prefix, binary ? "i" : ""));
    }
  }
  return Value::none();
}

}  // namespace sinter::jinja
