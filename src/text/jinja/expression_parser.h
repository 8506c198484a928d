// The half of the parser that reads expressions; parser.cc reads tags with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/lexer.h"
#include "text/jinja/syntax.h"

namespace sinter::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  struct TupleRules {
    bool with_condition = true;      // may an inline if stand here?
    std::string_view end_name = {};  // a name that ends the tuple, like `in`
    bool in_parentheses = false;     // then () is a tuple
  };
  struct TargetRules {
    std::string_view end_name;
    bool with_namespace;
  };
  ExpressionPtr parse_expression(bool with_condition = true);
  ExpressionPtr parse_tuple(TupleRules rules);
  // "|a|b(1)" over `value`; with `inline_start`, the first filter has no bar.
  ExpressionPtr parse_filters(ExpressionPtr value, bool inline_start = false);
  Target parse_target(TargetRules rules);

  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  void next() { at_ = std::min(at_ + 1, tokens_.size() - 1); }
  [[noreturn]] void fail(std::string message, bool unsupported = false) const;
  void expect(Token::Kind kind, std::string_view spelled);
  void expect_symbol(std::string_view symbol);
  void expect_name(std::string_view name);
  std::string expect_any_name();
  bool skip_symbol(std::string_view symbol);
  bool skip_name(std::string_view name);

  class Deeper {
   public:
    Deeper(const ExpressionParser* parser, int* depth, int limit) : depth_(depth) {
      if (++*depth_ > limit) {
        --*depth_;
        parser->fail("nested too deeply", true);
      }
    }
    ~Deeper() { --*depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    int* depth_;
  };

  std::vector<MacroSyntax*> macros_;  // that are open: they note what their bodies use
  int loops_around_targets_ = 0;      // inside a loop nobody may assign `loop`

 private:
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concat();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filter);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr node);
  ExpressionPtr parse_filters_and_tests(ExpressionPtr node);
  ExpressionPtr parse_subscript(ExpressionPtr object);
  ExpressionPtr parse_call(ExpressionPtr callee);
  ExpressionPtr parse_test(ExpressionPtr value);
  void parse_arguments(std::vector<ExpressionPtr>* arguments, ArgumentShape* shape);
  std::string dotted_name();
  Target one_target(bool with_namespace);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace sinter::jinja
