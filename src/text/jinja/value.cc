#include "text/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "text/jinja/number.h"
#include "text/jinja/unicode.h"

namespace sinter::jinja {
namespace {

constexpr int64_t kObjectBytes = 96;  // a generous share of the allocator's overhead

int depth_of(const std::vector<Value>& items) {
  int depth = 0;
  for (const Value& v : items) depth = std::max(depth, v.depth());
  return depth + 1;
}

}  // namespace

void Writer::repeat(std::string_view text, int64_t times) {
  if (times <= 0 || text.empty()) return;
  const int64_t room = INT64_MAX / 2 / static_cast<int64_t>(text.size());
  meter_->reserve(times > room ? INT64_MAX / 2
                               : times * static_cast<int64_t>(text.size()) +
                                     static_cast<int64_t>(out_.size()));
  for (int64_t i = 0; i < times; ++i) add(text);
}

Object::Object(Meter* meter, int64_t bytes, int depth)
    : meter_(meter), bytes_(bytes + kObjectBytes), depth_(depth) {
  if (depth > kMaxValueDepth) throw Exhausted{"values are nested too deeply"};
  if (meter_ != nullptr) meter_->take(bytes_);
}

Object::~Object() {
  if (meter_ != nullptr) meter_->give(bytes_);
}

// Python prints an address here, which no two runs share: a template that does is in error.
void Object::repr(Writer*, int) const {
  throw Raised{
      Raised::Kind::unsupported,
      fmt::format("printing a '{}' is not supported: Python prints its address", type_name())};
}
std::shared_ptr<Cursor> Object::iterate(const std::shared_ptr<Object>&) { return nullptr; }
std::shared_ptr<Cursor> Object::iterate_backwards(const std::shared_ptr<Object>&) {
  return nullptr;
}
std::optional<Value> Object::attribute(std::string_view, Runtime*) { return std::nullopt; }
std::optional<Value> Object::item(const Value&, Runtime*) { return std::nullopt; }
std::optional<Value> Object::slice(int64_t, int64_t, int64_t, int64_t) { return std::nullopt; }
bool Object::equals(const Object& other, Meter*) const { return this == &other; }

Text::Text(Meter* meter, std::string text, bool is_markup)
    : Object(meter, static_cast<int64_t>(text.size()), 0),
      bytes(std::move(text)),
      length(count_code_points(bytes)),
      markup(is_markup) {
  if (meter != nullptr) meter->work_on(bytes.size());
}

Sequence::Sequence(Meter* meter, std::vector<Value> values)
    : Object(meter, static_cast<int64_t>(values.size() * sizeof(Value)), depth_of(values)),
      items(std::move(values)) {
  if (meter != nullptr) meter->step(static_cast<int64_t>(items.size() / 8));
}

Value Value::text(Meter* meter, std::string bytes, bool markup) {
  return Value(Kind::text, std::make_shared<Text>(meter, std::move(bytes), markup));
}
Value Value::list(Meter* meter, std::vector<Value> items) {
  return Value(Kind::list, std::make_shared<Sequence>(meter, std::move(items)));
}
Value Value::tuple(Meter* meter, std::vector<Value> items) {
  return Value(Kind::tuple, std::make_shared<Sequence>(meter, std::move(items)));
}
Value Value::named_tuple(std::shared_ptr<Sequence> tuple) {
  return Value(Kind::tuple, std::move(tuple));
}
Value Value::dict(std::shared_ptr<Dict> dict) { return Value(Kind::dict, std::move(dict)); }
Value Value::object(std::shared_ptr<Object> object) {
  return Value(Kind::object, std::move(object));
}
Value Value::undefined(Meter* meter, std::string message, bool security) {
  return Value(Kind::undefined, std::make_shared<Undefined>(meter, std::move(message), security));
}

double Value::as_real() const { return is(Kind::real) ? real_ : static_cast<double>(integer_); }
const Text& Value::as_text() const { return static_cast<const Text&>(*pointer_); }
std::string_view Value::bytes() const { return as_text().bytes; }
const std::vector<Value>& Value::items() const {
  return static_cast<const Sequence&>(*pointer_).items;
}
Dict& Value::as_dict() const { return static_cast<Dict&>(*pointer_); }
const Undefined& Value::as_undefined() const { return static_cast<const Undefined&>(*pointer_); }

// ---- dict

namespace {
constexpr int64_t kEntryBytes = 2 * sizeof(Value) + 48;
}

Dict::~Dict() { clear(); }

void Dict::clear() {
  if (meter_ != nullptr) meter_->give(kEntryBytes * static_cast<int64_t>(entries_.size()));
  index_.clear();
  entries_.clear();
}

int64_t Dict::position(const Value& key, size_t key_hash, Meter* meter) const {
  const auto [first, last] = index_.equal_range(key_hash);
  for (auto it = first; it != last; ++it) {
    if (meter != nullptr) meter->step();
    if (equal(entries_[it->second].first, key, meter)) return static_cast<int64_t>(it->second);
  }
  return -1;
}

const Value* Dict::find(const Value& key, Meter* meter) const {
  const int64_t at = position(key, hash(key, meter), meter);
  return at < 0 ? nullptr : &entries_[static_cast<size_t>(at)].second;
}

const Value* Dict::find(std::string_view key) const {
  const auto [first, last] = index_.equal_range(std::hash<std::string_view>{}(key));
  for (auto it = first; it != last; ++it) {
    const auto& [k, v] = entries_[it->second];
    if (k.is(Kind::text) && k.bytes() == key) return &v;
  }
  return nullptr;
}

void Dict::set(const Value& key, Value value, Meter* meter) {
  const size_t key_hash = hash(key, meter);
  const int64_t at = position(key, key_hash, meter);
  if (at >= 0) {
    entries_[static_cast<size_t>(at)].second = std::move(value);
    return;
  }
  if (meter_ != nullptr) meter_->take(kEntryBytes);
  index_.emplace(key_hash, entries_.size());
  entries_.emplace_back(key, std::move(value));
}

std::shared_ptr<Dict> make_dict(Meter* meter, const std::vector<std::pair<Value, Value>>& entries) {
  int depth = 0;
  for (const auto& [k, v] : entries) depth = std::max({depth, k.depth(), v.depth()});
  auto dict = std::make_shared<Dict>(meter, depth + 1);
  for (const auto& [k, v] : entries) dict->set(k, v, meter);
  return dict;
}

// ---- Python's questions

std::string type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::text:
      return value.as_text().markup ? "Markup" : "str";
    case Kind::list:
      return "list";
    case Kind::tuple:
      return "tuple";
    case Kind::dict:
      return "dict";
    case Kind::object:
      return value.pointer()->type_name();
  }
  return "object";
}

