#include "text/jinja/string_methods.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/format.h"
#include "text/jinja/markup.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {
namespace {

// A result that stays markup when the receiver is.
Value like(Runtime* runtime, const Value& self, std::string text) {
  return Value::text(runtime->meter(), std::move(text), self.as_text().markup);
}

void no_names(const Arguments& arguments) {
  if (!arguments.named.empty()) raise_type("the method takes no keyword arguments");
}

// The bytes of a string argument; escaped when the receiver is markup, as Markup's methods do.
Value text_argument(Runtime* runtime, const Value& self, const Value& argument) {
  if (argument.is_undefined()) raise_undefined(argument);
  if (!argument.is(Kind::text)) {
    raise_type(fmt::format("expected str, found {}", type_name(argument)));
  }
  return self.as_text().markup ? escape(argument, runtime->meter()) : argument;
}

std::string_view plain_argument(const Value& argument) {
  if (argument.is_undefined()) raise_undefined(argument);
  if (!argument.is(Kind::text)) {
    raise_type(fmt::format("expected str, found {}", type_name(argument)));
  }
  return argument.bytes();
}

template <std::string (*mapping)(std::string_view)>
Value mapped(Runtime* runtime, const Value& self, const Arguments& arguments) {
  const Parameters given("str method", arguments, {}, 0);
  runtime->meter()->reserve(static_cast<int64_t>(self.bytes().size()) * 8);
  runtime->meter()->step(static_cast<int64_t>(self.bytes().size() / 16));
  return like(runtime, self, mapping(self.bytes()));
}

template <bool left, bool right>
Value stripped(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names(arguments);
  const Parameters given("strip", arguments, {"chars"}, 0);
  runtime->meter()->work_on(self.bytes().size());
  if (!given.has(0) || given[0].is(Kind::none)) {
    return like(runtime, self, std::string(strip_spaces(self.bytes(), left, right)));
  }
  const Value set = text_argument(runtime, self, given[0]);
  return like(runtime, self, std::string(strip_characters(self.bytes(), set.bytes(), left, right)));
}

// ---- searching

// The part of the text that [start, stop) selects, in bytes; false when start lies beyond the end.
bool window(const Value& self, const Parameters& given, size_t start_index, size_t* first,
            size_t* last) {
  const int64_t n = self.as_text().length;
  const auto bound = [&](size_t i, int64_t fallback) {
    if (!given.has(i) || given[i].is(Kind::none)) return fallback;
    const int64_t b = given.integer(i, fallback);
    return b < 0 ? std::max<int64_t>(std::max(b, -n - 1) + n, 0) : b;
  };
  const int64_t start = bound(start_index, 0);
  const int64_t stop = std::min(bound(start_index + 1, n), n);
  if (start > n || start > stop) return false;
  *first = byte_offset(self.bytes(), start);
  *last = *first + byte_offset(self.bytes().substr(*first), stop - start);
  return true;
}

int64_t find_in(Runtime* runtime, const Value& self, const Arguments& arguments, bool backwards) {
  no_names(arguments);
  const Parameters given("find", arguments, {"sub", "start", "end"}, 1);
  const std::string_view wanted = plain_argument(given[0]);
  size_t first = 0;
  size_t last = 0;
  runtime->meter()->work_on(self.bytes().size() * 4);
  if (!window(self, given, 1, &first, &last)) return -1;
  const std::string_view part = self.bytes().substr(first, last - first);
  const size_t at = backwards ? part.rfind(wanted) : part.find(wanted);
  if (at == std::string_view::npos) return -1;
  return count_code_points(self.bytes().substr(0, first + at));
}

template <bool backwards>
Value find(Runtime* runtime, const Value& self, const Arguments& arguments) {
  return Value::integer(find_in(runtime, self, arguments, backwards));
}

template <bool backwards>
Value index(Runtime* runtime, const Value& self, const Arguments& arguments) {
  const int64_t at = find_in(runtime, self, arguments, backwards);
  if (at < 0) raise_value("substring not found");
  return Value::integer(at);
}

Value count(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names(arguments);
  const Parameters given("count", arguments, {"sub", "start", "end"}, 1);
  const std::string_view wanted = plain_argument(given[0]);
  size_t first = 0;
  size_t last = 0;
  runtime->meter()->work_on(self.bytes().size() * 4);
  if (!window(self, given, 1, &first, &last)) return Value::integer(0);
  std::string_view part = self.bytes().substr(first, last - first);
  if (wanted.empty()) return Value::integer(count_code_points(part) + 1);
  int64_t n = 0;
  for (size_t at = part.find(wanted); at != std::string_view::npos; at = part.find(wanted)) {
    ++n;
    part.remove_prefix(at + wanted.size());
  }
  return Value::integer(n);
}

template <bool at_end>
Value has_affix(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names(arguments);
  const Parameters given(at_end ? "endswith" : "startswith", arguments, {"affix", "start", "end"},
                         1);
  size_t first = 0;
  size_t last = 0;
  const bool inside = window(self, given, 1, &first, &last);
  const std::string_view part =
      inside ? self.bytes().substr(first, last - first) : std::string_view();
  const auto matches = [&](const Value& affix) {
    const std::string_view a = plain_argument(affix);
    return inside && (at_end ? part.ends_with(a) : part.starts_with(a));
  };
  runtime->meter()->step();
  if (given[0].is(Kind::tuple)) {
    const auto& affixes = given[0].items();
    return Value::boolean(std::any_of(affixes.begin(), affixes.end(), matches));
  }
  return Value::boolean(matches(given[0]));
}

// ---- cutting

Value list_of(Runtime* runtime, const Value& self, const std::vector<std::string_view>& parts) {
  std::vector<Value> out;
  for (const std::string_view part : parts) {
    runtime->meter()->step();
    out.push_back(like(runtime, self, std::string(part)));
  }
  return Value::list(runtime->meter(), std::move(out));
}

std::vector<std::string_view> split_on_spaces(std::string_view text, int64_t most, bool backwards) {
  std::vector<std::string_view> parts;
  text = strip_spaces(text, !backwards, backwards);
  while (!text.empty()) {
    if (most >= 0 && static_cast<int64_t>(parts.size()) >= most) {
      parts.push_back(text);  // trimmed only on the side the cuts come from
      return parts;
    }
    if (!backwards) {
      size_t end = 0;
      for (size_t next = 0; next < text.size(); end = next) {
        if (is_space(decode(text, &next))) break;
      }
      parts.push_back(text.substr(0, end));
      text = strip_spaces(text.substr(end), true, false);
    } else {
      size_t start = text.size();
      while (start > 0) {
        size_t previous = start - 1;
        while (previous > 0 && (text[previous] & 0xc0) == 0x80) --previous;
        size_t position = previous;
        if (is_space(decode(text, &position))) break;
        start = previous;
      }
      parts.push_back(text.substr(start));
      text = strip_spaces(text.substr(0, start), false, true);
    }
  }
  return parts;
}

template <bool backwards>
Value split(Runtime* runtime, const Value& self, const Arguments& arguments) {
  const Parameters given("split", arguments, {"sep", "maxsplit"}, 0);
  const int64_t most = given.integer(1, -1);
  std::string_view text = self.bytes();
  runtime->meter()->work_on(text.size() * 4);
  runtime->meter()->reserve(static_cast<int64_t>(text.size()) * 8);
  std::vector<std::string_view> parts;
  if (!given.has(0) || given[0].is(Kind::none)) {
    parts = split_on_spaces(text, most, backwards);
  } else {
    const std::string_view separator = plain_argument(given[0]);
    if (separator.empty()) raise_value("empty separator");
    while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
      const size_t at = backwards ? text.rfind(separator) : text.find(separator);
      if (at == std::string_view::npos) break;
      if (backwards) {
        parts.push_back(text.substr(at + separator.size()));
        text = text.substr(0, at);
      } else {
        parts.push_back(text.substr(0, at));
        text.remove_prefix(at + separator.size());
      }
    }
    parts.push_back(text);
  }
  if (backwards) std::reverse(parts.begin(), parts.end());
  return list_of(runtime, self, parts);
}

