// The functions a template finds without asking: jinja2's, and the two Hugging Face adds.
#include <fmt/format.h>

#include <ctime>

#include "text/jinja/collections.h"
#include "text/jinja/runtime.h"

namespace sinter::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // jinja2's sandbox

void positional_only(std::string_view function, const Arguments& arguments) {
  if (!arguments.named.empty()) {
    raise_type(fmt::format("{}() takes no keyword arguments", function));
  }
}

Value range(Runtime* runtime, const Value&, const Arguments& arguments) {
  positional_only("range", arguments);
  const Parameters given("range", arguments, {"start", "stop", "step"}, 1);
  const bool one = !given.has(1);
  const int64_t start = one ? 0 : given.integer(0, 0);
  const int64_t stop = one ? given.integer(0, 0) : given.integer(1, 0);
  const int64_t step = given.integer(2, 1);
  if (step == 0) raise_value("range() arg 3 must not be zero");
  // In 128 bits nothing overflows.
  __extension__ using Wide = __int128;
  const Wide span = step > 0 ? Wide{stop} - start : Wide{start} - stop;
  const Wide stride = step > 0 ? Wide{step} : -Wide{step};
  const Wide count = span <= 0 ? 0 : (span - 1) / stride + 1;
  if (count > kMaxRange) {
    throw Raised{Raised::Kind::runtime,
                 "OverflowError: Range too big. The sandbox blocks ranges larger than "
                 "MAX_RANGE (100000)."};
  }
  return Value::object(
      std::make_shared<Range>(runtime->meter(), start, step, stop, static_cast<int64_t>(count)));
}

std::shared_ptr<Dict> dict_of(Runtime* runtime, std::string_view function,
                              const Arguments& arguments) {
  std::vector<std::pair<Value, Value>> entries;
  if (arguments.positional.size() > 1) {
    raise_type(fmt::format("{} expected at most 1 argument, got {}", function,
                           arguments.positional.size()));
  }
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is(Kind::dict)) {
      entries = source.as_dict().entries();
    } else {
      const auto cursor = iterate_or_raise(source, runtime->meter());
      for (Value pair; cursor->next(&pair);) {
        std::vector<Value> two = to_vector(pair, runtime->meter());
        if (two.size() != 2) {
          raise_value(fmt::format("dictionary update sequence element has length {}; 2 is required",
                                  two.size()));
        }
        entries.emplace_back(two[0], two[1]);
        runtime->meter()->reserve(static_cast<int64_t>(entries.size() * 2 * sizeof(Value)));
      }
    }
  }
  for (const auto& [name, value] : arguments.named) {
    entries.emplace_back(runtime->text(name), value);
  }
  return make_dict(runtime->meter(), entries);
}

Value dict(Runtime* runtime, const Value&, const Arguments& arguments) {
  return Value::dict(dict_of(runtime, "dict", arguments));
}

Value namespace_function(Runtime* runtime, const Value&, const Arguments& arguments) {
  return runtime->make_namespace(dict_of(runtime, "namespace", arguments));
}

class Cycler : public Object {
 public:
  Cycler(Meter* meter, Value items)
      : Object(meter, 0, items.depth() + 1), items_(std::move(items)) {}
  std::string type_name() const override { return "Cycler"; }
  std::optional<Value> attribute(std::string_view name, Runtime* runtime) override {
    if (name == "items") return items_;
    if (name == "pos") return Value::integer(static_cast<int64_t>(at_));
    if (name == "current") return items_.items()[at_];
    const auto bound = [&](Function::Body body) {
      return Value::object(std::make_shared<Function>(runtime->meter(), std::string(name), body,
                                                      Value::object(self.lock())));
    };
    if (name == "next") {
      return bound([](Runtime*, const Value& me, const Arguments& arguments) {
        const Parameters given("next", arguments, {}, 0);
        Cycler& cycler = *me.as<Cycler>();
        Value now = cycler.items_.items()[cycler.at_];
        cycler.at_ = (cycler.at_ + 1) % cycler.items_.items().size();
        return now;
      });
    }
    if (name == "reset") {
      return bound([](Runtime*, const Value& me, const Arguments& arguments) {
        const Parameters given("reset", arguments, {}, 0);
        me.as<Cycler>()->at_ = 0;
        return Value::none();
      });
    }
    return std::nullopt;
  }
  std::weak_ptr<Object> self;

