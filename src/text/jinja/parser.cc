#include "text/jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/jinja/expression_parser.h"
#include "text/jinja/lexer.h"

namespace sinter::jinja {
namespace {

constexpr int kMaxBlockDepth = 60;  // of statements in statements; CPython's own limit is near 20

class Parser : public ExpressionParser {
 public:
  explicit Parser(std::vector<Token> tokens) : ExpressionParser(std::move(tokens)) {}

  Body whole() { return statements({}); }

 private:
  using Ends = std::vector<std::string_view>;

  // Up to, and not including, the name of one of the tags in `ends`; with none, to the end.
  Body statements(const Ends& ends) {
    const Deeper deeper(this, &block_depth_, kMaxBlockDepth);
    Body body;
    while (true) {
      const Token& token = current();
      switch (token.kind) {
        case Token::Kind::end:
          if (!ends.empty()) {
            fail(fmt::format("unexpected end of template; expected {}", fmt::join(ends, " or ")));
          }
          return body;
        case Token::Kind::data:
          body.push_back(make_data(token.line, token.text));
          next();
          break;
        case Token::Kind::variable_begin: {
          const int line = token.line;
          next();
          body.push_back(make_output(line, parse_tuple({})));
          expect(Token::Kind::variable_end, "}}");
          break;
        }
        default: {
          expect(Token::Kind::block_begin, "{%");
          const Token& tag = current();
          if (std::find_if(ends.begin(), ends.end(),
                           [&](std::string_view e) { return tag.is_name(e); }) != ends.end()) {
            return body;
          }
          statement(&body);
          expect(Token::Kind::block_end, "%}");
        }
      }
    }
  }

  // The body of a tag: from its "%}" to an end tag, whose name is taken and given.
  Body block(const Ends& ends, std::string* which = nullptr) {
    if (current().is_symbol(":")) next();
    expect(Token::Kind::block_end, "%}");
    Body body = statements(ends);
    if (which != nullptr) *which = current().text;
    next();
    return body;
  }

  void statement(Body* body) {
    struct Tag {
      std::string_view name;
      void (Parser::*parse)(Body*);
    };
    static constexpr std::array<Tag, 11> kTags = {{{"if", &Parser::if_tag},
                                                   {"for", &Parser::for_tag},
                                                   {"set", &Parser::set_tag},
                                                   {"macro", &Parser::macro_tag},
                                                   {"call", &Parser::call_tag},
                                                   {"filter", &Parser::filter_tag},
                                                   {"with", &Parser::with_tag},
                                                   {"print", &Parser::print_tag},
                                                   {"break", &Parser::jump_tag},
                                                   {"continue", &Parser::jump_tag},
                                                   {"generation", &Parser::generation_tag}}};
    static constexpr std::array<std::string_view, 6> kUnsupported = {
        "include", "import", "from", "extends", "block", "autoescape"};
    const Token& token = current();
    if (token.kind != Token::Kind::name) fail("expected the name of a tag");
    for (const std::string_view name : kUnsupported) {
      if (token.is_name(name)) {
        fail(fmt::format("the tag {{% {} %}} is not supported", name), true);
      }
    }
    for (const Tag& tag : kTags) {
      if (token.is_name(tag.name)) {
        (this->*tag.parse)(body);
        return;
      }
    }
    fail(fmt::format("encountered unknown tag '{}'", token.text));
  }

  void if_tag(Body* body) {
    const int line = current().line;
    std::vector<Branch> branches;
    Body otherwise;
    std::string which = "elif";
    while (which == "elif") {
      next();
      // The tag of an elif has been taken by block(); that of the first `if` only now.
      ExpressionPtr condition = parse_tuple({.with_condition = false});
      if (current().is_symbol(":")) next();
      expect(Token::Kind::block_end, "%}");
      Body arm = statements({"elif", "else", "endif"});
      which = current().text;
      branches.push_back({std::move(condition), std::move(arm)});
      if (which != "elif") next();
    }
    if (which == "else") otherwise = block({"endif"});
    body->push_back(make_if(line, std::move(branches), std::move(otherwise)));
  }

  void for_tag(Body* body) {
    const int line = current().line;
    next();
    ++loops_around_targets_;
    Target target = parse_target({.end_name = "in", .with_namespace = false});
    expect_name("in");
    ExpressionPtr iterable = parse_tuple({.with_condition = false, .end_name = "recursive"});
    ExpressionPtr condition;
    if (skip_name("if")) condition = parse_expression();
    const bool recursive = skip_name("recursive");
    ++loop_depth_;
    std::string which;
    Body loop_body = block({"endfor", "else"}, &which);
    --loop_depth_;
    Body otherwise;
    if (which == "else") otherwise = block({"endfor"});
    --loops_around_targets_;
    body->push_back(make_for(line, std::move(target), std::move(iterable), std::move(condition),
                             recursive, std::move(loop_body), std::move(otherwise)));
  }