Value splitlines(Runtime* runtime, const Value& self, const Arguments& arguments) {
  const Parameters given("splitlines", arguments, {"keepends"}, 0);
  runtime->meter()->step(static_cast<int64_t>(self.bytes().size() / 16));
  return list_of(runtime, self, split_lines(self.bytes(), given.flag(0, false)));
}

template <bool backwards>
Value partition(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names(arguments);
  const Parameters given("partition", arguments, {"sep"}, 1);
  const Value separator = text_argument(runtime, self, given[0]);
  const std::string_view text = self.bytes();
  const std::string_view mark = separator.bytes();
  if (mark.empty()) raise_value("empty separator");
  runtime->meter()->work_on(text.size() * 4);
  const size_t at = backwards ? text.rfind(mark) : text.find(mark);
  std::string_view parts[3] = {text, "", ""};
  if (at != std::string_view::npos) {
    parts[0] = text.substr(0, at);
    parts[1] = mark;
    parts[2] = text.substr(at + mark.size());
  } else if (backwards) {
    std::swap(parts[0], parts[2]);
  }
  std::vector<Value> out;
  for (const std::string_view part : parts) out.push_back(like(runtime, self, std::string(part)));
  return Value::tuple(runtime->meter(), std::move(out));
}

template <bool at_end>
Value remove_affix(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names(arguments);
  const Parameters given("removeprefix", arguments, {"affix"}, 1);
  const std::string_view affix = plain_argument(given[0]);
  std::string_view text = self.bytes();
  if (!affix.empty() && (at_end ? text.ends_with(affix) : text.starts_with(affix))) {
    text = at_end ? text.substr(0, text.size() - affix.size()) : text.substr(affix.size());
  }
  return like(runtime, self, std::string(text));
}