 private:
  Value items_;
  size_t at_ = 0;
};

Value cycler(Runtime* runtime, const Value&, const Arguments& arguments) {
  positional_only("cycler", arguments);
  if (arguments.positional.empty()) {
    throw Raised{Raised::Kind::runtime, "RuntimeError: at least one item has to be provided"};
  }
  auto made = std::make_shared<Cycler>(runtime->meter(),
                                       Value::tuple(runtime->meter(), arguments.positional));
  made->self = made;
  return Value::object(std::move(made));
}

class Joiner : public Object {
 public:
  Joiner(Meter* meter, Value separator)
      : Object(meter, 0, separator.depth() + 1), separator_(std::move(separator)) {}
  std::string type_name() const override { return "Joiner"; }
  bool is_callable() const override { return true; }
  Value call(Runtime* runtime, Arguments arguments) override {
    const Parameters given("joiner", arguments, {}, 0);
    return std::exchange(used_, true) ? separator_ : runtime->text("");
  }

 private:
  Value separator_;
  bool used_ = false;
};

Value joiner(Runtime* runtime, const Value&, const Arguments& arguments) {
  const Parameters given("joiner", arguments, {"sep"}, 0);
  return Value::object(
      std::make_shared<Joiner>(runtime->meter(), given.has(0) ? given[0] : runtime->text(", ")));
}

Value raise_exception(Runtime* runtime, const Value&, const Arguments& arguments) {
  const Parameters given("raise_exception", arguments, {"message"}, 1);
  throw Raised{Raised::Kind::raised, std::string(to_str(given[0], runtime->meter()).bytes())};
}

Value strftime_now(Runtime* runtime, const Value&, const Arguments& arguments) {
  const Parameters given("strftime_now", arguments, {"format"}, 1);
  if (!given[0].is(Kind::text)) raise_type("strftime() argument 1 must be str");
  const std::string_view format = given[0].bytes();
  constexpr size_t kMaxFormat = 4096;
  if (format.size() > kMaxFormat) {
    throw Raised{Raised::Kind::unsupported, "a time format over 4096 bytes is not supported"};
  }
  std::string plain;  // %f is Python's own: microseconds, of which a time_t has none
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] == '\0') raise_value("embedded null character in a time format");
    if (format[i] == '%' && i + 1 < format.size() &&
        (format[i + 1] == 'f' || format[i + 1] == '%')) {
      plain += format[++i] == 'f' ? "000000" : "%%";
    } else if (format[i] == '%' && i + 1 < format.size() &&
               (format[i + 1] == 'z' || format[i + 1] == 'Z')) {
      ++i;  // the time is naive: no zone
    } else if (format[i] == '%' && i + 1 < format.size() &&
               std::isdigit(static_cast<unsigned char>(format[i + 1])) != 0) {
      throw Raised{Raised::Kind::unsupported, "a width in a time format is not supported"};
    } else {
      plain += format[i];
    }
  }
  const std::time_t now = runtime->now();
  std::tm local{};
  localtime_r(&now, &local);
  std::string out(plain.size() * 32 + 64, '\0');
  out.resize(plain.empty() ? 0 : std::strftime(out.data(), out.size(), plain.c_str(), &local));
  return runtime->text(std::move(out));
}

Value lipsum(Runtime*, const Value&, const Arguments&) {
  throw Raised{Raised::Kind::unsupported, "lipsum() is not supported: it is random"};
}

}  // namespace

void define_globals(Runtime* runtime) {
  struct Global {
    const char* name;
    Function::Body body;
  };
  static constexpr Global kGlobals[] = {
      {"range", range},
      {"dict", dict},
      {"namespace", namespace_function},
      {"cycler", cycler},
      {"joiner", joiner},
      {"lipsum", lipsum},
      {"raise_exception", raise_exception},
      {"strftime_now", strftime_now},
  };
  for (const Global& g : kGlobals) {
    runtime->define(g.name, Value::object(std::make_shared<Function>(runtime->meter(), g.name,
                                                                     g.body, Value())));
  }
}

}  // namespace sinter::jinja
