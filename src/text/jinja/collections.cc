#include "text/jinja/collections.h"

#include <fmt/format.h>

#include "text/jinja/unicode.h"

namespace sinter::jinja {
namespace {

class CountCursor : public Cursor {
 public:
  CountCursor(std::shared_ptr<Object> self, int64_t count, std::function<Value(int64_t)> at)
      : self_(std::move(self)), count_(count), at_(std::move(at)) {}
  bool next(Value* out) override {
    if (i_ >= count_) return false;
    *out = at_(i_++);
    return true;
  }

 private:
  std::shared_ptr<Object> self_;
  int64_t count_;
  int64_t i_ = 0;
  std::function<Value(int64_t)> at_;
};

}  // namespace

std::shared_ptr<Cursor> count_cursor(std::shared_ptr<Object> self, int64_t count,
                                     std::function<Value(int64_t)> at) {
  return std::make_shared<CountCursor>(std::move(self), count, std::move(at));
}

std::shared_ptr<Cursor> backwards(const Value& value, Meter* meter) {
  switch (value.kind()) {
    case Kind::undefined:
      return count_cursor(nullptr, 0, [](int64_t) { return Value(); });
    case Kind::list:
    case Kind::tuple: {
      const int64_t last = static_cast<int64_t>(value.items().size()) - 1;
      return count_cursor(nullptr, last + 1, [value, last](int64_t i) {
        return value.items()[static_cast<size_t>(last - i)];
      });
    }
    case Kind::dict: {
      const int64_t last = static_cast<int64_t>(value.as_dict().entries().size()) - 1;
      return count_cursor(nullptr, last + 1, [value, last](int64_t i) {
        return value.as_dict().entries()[static_cast<size_t>(last - i)].first;
      });
    }
    case Kind::text: {
      std::vector<Value> characters = to_vector(value, meter);
      return backwards(Value::list(meter, std::move(characters)), meter);
    }
    case Kind::object:
      return value.pointer()->iterate_backwards(value.pointer());
    default:
      return nullptr;
  }
}

void Range::repr(Writer* out, int) const {
  out->add(step_ == 1 ? fmt::format("range({}, {})", start_, stop_)
                      : fmt::format("range({}, {}, {})", start_, stop_, step_));
}

std::shared_ptr<Cursor> Range::iterate(const std::shared_ptr<Object>& self) {
  return count_cursor(self, count_, [this](int64_t i) { return Value::integer(at(i)); });
}

std::shared_ptr<Cursor> Range::iterate_backwards(const std::shared_ptr<Object>& self) {
  return count_cursor(self, count_,
                      [this](int64_t i) { return Value::integer(at(count_ - 1 - i)); });
}

std::optional<Value> Range::item(const Value& key, Runtime*) {
  if (!key.is_integral()) return std::nullopt;
  const int64_t i = key.as_integer() < 0 ? key.as_integer() + count_ : key.as_integer();
  if (i < 0 || i >= count_) return std::nullopt;
  return Value::integer(at(i));
}

std::optional<Value> Range::slice(int64_t start, int64_t stop, int64_t step, int64_t count) {
  int64_t stride = 0;
  if (__builtin_mul_overflow(step_, step, &stride)) return std::nullopt;
  return Value::object(std::make_shared<Range>(meter_, bound(start), stride, bound(stop), count));
}

std::optional<Value> Range::attribute(std::string_view name, Runtime*) {
  if (name == "start") return Value::integer(start_);
  if (name == "stop") return Value::integer(stop_);
  if (name == "step") return Value::integer(step_);
  return std::nullopt;
}

bool Range::equals(const Object& other, Meter*) const {
  const auto* range = dynamic_cast<const Range*>(&other);
  if (range == nullptr || range->count_ != count_) return false;
  return count_ == 0 || (range->start_ == start_ && (count_ == 1 || range->step_ == step_));
}

std::string DictView::type_name() const {
  return part_ == Part::keys ? "dict_keys" : part_ == Part::values ? "dict_values" : "dict_items";
}

Value DictView::at(size_t i) const {
  const auto& [key, value] = dict_.as_dict().entries()[i];
  if (part_ == Part::keys) return key;
  if (part_ == Part::values) return value;
  return Value::tuple(meter_, {key, value});
}

void DictView::repr(Writer* out, int level) const {
  out->add(type_name() + "([");
  for (size_t i = 0; i < dict_.as_dict().entries().size(); ++i) {
    if (i > 0) out->add(", ");
    write_repr(at(i), out, level + 1);
  }
  out->add("])");
}

std::shared_ptr<Cursor> DictView::iterate(const std::shared_ptr<Object>& self) {
  return count_cursor(self, length().value_or(0),
                      [this](int64_t i) { return at(static_cast<size_t>(i)); });
}

std::shared_ptr<Cursor> DictView::iterate_backwards(const std::shared_ptr<Object>& self) {
  const int64_t n = length().value_or(0);
  return count_cursor(self, n, [this, n](int64_t i) { return at(static_cast<size_t>(n - 1 - i)); });
}

// Views of keys and of items are sets; a view of values equals only itself.
bool DictView::equals(const Object& other, Meter* meter) const {
  const auto* view = dynamic_cast<const DictView*>(&other);
  if (view == nullptr || part_ == Part::values || view->part_ != part_) return this == &other;
  const auto& mine = dict_.as_dict().entries();
  if (mine.size() != view->dict_.as_dict().entries().size()) return false;
  for (const auto& [key, value] : mine) {
    const Value* found = view->dict_.as_dict().find(key, meter);
    if (found == nullptr || (part_ == Part::items && !equal(value, *found, meter))) return false;
  }
  return true;
}

}  // namespace sinter::jinja