// ---- joining and padding

Value join(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names(arguments);
  const Parameters given("join", arguments, {"iterable"}, 1);
  const auto cursor = iterate_or_raise(given[0], runtime->meter());
  const bool markup = self.as_text().markup;
  Writer out(runtime->meter());
  bool first = true;
  for (Value item; cursor->next(&item); first = false) {
    runtime->meter()->step();
    if (!first) out.add(self.bytes());
    if (markup) {
      out.add(escape(item, runtime->meter()).bytes());
      continue;
    }
    if (!item.is(Kind::text)) {
      raise_type(fmt::format("sequence item: expected str instance, {} found", type_name(item)));
    }
    out.add(item.bytes());
  }
  return like(runtime, self, out.take());
}

enum class Side { left, right, both };

template <Side side>
Value justified(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names(arguments);
  const Parameters given("center", arguments, {"width", "fillchar"}, 1);
  const int64_t width = given.integer(0, 0);
  Value fill = given.has(1) ? given[1] : runtime->text(" ");
  fill = text_argument(runtime, self, fill);
  if (fill.as_text().length != 1) {
    raise_type("The fill character must be exactly one character long");
  }
  const int64_t room = std::max<int64_t>(width - self.as_text().length, 0);
  // str.center() puts the odd one left when the width is odd.
  const int64_t before = side == Side::right  ? room
                         : side == Side::both ? room / 2 + (room & width & 1)
                                              : 0;
  Writer out(runtime->meter());
  out.repeat(fill.bytes(), before);
  out.add(self.bytes());
  out.repeat(fill.bytes(), room - before);
  return like(runtime, self, out.take());
}

Value zfill(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names(arguments);
  const Parameters given("zfill", arguments, {"width"}, 1);
  std::string_view text = self.bytes();
  Writer out(runtime->meter());
  const int64_t room = given.integer(0, 0) - self.as_text().length;
  if (!text.empty() && (text[0] == '-' || text[0] == '+') && room > 0) {
    out.add(text.substr(0, 1));
    text.remove_prefix(1);
  }
  out.repeat("0", room);
  out.add(text);
  return like(runtime, self, out.take());
}

Value expandtabs(Runtime* runtime, const Value& self, const Arguments& arguments) {
  const Parameters given("expandtabs", arguments, {"tabsize"}, 0);
  const int64_t size = given.integer(0, 8);
  Writer out(runtime->meter());
  int64_t column = 0;
  const std::string_view text = self.bytes();
  for (size_t i = 0; i < text.size();) {
    const size_t start = i;
    const char32_t c = decode(text, &i);
    if (c == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      out.repeat(" ", spaces);
      column += spaces;
      continue;
    }
    out.add(text.substr(start, i - start));
    column = c == '\n' || c == '\r' ? 0 : column + 1;
  }
  return like(runtime, self, out.take());
}