void raise_type(std::string message) { throw Raised{Raised::Kind::type, std::move(message)}; }
void raise_value(std::string message) { throw Raised{Raised::Kind::value, std::move(message)}; }
void raise_undefined(const Value& undefined) {
  const Undefined& u = undefined.as_undefined();
  throw Raised{u.security ? Raised::Kind::security : Raised::Kind::undefined, u.message};
}

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
    case Kind::integer:
      return value.as_integer() != 0;
    case Kind::real:
      return value.as_real() != 0;
    default:
      return length(value).value_or(1) != 0;
  }
}

bool equal(const Value& a, const Value& b, Meter* meter) {
  if (meter != nullptr) meter->step();
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.as_integer() == b.as_integer();
    return compare_numbers(a, b) == Order::equal;
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::text:
      if (meter != nullptr) meter->work_on(a.bytes().size());
      return a.bytes() == b.bytes();
    case Kind::list:
    case Kind::tuple: {
      const auto& x = a.items();
      const auto& y = b.items();
      if (x.size() != y.size()) return false;
      for (size_t i = 0; i < x.size(); ++i) {
        if (!identical(x[i], y[i]) && !equal(x[i], y[i], meter)) return false;
      }
      return true;
    }
    case Kind::dict: {
      if (a.as_dict().entries().size() != b.as_dict().entries().size()) return false;
      for (const auto& [key, value] : a.as_dict().entries()) {
        const Value* other = b.as_dict().find(key, meter);
        if (other == nullptr || (!identical(value, *other) && !equal(value, *other, meter))) {
          return false;
        }
      }
      return true;
    }
    case Kind::object:
      return a.pointer()->equals(*b.pointer(), meter);
    default:  // none == none, undefined == undefined
      return true;
  }
}

bool identical(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::none:
      return true;
    case Kind::boolean:
      return a.as_integer() == b.as_integer();
    case Kind::integer:  // CPython shares the small ones
      return a.as_integer() == b.as_integer() && a.as_integer() >= -5 && a.as_integer() <= 256;
    case Kind::real:
      return false;
    case Kind::tuple:
      return a.pointer() == b.pointer() || (a.items().empty() && b.items().empty());
    default:
      return a.pointer() == b.pointer();
  }
}

