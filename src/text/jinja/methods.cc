// Methods of values: one list. A method Python has and we do not is refused by name when asked for;
// one that would change a list or a dict is what the sandbox makes of it: an unsafe undefined.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja/collections.h"
#include "text/jinja/format.h"
#include "text/jinja/markup.h"
#include "text/jinja/number.h"
#include "text/jinja/string_methods.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {
namespace {

void no_names(std::string_view method, const Arguments& arguments) {
  if (!arguments.named.empty()) {
    raise_type(fmt::format("{}() takes no keyword arguments", method));
  }
}

Value dict_get(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names("get", arguments);
  const Parameters given("get", arguments, {"key", "default"}, 1);
  if (const Value* found = self.as_dict().find(given[0], runtime->meter())) return *found;
  return given.has(1) ? given[1] : Value::none();
}

template <DictView::Part part>
Value dict_view(Runtime* runtime, const Value& self, const Arguments& arguments) {
  const Parameters given("items", arguments, {}, 0);
  return Value::object(std::make_shared<DictView>(runtime->meter(), self, part));
}

Value same(Runtime*, const Value& self, const Arguments& arguments) {
  const Parameters given("copy", arguments, {}, 0);
  return self;
}

Value sequence_count(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names("count", arguments);
  const Parameters given("count", arguments, {"value"}, 1);
  int64_t n = 0;
  for (const Value& v : self.items()) {
    n += identical(v, given[0]) || equal(v, given[0], runtime->meter()) ? 1 : 0;
  }
  return Value::integer(n);
}

Value sequence_index(Runtime* runtime, const Value& self, const Arguments& arguments) {
  no_names("index", arguments);
  const Parameters given("index", arguments, {"value", "start", "stop"}, 1);
  const auto n = static_cast<int64_t>(self.items().size());
  const auto bound = [&](size_t i, int64_t fallback) {
    const int64_t b = given.integer(i, fallback);
    return std::clamp<int64_t>(b < 0 ? std::max<int64_t>(b, -n) + n : b, 0, n);
  };
  for (int64_t i = bound(1, 0); i < bound(2, n); ++i) {
    const Value& v = self.items()[static_cast<size_t>(i)];
    if (identical(v, given[0]) || equal(v, given[0], runtime->meter())) return Value::integer(i);
  }
  raise_value(fmt::format("the value is not in the {}", type_name(self)));
}

Value is_integer(Runtime*, const Value& self, const Arguments& arguments) {
  const Parameters given("is_integer", arguments, {}, 0);
  const double d = self.as_real();
  return Value::boolean(d - d == 0 && d == std::floor(d));
}

struct Method {
  Kind kind;
  std::string_view name;
  Function::Body body;  // null: Python has it, we do not
};

constexpr Method kMethods[] = {
    {Kind::dict, "get", dict_get},
    {Kind::dict, "items", dict_view<DictView::Part::items>},
    {Kind::dict, "keys", dict_view<DictView::Part::keys>},
    {Kind::dict, "values", dict_view<DictView::Part::values>},
    {Kind::dict, "copy", same},
    {Kind::dict, "fromkeys", nullptr},
    {Kind::list, "copy", same},
    {Kind::list, "count", sequence_count},
    {Kind::list, "index", sequence_index},
    {Kind::tuple, "count", sequence_count},
    {Kind::tuple, "index", sequence_index},
    {Kind::real, "is_integer", is_integer},
    {Kind::real, "hex", nullptr},
    {Kind::real, "fromhex", nullptr},
    {Kind::real, "real", nullptr},
    {Kind::real, "imag", nullptr},
    {Kind::real, "conjugate", nullptr},
    {Kind::real, "as_integer_ratio", nullptr},
    {Kind::integer, "real", nullptr},
    {Kind::integer, "imag", nullptr},
    {Kind::integer, "numerator", nullptr},
    {Kind::integer, "denominator", nullptr},
    {Kind::integer, "conjugate", nullptr},
    {Kind::integer, "bit_length", nullptr},
    {Kind::integer, "bit_count", nullptr},
    {Kind::integer, "to_bytes", nullptr},
    {Kind::integer, "from_bytes", nullptr},
    {Kind::integer, "as_integer_ratio", nullptr},
};

constexpr std::string_view kListChanges[] = {"append", "clear", "pop",    "reverse",
                                             "insert", "sort",  "extend", "remove"};
constexpr std::string_view kDictChanges[] = {"clear", "pop", "popitem", "setdefault", "update"};

bool changes(const Value& object, std::string_view name) {
  const auto in = [name](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  return (object.is(Kind::list) && in(kListChanges)) || (object.is(Kind::dict) && in(kDictChanges));
}

}  // namespace

std::optional<Value> method(const Value& object, std::string_view name, Runtime* runtime) {
  if (changes(object, name)) {
    return Value::undefined(
        runtime->meter(),
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, type_name(object)),
        true);
  }
  Function::Body body = nullptr;
  bool known = false;
  if (object.is(Kind::text)) {
    known = find_string_method(name, &body);
  } else {
    const Kind kind = object.is(Kind::boolean) ? Kind::integer : object.kind();
    const auto* const it =
        std::find_if(std::begin(kMethods), std::end(kMethods),
                     [&](const Method& m) { return m.kind == kind && m.name == name; });
    if (it != std::end(kMethods)) {
      known = true;
      body = it->body;
    }
  }
  if (known && body == nullptr) {
    throw Raised{
        Raised::Kind::unsupported,
        fmt::format("the attribute '{}' of '{}' is not supported", name, type_name(object))};
  }
  if (known) {
    return Value::object(
        std::make_shared<Function>(runtime->meter(), std::string(name), body, object));
  }
  if (object.is(Kind::tuple) && (name == "grouper" || name == "list") &&
      std::dynamic_pointer_cast<GroupTuple>(object.pointer())) {
    return object.items()[name == "list" ? 1 : 0];
  }
  return std::nullopt;
}

}  // namespace sinter::jinja