Value replace(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names(arguments);
  const Parameters given("replace", arguments, {"old", "new", "count"}, 2);
  const Value from = text_argument(runtime, self, given[0]);
  const Value to = text_argument(runtime, self, given[1]);
  return like(
      runtime, self,
      replace_all(self.bytes(), from.bytes(), to.bytes(), given.integer(2, -1), runtime->meter()));
}

// ---- questions

template <bool (*holds)(char32_t), bool when_empty>
Value all_are(Runtime* runtime, const Value& self, const Arguments& arguments) {
  const Parameters given("str method", arguments, {}, 0);
  const std::string_view text = self.bytes();
  runtime->meter()->step(static_cast<int64_t>(text.size() / 16));
  for (size_t i = 0; i < text.size();) {
    if (!holds(decode(text, &i))) return Value::boolean(false);
  }
  return Value::boolean(!text.empty() || when_empty);
}

bool is_ascii(char32_t c) { return c < 0x80; }
bool is_alphanumeric(char32_t c) {
  return is_alpha(c) || is_decimal(c) || is_digit(c) || is_numeric(c);
}

// Every cased character satisfies `good`, and there is one.
template <bool (*good)(char32_t), bool (*bad)(char32_t)>
Value cased(Runtime* runtime, const Value& self, const Arguments& arguments) {
  const Parameters given("str method", arguments, {}, 0);
  const std::string_view text = self.bytes();
  runtime->meter()->step(static_cast<int64_t>(text.size() / 16));
  bool any = false;
  for (size_t i = 0; i < text.size();) {
    const char32_t c = decode(text, &i);
    if (bad(c) || is_title(c)) return Value::boolean(false);
    any |= good(c);
  }
  return Value::boolean(any);
}

Value istitle(Runtime*, const Value& self, const Arguments& arguments) {
  const Parameters given("istitle", arguments, {}, 0);
  const std::string_view text = self.bytes();
  bool any = false;
  bool after_cased = false;
  for (size_t i = 0; i < text.size();) {
    const char32_t c = decode(text, &i);
    const bool starts = is_upper(c) || is_title(c);
    if (starts ? after_cased : is_lower(c) && !after_cased) return Value::boolean(false);
    after_cased = starts || is_lower(c);
    any |= after_cased;
  }
  return Value::boolean(any);
}

Value isidentifier(Runtime*, const Value& self, const Arguments& arguments) {
  const Parameters given("isidentifier", arguments, {}, 0);
  return Value::boolean(is_identifier(self.bytes()));
}

// ---- str.format()

Value field(Runtime* runtime, std::string_view name, const std::vector<Value>& positional,
            const std::function<const Value*(std::string_view)>& named) {
  const size_t end = std::min(name.find_first_of(".["), name.size());
  const std::string_view first = name.substr(0, end);
  name.remove_prefix(end);
  const auto number = [](std::string_view s) -> int64_t {
    if (s.empty() || s.size() > 9) return -1;
    int64_t n = 0;
    for (const char c : s) {
      if (c < '0' || c > '9') return -1;
      n = n * 10 + (c - '0');
    }
    return n;
  };
  Value value;
  if (const int64_t i = number(first); i >= 0) {
    if (i >= static_cast<int64_t>(positional.size())) {
      throw Raised{Raised::Kind::lookup, "IndexError: Replacement index out of range"};
    }
    value = positional[static_cast<size_t>(i)];
  } else {
    const Value* found = named(first);
    if (found == nullptr)
      throw Raised{Raised::Kind::lookup, fmt::format("KeyError: {}", quote(first))};
    value = *found;
  }
  while (!name.empty()) {
    if (name[0] == '.') {
      const size_t stop = std::min(name.find_first_of(".[", 1), name.size());
      if (stop == 1) raise_value("Empty attribute in format string");
      value = runtime->attribute(value, name.substr(1, stop - 1));
      name.remove_prefix(stop);
      continue;
    }
    const size_t close = name.find(']');
    if (name[0] != '[' || close == std::string_view::npos) {
      raise_value("Missing ']' in format string");
    }
    const std::string_view key = name.substr(1, close - 1);
    if (key.empty()) raise_value("Empty attribute in format string");
    const int64_t i = number(key);
    value = runtime->item(value, i >= 0 ? Value::integer(i) : runtime->text(std::string(key)));
    name.remove_prefix(close + 1);
    if (!name.empty() && name[0] != '.' && name[0] != '[') {
      raise_value("Only '.' or '[' may follow ']' in format field specifier");
    }
  }
  return value;
}

