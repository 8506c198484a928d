// The nodes of expressions, and how they evaluate.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/lexer.h"
#include "text/jinja/number.h"
#include "text/jinja/syntax.h"

namespace sinter::jinja {

void Expression::adopt(std::unique_ptr<Expression> child) {
  if (child) {
    height_ = std::max(height_, child->height_ + 1);
    if (height_ > kMaxTreeHeight) throw SyntaxError{line_, "nested too deeply", true};
  }
  children_.push_back(std::move(child));
}

void Expression::declare(Symbols* symbols) const {
  for (const auto& child : children_) {
    if (child) child->declare(symbols);
  }
}

void Expression::bind(Binding binding) {
  for (const auto& child : children_) {
    if (child) child->bind(binding);
  }
}

Value Expression::evaluate(Runtime* runtime, Frame* frame) const {
  const Runtime::Deeper deeper(runtime, Runtime::Level::node);
  runtime->meter()->step();
  runtime->line = line_;
  return result(runtime, frame);
}

namespace {

class Constant : public Expression {
 public:
  Constant(int line, Value value) : Expression(line), value_(std::move(value)) {}

 protected:
  Value result(Runtime*, Frame*) const override { return value_; }

 private:
  Value value_;
};

class Name : public Expression {
 public:
  Name(int line, std::string name) : Expression(line), name_(std::move(name)) {}
  void declare(Symbols* symbols) const override { symbols->load(name_); }
  void bind(Binding binding) override { address_ = binding.symbols->address(name_); }

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    const Value& value = frame->at(address_);
    if (value.is_missing()) return runtime->undefined(fmt::format("'{}' is undefined", name_));
    return value;
  }

 private:
  std::string name_;
  Address address_;
};

class SequenceDisplay : public Expression {
 public:
  SequenceDisplay(int line, Kind kind) : Expression(line), kind_(kind) {}

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    std::vector<Value> items;
    items.reserve(children_.size());
    for (size_t i = 0; i < children_.size(); ++i) items.push_back(child(i, runtime, frame));
    return kind_ == Kind::list ? Value::list(runtime->meter(), std::move(items))
                               : Value::tuple(runtime->meter(), std::move(items));
  }

 private:
  Kind kind_;
};

class DictDisplay : public Expression {
 public:
  using Expression::Expression;

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    std::vector<std::pair<Value, Value>> entries;
    for (size_t i = 0; i + 1 < children_.size(); i += 2) {
      Value key = child(i, runtime, frame);
      entries.emplace_back(std::move(key), child(i + 1, runtime, frame));
    }
    return Value::dict(make_dict(runtime->meter(), entries));
  }
};

class Unary : public Expression {
 public:
  Unary(int line, std::string symbol) : Expression(line), symbol_(std::move(symbol)) {}

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    const Value value = child(0, runtime, frame);
    if (symbol_ == "not") return Value::boolean(!truth(value));
    if (symbol_ == "-") return negate(value);
    if (value.is_integral()) return Value::integer(value.as_integer());
    if (value.is(Kind::real)) return value;
    if (value.is_undefined()) raise_undefined(value);
    raise_type(fmt::format("bad operand type for unary +: '{}'", type_name(value)));
  }

 private:
  std::string symbol_;
};

class Binary : public Expression {
 public:
  Binary(int line, std::string symbol) : Expression(line), symbol_(std::move(symbol)) {}

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    const Value left = child(0, runtime, frame);
    const Value right = child(1, runtime, frame);
    runtime->line = line();
    return arithmetic(symbol_, left, right, runtime->meter());
  }

 private:
  std::string symbol_;
};

class Concat : public Expression {
 public:
  using Expression::Expression;

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    std::vector<Value> parts;
    for (size_t i = 0; i < children_.size(); ++i) parts.push_back(child(i, runtime, frame));
    Writer out(runtime->meter());
    for (const Value& part : parts) write_str(part, &out);
    return runtime->text(out.take());
  }
};

class Logic : public Expression {
 public:
  Logic(int line, bool is_and) : Expression(line), is_and_(is_and) {}

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    Value left = child(0, runtime, frame);
    return truth(left) == is_and_ ? child(1, runtime, frame) : left;
  }

 private:
  bool is_and_;
};

bool holds(const std::string& sign, const Value& a, const Value& b, Meter* meter) {
  if (sign == "==") return equal(a, b, meter);
  if (sign == "!=") return !equal(a, b, meter);
  if (sign == "in") return contains(b, a, meter);
  if (sign == "not in") return !contains(b, a, meter);
  const Order o = order(a, b, meter, sign.c_str());
  if (sign == "<") return o == Order::less;
  if (sign == ">") return o == Order::greater;
  if (sign == "<=") return o == Order::less || o == Order::equal;
  return o == Order::greater || o == Order::equal;
}

