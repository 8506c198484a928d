// |tojson as Hugging Face defines it: Python's json.dumps, keys in order, nothing escaped for HTML.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja/number.h"
#include "text/jinja/runtime.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {
namespace {

struct Style {
  bool ascii = false;
  bool sort_keys = false;
  bool pretty = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

std::string quoted(std::string_view text, bool ascii) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const size_t start = i;
    const char32_t c = decode(text, &i);
    static constexpr std::string_view kFrom = "\"\\\n\r\t\f\b";
    static constexpr std::string_view kTo = "\"\\nrtfb";
    const size_t k = c < 0x80 ? kFrom.find(static_cast<char>(c)) : std::string_view::npos;
    if (k != std::string_view::npos) {
      out += '\\';
      out += kTo[k];
    } else if (c < 0x20 || (ascii && c > 0x7e && c < 0x10000)) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else if (ascii && c >= 0x10000) {
      const auto rest = static_cast<uint32_t>(c) - 0x10000;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    } else {
      out.append(text.substr(start, i - start));
    }
  }
  return out + "\"";
}

std::string real_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return repr_of_real(value);
}

class JsonWriter {
 public:
  JsonWriter(const Style& style, Meter* meter) : style_(style), out_(meter) {}

  void write(const Value& value, int level) {
    out_.meter()->step();
    switch (value.kind()) {
      case Kind::none:
        out_.add("null");
        return;
      case Kind::boolean:
        out_.add(value.as_integer() != 0 ? "true" : "false");
        return;
      case Kind::integer:
        out_.add(std::to_string(value.as_integer()));
        return;
      case Kind::real:
        out_.add(real_text(value.as_real()));
        return;
      case Kind::text:
        text(value.bytes());
        return;
      case Kind::list:
      case Kind::tuple:
        sequence(value.items(), level);
        return;
      case Kind::dict:
        dict(value.as_dict(), level);
        return;
      default:
        raise_type(fmt::format("Object of type {} is not JSON serializable", type_name(value)));
    }
  }

  std::string take() { return out_.take(); }

 private:
  void text(std::string_view text) {
    out_.meter()->reserve(static_cast<int64_t>(text.size()));
    out_.add(quoted(text, style_.ascii));
  }

  void line_break(int level) {
    if (!style_.pretty) return;
    out_.add("\n");
    out_.repeat(style_.indent, level);
  }

  void sequence(const std::vector<Value>& items, int level) {
    if (items.empty()) {
      out_.add("[]");
      return;
    }
    out_.add("[");
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.add(style_.item_separator);
      line_break(level + 1);
      write(items[i], level + 1);
    }
    line_break(level);
    out_.add("]");
  }

  void dict(const Dict& dict, int level) {
    if (dict.entries().empty()) {
      out_.add("{}");
      return;
    }
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        return less(a->first, b->first, out_.meter());
      });
    }
    out_.add("{");
    bool first = true;
    for (const auto* entry : entries) {
      if (!first) out_.add(style_.item_separator);
      first = false;
      line_break(level + 1);
      text(key(entry->first));
      out_.add(style_.key_separator);
      write(entry->second, level + 1);
    }
    line_break(level);
    out_.add("}");
  }

  static std::string key(const Value& key) {
    switch (key.kind()) {
      case Kind::text:
        return std::string(key.bytes());
      case Kind::none:
        return "null";
      case Kind::boolean:
        return key.as_integer() != 0 ? "true" : "false";
      case Kind::integer:
        return std::to_string(key.as_integer());
      case Kind::real:
        return real_text(key.as_real());
      default:
        raise_type(
            fmt::format("keys must be str, int, float, bool or None, not {}", type_name(key)));
    }
  }

  const Style& style_;
  Writer out_;
};

}  // namespace

Value json_text(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"},
                         0);
  Style style;
  style.ascii = given.flag(0, false);
  style.sort_keys = given.flag(3, false);
  if (given.has(1) && !given[1].is(Kind::none)) {
    style.pretty = true;
    style.item_separator.assign(1, ',');
    if (given[1].is(Kind::text)) {
      style.indent = given[1].bytes();
    } else {
      Writer spaces(runtime->meter());
      spaces.repeat(" ", given.integer(1, 0));
      style.indent = spaces.take();
    }
  }
  if (given.has(2) && !given[2].is(Kind::none)) {
    const std::vector<Value> two = to_vector(given[2], runtime->meter());
    if (two.size() != 2) raise_value("separators must be two strings");
    if (!two[0].is(Kind::text) || !two[1].is(Kind::text)) raise_type("separators must be strings");
    style.item_separator = two[0].bytes();
    style.key_separator = two[1].bytes();
  }
  JsonWriter writer(style, runtime->meter());
  writer.write(value, 0);
  return runtime->text(writer.take());
}

}  // namespace sinter::jinja
