#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/builtin_filters.h"
#include "text/jinja/collections.h"
#include "text/jinja/number.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {
namespace {

Value lower_case(Runtime* runtime, const Value& value) {
  if (!value.is(Kind::text)) return value;
  runtime->meter()->step(static_cast<int64_t>(value.bytes().size() / 16));
  return runtime->text(to_lower(value.bytes()));
}

// A path like "a.b.0" into items, as the `attribute` of many filters.
class Path {
 public:
  Path(Runtime* runtime, const Value& attribute, Value fallback = Value())
      : runtime_(runtime), fallback_(std::move(fallback)) {
    if (attribute.is_missing() || attribute.is(Kind::none)) return;
    if (!attribute.is(Kind::text)) {
      parts_.push_back(attribute);
      return;
    }
    std::string_view rest = attribute.bytes();
    while (true) {
      const size_t dot = rest.find('.');
      const std::string_view part = rest.substr(0, dot);
      const bool digits = !part.empty() && part.find_first_not_of("0123456789") == part.npos;
      parts_.push_back(digits ? Value::integer(parse_integer(part, 10).value_or(0))
                              : runtime->text(std::string(part)));
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
  }

  Value operator()(Value item) const {
    for (const Value& part : parts_) {
      item = runtime_->item(item, part);
      if (item.is_undefined() && !fallback_.is_missing() && !fallback_.is(Kind::none)) {
        item = fallback_;
      }
    }
    return item;
  }

 private:
  Runtime* runtime_;
  Value fallback_;
  std::vector<Value> parts_;
};

int depth_of(const Value& value, const Arguments& arguments) {
  int depth = value.depth();
  for (const Value& v : arguments.positional) depth = std::max(depth, v.depth());
  for (const auto& [name, v] : arguments.named) depth = std::max(depth, v.depth());
  return depth;
}

Value stream(Runtime* runtime, int depth, Stream::Source source) {
  return Value::object(std::make_shared<Stream>(runtime->meter(), std::move(source), depth));
}

// A generator that makes all its items when the first is asked for.
Value lazily(Runtime* runtime, int depth, std::function<std::vector<Value>()> make) {
  struct State {
    std::function<std::vector<Value>()> make;
    std::vector<Value> items;
    size_t at = 0;
  };
  auto state = std::make_shared<State>();
  state->make = std::move(make);
  return stream(runtime, depth, [state](Value* out) {
    if (state->make) {
      state->items = state->make();
      state->make = nullptr;
    }
    if (state->at >= state->items.size()) return false;
    *out = std::move(state->items[state->at++]);
    return true;
  });
}

// Stable, like Python's, also in reverse.
void sort_by_key(std::vector<std::pair<Value, Value>>* keyed, bool reverse, Meter* meter) {
  std::stable_sort(keyed->begin(), keyed->end(), [&](const auto& a, const auto& b) {
    return reverse ? less(b.first, a.first, meter) : less(a.first, b.first, meter);
  });
}

Value listed(Runtime* runtime, std::vector<std::pair<Value, Value>>&& keyed) {
  std::vector<Value> out;
  out.reserve(keyed.size());
  for (auto& [key, value] : keyed) out.push_back(std::move(value));
  return Value::list(runtime->meter(), std::move(out));
}

Value extreme(Runtime* runtime, const Value& value, const Arguments& arguments, bool maximum) {
  const Parameters given(maximum ? "max" : "min", arguments, {"case_sensitive", "attribute"}, 0);
  const bool exact = given.flag(0, false);
  const auto cursor = iterate_or_raise(value, runtime->meter());
  const Path path(runtime, given[1]);
  const auto key_of = [&](const Value& v) {
    return exact ? path(v) : lower_case(runtime, path(v));
  };
  Value best;
  if (!cursor->next(&best)) {
    return runtime->undefined("No aggregated item, sequence was empty.");
  }
  Value best_key = key_of(best);
  for (Value v; cursor->next(&v);) {
    Value key = key_of(v);
    const bool better = maximum ? less(best_key, key, runtime->meter(), ">")
                                : less(key, best_key, runtime->meter());
    if (better) {
      best = v;
      best_key = std::move(key);
    }
  }
  return best;
}

// select, reject, selectattr, rejectattr.
Value chosen(Runtime* runtime, const Value& value, const Arguments& arguments, bool by_attribute,
             bool keep) {
  struct State {
    std::shared_ptr<Cursor> items;
    std::optional<Path> path;
    std::string test;
    bool begun = false;
  };
  auto state = std::make_shared<State>();
  const auto begin = [=] {
    const auto& given = arguments.positional;
    size_t used = 0;
    if (by_attribute) {
      if (given.empty()) {
        throw Raised{Raised::Kind::runtime, "Missing parameter for attribute name"};
      }
      state->path.emplace(runtime, given[used++]);
    }
    if (used < given.size()) {
      if (!given[used].is(Kind::text)) {
        throw Raised{Raised::Kind::runtime, "the name of a test must be a string"};
      }
      state->test = given[used].bytes();
    }
    state->items = iterate_or_raise(value, runtime->meter());
  };
  const size_t consumed = by_attribute ? 2 : 1;
  Arguments for_test = arguments;
  for_test.positional.erase(for_test.positional.begin(),
                            for_test.positional.begin() +
                                static_cast<long>(std::min(consumed, for_test.positional.size())));
  const bool tests = arguments.positional.size() >= consumed;
  return stream(runtime, depth_of(value, arguments), [=](Value* out) {
    if (!state->begun) {
      state->begun = true;
      if (!truth(value)) return false;
      begin();
    }
    while (state->items && state->items->next(out)) {
      runtime->meter()->step();
      const Value subject = state->path ? (*state->path)(*out) : *out;
      const bool holds = tests ? runtime->test(state->test, subject, for_test) : truth(subject);
      if (holds == keep) return true;
    }
    return false;
  });
}

}  // namespace

Value filter_length(Runtime*, const Value& value, const Arguments& arguments) {
  const Parameters given("length", arguments, {}, 0);
  return Value::integer(length_or_raise(value));
}

Value filter_list(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("list", arguments, {}, 0);
  return Value::list(runtime->meter(), to_vector(value, runtime->meter()));
}

Value filter_first(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("first", arguments, {}, 0);
  Value item;
  if (iterate_or_raise(value, runtime->meter())->next(&item)) return item;
  return runtime->undefined("No first item, sequence was empty.");
}

Value filter_last(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("last", arguments, {}, 0);
  const auto cursor = backwards(value, runtime->meter());
  if (!cursor) raise_type(fmt::format("'{}' object is not reversible", type_name(value)));
  Value item;
  if (cursor->next(&item)) return item;
  return runtime->undefined("No last item, sequence was empty.");
}

Value filter_reverse(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("reverse", arguments, {}, 0);
  if (value.is(Kind::text)) {
    return runtime->slice(value, Value::none(), Value::none(), Value::integer(-1));
  }
  if (const auto cursor = backwards(value, runtime->meter())) {
    return stream(runtime, value.depth(), [cursor](Value* out) { return cursor->next(out); });
  }
  if (!iterate(value, runtime->meter())) {
    throw Raised{Raised::Kind::runtime, "argument must be iterable"};
  }
  std::vector<Value> items = to_vector(value, runtime->meter());
  std::reverse(items.begin(), items.end());
  return Value::list(runtime->meter(), std::move(items));
}

Value filter_join(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("join", arguments, {"d", "attribute"}, 0);
  const Path path(runtime, given[1]);
  const auto cursor = iterate_or_raise(value, runtime->meter());
  Writer separator(runtime->meter());
  if (given.has(0)) write_str(given[0], &separator);
  Writer out(runtime->meter());
  bool first = true;
  for (Value item; cursor->next(&item); first = false) {
    runtime->meter()->step();
    if (!first) out.add(separator.text());
    write_str(path(item), &out);
  }
  return runtime->text(out.take());
}

Value filter_items(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("items", arguments, {}, 0);
  return lazily(runtime, value.depth() + 1, [runtime, value] {
    std::vector<Value> out;
    if (value.is_undefined()) return out;
    if (!value.is(Kind::dict)) raise_type("Can only get item pairs from a mapping.");
    for (const auto& [key, v] : value.as_dict().entries()) {
      out.push_back(Value::tuple(runtime->meter(), {key, v}));
    }
    return out;
  });
}

Value filter_map(Runtime* runtime, const Value& value, const Arguments& arguments) {
  struct State {
    std::shared_ptr<Cursor> items;
    std::optional<Path> path;
    std::string filter;
    Arguments rest;
    bool begun = false;
  };
  auto state = std::make_shared<State>();
  const auto begin = [=] {
    Arguments given = arguments;
    if (given.positional.empty() && !given.named.empty()) {
      const Value attribute = given.take("attribute");
      if (!attribute.is_missing()) {
        Value fallback = given.take("default");
        if (!given.named.empty()) {
          throw Raised{Raised::Kind::runtime,
                       fmt::format("Unexpected keyword argument {}", quote(given.named[0].first))};
        }
        state->path.emplace(runtime, attribute, std::move(fallback));
      }
    }
    if (!state->path) {
      if (given.positional.empty()) {
        throw Raised{Raised::Kind::runtime, "map requires a filter argument"};
      }
      if (!given.positional[0].is(Kind::text)) {
        throw Raised{Raised::Kind::runtime, "the name of a filter must be a string"};
      }
      state->filter = given.positional[0].bytes();
      given.positional.erase(given.positional.begin());
      state->rest = std::move(given);
    }
    state->items = iterate_or_raise(value, runtime->meter());
  };
  return stream(runtime, depth_of(value, arguments), [=](Value* out) {
    if (!state->begun) {
      state->begun = true;
      if (!truth(value)) return false;
      begin();
    }
    Value item;
    if (!state->items || !state->items->next(&item)) return false;
    runtime->meter()->step();
    *out = state->path ? (*state->path)(item) : runtime->filter(state->filter, item, state->rest);
    return true;
  });
}

Value filter_select(Runtime* runtime, const Value& value, const Arguments& arguments) {
  return chosen(runtime, value, arguments, false, true);
}
Value filter_reject(Runtime* runtime, const Value& value, const Arguments& arguments) {
  return chosen(runtime, value, arguments, false, false);
}
Value filter_selectattr(Runtime* runtime, const Value& value, const Arguments& arguments) {
  return chosen(runtime, value, arguments, true, true);
}
Value filter_rejectattr(Runtime* runtime, const Value& value, const Arguments& arguments) {
  return chosen(runtime, value, arguments, true, false);
}

Value filter_unique(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("unique", arguments, {"case_sensitive", "attribute"}, 0);
  const bool exact = given.flag(0, false);
  auto path = std::make_shared<Path>(runtime, given[1]);
  auto seen = std::make_shared<Dict>(runtime->meter());
  auto items = std::make_shared<std::shared_ptr<Cursor>>();
  return stream(runtime, depth_of(value, arguments), [=](Value* out) {
    if (!*items) *items = iterate_or_raise(value, runtime->meter());
    while ((*items)->next(out)) {
      runtime->meter()->step();
      const Value key = exact ? (*path)(*out) : lower_case(runtime, (*path)(*out));
      if (seen->find(key, runtime->meter()) != nullptr) continue;
      seen->set(key, Value::none(), runtime->meter());
      return true;
    }
    return false;
  });
}

Value filter_min(Runtime* runtime, const Value& value, const Arguments& arguments) {
  return extreme(runtime, value, arguments, false);
}
Value filter_max(Runtime* runtime, const Value& value, const Arguments& arguments) {
  return extreme(runtime, value, arguments, true);
}

Value filter_sum(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("sum", arguments, {"attribute", "start"}, 0);
  Value total = given.has(1) ? given[1] : Value::integer(0);
  if (total.is(Kind::text)) raise_type("sum() can't sum strings [use ''.join(seq) instead]");
  const Path path(runtime, given[0]);
  const auto cursor = iterate_or_raise(value, runtime->meter());
  for (Value v; cursor->next(&v);) {
    runtime->meter()->step();
    total = arithmetic("+", total, path(v), runtime->meter());
  }
  return total;
}

Value filter_sort(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("sort", arguments, {"reverse", "case_sensitive", "attribute"}, 0);
  const bool exact = given.flag(1, false);
  std::vector<Path> paths;
  if (given[2].is(Kind::text)) {
    std::string_view rest = given[2].bytes();
    while (true) {
      const size_t comma = rest.find(',');
      paths.emplace_back(runtime, runtime->text(std::string(rest.substr(0, comma))));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  } else {
    paths.emplace_back(runtime, given[2]);
  }
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& item : to_vector(value, runtime->meter())) {
    std::vector<Value> keys;
    keys.reserve(paths.size());
    for (const Path& path : paths) {
      keys.push_back(exact ? path(item) : lower_case(runtime, path(item)));
    }
    keyed.emplace_back(Value::list(runtime->meter(), std::move(keys)), std::move(item));
  }
  sort_by_key(&keyed, given.flag(0, false), runtime->meter());
  return listed(runtime, std::move(keyed));
}

Value filter_dictsort(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("dictsort", arguments, {"case_sensitive", "by", "reverse"}, 0);
  const bool exact = given.flag(0, false);
  const bool named = !given.has(1) || given[1].is(Kind::text);
  const std::string_view by = given.has(1) && named ? given[1].bytes() : "key";
  if (!named || (by != "key" && by != "value")) {
    throw Raised{Raised::Kind::runtime, "You can only sort by either \"key\" or \"value\""};
  }
  if (value.is_undefined()) raise_undefined(value);
  if (!value.is(Kind::dict)) {
    throw Raised{Raised::Kind::runtime,
                 fmt::format("'{}' object has no attribute 'items'", type_name(value))};
  }
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, v] : value.as_dict().entries()) {
    const Value& chosen_part = by == "key" ? key : v;
    keyed.emplace_back(exact ? chosen_part : lower_case(runtime, chosen_part),
                       Value::tuple(runtime->meter(), {key, v}));
  }
  sort_by_key(&keyed, given.flag(2, false), runtime->meter());
  return listed(runtime, std::move(keyed));
}

