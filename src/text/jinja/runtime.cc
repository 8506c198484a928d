#include "text/jinja/runtime.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/number.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {

Value Arguments::take(std::string_view name) {
  const auto it = std::find_if(named.begin(), named.end(),
                               [&](const auto& entry) { return entry.first == name; });
  if (it == named.end()) return Value();
  Value value = std::move(it->second);
  named.erase(it);
  return value;
}

Parameters::Parameters(std::string_view function, const Arguments& arguments,
                       std::initializer_list<std::string_view> names, size_t required)
    : values_(names.size()) {
  if (arguments.positional.size() > names.size()) {
    raise_type(fmt::format("{}() takes at most {} arguments ({} given)", function, names.size(),
                           arguments.positional.size()));
  }
  std::copy(arguments.positional.begin(), arguments.positional.end(), values_.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto* const it = std::find(names.begin(), names.end(), name);
    if (it == names.end()) {
      raise_type(fmt::format("{}() got an unexpected keyword argument {}", function, quote(name)));
    }
    Value& slot = values_[static_cast<size_t>(it - names.begin())];
    if (!slot.is_missing()) {
      raise_type(fmt::format("{}() got multiple values for argument {}", function, quote(name)));
    }
    slot = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (values_[i].is_missing()) {
      raise_type(
          fmt::format("{}() missing a required argument: '{}'", function, *(names.begin() + i)));
    }
  }
}

int64_t Parameters::integer(size_t i, int64_t fallback) const {
  if (!has(i)) return fallback;
  const Value& v = values_[i];
  if (v.is_undefined()) raise_undefined(v);
  if (!v.is_integral()) {
    raise_type(fmt::format("'{}' object cannot be interpreted as an integer", type_name(v)));
  }
  return v.as_integer();
}

void Namespace::repr(Writer* out, int level) const {
  out->add("<Namespace ");
  write_repr(Value::dict(attributes_), out, level + 1);
  out->add(">");
}

std::optional<Value> Namespace::attribute(std::string_view name, Runtime*) {
  const Value* found = attributes_->find(name);
  return found != nullptr ? std::optional<Value>(*found) : std::nullopt;
}

void Namespace::set(const std::string& name, Value value) {
  attributes_->set(Value::text(meter_, name), std::move(value), meter_);
}

std::shared_ptr<Cursor> Stream::iterate(const std::shared_ptr<Object>& self) {
  return std::dynamic_pointer_cast<Stream>(self);
}

bool Stream::next(Value* out) {
  if (running_) raise_value("generator already executing");
  if (!source_) return false;
  meter_->step();
  running_ = true;
  bool more = false;
  try {
    more = source_(out);
  } catch (...) {
    running_ = false;
    source_ = nullptr;  // a generator that raised is over
    throw;
  }
  running_ = false;
  if (!more) source_ = nullptr;
  return more;
}

// Alive at once: the inputs, what the template builds, and the output, with room to spare.
Runtime::Runtime(RenderLimits limits, std::optional<std::time_t> now)
    : meter_(limits.max_steps, 4 * limits.max_output_bytes), limits_(limits), now_(now) {
  define_globals(this);
}

Runtime::~Runtime() {
  captured = Value();
  for (auto& frame : frames_) frame->slots.clear();
  for (auto& ns : namespaces_) ns->clear();
}

Value Runtime::look_up(const std::string& name) const {
  const auto it = context_.find(name);
  return it == context_.end() ? Value() : it->second;
}

Frame* Runtime::keep_frame(const FrameLayout* layout, Frame* parent) {
  meter_.take(static_cast<int64_t>(128 + static_cast<size_t>(layout->slots) * sizeof(Value)));
  frames_.push_back(std::make_unique<Frame>(layout, parent));
  return frames_.back().get();
}

void Runtime::enter(Frame* frame) const {
  for (const auto& [slot, load] : frame->layout->loads) {
    Value& value = frame->slots[static_cast<size_t>(slot)];
    switch (load.from) {
      case Load::From::parameter:
        break;
      case Load::From::context:
        value = look_up(load.name);
        break;
      case Load::From::outer:
        value = frame->at(load.outer);
        break;
      case Load::From::nowhere:
        value = Value();
    }
  }
}

Value Runtime::make_namespace(std::shared_ptr<Dict> attributes) {
  auto made = std::make_shared<Namespace>(&meter_, std::move(attributes));
  namespaces_.push_back(made);
  return Value::object(std::move(made));
}

