#include "text/jinja/format.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdio>

#include "text/jinja/markup.h"
#include "text/jinja/number.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {

Value escape(const Value& value, Meter* meter) {
  if (value.is(Kind::text) && value.as_text().markup) return value;
  const Value plain = to_str(value, meter);
  Writer out(meter);
  std::string_view text = plain.bytes();
  while (!text.empty()) {
    const size_t at = text.find_first_of("&<>'\"");
    out.add(text.substr(0, at));
    if (at == std::string_view::npos) break;
    const char c = text[at];
    out.add(c == '&'   ? "&amp;"
            : c == '<' ? "&lt;"
            : c == '>' ? "&gt;"
            : c == '"' ? "&#34;"
                       : "&#39;");
    text.remove_prefix(at + 1);
  }
  return Value::text(meter, out.take(), true);
}

namespace {

constexpr int64_t kMaxPrecision = 1000;  // of a number; Python's is larger, no template's is

std::string ascii_repr(std::string_view repr) {
  std::string out;
  for (size_t i = 0; i < repr.size();) {
    const char32_t c = decode(repr, &i);
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      const auto code = static_cast<uint32_t>(c);
      out += c < 0x100     ? fmt::format("\\x{:02x}", code)
             : c < 0x10000 ? fmt::format("\\u{:04x}", code)
                           : fmt::format("\\U{:08x}", code);
    }
  }
  return out;
}

std::string converted(const Value& value, char conversion, Meter* meter) {
  Writer out(meter);
  if (conversion == 's') {
    write_str(value, &out);
    return out.take();
  }
  write_repr(value, &out);
  return conversion == 'a' ? ascii_repr(out.text()) : out.take();
}

// What stands between % or : and the type.
struct Spec {
  std::string fill = " ";
  char align = 0;  // < > ^ =, or 0 for the type's own
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  char grouping = 0;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};

