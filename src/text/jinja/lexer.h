// Template text to tokens, with the white-space rules of Hugging Face's environment: trim_blocks,
// lstrip_blocks, and one newline dropped at the end of the template.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sinter::jinja {

struct Token {
  enum class Kind : uint8_t {
    data,
    variable_begin,
    variable_end,
    block_begin,
    block_end,
    name,
    text,
    integer,
    real,
    symbol,  // an operator or a bracket, spelled in `text`
    end,
  };
  Kind kind = Kind::end;
  int line = 0;
  std::string text;  // a string literal is unescaped here
  int64_t integer = 0;
  double real = 0;

  bool is_symbol(std::string_view s) const { return kind == Kind::symbol && text == s; }
  bool is_name(std::string_view s) const { return kind == Kind::name && text == s; }
};

// A template that does not parse; `unsupported` when Python's jinja2 would take it.
struct SyntaxError {
  int line;
  std::string message;
  bool unsupported = false;
};

std::vector<Token> tokenize(std::string_view source);  // throws SyntaxError

std::string describe(const Token& token);

}  // namespace sinter::jinja
