// Values of a running template, with Python's truth, equality, order, repr and str. Lists and dicts
// never change once visible (the sandbox is immutable), so nothing here can form a cycle but
// namespaces, which Runtime empties at the end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sinter::jinja {

class Runtime;
class Sequence;
class Value;
struct Arguments;

// A Python exception: the kind decides which built-ins swallow it, as `int` does a ValueError.
struct Raised {
  enum class Kind { type, value, lookup, undefined, security, runtime, unsupported, raised };
  Kind kind;
  std::string message;
};
// A limit of the render was reached.
struct Exhausted {
  std::string message;
};

// What a render may still spend. Bytes are those alive now, steps are spent for good.
class Meter {
 public:
  Meter(int64_t steps, int64_t bytes) : steps_left_(steps), bytes_left_(bytes) {}
  void step(int64_t n = 1) {
    if ((steps_left_ -= n) < 0) throw Exhausted{"the limit on steps of a template is reached"};
  }
  void work_on(size_t bytes) { step(static_cast<int64_t>(bytes / 256)); }
  void take(int64_t bytes) {
    reserve(bytes);
    bytes_left_ -= bytes;
  }
  void give(int64_t bytes) { bytes_left_ += bytes; }
  void reserve(int64_t bytes) const {  // would take(bytes) do?
    if (bytes > bytes_left_) throw Exhausted{"the limit on memory of a template is reached"};
  }

 private:
  int64_t steps_left_;
  int64_t bytes_left_;
};

// Builds a string that may come out larger than its inputs.
class Writer {
 public:
  explicit Writer(Meter* meter) : meter_(meter) {}
  void add(std::string_view text) {
    meter_->reserve(static_cast<int64_t>(out_.size() + text.size()));
    meter_->work_on(text.size());
    out_.append(text);
  }
  void repeat(std::string_view text, int64_t times);
  Meter* meter() const { return meter_; }
  const std::string& text() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  Meter* meter_;
  std::string out_;
};

inline constexpr int kMaxValueDepth = 400;  // of lists in lists; JSON inputs are at most 256 deep

enum class Kind : uint8_t {
  missing,  // no value at all: an unset variable, an omitted argument
  undefined,
  none,
  boolean,
  integer,
  real,
  text,
  list,
  tuple,
  dict,
  object,
};

class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual bool next(Value* out) = 0;
};

// Everything on the heap, and the Python protocol of the rarer types (range, views, streams,
// namespaces, macros, methods, loop).
class Object {
 public:
  Object(Meter* meter, int64_t bytes, int depth);
  virtual ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  int depth() const { return depth_; }

  virtual std::string type_name() const { return "object"; }
  virtual void repr(Writer* out, int level) const;
  virtual std::optional<int64_t> length() { return std::nullopt; }
  virtual std::shared_ptr<Cursor> iterate(const std::shared_ptr<Object>& self);
  virtual std::shared_ptr<Cursor> iterate_backwards(const std::shared_ptr<Object>& self);
  // Nothing: Python would raise AttributeError, or TypeError or LookupError.
  virtual std::optional<Value> attribute(std::string_view name, Runtime* runtime);
  virtual std::optional<Value> item(const Value& key, Runtime* runtime);
  virtual std::optional<Value> slice(int64_t start, int64_t stop, int64_t step, int64_t count);
  virtual bool has_items() const { return false; }  // has __getitem__
  virtual bool is_callable() const { return false; }
  virtual Value call(Runtime* runtime, Arguments arguments);
  virtual bool equals(const Object& other, Meter* meter) const;

 protected:
  Meter* meter_;  // null for constants of the template

 private:
  int64_t bytes_;
  int depth_;
};

class Text;
class Sequence;
class Dict;
class Undefined;

class Value {
 public:
  Value() = default;
  static Value none() { return Value(Kind::none); }
  static Value boolean(bool b) {
    Value v(Kind::boolean);
    v.integer_ = b ? 1 : 0;
    return v;
  }
  static Value integer(int64_t i) {
    Value v(Kind::integer);
    v.integer_ = i;
    return v;
  }
  static Value real(double d) {
    Value v(Kind::real);
    v.real_ = d;
    return v;
  }
  static Value text(Meter* meter, std::string bytes, bool markup = false);
  static Value list(Meter* meter, std::vector<Value> items);
  static Value tuple(Meter* meter, std::vector<Value> items);
  static Value named_tuple(std::shared_ptr<Sequence> tuple);
  static Value dict(std::shared_ptr<Dict> dict);
  static Value object(std::shared_ptr<Object> object);
  static Value undefined(Meter* meter, std::string message, bool security = false);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_missing() const { return kind_ == Kind::missing; }
  bool is_undefined() const { return kind_ == Kind::undefined; }
  bool is_integral() const { return kind_ == Kind::integer || kind_ == Kind::boolean; }
  bool is_number() const { return is_integral() || kind_ == Kind::real; }
  bool is_sequence() const { return kind_ == Kind::list || kind_ == Kind::tuple; }