std::string digits_of(uint64_t magnitude, char type) {
  switch (type) {
    case 'x':
      return fmt::format("{:x}", magnitude);
    case 'X':
      return fmt::format("{:X}", magnitude);
    case 'o':
      return fmt::format("{:o}", magnitude);
    case 'b':
      return fmt::format("{:b}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

std::string grouped(const std::string& digits, char separator, size_t size) {
  if (separator == 0) return digits;
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % size == 0) out += separator;
    out += digits[i];
  }
  return out;
}

void pad(Writer* out, const Spec& spec, std::string_view prefix, std::string_view body,
         char default_align) {
  const int64_t room = spec.width - count_code_points(prefix) - count_code_points(body);
  const char align = spec.align != 0 ? spec.align : default_align;
  const int64_t before = align == '>' ? room : align == '^' ? room / 2 : 0;
  if (room > 0 && align != '=') out->repeat(spec.fill, before);
  out->add(prefix);
  if (align == '=') out->repeat(spec.fill, room);
  out->add(body);
  if (room > 0 && align != '=')
    out->repeat(spec.fill, align == '<' ? room : align == '^' ? room - before : 0);
}

std::string sign_of(bool negative, char sign) {
  return negative ? "-" : sign == '+' ? "+" : sign == ' ' ? " " : "";
}

// printf with one conversion; precision is bounded, so the longest is an %f of 1e308.
std::string print_real(double magnitude, char type, int64_t precision, bool alternate) {
  if (precision > kMaxPrecision) {
    throw Raised{Raised::Kind::unsupported, "a precision above 1000 is not supported"};
  }
  if (std::isnan(magnitude)) return std::isupper(type) != 0 ? "NAN" : "nan";
  if (std::isinf(magnitude)) return std::isupper(type) != 0 ? "INF" : "inf";
  std::array<char, 1400> buffer{};
  const std::string format = std::string("%") + (alternate ? "#" : "") + ".*" + type;
  const int n = std::snprintf(buffer.data(), buffer.size(), format.c_str(),
                              static_cast<int>(precision), magnitude);
  return std::string(buffer.data(), static_cast<size_t>(n));
}

double real_argument(const Value& value) {
  if (value.is_undefined()) raise_undefined(value);
  if (!value.is_number()) raise_type(fmt::format("must be real number, not {}", type_name(value)));
  return value.as_real();
}

class PercentFormatter {
 public:
  PercentFormatter(std::string_view format, const Value& arguments, bool markup, Meter* meter)
      : format_(format), arguments_(arguments), markup_(markup), meter_(meter), out_(meter) {}

  std::string run() {
    while (at_ < format_.size()) {
      const size_t percent = std::min(format_.find('%', at_), format_.size());
      out_.add(format_.substr(at_, percent - at_));
      at_ = percent;
      if (at_ == format_.size()) break;
      ++at_;
      meter_->step();
      conversion();
    }
    const bool mapping =
        arguments_.is(Kind::dict) || arguments_.is(Kind::list) || arguments_.is_undefined();
    const size_t given = arguments_.is(Kind::tuple) ? arguments_.items().size() : 1;
    if (used_ < given && !mapping) {
      raise_type("not all arguments converted during string formatting");
    }
    return out_.take();
  }

 private:
  char peek() {
    if (at_ >= format_.size()) raise_value("incomplete format");
    return format_[at_];
  }

  Value next_argument() {
    if (keyed_) return key_value_;
    const bool tuple = arguments_.is(Kind::tuple);
    if (used_ >= (tuple ? arguments_.items().size() : 1)) {
      raise_type("not enough arguments for format string");
    }
    return tuple ? arguments_.items()[used_++] : (++used_, arguments_);
  }

  int64_t count() {
    if (peek() == '*') {
      ++at_;
      const Value v = next_argument();
      if (!v.is_integral()) raise_type("* wants int");
      return v.as_integer();
    }
    int64_t n = 0;
    while (peek() >= '0' && peek() <= '9') {
      n = n * 10 + (format_[at_++] - '0');
      if (n > INT32_MAX) raise_value("width or precision too big");
    }
    return n;
  }

  void key() {
    if (!arguments_.is(Kind::dict)) raise_type("format requires a mapping");
    int nesting = 1;
    const size_t start = ++at_;
    while (nesting > 0) {
      if (at_ >= format_.size()) raise_value("incomplete format key");
      nesting += format_[at_] == '(' ? 1 : format_[at_] == ')' ? -1 : 0;
      ++at_;
    }
    const std::string name(format_.substr(start, at_ - 1 - start));
    const Value* found = arguments_.as_dict().find(name);
    if (found == nullptr)
      throw Raised{Raised::Kind::lookup, fmt::format("KeyError: {}", quote(name))};
    key_value_ = *found;
    keyed_ = true;
  }

  void conversion() {
    Spec spec;
    keyed_ = false;
    if (peek() == '(') key();
    for (;; ++at_) {
      const char c = peek();
      if (c == '-') {
        spec.align = '<';
      } else if (c == '+') {
        spec.sign = '+';
      } else if (c == ' ') {
        if (spec.sign != '+') spec.sign = ' ';
      } else if (c == '#') {
        spec.alternate = true;
      } else if (c == '0') {
        spec.zero = true;
      } else {
        break;
      }
    }
    spec.width = count();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (peek() == '.') {
      ++at_;
      spec.precision = std::max<int64_t>(count(), 0);
    }
    while (peek() == 'h' || peek() == 'l' || peek() == 'L') ++at_;
    spec.type = format_[at_++];
    if (spec.type == '%') {
      out_.add("%");
      return;
    }
    convert(next_argument(), spec);
  }

  void convert(const Value& value, const Spec& spec) {
    if (std::string_view("sra").find(spec.type) != std::string_view::npos) {
      std::string text;
      if (markup_) {
        text = escape(spec.type == 's' ? value
                                       : Value::text(meter_, converted(value, spec.type, meter_)),
                      meter_)
                   .bytes();
      } else {
        text = converted(value, spec.type, meter_);
      }
      if (spec.precision >= 0) text.resize(byte_offset(text, spec.precision));
      pad(&out_, spec, "", text, '>');
    } else if (spec.type == 'c') {
      character(value, spec);
    } else if (std::string_view("diuxXo").find(spec.type) != std::string_view::npos) {
      integer(value, spec);
    } else if (std::string_view("eEfFgG").find(spec.type) != std::string_view::npos) {
      const double x = real_argument(value);
      number(std::signbit(x) && !std::isnan(x), "",
             print_real(std::fabs(x), spec.type, spec.precision < 0 ? 6 : spec.precision,
                        spec.alternate),
             spec);
    } else {
      raise_value(fmt::format("unsupported format character {}", quote(std::string(1, spec.type))));
    }
  }

  void character(const Value& value, const Spec& spec) {
    std::string text;
    if (value.is_integral()) {
      const int64_t c = value.as_integer();
      if (c < 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        throw Raised{Raised::Kind::runtime, "OverflowError: %c arg not in range(0x110000)"};
      }
      append(&text, static_cast<char32_t>(c));
    } else if (value.is(Kind::text) && value.as_text().length == 1) {
      text = value.bytes();
    } else {
      raise_type("%c requires int or char");
    }
    pad(&out_, spec, "", text, '>');
  }

  void integer(const Value& value, const Spec& spec) {
    const bool decimal = std::string_view("diu").find(spec.type) != std::string_view::npos;
    if (value.is_undefined()) raise_undefined(value);
    if (!value.is_integral() && !(decimal && value.is(Kind::real))) {
      raise_type(fmt::format("%{} format: {} is required, not {}", spec.type,
                             decimal ? "a real number" : "an integer", type_name(value)));
    }
    const int64_t n = value.is_integral() ? value.as_integer() : integer_of_real(value.as_real());
    const uint64_t magnitude = n < 0 ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);
    std::string digits = digits_of(magnitude, spec.type);
    if (spec.precision > kMaxPrecision) {
      throw Raised{Raised::Kind::unsupported, "a precision above 1000 is not supported"};
    }
    if (spec.precision > static_cast<int64_t>(digits.size())) {
      digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
    }
    std::string prefix;
    if (spec.alternate && !decimal) prefix = std::string("0") + spec.type;
    number(n < 0, prefix, digits, spec);
  }

  void number(bool negative, const std::string& prefix, const std::string& digits, Spec spec) {
    if (spec.zero && spec.align == 0) {
      spec.align = '=';
      spec.fill.assign(1, '0');
    }
    pad(&out_, spec, sign_of(negative, spec.sign) + prefix, digits, '>');
  }

  std::string_view format_;
  const Value& arguments_;
  bool markup_;
  Meter* meter_;
  Writer out_;
  size_t at_ = 0;
  size_t used_ = 0;
  bool keyed_ = false;
  Value key_value_;
};

