// The two statements with machinery of their own: `for` with its loop object, and macros.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/syntax.h"

namespace sinter::jinja {
namespace {

class For;

// The variable `loop`. Reads one item ahead only when asked what comes next.
class Loop : public Object {
 public:
  Loop(Runtime* runtime, const For* statement, Frame* outer, Value iterable,
       std::shared_ptr<Cursor> cursor, int64_t depth0)
      : Object(runtime->meter(), 64, 1),
        runtime_(runtime),
        statement_(statement),
        outer_(outer),
        iterable_(std::move(iterable)),
        cursor_(std::move(cursor)),
        depth0_(depth0) {}

  bool advance() {
    Value next;
    if (!after_.is_missing()) {
      next = std::exchange(after_, Value());
    } else if (!pull(&next)) {
      return false;
    }
    ++index0_;
    before_ = std::move(current_);
    current_ = std::move(next);
    return true;
  }
  const Value& current() const { return current_; }

  // The loop is over: let go of everything, so that a `loop` kept in a namespace holds nothing.
  void detach() {
    statement_ = nullptr;
    cursor_ = nullptr;
    iterable_ = before_ = current_ = after_ = last_changed_ = Value();
  }

  std::string type_name() const override { return "LoopContext"; }
  void repr(Writer* out, int) const override {
    out->add(fmt::format("<LoopContext {}/{}>", index0_ + 1,
                         const_cast<Loop*>(this)->length().value_or(0)));
  }
  bool is_callable() const override { return true; }
  Value call(Runtime* runtime, Arguments arguments) override;
  std::optional<Value> attribute(std::string_view name, Runtime* runtime) override;

  std::optional<int64_t> length() override {
    if (length_) return length_;
    if (!iterable_.is_missing() && jinja::length(iterable_)) {
      length_ = jinja::length(iterable_);
      return length_;
    }
    std::vector<Value> rest;
    for (Value v; pull(&v);) rest.push_back(v);
    length_ = static_cast<int64_t>(rest.size()) + index0_ + 1 + (after_.is_missing() ? 0 : 1);
    cursor_ = jinja::iterate(Value::list(runtime_->meter(), std::move(rest)), runtime_->meter());
    return length_;
  }

 private:
  bool pull(Value* out) {
    runtime_->meter()->step();
    return cursor_ != nullptr && cursor_->next(out);
  }
  const Value& peek() {
    if (after_.is_missing() && !pull(&after_)) after_ = Value();
    return after_;
  }
  static Value cycle(Runtime*, const Value& self, const Arguments& arguments);
  static Value changed(Runtime* runtime, const Value& self, const Arguments& arguments);
  Value bound(const char* name, Function::Body body) {
    return Value::object(
        std::make_shared<Function>(meter_, name, body, Value::object(self_.lock())));
  }

 public:
  std::weak_ptr<Object> self_;

 private:
  Runtime* runtime_;
  const For* statement_;
  Frame* outer_;
  Value iterable_;
  std::shared_ptr<Cursor> cursor_;
  int64_t depth0_;
  int64_t index0_ = -1;
  std::optional<int64_t> length_;
  Value before_, current_, after_, last_changed_;
};

class For : public Statement {
 public:
  For(int line, Target target, ExpressionPtr iterable, ExpressionPtr condition, bool recursive,
      Body body, Body otherwise)
      : Statement(line),
        target_(std::move(target)),
        test_target_(target_),
        iterable_(std::move(iterable)),
        condition_(std::move(condition)),
        recursive_(recursive),
        body_(std::move(body)),
        otherwise_(std::move(otherwise)) {}

  void declare(Symbols* symbols) const override { iterable_->declare(symbols); }

  void bind(Binding binding) override {
    iterable_->bind({.symbols = binding.symbols, .soft = binding.soft});
    Symbols in_body(binding.symbols);
    in_body.parameter("loop");
    target_.declare(&in_body, true);
    jinja::declare(body_, &in_body);
    target_.bind(in_body);
    loop_address_ = in_body.address("loop");
    jinja::bind(body_, {.symbols = &in_body, .soft = false});
    layout_ = in_body.layout();
    if (condition_) {
      Symbols in_test(binding.symbols);
      test_target_.declare(&in_test, true);
      condition_->declare(&in_test);
      test_target_.bind(in_test);
      condition_->bind({.symbols = &in_test, .soft = false});
      test_layout_ = in_test.layout();
    }
    Symbols in_else(binding.symbols);
    jinja::declare(otherwise_, &in_else);
    jinja::bind(otherwise_, {.symbols = &in_else, .soft = false});
    else_layout_ = in_else.layout();
  }

