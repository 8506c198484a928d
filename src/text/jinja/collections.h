// The rarer containers: ranges, views of a dict, and items with names (of groupby).
#pragma once

#include <memory>

#include "text/jinja/runtime.h"

namespace sinter::jinja {

class Range : public Object {
 public:
  Range(Meter* meter, int64_t start, int64_t step, int64_t stop, int64_t count)
      : Object(meter, 0, 1), start_(start), step_(step), stop_(stop), count_(count) {}
  std::string type_name() const override { return "range"; }
  void repr(Writer* out, int level) const override;
  std::optional<int64_t> length() override { return count_; }
  std::shared_ptr<Cursor> iterate(const std::shared_ptr<Object>& self) override;
  std::shared_ptr<Cursor> iterate_backwards(const std::shared_ptr<Object>& self) override;
  std::optional<Value> item(const Value& key, Runtime* runtime) override;
  std::optional<Value> slice(int64_t start, int64_t stop, int64_t step, int64_t count) override;
  std::optional<Value> attribute(std::string_view name, Runtime* runtime) override;
  bool has_items() const override { return true; }
  bool equals(const Object& other, Meter* meter) const override;
  int64_t at(int64_t i) const { return start_ + i * step_; }

 private:
  // Of a slice: where index i lies, wrapping where Python's integers would grow.
  int64_t bound(int64_t i) const {
    return static_cast<int64_t>(static_cast<uint64_t>(start_) +
                                static_cast<uint64_t>(i) * static_cast<uint64_t>(step_));
  }
  int64_t start_, step_, stop_, count_;
};

class DictView : public Object {
 public:
  enum class Part { keys, values, items };
  DictView(Meter* meter, Value dict, Part part)
      : Object(meter, 0, dict.depth() + 1), dict_(std::move(dict)), part_(part) {}
  std::string type_name() const override;
  void repr(Writer* out, int level) const override;
  std::optional<int64_t> length() override { return jinja::length(dict_); }
  std::shared_ptr<Cursor> iterate(const std::shared_ptr<Object>& self) override;
  std::shared_ptr<Cursor> iterate_backwards(const std::shared_ptr<Object>& self) override;
  bool equals(const Object& other, Meter* meter) const override;
  Value at(size_t i) const;

 private:
  Value dict_;
  Part part_;
};

// A tuple (grouper, list) that also answers by name.
class GroupTuple : public Sequence {
 public:
  using Sequence::Sequence;
};

// Items i of 0..count-1 of something that `self` keeps alive.
std::shared_ptr<Cursor> count_cursor(std::shared_ptr<Object> self, int64_t count,
                                     std::function<Value(int64_t)> at);

// An iterator over what reversed() takes; nothing where Python raises TypeError.
std::shared_ptr<Cursor> backwards(const Value& value, Meter* meter);

}  // namespace sinter::jinja