Value filter_groupby(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const bool exact = given.flag(2, false);
  const Path path(runtime, given[0], given[1]);
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& item : to_vector(value, runtime->meter())) {
    Value key = exact ? path(item) : lower_case(runtime, path(item));
    keyed.emplace_back(std::move(key), std::move(item));
  }
  sort_by_key(&keyed, false, runtime->meter());
  std::vector<Value> groups;
  for (size_t i = 0; i < keyed.size();) {
    std::vector<Value> members;
    const size_t start = i;
    while (i < keyed.size() && equal(keyed[start].first, keyed[i].first, runtime->meter())) {
      members.push_back(keyed[i++].second);
    }
    if (members.empty()) members.push_back(keyed[i++].second);  // a NaN equals nothing
    Value grouper = exact ? keyed[start].first : path(members[0]);
    groups.push_back(Value::named_tuple(std::make_shared<GroupTuple>(
        runtime->meter(), std::vector<Value>{std::move(grouper),
                                             Value::list(runtime->meter(), std::move(members))})));
  }
  return Value::list(runtime->meter(), std::move(groups));
}

Value filter_batch(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("batch", arguments, {"linecount", "fill_with"}, 1);
  const Value& size = given[0];
  const Value& fill = given[1];
  return lazily(runtime, depth_of(value, arguments) + 1, [=] {
    std::vector<Value> out;
    std::vector<Value> row;
    const auto full = [&] {
      return equal(Value::integer(static_cast<int64_t>(row.size())), size, runtime->meter());
    };
    for (Value& item : to_vector(value, runtime->meter())) {
      if (full()) out.push_back(Value::list(runtime->meter(), std::exchange(row, {})));
      row.push_back(std::move(item));
    }
    if (row.empty()) return out;
    if (!fill.is_missing() && !fill.is(Kind::none)) {
      if (!size.is_number()) raise_type("'<' not supported between instances of 'int' and others");
      if (!size.is_integral()) raise_type("can't multiply sequence by non-int of type 'float'");
      const int64_t missing =
          std::max<int64_t>(size.as_integer() - static_cast<int64_t>(row.size()), 0);
      runtime->meter()->reserve(std::min<int64_t>(missing, int64_t{1} << 40) *
                                static_cast<int64_t>(sizeof(Value)));
      runtime->meter()->step(missing);
      row.insert(row.end(), static_cast<size_t>(missing), fill);
    }
    out.push_back(Value::list(runtime->meter(), std::move(row)));
    return out;
  });
}

