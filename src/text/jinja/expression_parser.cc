#include "text/jinja/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace sinter::jinja {
namespace {
constexpr int kMaxExpressionDepth = 150;
}

void ExpressionParser::fail(std::string message, bool unsupported) const {
  throw SyntaxError{current().line, std::move(message), unsupported};
}

void ExpressionParser::expect(Token::Kind kind, std::string_view spelled) {
  if (current().kind != kind) {
    fail(fmt::format("expected '{}', found '{}'", spelled, describe(current())));
  }
  next();
}

void ExpressionParser::expect_symbol(std::string_view symbol) {
  if (!skip_symbol(symbol)) {
    fail(fmt::format("expected '{}', found '{}'", symbol, describe(current())));
  }
}

void ExpressionParser::expect_name(std::string_view name) {
  if (!skip_name(name)) {
    fail(fmt::format("expected '{}', found '{}'", name, describe(current())));
  }
}

std::string ExpressionParser::expect_any_name() {
  std::string name = current().text;
  expect(Token::Kind::name, "a name");
  return name;
}

bool ExpressionParser::skip_symbol(std::string_view symbol) {
  if (!current().is_symbol(symbol)) return false;
  next();
  return true;
}

bool ExpressionParser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  next();
  return true;
}

ExpressionPtr ExpressionParser::parse_expression(bool with_condition) {
  const Deeper deeper(this, &depth_, kMaxExpressionDepth);
  int line = current().line;
  ExpressionPtr value = parse_or();
  while (with_condition && skip_name("if")) {
    ExpressionPtr condition = parse_or();
    ExpressionPtr otherwise;
    if (skip_name("else")) otherwise = parse_expression();
    value = make_condition(line, std::move(condition), std::move(value), std::move(otherwise));
    line = current().line;
  }
  return value;
}