class Compare : public Expression {
 public:
  Compare(int line, std::vector<std::string> symbols)
      : Expression(line), symbols_(std::move(symbols)) {}

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    Value left = child(0, runtime, frame);
    for (size_t i = 0; i < symbols_.size(); ++i) {
      Value right = child(i + 1, runtime, frame);
      runtime->line = line();
      if (!holds(symbols_[i], left, right, runtime->meter())) return Value::boolean(false);
      left = std::move(right);
    }
    return Value::boolean(true);
  }

 private:
  std::vector<std::string> symbols_;
};

class Condition : public Expression {
 public:
  using Expression::Expression;
  void bind(Binding binding) override {
    Expression::bind({.symbols = binding.symbols, .soft = true});
  }

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    if (truth(child(0, runtime, frame))) return child(1, runtime, frame);
    if (children_[2]) return child(2, runtime, frame);
    return runtime->undefined("the inline if-expression evaluated to false and has no else");
  }
};

class Attribute : public Expression {
 public:
  Attribute(int line, std::string name) : Expression(line), name_(std::move(name)) {}

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    const Value object = child(0, runtime, frame);
    runtime->line = line();
    return runtime->attribute(object, name_);
  }

 private:
  std::string name_;
};

class Subscript : public Expression {
 public:
  using Expression::Expression;

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    const Value object = child(0, runtime, frame);
    const Value key = child(1, runtime, frame);
    runtime->line = line();
    return runtime->item(object, key);
  }
};

class Slice : public Expression {
 public:
  using Expression::Expression;

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    const Value object = child(0, runtime, frame);
    const auto bound = [&](size_t i) {
      return children_[i] ? child(i, runtime, frame) : Value::none();
    };
    const Value start = bound(1);
    const Value stop = bound(2);
    const Value step = bound(3);
    runtime->line = line();
    return runtime->slice(object, start, stop, step);
  }
};

class WithArguments : public Expression {
 public:
  WithArguments(int line, ArgumentShape shape) : Expression(line), shape_(std::move(shape)) {}

 protected:
  Arguments arguments(Runtime* runtime, Frame* frame) const {
    Arguments out;
    size_t i = shape_.first;
    for (size_t k = 0; k < shape_.positional; ++k) {
      out.positional.push_back(child(i++, runtime, frame));
    }
    for (const std::string& name : shape_.names) {
      out.named.emplace_back(name, child(i++, runtime, frame));
    }
    if (shape_.star) {
      for (Value& v : to_vector(child(i++, runtime, frame), runtime->meter())) {
        out.positional.push_back(std::move(v));
      }
    }
    if (shape_.star_star) {
      const Value named = child(i, runtime, frame);
      if (named.is_undefined()) raise_undefined(named);
      if (!named.is(Kind::dict)) raise_type("argument after ** must be a mapping");
      for (const auto& [key, value] : named.as_dict().entries()) {
        if (!key.is(Kind::text)) raise_type("keywords must be strings");
        out.named.emplace_back(key.bytes(), value);
      }
    }
    runtime->line = line();
    return out;
  }

 private:
  ArgumentShape shape_;
};

class Call : public WithArguments {
 public:
  using WithArguments::WithArguments;
  Value invoke(Value caller, Runtime* runtime, Frame* frame) const {
    const Value callee = child(0, runtime, frame);
    Arguments all = arguments(runtime, frame);
    if (!caller.is_missing()) all.named.emplace_back("caller", std::move(caller));
    return runtime->call(callee, std::move(all));
  }

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    return invoke(Value(), runtime, frame);
  }
};

class FilterCall : public WithArguments {
 public:
  FilterCall(int line, std::string name, ArgumentShape shape)
      : WithArguments(line, std::move(shape)), name_(std::move(name)) {}
  void bind(Binding binding) override {
    if (is_known_unsupported_filter(name_)) {
      throw SyntaxError{line(), fmt::format("the filter '{}' is not supported", name_), true};
    }
    if (find_filter(name_) == nullptr && !binding.soft) {
      throw SyntaxError{line(), fmt::format("no filter named '{}'", name_), true};
    }
    Expression::bind(binding);
  }

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    const Value value = child(0, runtime, frame);
    return runtime->filter(name_, value, arguments(runtime, frame));
  }

 private:
  std::string name_;
};

class TestCall : public WithArguments {
 public:
  TestCall(int line, std::string name, ArgumentShape shape)
      : WithArguments(line, std::move(shape)), name_(std::move(name)) {}
  void bind(Binding binding) override {
    if (find_test(name_) == nullptr && !binding.soft) {
      throw SyntaxError{line(), fmt::format("no test named '{}'", name_), true};
    }
    Expression::bind(binding);
  }

 protected:
  Value result(Runtime* runtime, Frame* frame) const override {
    const Value value = child(0, runtime, frame);
    return Value::boolean(runtime->test(name_, value, arguments(runtime, frame)));
  }

 private:
  std::string name_;
};

class Captured : public Expression {
 public:
  using Expression::Expression;

 protected:
  Value result(Runtime* runtime, Frame*) const override {
    return std::exchange(runtime->captured, Value());
  }
};