  int64_t as_integer() const { return integer_; }  // boolean or integer
  double as_real() const;                          // any number
  const Text& as_text() const;
  std::string_view bytes() const;  // of a text
  const std::vector<Value>& items() const;
  Dict& as_dict() const;
  const Undefined& as_undefined() const;
  const std::shared_ptr<Object>& pointer() const { return pointer_; }
  template <typename T>
  std::shared_ptr<T> as() const {  // null when it is another object
    return kind_ == Kind::object ? std::dynamic_pointer_cast<T>(pointer_) : nullptr;
  }
  int depth() const { return pointer_ ? pointer_->depth() : 0; }

 private:
  explicit Value(Kind kind) : kind_(kind) {}
  Value(Kind kind, std::shared_ptr<Object> pointer) : kind_(kind), pointer_(std::move(pointer)) {}
  Kind kind_ = Kind::missing;
  union {
    int64_t integer_ = 0;
    double real_;
  };
  std::shared_ptr<Object> pointer_;
};

class Text : public Object {
 public:
  Text(Meter* meter, std::string bytes, bool markup);
  const std::string bytes;
  const int64_t length;  // code points
  const bool markup;     // Markup: already escaped for HTML
};

class Sequence : public Object {
 public:
  Sequence(Meter* meter, std::vector<Value> items);
  const std::vector<Value> items;
};

class Undefined : public Object {
 public:
  Undefined(Meter* meter, std::string text, bool is_security)
      : Object(meter, static_cast<int64_t>(text.size()), 0),
        message(std::move(text)),
        security(is_security) {}
  const std::string message;
  const bool security;  // using it is a SecurityError
};

// Keeps the order of insertion. Keys follow Python: 1, 1.0 and True are one key.
class Dict : public Object {
 public:
  explicit Dict(Meter* meter, int depth = 1) : Object(meter, 64, depth) {}
  ~Dict() override;
  const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
  const Value* find(const Value& key, Meter* meter) const;  // unhashable: Raised
  const Value* find(std::string_view key) const;
  void set(const Value& key, Value value, Meter* meter);
  void clear();

 private:
  int64_t position(const Value& key, size_t hash, Meter* meter) const;  // -1: absent
  std::vector<std::pair<Value, Value>> entries_;
  std::unordered_multimap<size_t, size_t> index_;  // of hash to position
};

std::shared_ptr<Dict> make_dict(Meter* meter, const std::vector<std::pair<Value, Value>>& entries);

std::string type_name(const Value& value);
[[noreturn]] void raise_type(std::string message);
[[noreturn]] void raise_value(std::string message);
[[noreturn]] void raise_undefined(const Value& undefined);

bool truth(const Value& value);
bool equal(const Value& a, const Value& b, Meter* meter);
enum class Order { less, equal, greater, none };  // none: a NaN
Order order(const Value& a, const Value& b, Meter* meter, const char* sign = "<");
bool less(const Value& a, const Value& b, Meter* meter, const char* sign = "<");
size_t hash(const Value& value, Meter* meter);
bool identical(const Value& a, const Value& b);

void write_repr(const Value& value, Writer* out, int level = 0);
void write_str(const Value& value, Writer* out, int level = 0);
std::string quote(std::string_view text);             // repr() of a string
Value to_str(const Value& value, Meter* meter);       // str(x): never markup
Value to_soft_str(const Value& value, Meter* meter);  // str(x), but markup stays markup

std::optional<int64_t> length(const Value& value);
int64_t length_or_raise(const Value& value);
std::shared_ptr<Cursor> iterate(const Value& value, Meter* meter);  // null: not iterable
std::shared_ptr<Cursor> iterate_or_raise(const Value& value, Meter* meter);
std::vector<Value> to_vector(const Value& value, Meter* meter);
bool contains(const Value& container, const Value& item, Meter* meter);

}  // namespace sinter::jinja