Value filter_slice(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("slice", arguments, {"slices", "fill_with"}, 1);
  const Value& fill = given[1];
  const Value& wanted = given[0];
  return lazily(runtime, depth_of(value, arguments) + 1, [=] {
    std::vector<Value> items = to_vector(value, runtime->meter());
    if (!wanted.is_integral()) raise_type("the number of slices must be an integer");
    const int64_t slices = wanted.as_integer();
    if (slices == 0) {
      throw Raised{Raised::Kind::runtime, "ZeroDivisionError: integer division or modulo by zero"};
    }
    std::vector<Value> out;
    if (slices < 0) return out;
    runtime->meter()->step(slices);
    const auto n = static_cast<int64_t>(items.size());
    size_t at = 0;
    for (int64_t k = 0; k < slices; ++k) {
      const bool extra = k < n % slices;
      const auto count = static_cast<size_t>(n / slices + (extra ? 1 : 0));
      std::vector<Value> part(items.begin() + static_cast<long>(at),
                              items.begin() + static_cast<long>(at + count));
      at += count;
      if (!fill.is_missing() && !fill.is(Kind::none) && !extra) part.push_back(fill);
      out.push_back(Value::list(runtime->meter(), std::move(part)));
    }
    return out;
  });
}

Value filter_attr(Runtime* runtime, const Value& value, const Arguments& arguments) {
  const Parameters given("attr", arguments, {"name"}, 1);
  if (!given[0].is(Kind::text)) raise_type("attribute name must be string");
  if (value.is_undefined()) raise_undefined(value);
  const std::string_view name = given[0].bytes();
  if (name.starts_with("_")) return runtime->undefined("access to a private attribute is unsafe");
  const std::optional<Value> found = value.is(Kind::object)
                                         ? value.pointer()->attribute(name, runtime)
                                         : method(value, name, runtime);
  if (found) return *found;
  return runtime->undefined(
      fmt::format("'{} object' has no attribute '{}'", type_name(value), name));
}

}  // namespace sinter::jinja