  void set_tag(Body* body) {
    const int line = current().line;
    next();
    Target target = parse_target({.end_name = "", .with_namespace = true});
    if (skip_symbol("=")) {
      body->push_back(make_set(line, std::move(target), parse_tuple({})));
      return;
    }
    ExpressionPtr filters;
    if (current().is_symbol("|")) filters = parse_filters(make_captured(line));
    Body inner = block({"endset"});
    body->push_back(make_set_block(line, std::move(target), std::move(filters), std::move(inner)));
  }

  void signature(MacroSyntax* macro) {
    expect_symbol("(");
    while (!current().is_symbol(")")) {
      if (!macro->parameters.empty()) expect_symbol(",");
      Target parameter;
      parameter.name = expect_any_name();
      if (macro->has_parameter(parameter.name)) {
        fail(fmt::format("duplicate argument '{}' in a macro", parameter.name));
      }
      if (skip_symbol("=")) {
        macro->defaults.push_back(parse_expression());
      } else if (!macro->defaults.empty()) {
        fail("non-default argument follows default argument");
      }
      macro->parameters.push_back(std::move(parameter));
    }
    next();
  }

  void macro_body(MacroSyntax* macro, const Ends& ends) {
    const int outer_loops = std::exchange(loop_depth_, 0);
    macros_.push_back(macro);
    macro->body = block(ends);
    macros_.pop_back();
    loop_depth_ = outer_loops;
    if (macro->has_parameter("kwargs")) macro->uses_kwargs = false;
    if (macro->has_parameter("varargs")) macro->uses_varargs = false;
    if (macro->uses_caller && macro->has_parameter("caller")) {
      const auto it = std::find_if(macro->parameters.begin(), macro->parameters.end(),
                                   [](const Target& t) { return t.name == "caller"; });
      const auto without_default = macro->parameters.size() - macro->defaults.size();
      if (static_cast<size_t>(it - macro->parameters.begin()) < without_default) {
        fail("the argument \"caller\" of a macro must be omitted or be given a default");
      }
    }
  }

  void macro_tag(Body* body) {
    const int line = current().line;
    next();
    auto macro = std::make_unique<MacroSyntax>();
    macro->name = expect_any_name();
    signature(macro.get());
    macro_body(macro.get(), {"endmacro"});
    body->push_back(make_macro(line, std::move(macro)));
  }

  void call_tag(Body* body) {
    const int line = current().line;
    next();
    auto macro = std::make_unique<MacroSyntax>();
    if (current().is_symbol("(")) signature(macro.get());
    ExpressionPtr call = parse_expression();
    if (!is_call(*call)) fail("expected a call");
    macro_body(macro.get(), {"endcall"});
    body->push_back(make_call_block(line, std::move(call), std::move(macro)));
  }

  void filter_tag(Body* body) {
    const int line = current().line;
    next();
    ExpressionPtr filters = parse_filters(make_captured(line), true);
    Body inner = block({"endfilter"});
    body->push_back(make_filter_block(line, std::move(filters), std::move(inner)));
  }

  // The block marks what a model generated; it renders as if it were not there, but for its scope.
  void generation_tag(Body* body) {
    const int line = current().line;
    next();
    const int outer_loops = std::exchange(loop_depth_, 0);
    Body inner = block({"endgeneration"});
    loop_depth_ = outer_loops;
    body->push_back(make_filter_block(line, nullptr, std::move(inner)));
  }

  void with_tag(Body* body) {
    const int line = current().line;
    next();
    std::vector<Target> targets;
    std::vector<ExpressionPtr> values;
    while (current().kind != Token::Kind::block_end) {
      if (!targets.empty()) expect_symbol(",");
      targets.push_back(parse_target({.end_name = "", .with_namespace = false}));
      expect_symbol("=");
      values.push_back(parse_expression());
    }
    Body inner = block({"endwith"});
    body->push_back(make_with(line, std::move(targets), std::move(values), std::move(inner)));
  }

  void print_tag(Body* body) {
    next();
    for (bool first = true; current().kind != Token::Kind::block_end; first = false) {
      if (!first) expect_symbol(",");
      const int line = current().line;
      body->push_back(make_output(line, parse_expression()));
    }
  }

  void jump_tag(Body* body) {
    const Token& token = current();
    if (loop_depth_ == 0) fail(fmt::format("'{}' outside a loop", token.text));
    body->push_back(
        make_jump(token.line, token.is_name("break") ? Flow::break_loop : Flow::continue_loop));
    next();
  }

  int block_depth_ = 0;
  int loop_depth_ = 0;
};

}  // namespace

ParsedTemplate parse_template(std::string_view source) {
  Parser parser(tokenize(source));
  ParsedTemplate parsed;
  parsed.body = parser.whole();
  Symbols symbols(nullptr);
  declare(parsed.body, &symbols);
  bind(parsed.body, {.symbols = &symbols, .soft = false});
  parsed.layout = symbols.layout();
  return parsed;
}

}  // namespace sinter::jinja