template <typename Node>
ExpressionPtr with_children(std::unique_ptr<Node> node, std::vector<ExpressionPtr> children) {
  for (ExpressionPtr& c : children) node->adopt(std::move(c));
  return node;
}

template <typename... Children>
std::vector<ExpressionPtr> listed(Children... children) {
  std::vector<ExpressionPtr> out;
  (out.push_back(std::move(children)), ...);
  return out;
}

template <typename Node>
ExpressionPtr with_arguments(std::unique_ptr<Node> node, ExpressionPtr first,
                             std::vector<ExpressionPtr> arguments) {
  node->adopt(std::move(first));
  return with_children(std::move(node), std::move(arguments));
}

ArgumentShape from_second(ArgumentShape shape) {
  shape.first = 1;
  return shape;
}

}  // namespace

ExpressionPtr make_constant(int line, Value value) {
  return std::make_unique<Constant>(line, std::move(value));
}
ExpressionPtr make_name(int line, std::string name) {
  return std::make_unique<Name>(line, std::move(name));
}
ExpressionPtr make_sequence(int line, Kind kind, std::vector<ExpressionPtr> items) {
  return with_children(std::make_unique<SequenceDisplay>(line, kind), std::move(items));
}
ExpressionPtr make_dict_display(int line, std::vector<ExpressionPtr> keys_and_values) {
  return with_children(std::make_unique<DictDisplay>(line), std::move(keys_and_values));
}
ExpressionPtr make_unary(int line, std::string symbol, ExpressionPtr operand) {
  return with_children(std::make_unique<Unary>(line, std::move(symbol)),
                       listed(std::move(operand)));
}
ExpressionPtr make_binary(int line, std::string symbol, ExpressionPtr left, ExpressionPtr right) {
  return with_children(std::make_unique<Binary>(line, std::move(symbol)),
                       listed(std::move(left), std::move(right)));
}
ExpressionPtr make_concat(int line, std::vector<ExpressionPtr> parts) {
  return with_children(std::make_unique<Concat>(line), std::move(parts));
}
ExpressionPtr make_logic(int line, bool is_and, ExpressionPtr left, ExpressionPtr right) {
  return with_children(std::make_unique<Logic>(line, is_and),
                       listed(std::move(left), std::move(right)));
}
ExpressionPtr make_compare(int line, std::vector<std::string> symbols,
                           std::vector<ExpressionPtr> operands) {
  return with_children(std::make_unique<Compare>(line, std::move(symbols)), std::move(operands));
}
ExpressionPtr make_condition(int line, ExpressionPtr condition, ExpressionPtr then,
                             ExpressionPtr otherwise) {
  return with_children(std::make_unique<Condition>(line),
                       listed(std::move(condition), std::move(then), std::move(otherwise)));
}
ExpressionPtr make_attribute(int line, ExpressionPtr object, std::string name) {
  return with_children(std::make_unique<Attribute>(line, std::move(name)),
                       listed(std::move(object)));
}
ExpressionPtr make_subscript(int line, ExpressionPtr object, ExpressionPtr key) {
  return with_children(std::make_unique<Subscript>(line),
                       listed(std::move(object), std::move(key)));
}
ExpressionPtr make_slice(int line, ExpressionPtr object, ExpressionPtr start, ExpressionPtr stop,
                         ExpressionPtr step) {
  return with_children(std::make_unique<Slice>(line), listed(std::move(object), std::move(start),
                                                             std::move(stop), std::move(step)));
}
ExpressionPtr make_call(int line, ExpressionPtr callee, std::vector<ExpressionPtr> arguments,
                        ArgumentShape shape) {
  return with_arguments(std::make_unique<Call>(line, from_second(std::move(shape))),
                        std::move(callee), std::move(arguments));
}
ExpressionPtr make_filter(int line, std::string name, ExpressionPtr value,
                          std::vector<ExpressionPtr> arguments, ArgumentShape shape) {
  return with_arguments(
      std::make_unique<FilterCall>(line, std::move(name), from_second(std::move(shape))),
      std::move(value), std::move(arguments));
}
ExpressionPtr make_test(int line, std::string name, ExpressionPtr value,
                        std::vector<ExpressionPtr> arguments, ArgumentShape shape) {
  return with_arguments(
      std::make_unique<TestCall>(line, std::move(name), from_second(std::move(shape))),
      std::move(value), std::move(arguments));
}
ExpressionPtr make_captured(int line) { return std::make_unique<Captured>(line); }

bool is_call(const Expression& expression) {
  return dynamic_cast<const Call*>(&expression) != nullptr;
}

Value call_with_caller(const Expression& call, Value caller, Runtime* runtime, Frame* frame) {
  return static_cast<const Call&>(call).invoke(std::move(caller), runtime, frame);
}

Value filter_captured(const Expression& filters, Value value, Runtime* runtime, Frame* frame) {
  runtime->captured = std::move(value);
  return filters.evaluate(runtime, frame);
}

}  // namespace sinter::jinja