Runtime::Deeper::Deeper(Runtime* runtime, Level level)
    : depth_(level == Level::call ? &runtime->call_depth_ : &runtime->node_depth_) {
  // A call spans about eight nodes in real templates; sixteen leave room.
  const int32_t limit = runtime->limits_.max_depth * (level == Level::call ? 1 : 16);
  if (*depth_ >= limit) throw Exhausted{"calls are nested too deeply"};
  ++*depth_;
}

void Runtime::emit(std::string_view text) {
  if (static_cast<int64_t>(out_.size() + text.size()) > limits_.max_output_bytes) {
    throw Exhausted{fmt::format("the output is over {} bytes", limits_.max_output_bytes)};
  }
  meter_.take(static_cast<int64_t>(text.size()));
  meter_.work_on(text.size());
  out_.append(text);
}

std::string Runtime::capture_end(std::string outer) {
  std::string inner = std::exchange(out_, std::move(outer));
  meter_.give(static_cast<int64_t>(inner.size()));
  return inner;
}

// ---- the sandbox

Value Runtime::attribute(const Value& object, std::string_view name) {
  if (object.is_undefined()) raise_undefined(object);
  if (name.starts_with("_")) {
    if (object.is(Kind::dict)) {
      if (const Value* found = object.as_dict().find(name)) {
        if (!name.starts_with("__")) return *found;
      }
    }
    return Value::undefined(
        &meter_,
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, type_name(object)),
        true);
  }
  std::optional<Value> found;
  if (object.is(Kind::object)) {
    found = object.pointer()->attribute(name, this);
  } else {
    found = method(object, name, this);
  }
  if (!found && object.is(Kind::dict)) {
    if (const Value* entry = object.as_dict().find(name)) return *entry;
  }
  if (!found && object.is(Kind::object))
    found = object.pointer()->item(text(std::string(name)), this);
  if (found) return *found;
  return undefined(fmt::format("'{} object' has no attribute '{}'", type_name(object), name));
}

Value Runtime::item(const Value& object, const Value& key) {
  if (object.is_undefined()) raise_undefined(object);
  if (object.is(Kind::dict)) {
    const bool hashable = !key.is(Kind::list) && !key.is(Kind::dict);
    if (hashable) {
      try {
        if (const Value* found = object.as_dict().find(key, &meter_)) return *found;
      } catch (const Raised& e) {  // a tuple with a list inside
        if (e.kind != Raised::Kind::type) throw;
      }
    }
  } else if (key.is_integral() && (object.is(Kind::text) || object.is_sequence())) {
    const int64_t n = *length(object);
    int64_t i = key.as_integer();
    if (i < 0) i += n;
    if (i >= 0 && i < n) {
      if (object.is_sequence()) return object.items()[static_cast<size_t>(i)];
      const std::string_view all = object.bytes();
      meter_.work_on(all.size());
      const size_t start =
          static_cast<int64_t>(all.size()) == n ? static_cast<size_t>(i) : byte_offset(all, i);
      size_t end = start;
      decode(all, &end);
      return Value::text(&meter_, std::string(all.substr(start, end - start)),
                         object.as_text().markup);
    }
  } else if (object.is(Kind::object)) {
    if (const std::optional<Value> found = object.pointer()->item(key, this)) return *found;
  }
  if (key.is(Kind::text)) {
    const std::string_view name = key.bytes();
    if (name.starts_with("__")) return attribute(object, name);
    std::optional<Value> found;
    if (object.is(Kind::object)) {
      found = object.pointer()->attribute(name, this);
    } else {
      found = method(object, name, this);
    }
    if (found) return *found;
  }
  Writer shown(&meter_);
  write_repr(key, &shown);
  return undefined(fmt::format("'{} object' has no attribute {}", type_name(object),
                               shown.text().substr(0, 200)));
}

