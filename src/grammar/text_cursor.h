// Where a reader of a grammar's text stands. Every complaint names line and column.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "grammar/grammar.h"

namespace sinter {

class TextCursor {
 public:
  TextCursor(std::string_view text, std::string_view where) : text_(text), where_(where) {}

  bool at_end() const { return at_ >= text_.size(); }
  char peek(size_t ahead = 0) const {  // '\0' behind the end
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool starts_with(std::string_view expected) const {
    return text_.substr(at_).starts_with(expected);
  }
  bool take(std::string_view expected) {
    if (!starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }
  void expect(std::string_view expected) {
    if (!take(expected)) syntax(fmt::format("expected {}, found {}", expected, found()));
  }
  size_t offset() const { return at_; }
  void go_to(size_t offset) { at_ = offset; }
  std::string_view text() const { return text_; }
  std::string_view since(size_t offset) const { return text_.substr(offset, at_ - offset); }

  // White space and comments; `comment`: what begins one, to the end of the line.
  void skip_blank(std::string_view comment, bool newlines = true);
  char32_t take_char();  // one character of valid UTF-8
  // After a backslash: n r t b f \ " ' [ ] - / xHH uXXXX UXXXXXXXX
  char32_t take_escape();
  std::optional<uint32_t> take_number(const GrammarLimits& limits);
  // [letters, digits and `others`], at least one; empty if none stands here
  std::string_view take_name(std::string_view others);
  // A quoted string, from the quote on.
  std::string take_quoted();
  // {m}, {m,} or {m,n}, from the brace on.
  void take_counts(uint32_t& min, uint32_t& max, const GrammarLimits& limits);

  std::string place() const { return place(at_); }  // "grammar.gbnf: line 3, column 7"
  std::string place(size_t offset) const;
  std::string found() const;
  [[noreturn]] void syntax(std::string_view what) const { syntax(what, at_); }
  [[noreturn]] void syntax(std::string_view what, size_t offset) const {
    fail(Fault::bad_input, "grammar-syntax", "{}: {}", place(offset), what);
  }
  [[noreturn]] void unsupported(std::string_view what, size_t offset) const {
    fail(Fault::unsupported, "grammar-unsupported", "{}: {}", place(offset), what);
  }

 private:
  std::string_view text_;
  std::string_view where_;
  size_t at_ = 0;
};

}  // namespace sinter
