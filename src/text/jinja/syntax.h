// The tree of a parsed template. Nodes know three things: which names they use (declare), where
// those names live (bind, once all names of the frame are known), and what they do.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/runtime.h"
#include "text/jinja/scope.h"

namespace sinter::jinja {

inline constexpr int kMaxTreeHeight = 200;

struct Binding {
  const Symbols* symbols;
  bool soft;  // directly inside an `if`: an unknown filter is an error only when it runs
};

class Expression {
 public:
  explicit Expression(int line) : line_(line) {}
  virtual ~Expression() = default;
  virtual void declare(Symbols* symbols) const;
  virtual void bind(Binding binding);
  Value evaluate(Runtime* runtime, Frame* frame) const;
  int line() const { return line_; }
  int height() const { return height_; }
  void adopt(std::unique_ptr<Expression> child);  // null is a child left out

 protected:
  virtual Value result(Runtime* runtime, Frame* frame) const = 0;
  Value child(size_t i, Runtime* runtime, Frame* frame) const {
    return children_[i]->evaluate(runtime, frame);
  }
  std::vector<std::unique_ptr<Expression>> children_;

 private:
  int line_;
  int height_ = 1;
};
using ExpressionPtr = std::unique_ptr<Expression>;

enum class Flow { normal, break_loop, continue_loop };

class Statement {
 public:
  explicit Statement(int line) : line_(line) {}
  virtual ~Statement() = default;
  virtual void declare(Symbols* symbols) const = 0;
  virtual void bind(Binding binding) = 0;
  Flow run(Runtime* runtime, Frame* frame) const;
  int line() const { return line_; }

 protected:
  virtual Flow act(Runtime* runtime, Frame* frame) const = 0;

 private:
  int line_;
};
using Body = std::vector<std::unique_ptr<Statement>>;

void declare(const Body& body, Symbols* symbols);
void bind(const Body& body, Binding binding);
Flow run(const Body& body, Runtime* runtime, Frame* frame);

// What stands left of `=` or between `for` and `in`.
struct Target {
  enum class Kind { name, attribute, tuple };
  Kind kind = Kind::name;
  std::string name;
  std::string attribute;
  std::vector<Target> parts;
  Address address;

  void declare(Symbols* symbols, bool as_parameter) const;
  void bind(const Symbols& symbols);
  void check_namespaces(Runtime* runtime, Frame* frame) const;
  void assign(const Value& value, Runtime* runtime, Frame* frame) const;
};

// The arguments of a call, filter or test, as indices into the children of their expression.
struct ArgumentShape {
  size_t first = 0;
  size_t positional = 0;
  std::vector<std::string> names;
  bool star = false;
  bool star_star = false;
};

// The parameters and the body of a macro or a call block.
struct MacroSyntax {
  std::string name;  // empty: a call block's
  std::vector<Target> parameters;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  bool uses_caller = false;
  bool uses_kwargs = false;
  bool uses_varargs = false;
  Body body;
  FrameLayout layout;
  Address caller_address, kwargs_address, varargs_address;

  void bind(const Symbols& outer);
  bool has_parameter(std::string_view name) const;
};

struct Branch {
  ExpressionPtr condition;
  Body body;
};

// ---- how the parser makes nodes (evaluate.cc and statements.cc define them)

ExpressionPtr make_constant(int line, Value value);
ExpressionPtr make_name(int line, std::string name);
ExpressionPtr make_sequence(int line, Kind kind, std::vector<ExpressionPtr> items);
ExpressionPtr make_dict_display(int line, std::vector<ExpressionPtr> keys_and_values);
ExpressionPtr make_unary(int line, std::string symbol, ExpressionPtr operand);
ExpressionPtr make_binary(int line, std::string symbol, ExpressionPtr left, ExpressionPtr right);
ExpressionPtr make_concat(int line, std::vector<ExpressionPtr> parts);
ExpressionPtr make_logic(int line, bool is_and, ExpressionPtr left, ExpressionPtr right);
ExpressionPtr make_compare(int line, std::vector<std::string> symbols,
                           std::vector<ExpressionPtr> operands);
ExpressionPtr make_condition(int line, ExpressionPtr condition, ExpressionPtr then,
                             ExpressionPtr otherwise);
ExpressionPtr make_attribute(int line, ExpressionPtr object, std::string name);
ExpressionPtr make_subscript(int line, ExpressionPtr object, ExpressionPtr key);
ExpressionPtr make_slice(int line, ExpressionPtr object, ExpressionPtr start, ExpressionPtr stop,
                         ExpressionPtr step);
ExpressionPtr make_call(int line, ExpressionPtr callee, std::vector<ExpressionPtr> arguments,
                        ArgumentShape shape);
ExpressionPtr make_filter(int line, std::string name, ExpressionPtr value,
                          std::vector<ExpressionPtr> arguments, ArgumentShape shape);
ExpressionPtr make_test(int line, std::string name, ExpressionPtr value,
                        std::vector<ExpressionPtr> arguments, ArgumentShape shape);
bool is_call(const Expression& expression);
// Calls `call` with one more argument, caller=`caller`.
Value call_with_caller(const Expression& call, Value caller, Runtime* runtime, Frame* frame);
ExpressionPtr make_captured(int line);  // the value that filter_captured() passes
// Applies a chain of filters built over make_captured() to `value`.
Value filter_captured(const Expression& filters, Value value, Runtime* runtime, Frame* frame);

std::unique_ptr<Statement> make_data(int line, std::string text);
std::unique_ptr<Statement> make_output(int line, ExpressionPtr value);
std::unique_ptr<Statement> make_if(int line, std::vector<Branch> branches, Body otherwise);
std::unique_ptr<Statement> make_for(int line, Target target, ExpressionPtr iterable,
                                    ExpressionPtr condition, bool recursive, Body body,
                                    Body otherwise);
std::unique_ptr<Statement> make_set(int line, Target target, ExpressionPtr value);
std::unique_ptr<Statement> make_set_block(int line, Target target, ExpressionPtr filters,
                                          Body body);
std::unique_ptr<Statement> make_macro(int line, std::unique_ptr<MacroSyntax> macro);
std::unique_ptr<Statement> make_call_block(int line, ExpressionPtr call,
                                           std::unique_ptr<MacroSyntax> macro);
std::unique_ptr<Statement> make_filter_block(int line, ExpressionPtr filters, Body body);
std::unique_ptr<Statement> make_with(int line, std::vector<Target> targets,
                                     std::vector<ExpressionPtr> values, Body body);
std::unique_ptr<Statement> make_jump(int line, Flow flow);

}  // namespace sinter::jinja