// "[[fill]align][sign][#][0][width][grouping][.precision][type]"
Spec parse_spec(std::string_view text) {
  Spec spec;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '=' || c == '^'; };
  size_t first = 0;
  if (!text.empty()) decode(text, &first);
  if (first < text.size() && is_align(text[first])) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    text.remove_prefix(first + 1);
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[0];
    text.remove_prefix(1);
  }
  const auto take = [&](std::string_view set) -> char {
    if (text.empty() || set.find(text[0]) == std::string_view::npos) return 0;
    const char c = text[0];
    text.remove_prefix(1);
    return c;
  };
  const auto count = [&] {
    int64_t n = 0;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
      n = n * 10 + (text[0] - '0');
      if (n > INT32_MAX) raise_value("Too many decimal digits in format string");
      text.remove_prefix(1);
    }
    return n;
  };
  if (const char sign = take("+- ")) spec.sign = sign;
  spec.alternate = take("#") != 0;
  if (take("0") != 0) {
    spec.zero = true;
    if (spec.align == 0) {
      spec.align = '=';
      spec.fill.assign(1, '0');
    }
  }
  spec.width = count();
  spec.grouping = take(",_");
  if (take(".") != 0) {
    if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) == 0) {
      raise_value("Format specifier missing precision");
    }
    spec.precision = count();
  }
  if (!text.empty()) {
    spec.type = text[0];
    text.remove_prefix(1);
  }
  if (!text.empty()) raise_value("Invalid format specifier");
  return spec;
}