  bool recursive() const { return recursive_; }

  Flow iterate_over(const Value& iterable, int64_t depth0, Runtime* runtime, Frame* outer) const {
    std::shared_ptr<Cursor> cursor = iterate_or_raise(iterable, runtime->meter());
    Value counted = iterable;
    FrameScope test_scope(runtime, &test_layout_, outer);
    if (condition_) {
      cursor = filtered(std::move(cursor), runtime, test_scope.get());
      counted = Value();
    }
    const auto loop =
        std::make_shared<Loop>(runtime, this, outer, counted, std::move(cursor), depth0);
    loop->self_ = loop;
    const Release release{loop.get()};
    FrameScope frame_scope(runtime, &layout_, outer);
    Frame* frame = frame_scope.get();
    bool ran = false;  // a body that jumps does not count: so it is in jinja2
    Flow flow = Flow::normal;
    while (flow != Flow::break_loop && loop->advance()) {
      runtime->meter()->step();
      target_.assign(loop->current(), runtime, frame);
      frame->at(loop_address_) = Value::object(loop);
      runtime->enter(frame);
      flow = jinja::run(body_, runtime, frame);
      ran |= flow == Flow::normal;
    }
    std::fill(frame->slots.begin(), frame->slots.end(), Value());
    if (ran) return Flow::normal;
    FrameScope else_frame_scope(runtime, &else_layout_, outer);
    Frame* else_frame = else_frame_scope.get();
    runtime->enter(else_frame);
    return jinja::run(otherwise_, runtime, else_frame);
  }

 protected:
  Flow act(Runtime* runtime, Frame* frame) const override {
    return iterate_over(iterable_->evaluate(runtime, frame), 0, runtime, frame);
  }

 private:
  struct Release {
    Loop* loop;
    ~Release() { loop->detach(); }
  };

  std::shared_ptr<Cursor> filtered(std::shared_ptr<Cursor> items, Runtime* runtime,
                                   Frame* frame) const {
    runtime->enter(frame);
    return std::make_shared<Stream>(
        runtime->meter(),
        [this, items = std::move(items), runtime, frame](Value* out) {
          while (items->next(out)) {
            runtime->meter()->step();
            test_target_.assign(*out, runtime, frame);
            if (truth(condition_->evaluate(runtime, frame))) return true;
          }
          return false;
        },
        0);
  }

  Target target_;
  Target test_target_;  // the same target in the frame of the condition
  ExpressionPtr iterable_;
  ExpressionPtr condition_;
  bool recursive_;
  Body body_;
  Body otherwise_;
  FrameLayout layout_, test_layout_, else_layout_;
  Address loop_address_;
};

Value Loop::call(Runtime* runtime, Arguments arguments) {
  const Parameters given("loop", arguments, {"iterable"}, 1);
  if (statement_ == nullptr || !statement_->recursive()) {
    raise_type("The loop must have the 'recursive' marker to be called recursively.");
  }
  const Runtime::Deeper deeper(runtime, Runtime::Level::call);
  std::string outer = runtime->capture_begin();
  statement_->iterate_over(given[0], depth0_ + 1, runtime, outer_);
  return runtime->text(runtime->capture_end(std::move(outer)));
}

Value Loop::cycle(Runtime*, const Value& self, const Arguments& arguments) {
  if (arguments.positional.empty()) raise_type("no items for cycling given");
  const auto n = static_cast<int64_t>(arguments.positional.size());
  return arguments.positional[static_cast<size_t>(self.as<Loop>()->index0_ % n)];
}

Value Loop::changed(Runtime* runtime, const Value& self, const Arguments& arguments) {
  const auto loop = self.as<Loop>();
  const Value now = Value::tuple(runtime->meter(), arguments.positional);
  if (!loop->last_changed_.is_missing() && equal(loop->last_changed_, now, runtime->meter())) {
    return Value::boolean(false);
  }
  loop->last_changed_ = now;
  return Value::boolean(true);
}

std::optional<Value> Loop::attribute(std::string_view name, Runtime* runtime) {
  const auto total = [&] { return length().value_or(0); };
  if (name == "index") return Value::integer(index0_ + 1);
  if (name == "index0") return Value::integer(index0_);
  if (name == "first") return Value::boolean(index0_ == 0);
  if (name == "last") return Value::boolean(peek().is_missing());
  if (name == "length") return Value::integer(total());
  if (name == "revindex") return Value::integer(total() - index0_);
  if (name == "revindex0") return Value::integer(total() - index0_ - 1);
  if (name == "depth") return Value::integer(depth0_ + 1);
  if (name == "depth0") return Value::integer(depth0_);
  if (name == "previtem") {
    return index0_ == 0 ? runtime->undefined("there is no previous item") : before_;
  }
  if (name == "nextitem") {
    return peek().is_missing() ? runtime->undefined("there is no next item") : after_;
  }
  if (name == "cycle") return bound("cycle", &Loop::cycle);
  if (name == "changed") return bound("changed", &Loop::changed);
  return std::nullopt;
}

// ---- macros

class MacroValue : public Object {
 public:
  MacroValue(Runtime* runtime, const MacroSyntax* syntax, Frame* closure)
      : Object(runtime->meter(), 0, 1), syntax_(syntax), closure_(closure) {}
  std::string type_name() const override { return "Macro"; }
  bool is_callable() const override { return true; }
  void repr(Writer* out, int) const override {
    out->add(syntax_->name.empty() ? "<Macro anonymous>"
                                   : fmt::format("<Macro {}>", quote(syntax_->name)));
  }