ExpressionPtr ExpressionParser::parse_or() {
  ExpressionPtr left = parse_and();
  while (current().is_name("or")) {
    const int line = current().line;
    next();
    left = make_logic(line, false, std::move(left), parse_and());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_and() {
  ExpressionPtr left = parse_not();
  while (current().is_name("and")) {
    const int line = current().line;
    next();
    left = make_logic(line, true, std::move(left), parse_not());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_not() {
  const Deeper deeper(this, &depth_, kMaxExpressionDepth);
  const int line = current().line;
  if (skip_name("not")) return make_unary(line, "not", parse_not());
  return parse_compare();
}

ExpressionPtr ExpressionParser::parse_compare() {
  static const std::set<std::string, std::less<>> kSigns = {"==", "!=", "<", "<=", ">", ">="};
  const int line = current().line;
  std::vector<std::string> symbols;
  std::vector<ExpressionPtr> operands;
  operands.push_back(parse_sum());
  while (true) {
    if (current().kind == Token::Kind::symbol && kSigns.contains(current().text)) {
      symbols.push_back(current().text);
      next();
    } else if (skip_name("in")) {
      symbols.emplace_back("in");
    } else if (current().is_name("not") && ahead().is_name("in")) {
      next();
      next();
      symbols.emplace_back("not in");
    } else {
      break;
    }
    operands.push_back(parse_sum());
  }
  if (symbols.empty()) return std::move(operands[0]);
  return make_compare(line, std::move(symbols), std::move(operands));
}

ExpressionPtr ExpressionParser::parse_sum() {
  ExpressionPtr left = parse_concat();
  while (current().is_symbol("+") || current().is_symbol("-")) {
    const Token symbol = current();
    next();
    left = make_binary(symbol.line, symbol.text, std::move(left), parse_concat());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_concat() {
  const int line = current().line;
  std::vector<ExpressionPtr> parts;
  parts.push_back(parse_product());
  while (skip_symbol("~")) parts.push_back(parse_product());
  if (parts.size() == 1) return std::move(parts[0]);
  return make_concat(line, std::move(parts));
}

ExpressionPtr ExpressionParser::parse_product() {
  ExpressionPtr left = parse_power();
  while (current().is_symbol("*") || current().is_symbol("/") || current().is_symbol("//") ||
         current().is_symbol("%")) {
    const Token symbol = current();
    next();
    left = make_binary(symbol.line, symbol.text, std::move(left), parse_power());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_power() {
  ExpressionPtr left = parse_unary(true);
  while (current().is_symbol("**")) {
    const int line = current().line;
    next();
    left = make_binary(line, "**", std::move(left), parse_unary(true));
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_unary(bool with_filter) {
  const Deeper deeper(this, &depth_, kMaxExpressionDepth);
  const Token& token = current();
  ExpressionPtr node;
  if (token.is_symbol("-") || token.is_symbol("+")) {
    const int line = token.line;
    std::string symbol = token.text;
    next();
    node = make_unary(line, std::move(symbol), parse_unary(false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filter ? parse_filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPtr ExpressionParser::parse_primary() {
  const Token token = current();
  switch (token.kind) {
    case Token::Kind::name:
      next();
      if (token.text == "true" || token.text == "True") {
        return make_constant(token.line, Value::boolean(true));
      }
      if (token.text == "false" || token.text == "False") {
        return make_constant(token.line, Value::boolean(false));
      }
      if (token.text == "none" || token.text == "None") {
        return make_constant(token.line, Value::none());
      }
      for (MacroSyntax* macro : macros_) {
        macro->uses_caller |= token.text == "caller";
        macro->uses_kwargs |= token.text == "kwargs";
        macro->uses_varargs |= token.text == "varargs";
      }
      return make_name(token.line, token.text);
    case Token::Kind::text: {
      std::string text;
      for (; current().kind == Token::Kind::text; next()) text += current().text;
      return make_constant(token.line, Value::text(nullptr, std::move(text)));
    }
    case Token::Kind::integer:
      next();
      return make_constant(token.line, Value::integer(token.integer));
    case Token::Kind::real:
      next();
      return make_constant(token.line, Value::real(token.real));
    default:
      break;
  }
  if (skip_symbol("(")) {
    ExpressionPtr node = parse_tuple({.in_parentheses = true});
    expect_symbol(")");
    return node;
  }
  if (token.is_symbol("[")) return parse_list();
  if (token.is_symbol("{")) return parse_dict();
  fail(fmt::format("unexpected '{}'", describe(token)));
}

ExpressionPtr ExpressionParser::parse_tuple(TupleRules rules) {
  const int line = current().line;
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  const auto at_end = [&] {
    return current().kind == Token::Kind::variable_end ||
           current().kind == Token::Kind::block_end || current().is_symbol(")") ||
           (!rules.end_name.empty() && current().is_name(rules.end_name));
  };
  while (true) {
    if (!items.empty()) expect_symbol(",");
    if (at_end()) break;
    items.push_back(parse_expression(rules.with_condition));
    if (!current().is_symbol(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return std::move(items[0]);
    if (!rules.in_parentheses) {
      fail(fmt::format("expected an expression, found '{}'", describe(current())));
    }
  }
  return make_sequence(line, Kind::tuple, std::move(items));
}

ExpressionPtr ExpressionParser::parse_list() {
  const int line = current().line;
  expect_symbol("[");
  std::vector<ExpressionPtr> items;
  while (!current().is_symbol("]")) {
    if (!items.empty()) expect_symbol(",");
    if (current().is_symbol("]")) break;
    items.push_back(parse_expression());
  }
  expect_symbol("]");
  return make_sequence(line, Kind::list, std::move(items));
}

ExpressionPtr ExpressionParser::parse_dict() {
  const int line = current().line;
  expect_symbol("{");
  std::vector<ExpressionPtr> items;
  while (!current().is_symbol("}")) {
    if (!items.empty()) expect_symbol(",");
    if (current().is_symbol("}")) break;
    items.push_back(parse_expression());
    expect_symbol(":");
    items.push_back(parse_expression());
  }
  expect_symbol("}");
  return make_dict_display(line, std::move(items));
}

ExpressionPtr ExpressionParser::parse_postfix(ExpressionPtr node) {
  while (true) {
    if (current().is_symbol(".") || current().is_symbol("[")) {
      node = parse_subscript(std::move(node));
    } else if (current().is_symbol("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr ExpressionParser::parse_filters_and_tests(ExpressionPtr node) {
  while (true) {
    if (current().is_symbol("|")) {
      node = parse_filters(std::move(node));
    } else if (current().is_name("is")) {
      node = parse_test(std::move(node));
    } else if (current().is_symbol("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr object) {
  const int line = current().line;
  if (skip_symbol(".")) {
    const Token token = current();
    next();
    if (token.kind == Token::Kind::name) return make_attribute(line, std::move(object), token.text);
    if (token.kind != Token::Kind::integer) {
      throw SyntaxError{token.line, "expected a name or a number after '.'"};
    }
    return make_subscript(line, std::move(object),
                          make_constant(line, Value::integer(token.integer)));
  }
  expect_symbol("[");
  std::vector<ExpressionPtr> keys;
  ExpressionPtr bounds[3];
  bool is_slice = false;
  while (!current().is_symbol("]")) {
    if (!keys.empty() || is_slice) expect_symbol(",");
    const auto at_bound_end = [&] {
      return current().is_symbol(":") || current().is_symbol("]") || current().is_symbol(",");
    };
    if (is_slice) fail("slices among several subscripts are not supported", true);
    if (!current().is_symbol(":")) {
      ExpressionPtr first = parse_expression();
      if (!current().is_symbol(":")) {
        keys.push_back(std::move(first));
        continue;
      }
      bounds[0] = std::move(first);
    }
    if (!keys.empty()) fail("slices among several subscripts are not supported", true);
    is_slice = true;
    expect_symbol(":");
    if (!at_bound_end()) bounds[1] = parse_expression();
    if (skip_symbol(":") && !at_bound_end()) bounds[2] = parse_expression();
  }
  expect_symbol("]");
  if (is_slice) {
    return make_slice(line, std::move(object), std::move(bounds[0]), std::move(bounds[1]),
                      std::move(bounds[2]));
  }
  ExpressionPtr key =
      keys.size() == 1 ? std::move(keys[0]) : make_sequence(line, Kind::tuple, std::move(keys));
  return make_subscript(line, std::move(object), std::move(key));
}

void ExpressionParser::parse_arguments(std::vector<ExpressionPtr>* arguments,
                                       ArgumentShape* shape) {
  const auto ensure = [&](bool good) {
    if (!good) fail("invalid syntax for function call expression");
  };
  ExpressionPtr star;
  ExpressionPtr star_star;
  expect_symbol("(");
  for (bool first = true; !current().is_symbol(")"); first = false) {
    if (!first) {
      expect_symbol(",");
      if (current().is_symbol(")")) break;
    }
    if (skip_symbol("*")) {
      ensure(!star && !star_star);
      star = parse_expression();
    } else if (skip_symbol("**")) {
      ensure(!star_star);
      star_star = parse_expression();
    } else if (current().kind == Token::Kind::name && ahead().is_symbol("=")) {
      ensure(!star_star);
      const std::string name = current().text;
      next();
      next();
      if (std::find(shape->names.begin(), shape->names.end(), name) != shape->names.end()) {
        fail(fmt::format("keyword argument repeated: {}", name));
      }
      shape->names.push_back(name);
      arguments->push_back(parse_expression());
    } else {
      ensure(!star && !star_star && shape->names.empty());
      arguments->push_back(parse_expression());
      ++shape->positional;
    }
  }
  expect_symbol(")");
  shape->star = star != nullptr;
  shape->star_star = star_star != nullptr;
  if (star) arguments->push_back(std::move(star));
  if (star_star) arguments->push_back(std::move(star_star));
}

ExpressionPtr ExpressionParser::parse_call(ExpressionPtr callee) {
  const int line = current().line;
  std::vector<ExpressionPtr> arguments;
  ArgumentShape shape;
  parse_arguments(&arguments, &shape);
  return make_call(line, std::move(callee), std::move(arguments), shape);
}

std::string ExpressionParser::dotted_name() {
  std::string name = expect_any_name();
  while (skip_symbol(".")) {
    name += '.';
    name += expect_any_name();
  }
  return name;
}

ExpressionPtr ExpressionParser::parse_filters(ExpressionPtr value, bool inline_start) {
  while (inline_start || current().is_symbol("|")) {
    if (!inline_start) next();
    inline_start = false;
    const int line = current().line;
    std::string name = dotted_name();
    std::vector<ExpressionPtr> arguments;
    ArgumentShape shape;
    if (current().is_symbol("(")) parse_arguments(&arguments, &shape);
    value = make_filter(line, std::move(name), std::move(value), std::move(arguments), shape);
  }
  return value;
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr value) {
  const int line = current().line;
  next();
  const bool negated = skip_name("not");
  std::string name = dotted_name();
  std::vector<ExpressionPtr> arguments;
  ArgumentShape shape;
  const Token& token = current();
  const bool begins_argument = token.kind == Token::Kind::name || token.kind == Token::Kind::text ||
                               token.kind == Token::Kind::integer ||
                               token.kind == Token::Kind::real || token.is_symbol("[") ||
                               token.is_symbol("{");
  if (token.is_symbol("(")) {
    parse_arguments(&arguments, &shape);
  } else if (begins_argument && !token.is_name("else") && !token.is_name("or") &&
             !token.is_name("and")) {
    if (token.is_name("is")) fail("tests cannot be chained with is");
    arguments.push_back(parse_postfix(parse_primary()));
    shape.positional = 1;
  }
  ExpressionPtr test =
      make_test(line, std::move(name), std::move(value), std::move(arguments), shape);
  return negated ? make_unary(line, "not", std::move(test)) : std::move(test);
}

Target ExpressionParser::one_target(bool with_namespace) {
  static const std::set<std::string, std::less<>> kConstants = {"true",  "True", "false",
                                                                "False", "none", "None"};
  const Deeper deeper(this, &depth_, kMaxExpressionDepth);
  Target target;
  if (skip_symbol("(")) {
    target.kind = Target::Kind::tuple;
    bool is_tuple = false;
    // Parentheses in a target hold any tuple of targets; one alone without a comma is itself.
    while (!current().is_symbol(")")) {
      target.parts.push_back(one_target(false));
      if (!current().is_symbol(")")) {
        expect_symbol(",");
        is_tuple = true;
      }
    }
    next();
    if (target.parts.size() == 1 && !is_tuple) {
      Target only = std::move(target.parts[0]);
      return only;
    }
    return target;
  }
  if (current().kind != Token::Kind::name) {
    fail(fmt::format("cannot assign to '{}'", describe(current())));
  }
  target.name = expect_any_name();
  if (kConstants.contains(target.name)) fail("cannot assign to a constant");
  if (with_namespace && skip_symbol(".")) {
    target.kind = Target::Kind::attribute;
    target.attribute = expect_any_name();
  } else if (target.name == "loop" && loops_around_targets_ > 0) {
    fail("cannot assign to the special variable 'loop' in a loop");
  }
  return target;
}

Target ExpressionParser::parse_target(TargetRules rules) {
  Target tuple;
  tuple.kind = Target::Kind::tuple;
  bool is_tuple = false;
  while (true) {
    if (!tuple.parts.empty()) expect_symbol(",");
    if (current().kind == Token::Kind::block_end || current().is_symbol(")") ||
        (!rules.end_name.empty() && current().is_name(rules.end_name))) {
      break;
    }
    tuple.parts.push_back(one_target(rules.with_namespace));
    if (!current().is_symbol(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return tuple;
  if (tuple.parts.empty()) fail("expected a name to assign to");
  Target only = std::move(tuple.parts[0]);
  return only;
}

}  // namespace sinter::jinja