Value Runtime::slice(const Value& object, const Value& start, const Value& stop,
                     const Value& step) {
  if (object.is_undefined()) raise_undefined(object);
  const std::optional<int64_t> n = length(object);
  const bool sliceable = object.is(Kind::text) || object.is_sequence() ||
                         (object.is(Kind::object) && object.pointer()->has_items());
  if (!sliceable || !n) {
    raise_type(fmt::format("'{}' object cannot be sliced", type_name(object)));
  }
  const auto usable = [](const Value& v) { return v.is(Kind::none) || v.is_integral(); };
  if (!usable(start) || !usable(stop) || !usable(step)) {
    raise_type("slice indices must be integers or None");
  }
  const int64_t by = step.is(Kind::none) ? 1 : step.as_integer();
  if (by == 0) raise_value("slice step cannot be zero");
  const auto clamp = [&](const Value& v, int64_t absent) {
    if (v.is(Kind::none)) return absent;
    int64_t i = v.as_integer();
    if (i < 0) i = i < -*n ? -1 : i + *n;
    if (v.as_integer() < -*n) return by > 0 ? int64_t{0} : int64_t{-1};
    return std::min(i, by > 0 ? *n : *n - 1);
  };
  const int64_t from = clamp(start, by > 0 ? 0 : *n - 1);
  const int64_t to = clamp(stop, by > 0 ? *n : -1);
  int64_t count = 0;
  if (by > 0 && from < to) count = (to - from - 1) / by + 1;
  if (by < 0 && from > to) count = by == INT64_MIN ? 1 : (from - to - 1) / -by + 1;
  if (object.is(Kind::object)) {
    return object.pointer()->slice(from, to, by, count).value_or(Value::none());
  }
  meter_.step(count / 16);
  if (object.is_sequence()) {
    std::vector<Value> items;
    meter_.reserve(count * static_cast<int64_t>(sizeof(Value)));
    items.reserve(static_cast<size_t>(count));
    for (int64_t k = 0, i = from; k < count; ++k, i += by) {
      items.push_back(object.items()[static_cast<size_t>(i)]);
      if (k + 1 == count) break;
    }
    return object.is(Kind::list) ? Value::list(&meter_, std::move(items))
                                 : Value::tuple(&meter_, std::move(items));
  }
  const std::string_view all = object.bytes();
  const bool markup = object.as_text().markup;
  meter_.work_on(all.size());
  const bool ascii = static_cast<int64_t>(all.size()) == *n;
  if (by == 1) {
    const size_t a = ascii ? static_cast<size_t>(from) : byte_offset(all, from);
    const std::string_view rest = all.substr(std::min(a, all.size()));
    const size_t bytes = ascii ? static_cast<size_t>(count) : byte_offset(rest, count);
    return Value::text(&meter_, std::string(rest.substr(0, bytes)), markup);
  }
  meter_.reserve(static_cast<int64_t>(all.size()) * 5);
  const std::vector<char32_t> points = code_points(all);
  std::string out;
  for (int64_t k = 0, i = from; k < count; ++k, i += by) {
    append(&out, points[static_cast<size_t>(i)]);
    if (k + 1 == count) break;
  }
  return Value::text(&meter_, std::move(out), markup);
}

Value Runtime::call(const Value& callee, Arguments arguments) {
  if (callee.is_undefined()) raise_undefined(callee);
  if (!callee.is(Kind::object) || !callee.pointer()->is_callable()) {
    raise_type(fmt::format("'{}' object is not callable", type_name(callee)));
  }
  for (size_t i = 0; i < arguments.named.size(); ++i) {
    for (size_t k = i + 1; k < arguments.named.size(); ++k) {
      if (arguments.named[i].first == arguments.named[k].first) {
        raise_type(fmt::format("got multiple values for keyword argument {}",
                               quote(arguments.named[i].first)));
      }
    }
  }
  meter_.step();
  return callee.pointer()->call(this, std::move(arguments));
}

// The signature is the overrides.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
Value Object::call(Runtime*, Arguments) {
  raise_type(fmt::format("'{}' object is not callable", type_name()));
}

Value Runtime::filter(const std::string& name, const Value& value, const Arguments& arguments) {
  const Filter found = find_filter(name);
  if (found == nullptr) {
    throw Raised{
        is_known_unsupported_filter(name) ? Raised::Kind::unsupported : Raised::Kind::runtime,
        fmt::format("no filter named '{}'", name)};
  }
  meter_.step();
  return found(this, value, arguments);
}

bool Runtime::test(const std::string& name, const Value& value, const Arguments& arguments) {
  const Test found = find_test(name);
  if (found == nullptr) {
    throw Raised{Raised::Kind::runtime, fmt::format("no test named '{}'", name)};
  }
  meter_.step();
  return found(this, value, arguments);
}

}  // namespace sinter::jinja