  Value call(Runtime* runtime, Arguments arguments) override {
    const Runtime::Deeper deeper(runtime, Runtime::Level::call);
    FrameScope frame_scope(runtime, &syntax_->layout, closure_);
    Frame* frame = frame_scope.get();
    bind_arguments(runtime, std::move(arguments), frame);
    runtime->enter(frame);
    fill_defaults(runtime, frame);
    std::string outer = runtime->capture_begin();
    run(syntax_->body, runtime, frame);
    return runtime->text(runtime->capture_end(std::move(outer)));
  }

  std::optional<Value> attribute(std::string_view name, Runtime* runtime) override {
    if (name == "name") {
      return syntax_->name.empty() ? Value::none() : runtime->text(syntax_->name);
    }
    if (name == "arguments") {
      std::vector<Value> names;
      for (const Target& p : syntax_->parameters) names.push_back(runtime->text(p.name));
      return Value::tuple(runtime->meter(), std::move(names));
    }
    if (name == "catch_kwargs") return Value::boolean(syntax_->uses_kwargs);
    if (name == "catch_varargs") return Value::boolean(syntax_->uses_varargs);
    if (name == "caller") return Value::boolean(syntax_->uses_caller);
    return std::nullopt;
  }

 private:
  void bind_arguments(Runtime* runtime, Arguments arguments, Frame* frame) const {
    const auto& parameters = syntax_->parameters;
    auto& given = arguments.positional;
    bool found_caller = given.size() >= parameters.size() && syntax_->has_parameter("caller");
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (i < given.size()) {
        frame->at(parameters[i].address) = given[i];
      } else {
        frame->at(parameters[i].address) = arguments.take(parameters[i].name);
        found_caller |= parameters[i].name == "caller";
      }
    }
    if (syntax_->uses_caller && !found_caller) {
      Value caller = arguments.take("caller");
      if (caller.is_missing() || caller.is(Kind::none)) {
        caller = runtime->undefined("No caller defined");
      }
      frame->at(syntax_->caller_address) = caller;
    }
    if (syntax_->uses_kwargs) {
      std::vector<std::pair<Value, Value>> rest;
      for (const auto& [name, value] : arguments.named) {
        rest.emplace_back(runtime->text(name), value);
      }
      frame->at(syntax_->kwargs_address) = Value::dict(make_dict(runtime->meter(), rest));
    } else if (!arguments.named.empty()) {
      raise_type(fmt::format("macro {} takes no keyword argument {}", quote(syntax_->name),
                             quote(arguments.named.front().first)));
    }
    if (syntax_->uses_varargs) {
      std::vector<Value> rest;
      for (size_t i = parameters.size(); i < given.size(); ++i) rest.push_back(given[i]);
      frame->at(syntax_->varargs_address) = Value::tuple(runtime->meter(), std::move(rest));
    } else if (given.size() > parameters.size()) {
      raise_type(fmt::format("macro {} takes not more than {} argument(s)", quote(syntax_->name),
                             parameters.size()));
    }
  }