[[noreturn]] void unknown_code(char type, const Value& value) {
  raise_value(
      fmt::format("Unknown format code '{}' for object of type '{}'", type, type_name(value)));
}

void write_grouped(Writer* out, const Spec& spec, bool negative, const std::string& prefix,
                   std::string body) {
  if (spec.grouping != 0) {
    if (spec.align == '=' && spec.fill == "0") {
      throw Raised{Raised::Kind::unsupported, "zero padding with a grouping is not supported"};
    }
    const size_t end = std::min(body.find_first_not_of("0123456789abcdefABCDEF"), body.size());
    const bool binary = std::string_view("xXob").find(spec.type) != std::string_view::npos;
    body = grouped(body.substr(0, end), spec.grouping, binary && spec.type != 0 ? 4 : 3) +
           body.substr(end);
  }
  pad(out, spec, sign_of(negative, spec.sign) + prefix, body, '>');
}

std::string real_body(double x, const Spec& spec) {
  const double magnitude = std::fabs(x);
  if (spec.type == 0) {
    if (spec.precision < 0) return repr_of_real(magnitude);
    std::string text = print_real(magnitude, 'g', std::max<int64_t>(spec.precision, 1), false);
    if (text.find_first_not_of("0123456789") == std::string::npos) {
      const auto digits = static_cast<int64_t>(text.size());
      text = digits < spec.precision
                 ? text + ".0"
                 : print_real(magnitude, 'e', std::max<int64_t>(spec.precision - 1, 0), false);
    }
    return text;
  }
  const int64_t precision = spec.precision < 0 ? 6 : spec.precision;
  if (spec.type == '%') return print_real(magnitude * 100, 'f', precision, spec.alternate) + "%";
  return print_real(magnitude, spec.type == 'n' ? 'g' : spec.type, precision, spec.alternate);
}

}  // namespace

Value format_percent(const Value& format, const Value& arguments, Meter* meter) {
  const bool markup = format.as_text().markup;
  PercentFormatter formatter(format.bytes(), arguments, markup, meter);
  return Value::text(meter, formatter.run(), markup);
}

std::string format_value(const Value& value, std::string_view text, Meter* meter) {
  if (text.empty()) return converted(value, 's', meter);
  Writer out(meter);
  if (value.is(Kind::text)) {
    Spec spec = parse_spec(text);
    if (spec.type != 0 && spec.type != 's') unknown_code(spec.type, value);
    if (spec.sign != '-' || spec.alternate || spec.grouping != 0) {
      raise_value("Sign, '#' and grouping not allowed in string format specifier");
    }
    if (spec.align == '=' && spec.zero) spec.align = '<';
    if (spec.align == '=') raise_value("'=' alignment not allowed in string format specifier");
    std::string body(value.bytes());
    if (spec.precision >= 0) body.resize(byte_offset(body, spec.precision));
    pad(&out, spec, "", body, '<');
    return out.take();
  }
  if (!value.is_number()) {
    raise_type(fmt::format("unsupported format string passed to {}.__format__", type_name(value)));
  }
  const Spec spec = parse_spec(text);
  const bool real_type =
      spec.type != 0 && std::string_view("eEfFgGn%").find(spec.type) != std::string_view::npos;
  if (value.is(Kind::real) || (real_type && spec.type != 'n')) {
    if (spec.type != 0 && !real_type) unknown_code(spec.type, value);
    const double x = value.as_real();
    write_grouped(&out, spec, std::signbit(x) && !std::isnan(x), "", real_body(x, spec));
    return out.take();
  }
  if (spec.type != 0 && std::string_view("dxXobcn").find(spec.type) == std::string_view::npos) {
    unknown_code(spec.type, value);
  }
  if (spec.precision >= 0) raise_value("Precision not allowed in integer format specifier");
  const int64_t n = value.as_integer();
  if (spec.type == 'c') {
    throw Raised{Raised::Kind::unsupported, "the format code 'c' is not supported"};
  }
  const uint64_t magnitude = n < 0 ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);
  const bool prefixed = spec.alternate &&
                        std::string_view("xXob").find(spec.type) != std::string_view::npos &&
                        spec.type != 0;
  write_grouped(&out, spec, n < 0, prefixed ? std::string("0") + spec.type : "",
                digits_of(magnitude, spec.type));
  return out.take();
}

