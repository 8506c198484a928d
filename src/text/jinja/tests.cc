// The tests of `x is NAME`, in one list.
#include <algorithm>

#include "text/jinja/number.h"
#include "text/jinja/runtime.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {
namespace {

#define SINTER_JINJA_TEST(name) \
  bool name(Runtime* runtime [[maybe_unused]], const Value& value, const Arguments& arguments)

void none_given(const Arguments& arguments) { const Parameters given("test", arguments, {}, 0); }

template <Kind kind>
SINTER_JINJA_TEST(is_kind) {
  none_given(arguments);
  return value.is(kind);
}

SINTER_JINJA_TEST(defined) {
  none_given(arguments);
  return !value.is_undefined();
}

SINTER_JINJA_TEST(undefined) {
  none_given(arguments);
  return value.is_undefined();
}

template <bool wanted>
SINTER_JINJA_TEST(is_boolean_value) {
  none_given(arguments);
  return value.is(Kind::boolean) && (value.as_integer() != 0) == wanted;
}

SINTER_JINJA_TEST(number) {
  none_given(arguments);
  return value.is_number();
}

template <int remainder>
SINTER_JINJA_TEST(parity) {
  none_given(arguments);
  const Value rest = arithmetic("%", value, Value::integer(2), runtime->meter());
  return equal(rest, Value::integer(remainder), runtime->meter());
}

SINTER_JINJA_TEST(divisibleby) {
  const Parameters given("divisibleby", arguments, {"num"}, 1);
  const Value rest = arithmetic("%", value, given[0], runtime->meter());
  return equal(rest, Value::integer(0), runtime->meter());
}

template <bool (*good)(char32_t), bool (*bad)(char32_t)>
SINTER_JINJA_TEST(in_case) {
  none_given(arguments);
  const Value text = to_str(value, runtime->meter());
  runtime->meter()->step(static_cast<int64_t>(text.bytes().size() / 16));
  bool any = false;
  for (size_t i = 0; i < text.bytes().size();) {
    const char32_t c = decode(text.bytes(), &i);
    if (bad(c) || is_title(c)) return false;
    any |= good(c);
  }
  return any;
}

SINTER_JINJA_TEST(sequence) {
  none_given(arguments);
  return value.is_undefined() || value.is(Kind::text) || value.is_sequence() ||
         value.is(Kind::dict) || (value.is(Kind::object) && value.pointer()->has_items());
}

SINTER_JINJA_TEST(iterable) {
  none_given(arguments);
  return iterate(value, runtime->meter()) != nullptr;
}

SINTER_JINJA_TEST(callable) {
  none_given(arguments);
  return value.is_undefined() || (value.is(Kind::object) && value.pointer()->is_callable());
}

SINTER_JINJA_TEST(escaped) {
  none_given(arguments);
  return value.is(Kind::text) && value.as_text().markup;
}

SINTER_JINJA_TEST(sameas) {
  const Parameters given("sameas", arguments, {"other"}, 1);
  return identical(value, given[0]);
}

SINTER_JINJA_TEST(is_in) {
  const Parameters given("in", arguments, {"seq"}, 1);
  return contains(given[0], value, runtime->meter());
}

SINTER_JINJA_TEST(filter) {
  none_given(arguments);
  return value.is(Kind::text) &&
         (find_filter(value.bytes()) != nullptr || is_known_unsupported_filter(value.bytes()));
}

SINTER_JINJA_TEST(test) {
  none_given(arguments);
  return value.is(Kind::text) && find_test(value.bytes()) != nullptr;
}

template <bool wanted>
SINTER_JINJA_TEST(equality) {
  const Parameters given("eq", arguments, {"other"}, 1);
  return equal(value, given[0], runtime->meter()) == wanted;
}

enum class Than { less, less_equal, greater, greater_equal };

template <Than than>
SINTER_JINJA_TEST(ordered) {
  const Parameters given("lt", arguments, {"other"}, 1);
  static constexpr const char* kSigns[] = {"<", "<=", ">", ">="};
  const Order o = order(value, given[0], runtime->meter(), kSigns[static_cast<size_t>(than)]);
  const bool or_equal = than == Than::less_equal || than == Than::greater_equal;
  const bool lower = than == Than::less || than == Than::less_equal;
  return o == (lower ? Order::less : Order::greater) || (or_equal && o == Order::equal);
}

#undef SINTER_JINJA_TEST

struct NamedTest {
  std::string_view name;
  Test test;
};

constexpr NamedTest kTests[] = {
    {"!=", equality<false>},
    {"<", ordered<Than::less>},
    {"<=", ordered<Than::less_equal>},
    {"==", equality<true>},
    {">", ordered<Than::greater>},
    {">=", ordered<Than::greater_equal>},
    {"boolean", is_kind<Kind::boolean>},
    {"callable", callable},
    {"defined", defined},
    {"divisibleby", divisibleby},
    {"eq", equality<true>},
    {"equalto", equality<true>},
    {"escaped", escaped},
    {"even", parity<0>},
    {"false", is_boolean_value<false>},
    {"filter", filter},
    {"float", is_kind<Kind::real>},
    {"ge", ordered<Than::greater_equal>},
    {"greaterthan", ordered<Than::greater>},
    {"gt", ordered<Than::greater>},
    {"in", is_in},
    {"integer", is_kind<Kind::integer>},
    {"iterable", iterable},
    {"le", ordered<Than::less_equal>},
    {"lessthan", ordered<Than::less>},
    {"lower", in_case<is_lower, is_upper>},
    {"lt", ordered<Than::less>},
    {"mapping", is_kind<Kind::dict>},
    {"ne", equality<false>},
    {"none", is_kind<Kind::none>},
    {"number", number},
    {"odd", parity<1>},
    {"sameas", sameas},
    {"sequence", sequence},
    {"string", is_kind<Kind::text>},
    {"test", test},
    {"true", is_boolean_value<true>},
    {"undefined", undefined},
    {"upper", in_case<is_upper, is_lower>},
};

}  // namespace

Test find_test(std::string_view name) {
  const auto* const it = std::find_if(std::begin(kTests), std::end(kTests),
                                      [&](const NamedTest& t) { return t.name == name; });
  return it == std::end(kTests) ? nullptr : it->test;
}

}  // namespace sinter::jinja
