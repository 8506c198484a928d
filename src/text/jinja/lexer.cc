#include "text/jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/jinja/number.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {
namespace {

constexpr size_t kMaxSourceBytes = 4 << 20;

std::string normalize_newlines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
      continue;
    }
    out += '\n';
    if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
  }
  return out;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = static_cast<char>(c | 0x20);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)), rest_(source_) {}

  std::vector<Token> run() {
    while (at_ < rest_.size()) template_data();
    push(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string message, bool unsupported = false) const {
    throw SyntaxError{line_, std::move(message), unsupported};
  }

  void push(Token::Kind kind, std::string text) {
    tokens_.push_back({.kind = kind, .line = line_, .text = std::move(text)});
  }

  bool starts(std::string_view s) const { return rest_.substr(at_, s.size()) == s; }

  void advance(size_t n) {
    line_ += static_cast<int>(
        std::count(rest_.begin() + static_cast<long>(at_),
                   rest_.begin() + static_cast<long>(std::min(at_ + n, rest_.size())), '\n'));
    at_ = std::min(at_ + n, rest_.size());
  }

  void skip_spaces() {
    while (at_ < rest_.size()) {
      size_t next = at_;
      if (!is_space(decode(rest_, &next))) return;
      advance(next - at_);
    }
  }

  // Emits the text up to the tag at `tag`. `sign` is the tag's first character after its two.
  void data_before(size_t tag, char sign, bool is_variable) {
    std::string_view text = rest_.substr(at_, tag - at_);
    if (sign == '-') {
      text = strip_spaces(text, false, true);
    } else if (sign != '+' && !is_variable) {
      const size_t newline = text.rfind('\n');
      const size_t start = newline == std::string_view::npos ? 0 : newline + 1;
      if ((start > 0 || line_starting_) && strip_spaces(text.substr(start), true, false).empty()) {
        text = text.substr(0, start);
      }
    }
    if (!text.empty()) push(Token::Kind::data, std::string(text));
    advance(tag - at_);
  }

  void template_data() {
    size_t tag = at_;
    while (true) {
      tag = rest_.find('{', tag);
      if (tag == std::string_view::npos) {
        push(Token::Kind::data, std::string(rest_.substr(at_)));
        advance(rest_.size() - at_);
        return;
      }
      const char c = tag + 1 < rest_.size() ? rest_[tag + 1] : '\0';
      if (c == '%' || c == '{' || c == '#') break;
      ++tag;
    }
    const char what = rest_[tag + 1];
    const char third = tag + 2 < rest_.size() ? rest_[tag + 2] : '\0';
    const bool has_sign = third == '-' || third == '+';
    data_before(tag, has_sign ? third : '\0', what == '{');
    if (what == '%' && raw_block()) return;
    advance(has_sign ? 3 : 2);
    if (what == '#') {
      comment();
    } else {
      push(what == '%' ? Token::Kind::block_begin : Token::Kind::variable_begin, "");
      tag_tokens(what == '%');
    }
  }

  // The end of a tag at at_: "%}" or "}}", perhaps with a sign; 0 when there is none here.
  size_t end_of_tag(std::string_view close, bool plus_allowed) const {
    if (starts(close)) return close.size();
    const bool sign = starts("-") || (plus_allowed && starts("+"));
    return sign && rest_.substr(at_ + 1, close.size()) == close ? close.size() + 1 : 0;
  }

  void finish_tag(size_t n, bool trims_newline) {
    const bool strips = rest_[at_] == '-';
    const bool keeps = rest_[at_] == '+';
    const size_t start = at_;
    advance(n);
    if (strips) {
      skip_spaces();
    } else if (trims_newline && !keeps && starts("\n")) {
      advance(1);
    }
    line_starting_ = at_ > start && rest_[at_ - 1] == '\n';
  }

  void comment() {
    const size_t close = rest_.find("#}", at_);
    if (close == std::string_view::npos) fail("Missing end of comment tag");
    // A sign before the end belongs to the tag, unless it is the comment's opening sign.
    const bool sign = close > at_ && (rest_[close - 1] == '-' || rest_[close - 1] == '+');
    advance(close - (sign ? 1 : 0) - at_);
    finish_tag(sign ? 3 : 2, true);
  }

  // "{% raw %} ... {% endraw %}" at at_: everything between is data.
  bool raw_block() {
    const size_t start = at_;
    const int start_line = line_;
    const auto word = [&](std::string_view name) {
      advance(2);
      if (starts("-") || starts("+")) advance(1);
      skip_spaces();
      if (!starts(name)) return false;
      advance(name.size());
      skip_spaces();
      return true;
    };
    const bool opened = word("raw") && (starts("%}") || starts("-%}"));
    if (!opened) {
      at_ = start;
      line_ = start_line;
      return false;
    }
    const bool strips = starts("-");
    advance(strips ? 3 : 2);
    if (strips) skip_spaces();
    line_starting_ = rest_[at_ - 1] == '\n';
    for (size_t tag = rest_.find("{%", at_); tag != std::string_view::npos;
         tag = rest_.find("{%", tag + 1)) {
      const size_t body = at_;
      const int body_line = line_;
      at_ = tag;
      const bool ends = word("endraw") && end_of_tag("%}", true) > 0;
      const size_t close = at_;
      at_ = body;
      line_ = body_line;
      if (!ends) continue;
      const char third = tag + 2 < rest_.size() ? rest_[tag + 2] : '\0';
      data_before(tag, third, false);
      advance(close - at_);
      finish_tag(end_of_tag("%}", true), true);
      return true;
    }
    fail("Missing end of raw directive");
  }

  void tag_tokens(bool is_block) {
    const std::string_view close = is_block ? "%}" : "}}";
    std::string open;
    while (true) {
      if (open.empty()) {
        if (const size_t n = end_of_tag(close, is_block); n > 0) {
          push(is_block ? Token::Kind::block_end : Token::Kind::variable_end, "");
          finish_tag(n, is_block);
          return;
        }
      }
      if (at_ >= rest_.size()) return;
      size_t next = at_;
      const char32_t c = decode(rest_, &next);
      if (is_space(c)) {
        advance(next - at_);
      } else if (c < 0x80 && c >= '0' && c <= '9') {
        number();
      } else if (is_word(c)) {
        name();
      } else if (c == '\'' || c == '"') {
        literal(static_cast<char>(c));
      } else {
        symbol(&open);
      }
    }
  }

  bool digit_at(size_t i) const { return i < rest_.size() && rest_[i] >= '0' && rest_[i] <= '9'; }

  size_t digits_from(size_t i) const {
    while (digit_at(i) || (i < rest_.size() && rest_[i] == '_' && digit_at(i + 1))) ++i;
    return i;
  }

  void number() {
    const bool after_dot = at_ > 0 && rest_[at_ - 1] == '.';
    const size_t whole = digits_from(at_);
    size_t end = whole;
    bool is_real = false;
    if (!after_dot) {
      if (end < rest_.size() && rest_[end] == '.' && digit_at(end + 1)) {
        end = digits_from(end + 1);
        is_real = true;
      }
      if (end < rest_.size() && (rest_[end] | 0x20) == 'e') {
        const size_t sign =
            end + 1 < rest_.size() && (rest_[end + 1] == '+' || rest_[end + 1] == '-') ? 1 : 0;
        if (digit_at(end + 1 + sign)) {
          end = digits_from(end + 1 + sign);
          is_real = true;
        }
      }
    }
    if (is_real) {
      Token token{.kind = Token::Kind::real, .line = line_, .text = {}};
      token.real = parse_real(rest_.substr(at_, end - at_)).value_or(0);
      tokens_.push_back(token);
      advance(end - at_);
      return;
    }
    integer(whole);
  }

  void integer(size_t end) {
    int base = 10;
    if (rest_[at_] == '0' && at_ + 2 < rest_.size()) {
      const char mark = static_cast<char>(rest_[at_ + 1] | 0x20);
      const int wanted = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
      const auto good = [&](size_t i) {
        const int v = i < rest_.size() ? hex_value(rest_[i]) : -1;
        return v >= 0 && v < wanted;
      };
      size_t i = at_ + 2;
      while (wanted != 10 && (good(i) || (i < rest_.size() && rest_[i] == '_' && good(i + 1)))) ++i;
      if (i > at_ + 2) {
        base = wanted;
        end = i;
      }
    }
    if (base == 10 && rest_[at_] == '0') {  // 0 and 000, but 012 is two numbers
      end = at_ + 1;
      while (end < rest_.size() &&
             (rest_[end] == '0' ||
              (rest_[end] == '_' && end + 1 < rest_.size() && rest_[end + 1] == '0')))
        ++end;
    }
    Token token{.kind = Token::Kind::integer, .line = line_, .text = {}};
    try {
      token.integer = parse_integer(rest_.substr(at_, end - at_), base == 10 ? 10 : 0).value_or(0);
    } catch (const Raised& e) {
      fail(e.message, true);
    }
    tokens_.push_back(token);
    advance(end - at_);
  }

  void name() {
    size_t end = at_;
    while (end < rest_.size()) {
      size_t next = end;
      const char32_t c = decode(rest_, &next);
      if (!is_word(c) &&
          (c < 0x80 || !is_identifier(fmt::format("a{}", rest_.substr(end, next - end)))))
        break;
      end = next;
    }
    const std::string_view text = rest_.substr(at_, end - at_);
    if (!is_identifier(text)) fail("Invalid character in identifier");
    push(Token::Kind::name, std::string(text));
    advance(end - at_);
  }

  void symbol(std::string* open) {
    static constexpr std::array<std::string_view, 28> kSymbols = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]",
        "(",  ")",  "{",  "}",  ">",  "<",  "=", ".", ":", "|", ",", ";", "",  ""};
    const auto* const it = std::find_if(kSymbols.begin(), kSymbols.end(), [&](std::string_view s) {
      return !s.empty() && starts(s);
    });
    if (it == kSymbols.end()) {
      size_t next = at_;
      decode(rest_, &next);
      fail(fmt::format("unexpected char {}", quote(rest_.substr(at_, next - at_))));
    }
    const char c = (*it)[0];
    if (c == '(' || c == '[' || c == '{') {
      *open += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (open->empty()) fail(fmt::format("unexpected '{}'", c));
      if (open->back() != c) fail(fmt::format("unexpected '{}', expected '{}'", c, open->back()));
      open->pop_back();
    }
    push(Token::Kind::symbol, std::string(*it));
    advance(it->size());
  }

  void literal(char mark) {
    size_t end = at_ + 1;
    while (end < rest_.size() && rest_[end] != mark) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) fail(fmt::format("unexpected char {}", quote(rest_.substr(at_, 1))));
    push(Token::Kind::text, unescape(rest_.substr(at_ + 1, end - at_ - 1)));
    advance(end + 1 - at_);
  }

  // Python's unicode-escape after encoding to ASCII with backslashreplace: so a backslash before a
  // character beyond ASCII gives that character's escape as literal text.
  std::string unescape(std::string_view body) const {
    if (body.find('\\') == std::string_view::npos) return std::string(body);
    std::string out;
    for (size_t i = 0; i < body.size();) {
      if (body[i] != '\\') {
        append(&out, decode(body, &i));
        continue;
      }
      ++i;  // a backslash is never last
      if (i >= body.size()) fail("\\ at end of string");
      if (static_cast<unsigned char>(body[i]) >= 0x80) {
        const auto c = static_cast<uint32_t>(decode(body, &i));
        out += c < 0x100     ? fmt::format("\\x{:02x}", c)
               : c < 0x10000 ? fmt::format("\\u{:04x}", c)
                             : fmt::format("\\U{:08x}", c);
        continue;
      }
      escape_sequence(body, &i, &out);
    }
    return out;
  }

  void escape_sequence(std::string_view body, size_t* i, std::string* out) const {
    static constexpr std::string_view kFrom = "\\'\"abfnrtv";
    static constexpr std::string_view kTo = "\\'\"\a\b\f\n\r\t\v";
    const char c = body[(*i)++];
    if (c == '\n') return;
    if (const size_t found = kFrom.find(c); found != std::string_view::npos) {
      *out += kTo[found];
    } else if (c >= '0' && c <= '7') {
      char32_t value = static_cast<char32_t>(c - '0');
      for (int k = 0; k < 2 && *i < body.size() && body[*i] >= '0' && body[*i] <= '7'; ++k) {
        value = value * 8 + static_cast<char32_t>(body[(*i)++] - '0');
      }
      append(out, value);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const int n = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      char32_t value = 0;
      for (int k = 0; k < n; ++k, ++*i) {
        const int digit = *i < body.size() ? hex_value(body[*i]) : -1;
        if (digit < 0) fail(fmt::format("truncated \\{} escape in a string", c));
        value = value * 16 + static_cast<char32_t>(digit);
      }
      if (value > 0x10ffff) fail("illegal Unicode character in a string");
      if (value >= 0xd800 && value < 0xe000) fail("a lone surrogate in a string", true);
      append(out, value);
    } else if (c == 'N') {
      fail("\\N{name} in a string", true);
    } else {
      *out += '\\';
      *out += c;
    }
  }

  std::string source_;
  std::string_view rest_;  // all of source_; at_ moves
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  if (!is_valid_utf8(source)) throw SyntaxError{1, "the template is not valid UTF-8"};
  if (source.size() > kMaxSourceBytes) throw SyntaxError{1, "the template is over 4 MiB", true};
  std::string text = normalize_newlines(source);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return Lexer(std::move(text)).run();
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case Token::Kind::data:
      return "template text";
    case Token::Kind::variable_begin:
      return "{{";
    case Token::Kind::variable_end:
      return "}}";
    case Token::Kind::block_begin:
      return "{%";
    case Token::Kind::block_end:
      return "%}";
    case Token::Kind::text:
      return "a string";
    case Token::Kind::integer:
    case Token::Kind::real:
      return "a number";
    case Token::Kind::end:
      return "the end of the template";
    default:
      return token.text;
  }
}

}  // namespace sinter::jinja