namespace {

constexpr int kMaxFieldDepth = 3;  // as in Python: fields in the spec of a field of a spec

std::string format_fields(std::string_view format, const FieldLookUp& look_up, int64_t* automatic,
                          int depth, Meter* meter) {
  if (depth > kMaxFieldDepth) raise_value("Max string recursion exceeded");
  Writer out(meter);
  size_t at = 0;
  while (at < format.size()) {
    const size_t brace = std::min(format.find_first_of("{}", at), format.size());
    out.add(format.substr(at, brace - at));
    if (brace == format.size()) break;
    meter->step();
    at = brace + 1;
    if (at < format.size() && format[at] == format[brace]) {
      out.add(format.substr(brace, 1));
      ++at;
      continue;
    }
    if (format[brace] == '}') raise_value("Single '}' encountered in format string");
    int nesting = 1;
    const size_t start = at;
    while (at < format.size() && nesting > 0) {
      nesting += format[at] == '{' ? 1 : format[at] == '}' ? -1 : 0;
      ++at;
    }
    if (nesting > 0) raise_value("expected '}' before end of string");
    const std::string_view field = format.substr(start, at - 1 - start);
    size_t name_end = 0;
    int brackets = 0;
    while (name_end < field.size()) {
      const char c = field[name_end];
      brackets += c == '[' ? 1 : c == ']' ? -1 : 0;
      if (brackets <= 0 && (c == ':' || c == '!')) break;
      ++name_end;
    }
    std::string name(field.substr(0, name_end));
    std::string_view rest = field.substr(name_end);
    char conversion = 0;
    if (!rest.empty() && rest[0] == '!') {
      if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':')) {
        raise_value("expected ':' after conversion specifier");
      }
      conversion = rest[1];
      rest.remove_prefix(2);
      if (std::string_view("sra").find(conversion) == std::string_view::npos) {
        raise_value(fmt::format("Unknown conversion specifier '{}'", conversion));
      }
    }
    if (!rest.empty()) rest.remove_prefix(1);
    const bool manual = !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) != 0;
    if (name.empty() || name[0] == '.' || name[0] == '[') {
      if (*automatic < 0) {
        raise_value("cannot switch from manual field specification to automatic field numbering");
      }
      name.insert(0, std::to_string((*automatic)++));
    } else if (manual) {
      if (*automatic > 0) {
        raise_value("cannot switch from automatic field numbering to manual field specification");
      }
      *automatic = -1;
    }
    Value value = look_up(name);
    const std::string spec = format_fields(rest, look_up, automatic, depth + 1, meter);
    if (conversion != 0) value = Value::text(meter, converted(value, conversion, meter));
    out.add(format_value(value, spec, meter));
  }
  return out.take();
}

}  // namespace

std::string format_braces(std::string_view format, const FieldLookUp& look_up, Meter* meter) {
  int64_t automatic = 0;
  return format_fields(format, look_up, &automatic, 1, meter);
}

}  // namespace sinter::jinja
