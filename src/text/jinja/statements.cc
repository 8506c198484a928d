// The nodes of statements: what they declare, where their frames begin, and what they do.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/lexer.h"
#include "text/jinja/syntax.h"

namespace sinter::jinja {

namespace {
constexpr size_t kMaxNames = 4000;  // of one frame; keeps the analysis of hostile templates short
}

void declare(const Body& body, Symbols* symbols) {
  for (const auto& statement : body) {
    statement->declare(symbols);
    if (symbols->size() > kMaxNames) {
      throw SyntaxError{statement->line(), "more than 4000 names in one scope", true};
    }
  }
}

void bind(const Body& body, Binding binding) {
  for (const auto& statement : body) statement->bind(binding);
}

Flow run(const Body& body, Runtime* runtime, Frame* frame) {
  for (const auto& statement : body) {
    const Flow flow = statement->run(runtime, frame);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Flow Statement::run(Runtime* runtime, Frame* frame) const {
  const Runtime::Deeper deeper(runtime, Runtime::Level::node);
  runtime->meter()->step();
  runtime->line = line_;
  return act(runtime, frame);
}

// ---- targets

void Target::declare(Symbols* symbols, bool as_parameter) const {
  for (const Target& part : parts) part.declare(symbols, as_parameter);
  if (kind == Kind::tuple) return;
  if (kind == Kind::attribute) {
    symbols->load(name);
  } else if (as_parameter) {
    symbols->parameter(name);
  } else {
    symbols->store(name);
  }
}

void Target::bind(const Symbols& symbols) {
  for (Target& part : parts) part.bind(symbols);
  if (kind != Kind::tuple) address = symbols.address(name);
}

void Target::check_namespaces(Runtime* runtime, Frame* frame) const {
  for (const Target& part : parts) part.check_namespaces(runtime, frame);
  if (kind == Kind::attribute && !frame->at(address).as<Namespace>()) {
    throw Raised{Raised::Kind::runtime, "cannot assign attribute on non-namespace object"};
  }
}

void Target::assign(const Value& value, Runtime* runtime, Frame* frame) const {
  switch (kind) {
    case Kind::name:
      frame->at(address) = value;
      return;
    case Kind::attribute:
      frame->at(address).as<Namespace>()->set(attribute, value);
      return;
    case Kind::tuple:
      break;
  }
  const auto cursor = iterate(value, runtime->meter());
  if (!cursor) raise_type(fmt::format("cannot unpack non-iterable {} object", type_name(value)));
  std::vector<Value> items;
  for (Value item; items.size() <= parts.size() && cursor->next(&item);) items.push_back(item);
  if (items.size() > parts.size()) {
    raise_value(fmt::format("too many values to unpack (expected {})", parts.size()));
  }
  if (items.size() < parts.size()) {
    raise_value(fmt::format("not enough values to unpack (expected {}, got {})", parts.size(),
                            items.size()));
  }
  for (size_t i = 0; i < parts.size(); ++i) parts[i].assign(items[i], runtime, frame);
}

namespace {

// Runs a body in a frame of its own and gives its output. A jump out of it discards the output.
std::optional<std::string> captured(const Body& body, Runtime* runtime, Frame* frame, Flow* flow) {
  std::string outer = runtime->capture_begin();
  *flow = run(body, runtime, frame);
  std::string inner = runtime->capture_end(std::move(outer));
  if (*flow != Flow::normal) return std::nullopt;
  return inner;
}

class Data : public Statement {
 public:
  Data(int line, std::string text) : Statement(line), text_(std::move(text)) {}
  void declare(Symbols*) const override {}
  void bind(Binding) override {}

 protected:
  Flow act(Runtime* runtime, Frame*) const override {
    runtime->emit(text_);
    return Flow::normal;
  }

 private:
  std::string text_;
};

class Output : public Statement {
 public:
  Output(int line, ExpressionPtr value) : Statement(line), value_(std::move(value)) {}
  void declare(Symbols* symbols) const override { value_->declare(symbols); }
  void bind(Binding binding) override { value_->bind(binding); }

 protected:
  Flow act(Runtime* runtime, Frame* frame) const override {
    const Value value = value_->evaluate(runtime, frame);
    if (value.is(Kind::text)) {
      runtime->emit(value.bytes());
      return Flow::normal;
    }
    Writer out(runtime->meter());
    write_str(value, &out);
    runtime->emit(out.text());
    return Flow::normal;
  }

 private:
  ExpressionPtr value_;
};

class If : public Statement {
 public:
  If(int line, std::vector<Branch> branches, Body otherwise)
      : Statement(line), branches_(std::move(branches)), otherwise_(std::move(otherwise)) {}

  void declare(Symbols* symbols) const override {
    branches_[0].condition->declare(symbols);
    Symbols then = symbols->branch();
    jinja::declare(branches_[0].body, &then);
    Symbols elifs = symbols->branch();
    for (size_t i = 1; i < branches_.size(); ++i) {  // each elif is an `if` of its own
      branches_[i].condition->declare(&elifs);
      Symbols body = elifs.branch();
      jinja::declare(branches_[i].body, &body);
      elifs.merge({&body});
    }
    Symbols otherwise = symbols->branch();
    jinja::declare(otherwise_, &otherwise);
    symbols->merge({&then, &elifs, &otherwise});
  }

  void bind(Binding binding) override {
    const Binding soft{.symbols = binding.symbols, .soft = true};
    for (Branch& branch : branches_) {
      branch.condition->bind(soft);
      jinja::bind(branch.body, soft);
    }
    jinja::bind(otherwise_, soft);
  }

 protected:
  Flow act(Runtime* runtime, Frame* frame) const override {
    for (const Branch& branch : branches_) {
      if (truth(branch.condition->evaluate(runtime, frame))) {
        return jinja::run(branch.body, runtime, frame);
      }
    }
    return jinja::run(otherwise_, runtime, frame);
  }

 private:
  std::vector<Branch> branches_;
  Body otherwise_;
};

class Set : public Statement {
 public:
  Set(int line, Target target, ExpressionPtr value)
      : Statement(line), target_(std::move(target)), value_(std::move(value)) {}
  void declare(Symbols* symbols) const override {
    value_->declare(symbols);
    target_.declare(symbols, false);
  }
  void bind(Binding binding) override {
    value_->bind(binding);
    target_.bind(*binding.symbols);
  }

 protected:
  Flow act(Runtime* runtime, Frame* frame) const override {
    target_.check_namespaces(runtime, frame);
    const Value value = value_->evaluate(runtime, frame);
    target_.assign(value, runtime, frame);
    return Flow::normal;
  }

 private:
  Target target_;
  ExpressionPtr value_;
};

// {% set x %}...{% endset %}: the body has its own frame.
class SetBlock : public Statement {
 public:
  SetBlock(int line, Target target, ExpressionPtr filters, Body body)
      : Statement(line),
        target_(std::move(target)),
        filters_(std::move(filters)),
        body_(std::move(body)) {}
  void declare(Symbols* symbols) const override { target_.declare(symbols, false); }
  void bind(Binding binding) override {
    Symbols inner(binding.symbols);
    jinja::declare(body_, &inner);
    if (filters_) filters_->declare(&inner);
    const Binding in_body{.symbols = &inner, .soft = false};
    jinja::bind(body_, in_body);
    if (filters_) filters_->bind(in_body);
    layout_ = inner.layout();
    target_.bind(*binding.symbols);
  }

 protected:
  Flow act(Runtime* runtime, Frame* frame) const override {
    FrameScope inner_scope(runtime, &layout_, frame);
    Frame* inner = inner_scope.get();
    runtime->enter(inner);
    Flow flow = Flow::normal;
    std::optional<std::string> text = captured(body_, runtime, inner, &flow);
    if (!text) return flow;
    Value value = runtime->text(std::move(*text));
    target_.check_namespaces(runtime, frame);
    if (filters_) value = filter_captured(*filters_, std::move(value), runtime, inner);
    target_.assign(value, runtime, frame);
    return Flow::normal;
  }

 private:
  Target target_;
  ExpressionPtr filters_;
  Body body_;
  FrameLayout layout_;
};

// {% filter %}, and with no filters {% generation %}.
class FilterBlock : public Statement {
 public:
  FilterBlock(int line, ExpressionPtr filters, Body body)
      : Statement(line), filters_(std::move(filters)), body_(std::move(body)) {}
  void declare(Symbols* symbols) const override {
    if (filters_) filters_->declare(symbols);
  }
  void bind(Binding binding) override {
    Symbols inner(binding.symbols);
    jinja::declare(body_, &inner);
    if (filters_) filters_->declare(&inner);
    const Binding in_body{.symbols = &inner, .soft = false};
    jinja::bind(body_, in_body);
    if (filters_) filters_->bind(in_body);
    layout_ = inner.layout();
  }

 protected:
  Flow act(Runtime* runtime, Frame* frame) const override {
    FrameScope inner_scope(runtime, &layout_, frame);
    Frame* inner = inner_scope.get();
    runtime->enter(inner);
    if (!filters_) return jinja::run(body_, runtime, inner);
    Flow flow = Flow::normal;
    std::optional<std::string> text = captured(body_, runtime, inner, &flow);
    if (!text) return flow;
    const Value value = filter_captured(*filters_, runtime->text(std::move(*text)), runtime, inner);
    Writer out(runtime->meter());
    write_str(value, &out);
    runtime->emit(out.text());
    return Flow::normal;
  }

 private:
  ExpressionPtr filters_;
  Body body_;
  FrameLayout layout_;
};

class With : public Statement {
 public:
  With(int line, std::vector<Target> targets, std::vector<ExpressionPtr> values, Body body)
      : Statement(line),
        targets_(std::move(targets)),
        values_(std::move(values)),
        body_(std::move(body)) {}
  void declare(Symbols* symbols) const override {
    for (const auto& value : values_) value->declare(symbols);
  }
  void bind(Binding binding) override {
    for (const auto& value : values_) value->bind({.symbols = binding.symbols, .soft = false});
    Symbols inner(binding.symbols);
    for (const Target& target : targets_) target.declare(&inner, true);
    jinja::declare(body_, &inner);
    for (Target& target : targets_) target.bind(inner);
    jinja::bind(body_, {.symbols = &inner, .soft = false});
    layout_ = inner.layout();
  }

 protected:
  Flow act(Runtime* runtime, Frame* frame) const override {
    FrameScope inner_scope(runtime, &layout_, frame);
    Frame* inner = inner_scope.get();
    runtime->enter(inner);
    for (size_t i = 0; i < targets_.size(); ++i) {
      targets_[i].assign(values_[i]->evaluate(runtime, frame), runtime, inner);
    }
    return jinja::run(body_, runtime, inner);
  }

 private:
  std::vector<Target> targets_;
  std::vector<ExpressionPtr> values_;
  Body body_;
  FrameLayout layout_;
};

class Jump : public Statement {
 public:
  Jump(int line, Flow flow) : Statement(line), flow_(flow) {}
  void declare(Symbols*) const override {}
  void bind(Binding) override {}

 protected:
  Flow act(Runtime*, Frame*) const override { return flow_; }

 private:
  Flow flow_;
};

}  // namespace

std::unique_ptr<Statement> make_data(int line, std::string text) {
  return std::make_unique<Data>(line, std::move(text));
}
std::unique_ptr<Statement> make_output(int line, ExpressionPtr value) {
  return std::make_unique<Output>(line, std::move(value));
}
std::unique_ptr<Statement> make_if(int line, std::vector<Branch> branches, Body otherwise) {
  return std::make_unique<If>(line, std::move(branches), std::move(otherwise));
}
std::unique_ptr<Statement> make_set(int line, Target target, ExpressionPtr value) {
  return std::make_unique<Set>(line, std::move(target), std::move(value));
}
std::unique_ptr<Statement> make_set_block(int line, Target target, ExpressionPtr filters,
                                          Body body) {
  return std::make_unique<SetBlock>(line, std::move(target), std::move(filters), std::move(body));
}
std::unique_ptr<Statement> make_filter_block(int line, ExpressionPtr filters, Body body) {
  return std::make_unique<FilterBlock>(line, std::move(filters), std::move(body));
}
std::unique_ptr<Statement> make_with(int line, std::vector<Target> targets,
                                     std::vector<ExpressionPtr> values, Body body) {
  return std::make_unique<With>(line, std::move(targets), std::move(values), std::move(body));
}
std::unique_ptr<Statement> make_jump(int line, Flow flow) {
  return std::make_unique<Jump>(line, flow);
}

}  // namespace sinter::jinja