Order order(const Value& a, const Value& b, Meter* meter, const char* sign) {
  if (meter != nullptr) meter->step();
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  const auto from = [](int c) {
    return c < 0 ? Order::less : c > 0 ? Order::greater : Order::equal;
  };
  if (a.is(Kind::text) && b.is(Kind::text)) {
    if (meter != nullptr) meter->work_on(std::min(a.bytes().size(), b.bytes().size()));
    return from(a.bytes().compare(b.bytes()));  // UTF-8 orders as code points do
  }
  if (a.is_sequence() && a.kind() == b.kind()) {
    const auto& x = a.items();
    const auto& y = b.items();
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!identical(x[i], y[i]) && !equal(x[i], y[i], meter)) {
        return order(x[i], y[i], meter, sign);
      }
    }
    return from(x.size() < y.size() ? -1 : x.size() > y.size() ? 1 : 0);
  }
  if (a.is_undefined()) raise_undefined(a);
  if (b.is_undefined()) raise_undefined(b);
  raise_type(fmt::format("'{}' not supported between instances of '{}' and '{}'", sign,
                         type_name(a), type_name(b)));
}

bool less(const Value& a, const Value& b, Meter* meter, const char* sign) {
  return order(a, b, meter, sign) == Order::less;
}

size_t hash(const Value& value, Meter* meter) {
  if (meter != nullptr) meter->step();
  switch (value.kind()) {
    case Kind::boolean:
    case Kind::integer:
      return std::hash<double>{}(static_cast<double>(value.as_integer()));
    case Kind::real:
      return std::hash<double>{}(value.as_real());
    case Kind::text:
      return std::hash<std::string_view>{}(value.bytes());
    case Kind::tuple: {
      size_t h = 0x9e3779b97f4a7c15;
      for (const Value& v : value.items()) h = (h ^ hash(v, meter)) * 0x100000001b3;
      return h;
    }
    case Kind::list:
    case Kind::dict:
      raise_type(fmt::format("unhashable type: '{}'", type_name(value)));
    case Kind::object:
      return std::hash<const void*>{}(value.pointer().get());
    default:
      return static_cast<size_t>(value.kind());
  }
}

// ---- repr and str

std::string quote(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char mark = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, mark);
  for (size_t i = 0; i < text.size();) {
    const char32_t c = decode(text, &i);
    if (c == static_cast<char32_t>(mark) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_printable(c)) {
      append(&out, c);
    } else if (c < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    } else if (c < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
    }
  }
  return out + mark;
}

void write_repr(const Value& value, Writer* out, int level) {
  out->meter()->step();
  if (level > 2 * kMaxValueDepth) throw Exhausted{"values are nested too deeply to print"};
  switch (value.kind()) {
    case Kind::text:
      out->meter()->reserve(static_cast<int64_t>(value.bytes().size()));
      if (value.as_text().markup) {
        out->add(fmt::format("Markup({})", quote(value.bytes())));
      } else {
        out->add(quote(value.bytes()));
      }
      return;
    case Kind::list:
    case Kind::tuple: {
      const bool is_list = value.is(Kind::list);
      out->add(is_list ? "[" : "(");
      const auto& items = value.items();
      for (size_t i = 0; i < items.size(); ++i) {
        if (i > 0) out->add(", ");
        write_repr(items[i], out, level + 1);
      }
      out->add(is_list ? "]" : items.size() == 1 ? ",)" : ")");
      return;
    }
    case Kind::dict: {
      out->add("{");
      const char* separator = "";
      for (const auto& [key, v] : value.as_dict().entries()) {
        out->add(separator);
        separator = ", ";
        write_repr(key, out, level + 1);
        out->add(": ");
        write_repr(v, out, level + 1);
      }
      out->add("}");
      return;
    }
    case Kind::missing:
    case Kind::undefined:
      out->add("Undefined");
      return;
    case Kind::object:
      value.pointer()->repr(out, level + 1);
      return;
    default:
      write_str(value, out, level);
  }
}

void write_str(const Value& value, Writer* out, int level) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
      return;
    case Kind::none:
      out->add("None");
      return;
    case Kind::boolean:
      out->add(value.as_integer() != 0 ? "True" : "False");
      return;
    case Kind::integer:
      out->add(std::to_string(value.as_integer()));
      return;
    case Kind::real:
      out->add(repr_of_real(value.as_real()));
      return;
    case Kind::text:
      out->add(value.bytes());
      return;
    default:
      write_repr(value, out, level);
  }
}