Value format_with(Runtime* runtime, const Value& self, const std::vector<Value>& positional,
                  const std::function<const Value*(std::string_view)>& named) {
  if (self.as_text().markup) {
    throw Raised{Raised::Kind::unsupported, "format() of markup is not supported"};
  }
  return runtime->text(format_braces(
      self.bytes(), [&](std::string_view name) { return field(runtime, name, positional, named); },
      runtime->meter()));
}

Value format(Runtime* runtime, const Value& self, const Arguments& arguments) {
  return format_with(runtime, self, arguments.positional,
                     [&](std::string_view name) -> const Value* {
                       for (const auto& [key, value] : arguments.named) {
                         if (key == name) return &value;
                       }
                       return nullptr;
                     });
}

Value format_map(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names(arguments);
  const Parameters given("format_map", arguments, {"mapping"}, 1);
  if (!given[0].is(Kind::dict)) raise_type("format_map() needs a dict");
  return format_with(runtime, self, {},
                     [&](std::string_view name) { return given[0].as_dict().find(name); });
}

struct StringMethod {
  std::string_view name;
  Function::Body body;
};

constexpr StringMethod kStringMethods[] = {
    {"capitalize", mapped<capitalize>},
    {"casefold", mapped<fold_case>},
    {"center", justified<Side::both>},
    {"count", count},
    {"encode", nullptr},
    {"endswith", has_affix<true>},
    {"expandtabs", expandtabs},
    {"find", find<false>},
    {"format", format},
    {"format_map", format_map},
    {"index", index<false>},
    {"isalnum", all_are<is_alphanumeric, false>},
    {"isalpha", all_are<is_alpha, false>},
    {"isascii", all_are<is_ascii, true>},
    {"isdecimal", all_are<is_decimal, false>},
    {"isdigit", all_are<is_digit, false>},
    {"isidentifier", isidentifier},
    {"islower", cased<is_lower, is_upper>},
    {"isnumeric", all_are<is_numeric, false>},
    {"isprintable", all_are<is_printable, true>},
    {"isspace", all_are<is_space, false>},
    {"istitle", istitle},
    {"isupper", cased<is_upper, is_lower>},
    {"join", join},
    {"ljust", justified<Side::left>},
    {"lower", mapped<to_lower>},
    {"lstrip", stripped<true, false>},
    {"maketrans", nullptr},
    {"partition", partition<false>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"replace", replace},
    {"rfind", find<true>},
    {"rindex", index<true>},
    {"rjust", justified<Side::right>},
    {"rpartition", partition<true>},
    {"rsplit", split<true>},
    {"rstrip", stripped<false, true>},
    {"split", split<false>},
    {"splitlines", splitlines},
    {"startswith", has_affix<false>},
    {"strip", stripped<true, true>},
    {"swapcase", mapped<swap_case>},
    {"title", mapped<to_title>},
    {"translate", nullptr},
    {"upper", mapped<to_upper>},
    {"zfill", zfill},
};

}  // namespace

bool find_string_method(std::string_view name, Function::Body* body) {
  const auto* const it = std::find_if(std::begin(kStringMethods), std::end(kStringMethods),
                                      [&](const StringMethod& m) { return m.name == name; });
  if (it == std::end(kStringMethods)) return false;
  *body = it->body;
  return true;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to,
                        int64_t count, Meter* meter) {
  Writer out(meter);
  meter->work_on(text.size() * 4);
  if (from.empty()) {  // before every character, and at the end
    size_t i = 0;
    while (count != 0) {
      meter->step();
      out.add(to);
      --count;
      if (i >= text.size()) return out.take();
      const size_t start = i;
      decode(text, &i);
      out.add(text.substr(start, i - start));
    }
    out.add(text.substr(i));
    return out.take();
  }
  for (; count != 0; --count) {
    const size_t at = text.find(from);
    if (at == std::string_view::npos) break;
    meter->step();
    out.add(text.substr(0, at));
    out.add(to);
    text.remove_prefix(at + from.size());
  }
  out.add(text);
  return out.take();
}

}  // namespace sinter::jinja
