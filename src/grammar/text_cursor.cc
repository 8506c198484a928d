// See text_cursor.h.
#include "grammar/text_cursor.h"

#include <algorithm>

#include "text/utf8.h"

namespace sinter {

void TextCursor::skip_blank(std::string_view comment, bool newlines) {
  for (; !at_end(); ++at_) {
    const char c = peek();
    if (starts_with(comment)) {
      while (!at_end() && peek() != '\n') ++at_;
      if (!newlines || at_end()) return;
    } else if (c != ' ' && c != '\t' && c != '\r' && !(newlines && c == '\n')) {
      return;
    }
  }
}

char32_t TextCursor::take_char() {
  if (at_end()) syntax("the text ends here");
  const Utf8Char c = utf8_at(text_, at_);
  if (!c.valid) syntax("not valid UTF-8");
  at_ += c.size;
  return c.code;
}

char32_t TextCursor::take_escape() {
  const size_t start = at_ - 1;
  const char32_t c = take_char();
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'x':
    case 'u':
    case 'U': {
      char32_t value = 0;
      for (int i = c == 'x' ? 2 : c == 'u' ? 4 : 8; i > 0; --i) {
        const char h = at_end() ? '\0' : text_[at_++];
        const auto lower = static_cast<char>(h | 0x20);
        const bool digit = h >= '0' && h <= '9';
        if (!digit && (lower < 'a' || lower > 'f')) syntax("hexadecimal digits expected", start);
        value = value * 16 + static_cast<char32_t>(digit ? h - '0' : lower - 'a' + 10);
      }
      if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
        syntax("no such character", start);
      }
      return value;
    }
    default:
      if (c < 0x80 &&
          std::string_view("\\\"'[]-^/").find(static_cast<char>(c)) != std::string_view::npos) {
        return c;
      }
      syntax("an unknown escape", start);
  }
}

std::optional<uint32_t> TextCursor::take_number(const GrammarLimits& limits) {
  if (peek() < '0' || peek() > '9') return std::nullopt;
  uint64_t value = 0;
  for (; peek() >= '0' && peek() <= '9'; ++at_) {
    value = std::min<uint64_t>(value * 10 + static_cast<uint64_t>(peek() - '0'), kUnbounded);
  }
  if (value > limits.repetition) {
    limit_reached("repetition", limits.repetition, "a number in the grammar is too large");
  }
  return static_cast<uint32_t>(value);
}

std::string_view TextCursor::take_name(std::string_view others) {
  const size_t start = at_;
  while (!at_end()) {
    const char c = peek();
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && others.find(c) == std::string_view::npos) break;
    ++at_;
  }
  return since(start);
}

std::string TextCursor::take_quoted() {
  const size_t start = at_;
  expect("\"");
  std::string out;
  while (!take("\"")) {
    if (at_end()) syntax("a string without its closing quote", start);
    append_utf8(out, take("\\") ? take_escape() : take_char());
  }
  return out;
}

void TextCursor::take_counts(uint32_t& min, uint32_t& max, const GrammarLimits& limits) {
  const size_t start = at_;
  expect("{");
  skip_blank("#", false);
  const auto first = take_number(limits);
  min = first.value_or(0);
  max = min;
  skip_blank("#", false);
  if (take(",")) {
    skip_blank("#", false);
    max = take_number(limits).value_or(kUnbounded);
    skip_blank("#", false);
  } else if (!first) {
    syntax("a repetition without a number", start);
  }
  expect("}");
  if (max < min) syntax("the maximum of a repetition is less than its minimum", start);
}

std::string TextCursor::place(size_t offset) const {
  const std::string_view before = text_.substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return fmt::format("{}: line {}, column {}", where_, line, before.size() - line_start + 1);
}

std::string TextCursor::found() const {
  if (at_end()) return "the end";
  constexpr size_t kShown = 20;
  return fmt::format(
      "\"{}\"", to_valid_utf8(text_.substr(at_, std::min(kShown, text_.find('\n', at_) - at_))));
}

}  // namespace sinter