Value to_str(const Value& value, Meter* meter) {
  if (value.is(Kind::text) && !value.as_text().markup) return value;
  Writer out(meter);
  write_str(value, &out);
  return Value::text(meter, out.take());
}

Value to_soft_str(const Value& value, Meter* meter) {
  return value.is(Kind::text) ? value : to_str(value, meter);
}

// ---- containers

std::optional<int64_t> length(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return 0;
    case Kind::text:
      return value.as_text().length;
    case Kind::list:
    case Kind::tuple:
      return static_cast<int64_t>(value.items().size());
    case Kind::dict:
      return static_cast<int64_t>(value.as_dict().entries().size());
    case Kind::object:
      return value.pointer()->length();
    default:
      return std::nullopt;
  }
}

int64_t length_or_raise(const Value& value) {
  const std::optional<int64_t> n = length(value);
  if (!n) raise_type(fmt::format("object of type '{}' has no len()", type_name(value)));
  return *n;
}

namespace {

class ItemCursor : public Cursor {
 public:
  explicit ItemCursor(Value sequence) : sequence_(std::move(sequence)) {}
  bool next(Value* out) override {
    if (at_ >= sequence_.items().size()) return false;
    *out = sequence_.items()[at_++];
    return true;
  }

 private:
  Value sequence_;
  size_t at_ = 0;
};

class KeyCursor : public Cursor {
 public:
  explicit KeyCursor(Value dict) : dict_(std::move(dict)) {}
  bool next(Value* out) override {
    if (at_ >= dict_.as_dict().entries().size()) return false;
    *out = dict_.as_dict().entries()[at_++].first;
    return true;
  }

 private:
  Value dict_;
  size_t at_ = 0;
};

class CharacterCursor : public Cursor {
 public:
  CharacterCursor(Value text, Meter* meter) : text_(std::move(text)), meter_(meter) {}
  bool next(Value* out) override {
    const std::string_view all = text_.bytes();
    if (at_ >= all.size()) return false;
    const size_t start = at_;
    decode(all, &at_);
    *out = Value::text(meter_, std::string(all.substr(start, at_ - start)), text_.as_text().markup);
    return true;
  }

 private:
  Value text_;
  Meter* meter_;
  size_t at_ = 0;
};

class NoCursor : public Cursor {
 public:
  bool next(Value*) override { return false; }
};

}  // namespace

std::shared_ptr<Cursor> iterate(const Value& value, Meter* meter) {
  switch (value.kind()) {
    case Kind::undefined:
      return std::make_shared<NoCursor>();
    case Kind::text:
      return std::make_shared<CharacterCursor>(value, meter);
    case Kind::list:
    case Kind::tuple:
      return std::make_shared<ItemCursor>(value);
    case Kind::dict:
      return std::make_shared<KeyCursor>(value);
    case Kind::object:
      return value.pointer()->iterate(value.pointer());
    default:
      return nullptr;
  }
}

std::shared_ptr<Cursor> iterate_or_raise(const Value& value, Meter* meter) {
  auto cursor = iterate(value, meter);
  if (!cursor) raise_type(fmt::format("'{}' object is not iterable", type_name(value)));
  return cursor;
}

std::vector<Value> to_vector(const Value& value, Meter* meter) {
  if (value.is_sequence()) {
    meter->step(static_cast<int64_t>(value.items().size()));
    meter->reserve(static_cast<int64_t>(value.items().size() * sizeof(Value)));
    return value.items();
  }
  std::vector<Value> out;
  const auto cursor = iterate_or_raise(value, meter);
  for (Value item; cursor->next(&item);) {
    meter->step();
    out.push_back(item);
    meter->reserve(static_cast<int64_t>(out.size() * sizeof(Value)));
  }
  return out;
}

bool contains(const Value& container, const Value& item, Meter* meter) {
  if (container.is(Kind::text)) {
    if (item.is_undefined()) raise_undefined(item);
    if (!item.is(Kind::text)) {
      raise_type(
          fmt::format("'in <string>' requires string as left operand, not {}", type_name(item)));
    }
    meter->work_on(container.bytes().size() * 4);
    return container.bytes().find(item.bytes()) != std::string_view::npos;
  }
  if (container.is(Kind::dict)) return container.as_dict().find(item, meter) != nullptr;
  const auto cursor = iterate(container, meter);
  if (!cursor) {
    raise_type(fmt::format("argument of type '{}' is not iterable", type_name(container)));
  }
  for (Value candidate; cursor->next(&candidate);) {
    if (identical(candidate, item) || equal(candidate, item, meter)) return true;
  }
  return false;
}

}  // namespace sinter::jinja