  void fill_defaults(Runtime* runtime, Frame* frame) const {
    const auto& parameters = syntax_->parameters;
    const size_t required = parameters.size() - syntax_->defaults.size();
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (!frame->at(parameters[i].address).is_missing()) continue;
      Value value = i < required ? runtime->undefined(fmt::format("parameter '{}' was not provided",
                                                                  parameters[i].name))
                                 : syntax_->defaults[i - required]->evaluate(runtime, frame);
      frame->at(parameters[i].address) = std::move(value);
    }
  }

  const MacroSyntax* syntax_;
  Frame* closure_;  // kept by the runtime until the end
};

class Macro : public Statement {
 public:
  Macro(int line, std::unique_ptr<MacroSyntax> syntax)
      : Statement(line), syntax_(std::move(syntax)) {
    target_.name = syntax_->name;
  }
  void declare(Symbols* symbols) const override { symbols->store(syntax_->name); }
  void bind(Binding binding) override {
    syntax_->bind(*binding.symbols);
    target_.bind(*binding.symbols);
  }

 protected:
  Flow act(Runtime* runtime, Frame* frame) const override {
    target_.assign(Value::object(std::make_shared<MacroValue>(runtime, syntax_.get(), frame)),
                   runtime, frame);
    return Flow::normal;
  }

 private:
  std::unique_ptr<MacroSyntax> syntax_;
  Target target_;
};

class CallBlock : public Statement {
 public:
  CallBlock(int line, ExpressionPtr call, std::unique_ptr<MacroSyntax> syntax)
      : Statement(line), call_(std::move(call)), syntax_(std::move(syntax)) {}
  void declare(Symbols* symbols) const override { call_->declare(symbols); }
  void bind(Binding binding) override {
    call_->bind(binding);
    syntax_->bind(*binding.symbols);
  }

 protected:
  Flow act(Runtime* runtime, Frame* frame) const override {
    Value caller = Value::object(std::make_shared<MacroValue>(runtime, syntax_.get(), frame));
    const Value value = call_with_caller(*call_, std::move(caller), runtime, frame);
    Writer out(runtime->meter());
    write_str(value, &out);
    runtime->emit(out.text());
    return Flow::normal;
  }

 private:
  ExpressionPtr call_;
  std::unique_ptr<MacroSyntax> syntax_;
};

}  // namespace

bool MacroSyntax::has_parameter(std::string_view wanted) const {
  return std::any_of(parameters.begin(), parameters.end(),
                     [&](const Target& p) { return p.name == wanted; });
}

void MacroSyntax::bind(const Symbols& outer) {
  outer.capture();
  Symbols inner(&outer);
  for (const Target& p : parameters) p.declare(&inner, true);
  if (uses_caller && !has_parameter("caller")) inner.parameter("caller");
  if (uses_kwargs) inner.parameter("kwargs");
  if (uses_varargs) inner.parameter("varargs");
  for (const auto& d : defaults) d->declare(&inner);
  declare(body, &inner);
  const Binding binding{.symbols = &inner, .soft = false};
  for (Target& p : parameters) p.bind(inner);
  for (const auto& d : defaults) d->bind(binding);
  jinja::bind(body, binding);
  if (uses_caller) caller_address = inner.address("caller");
  if (uses_kwargs) kwargs_address = inner.address("kwargs");
  if (uses_varargs) varargs_address = inner.address("varargs");
  layout = inner.layout();
}

std::unique_ptr<Statement> make_for(int line, Target target, ExpressionPtr iterable,
                                    ExpressionPtr condition, bool recursive, Body body,
                                    Body otherwise) {
  return std::make_unique<For>(line, std::move(target), std::move(iterable), std::move(condition),
                               recursive, std::move(body), std::move(otherwise));
}
std::unique_ptr<Statement> make_macro(int line, std::unique_ptr<MacroSyntax> macro) {
  return std::make_unique<Macro>(line, std::move(macro));
}
std::unique_ptr<Statement> make_call_block(int line, ExpressionPtr call,
                                           std::unique_ptr<MacroSyntax> macro) {
  return std::make_unique<CallBlock>(line, std::move(call), std::move(macro));
}

}  // namespace sinter::jinja
