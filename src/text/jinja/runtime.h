// One rendering: its limits, its output, and the operations of jinja2's environment (attribute and
// item access under the immutable sandbox, calls, filters, tests).
#pragma once

#include <ctime>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/scope.h"
#include "text/jinja/value.h"

namespace sinter::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // Takes a named argument out; missing when it is not there.
  Value take(std::string_view name);
};

// Binds arguments to the parameters of a built-in, as Python would: Raised on one too many, an
// unknown name, one given twice, or one of the first `required` absent.
class Parameters {
 public:
  Parameters(std::string_view function, const Arguments& arguments,
             std::initializer_list<std::string_view> names, size_t required);
  const Value& operator[](size_t i) const { return values_[i]; }
  bool has(size_t i) const { return !values_[i].is_missing(); }
  bool flag(size_t i, bool fallback) const { return has(i) ? truth(values_[i]) : fallback; }
  int64_t integer(size_t i, int64_t fallback) const;

 private:
  std::vector<Value> values_;
};

class Namespace : public Object {
 public:
  Namespace(Meter* meter, std::shared_ptr<Dict> attributes)
      : Object(meter, 0, 1), attributes_(std::move(attributes)) {}
  std::string type_name() const override { return "Namespace"; }
  void repr(Writer* out, int level) const override;
  std::optional<Value> attribute(std::string_view name, Runtime* runtime) override;
  void set(const std::string& name, Value value);
  void clear() { attributes_->clear(); }

 private:
  std::shared_ptr<Dict> attributes_;
};

// A function with a name: a global, a method bound to its object.
class Function : public Object {
 public:
  using Body = Value (*)(Runtime*, const Value& self, const Arguments&);
  Function(Meter* meter, std::string name, Body body, Value self)
      : Object(meter, 0, self.depth() + 1),
        name_(std::move(name)),
        body_(body),
        self_(std::move(self)) {}
  std::string type_name() const override { return "builtin_function_or_method"; }
  bool is_callable() const override { return true; }
  Value call(Runtime* runtime, Arguments arguments) override {
    return body_(runtime, self_, arguments);
  }

 private:
  std::string name_;
  Body body_;
  Value self_;
};

// A generator: consumed as it is read, once.
class Stream : public Object, public Cursor {
 public:
  using Source = std::function<bool(Value*)>;
  Stream(Meter* meter, Source source, int depth)
      : Object(meter, 64, depth + 1), source_(std::move(source)) {}
  std::string type_name() const override { return "generator"; }
  std::shared_ptr<Cursor> iterate(const std::shared_ptr<Object>& self) override;
  bool next(Value* out) override;

 private:
  Source source_;
  bool running_ = false;
};

struct RenderLimits {
  int64_t max_steps;
  int64_t max_output_bytes;
  int32_t max_depth;
};

class Runtime {
 public:
  Runtime(RenderLimits limits, std::optional<std::time_t> now);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  Meter* meter() { return &meter_; }
  std::time_t now() const { return now_ ? *now_ : std::time(nullptr); }

  // What the template's names mean beyond its own assignments; built-in globals are there already.
  void define(const std::string& name, Value value) { context_[name] = std::move(value); }
  Value look_up(const std::string& name) const;

  Value text(std::string bytes) { return Value::text(&meter_, std::move(bytes)); }
  Value undefined(std::string message) { return Value::undefined(&meter_, std::move(message)); }

  Value attribute(const Value& object, std::string_view name);  // x.name
  Value item(const Value& object, const Value& key);            // x[key]
  Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);
  Value call(const Value& callee, Arguments arguments);
  Value filter(const std::string& name, const Value& value, const Arguments& arguments);
  bool test(const std::string& name, const Value& value, const Arguments& arguments);

  // Output goes to the innermost capture.
  void emit(std::string_view text);
  std::string capture_end(std::string outer);  // gives what was captured, restores `outer`
  std::string capture_begin() { return std::exchange(out_, std::string()); }
  std::string take_output() { return std::move(out_); }

  Frame* keep_frame(const FrameLayout* layout, Frame* parent);  // until the end of the render
  void enter(Frame* frame) const;                               // performs the frame's loads
  Value make_namespace(std::shared_ptr<Dict> attributes);

  int line = 1;    // of the template, where we are
  Value captured;  // what {% filter %} and {% set %} blocks hand to their filters

  // One level of nesting: of nodes of the tree, or of calls of macros and recursive loops.
  enum class Level { node, call };
  class Deeper {
   public:
    Deeper(Runtime* runtime, Level level);
    ~Deeper() { --*depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    int32_t* depth_;
  };

 private:
  Meter meter_;
  RenderLimits limits_;
  std::optional<std::time_t> now_;
  std::map<std::string, Value> context_;
  std::string out_;
  int32_t node_depth_ = 0;
  int32_t call_depth_ = 0;
  std::deque<std::unique_ptr<Frame>> frames_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
};

// A frame for the time of a block; kept until the end of the render when a macro may look into it.
class FrameScope {
 public:
  FrameScope(Runtime* runtime, const FrameLayout* layout, Frame* parent) {
    if (layout->captured) {
      frame_ = runtime->keep_frame(layout, parent);
    } else {
      frame_ = &own_.emplace(layout, parent);
    }
  }
  FrameScope(const FrameScope&) = delete;
  FrameScope& operator=(const FrameScope&) = delete;
  Frame* operator->() { return frame_; }
  Frame* get() { return frame_; }

 private:
  std::optional<Frame> own_;
  Frame* frame_;
};

// Methods of str, list, tuple, dict and the numbers. Nothing: no such attribute. What the sandbox
// forbids comes back as an undefined that complains.
std::optional<Value> method(const Value& object, std::string_view name, Runtime* runtime);

void define_globals(Runtime* runtime);

using Filter = Value (*)(Runtime*, const Value& value, const Arguments& arguments);
using Test = bool (*)(Runtime*, const Value& value, const Arguments& arguments);
Filter find_filter(std::string_view name);  // null: jinja2 has none, or we do not
Test find_test(std::string_view name);
bool is_known_unsupported_filter(std::string_view name);

Value json_text(Runtime* runtime, const Value& value, const Arguments& arguments);  // |tojson

}  // namespace sinter::jinja
