// Reading checks that every keyword is one of the list below, with a value of the right kind;
// judging then trusts the schema. Keywords are those of JSON Schema draft 2020-12, validation and
// applicator vocabularies; `format` is an annotation there and here.
#include "gate/json_schema.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>

#include "base/error.h"
#include "gate/json_equal.h"

namespace sinter {
namespace {

constexpr int kMaxDepth = 64;         // of nested schemas
constexpr int kMaxNodes = 20000;      // schemas in one schema
constexpr int kMaxEffortDepth = 512;  // of nested judging, references included
constexpr int64_t kMaxEffortSteps = 1'000'000;

// What a keyword's value must be; the schemas inside are read too.
enum class Holds {
  anything,
  text,
  number,
  count,
  flag,
  schema,
  schemas,
  named_schemas,
  names,
  types
};

struct Keyword {
  const char* name;
  Holds holds;
};

constexpr Keyword kKeywords[] = {
    {"$schema", Holds::text},
    {"$comment", Holds::text},
    {"title", Holds::text},
    {"description", Holds::text},
    {"default", Holds::anything},
    {"examples", Holds::anything},
    {"deprecated", Holds::flag},
    {"readOnly", Holds::flag},
    {"writeOnly", Holds::flag},
    {"format", Holds::text},
    {"$ref", Holds::text},
    {"$defs", Holds::named_schemas},
    {"definitions", Holds::named_schemas},
    {"type", Holds::types},
    {"enum", Holds::anything},
    {"const", Holds::anything},
    {"properties", Holds::named_schemas},
    {"patternProperties", Holds::named_schemas},
    {"additionalProperties", Holds::schema},
    {"required", Holds::names},
    {"minProperties", Holds::count},
    {"maxProperties", Holds::count},
    {"items", Holds::schema},
    {"prefixItems", Holds::schemas},
    {"minItems", Holds::count},
    {"maxItems", Holds::count},
    {"uniqueItems", Holds::flag},
    {"minimum", Holds::number},
    {"maximum", Holds::number},
    {"exclusiveMinimum", Holds::number},
    {"exclusiveMaximum", Holds::number},
    {"multipleOf", Holds::number},
    {"minLength", Holds::count},
    {"maxLength", Holds::count},
    {"pattern", Holds::text},
    {"anyOf", Holds::schemas},
    {"oneOf", Holds::schemas},
    {"allOf", Holds::schemas},
    {"not", Holds::schema},
};

bool is_integer(const Json& value) {
  if (value.is_number_integer()) return true;
  return value.is_number_float() && std::floor(value.get<double>()) == value.get<double>();
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "integer") return is_integer(value);
  return value.is_number();
}

bool is_type_name(const Json& value) {
  static constexpr const char* kNames[] = {"null",   "boolean", "object", "array",
                                           "string", "integer", "number"};
  if (!value.is_string()) return false;
  for (const char* name : kNames) {
    if (value.get_ref<const std::string&>() == name) return true;
  }
  return false;
}

bool fits(const Json& value, Holds holds) {
  const auto all = [&](auto&& test) {
    if (!value.is_array() && !value.is_object()) return false;
    for (const Json& element : value) {
      if (!test(element)) return false;
    }
    return true;
  };
  const auto is_text = [](const Json& v) { return v.is_string(); };
  const auto is_schema = [](const Json& v) { return v.is_object() || v.is_boolean(); };
  switch (holds) {
    case Holds::anything:
      return true;
    case Holds::text:
      return value.is_string();
    case Holds::number:
      return value.is_number();
    case Holds::count:
      return value.is_number() && is_integer(value) && value.get<double>() >= 0;
    case Holds::flag:
      return value.is_boolean();
    case Holds::schema:
      return is_schema(value);
    case Holds::schemas:
      return value.is_array() && !value.empty() && all(is_schema);
    case Holds::named_schemas:
      return value.is_object() && all(is_schema);
    case Holds::names:
      return value.is_array() && all(is_text);
    case Holds::types:
      return is_type_name(value) || (value.is_array() && !value.empty() && all(is_type_name));
  }
  return false;
}

double characters(const std::string& text) {  // code points of UTF-8
  double n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return n;
}

const Json* find(const Json& schema, const char* key) {
  const auto it = schema.find(key);
  return it == schema.end() ? nullptr : &*it;
}

std::string at(const std::string& path) { return path.empty() ? "/" : path; }

// min/max of a count: "length", "elements", "properties".
std::string judge_count(const Json& schema, const char* low, const char* high, double n,
                        const char* what, const std::string& path) {
  if (const Json* v = find(schema, low); v != nullptr && n < v->get<double>()) {
    return fmt::format("{}: expected at least {} {}, found {}", at(path), v->get<double>(), what,
                       n);
  }
  if (const Json* v = find(schema, high); v != nullptr && n > v->get<double>()) {
    return fmt::format("{}: expected at most {} {}, found {}", at(path), v->get<double>(), what, n);
  }
  return "";
}

std::string judge_number(const Json& schema, const Json& value, const std::string& path) {
  const double x = value.get<double>();
  const auto limit = [&](const char* key, auto&& holds, const char* what) -> std::string {
    const Json* v = find(schema, key);
    if (v == nullptr || holds(x, v->get<double>())) return "";
    return fmt::format("{}: expected {} {}, found {}", at(path), what, to_line(*v), to_line(value));
  };
  if (auto e = limit("minimum", std::greater_equal<double>(), "at least"); !e.empty()) return e;
  if (auto e = limit("maximum", std::less_equal<double>(), "at most"); !e.empty()) return e;
  if (auto e = limit("exclusiveMinimum", std::greater<double>(), "more than"); !e.empty()) return e;
  if (auto e = limit("exclusiveMaximum", std::less<double>(), "less than"); !e.empty()) return e;
  const auto divides = [](double a, double b) {
    const double q = a / b;
    return std::isinf(q) ? std::fmod(a, b) == 0 : std::abs(q - std::round(q)) < 1e-9;
  };
  return limit("multipleOf", divides, "a multiple of");
}

}  // namespace

JsonSchema::JsonSchema(Json schema, std::string where)
    : schema_(std::move(schema)), where_(std::move(where)) {
  if (!schema_.is_object() && !schema_.is_boolean()) {
    fail(Fault::bad_input, "schema-syntax", "{}: expected a JSON Schema (an object), found {}",
         where_, schema_.type_name());
  }
  read(schema_, "", 0);
}

void JsonSchema::read(const Json& schema, const std::string& path, int depth) {
  if (schema.is_boolean()) return;
  if (depth > kMaxDepth || ++n_nodes_ > kMaxNodes) {
    fail(Fault::bad_input, "schema-syntax",
         "{}: {}: expected at most {} levels and {} schemas in one schema, found more", where_,
         at(path), kMaxDepth, kMaxNodes);
  }
  for (const auto& [key, value] : schema.items()) {
    const Keyword* known = nullptr;
    for (const Keyword& k : kKeywords) {
      if (key == k.name) known = &k;
    }
    if (known == nullptr) {
      fail(Fault::unsupported, "schema-keyword",
           "{}: {}: the JSON Schema keyword \"{}\" is not one that the gate judges; express it "
           "with another (docs/gate.md lists them)",
           where_, at(path), key);
    }
    const std::string here = fmt::format("{}/{}", path, key);
    if (!fits(value, known->holds) || (key == "enum" && !value.is_array()) ||
        (key == "multipleOf" && value.get<double>() <= 0)) {
      fail(Fault::bad_input, "schema-syntax", "{}: {}: found a value that the keyword cannot have",
           where_, here);
    }
    if (known->holds == Holds::schema) {
      read(value, here, depth + 1);
    } else if (known->holds == Holds::schemas || known->holds == Holds::named_schemas) {
      for (const auto& [name, inner] : value.items())
        read(inner, fmt::format("{}/{}", here, name), depth + 1);
    }
    if (key == "$ref") resolve(value.get<std::string>());
    if (key == "pattern") {
      const auto& expression = value.get_ref<const std::string&>();
      patterns_.try_emplace(expression, expression, where_ + ": " + here);
    } else if (key == "patternProperties") {
      for (const auto& [expression, inner] : value.items()) {
        patterns_.try_emplace(expression, expression, where_ + ": " + here);
      }
    }
  }
}

// "#", "#/$defs/name" and "#/definitions/name": what can be found without knowing base addresses.
const Json& JsonSchema::resolve(const std::string& reference) const {
  if (reference == "#") return schema_;
  for (const char* group : {"$defs", "definitions"}) {
    const std::string prefix = fmt::format("#/{}/", group);
    if (reference.rfind(prefix, 0) != 0 || !schema_.is_object()) continue;
    const std::string name = reference.substr(prefix.size());
    if (name.find_first_of("/~%") != std::string::npos) break;
    const Json* defs = find(schema_, group);
    if (defs == nullptr) break;
    if (const auto it = defs->find(name); it != defs->end()) return *it;
  }
  fail(Fault::unsupported, "schema-keyword",
       "{}: expected a $ref to \"#\" or to a plain name in \"#/$defs/\", found \"{}\"", where_,
       reference);
}

std::string JsonSchema::violation(const Json& value) const {
  int64_t steps = 0;
  return judge(schema_, value, "", {0, &steps});
}

void JsonSchema::spend(Effort effort, int64_t steps) const {
  *effort.steps += steps;
  if (effort.depth <= kMaxEffortDepth && *effort.steps <= kMaxEffortSteps) return;
  fail(Fault::exhausted, "schema-too-deep",
       "{}: judging one value took more than {} levels or {} steps; is there a $ref that refers to "
       "itself?",
       where_, kMaxEffortDepth, kMaxEffortSteps);
}

std::string JsonSchema::judge(const Json& schema, const Json& value, const std::string& path,
                              Effort effort) const {
  spend(effort, 1);
  if (schema.is_boolean()) {
    return schema.get<bool>() ? "" : fmt::format("{}: expected nothing here", at(path));
  }
  if (const Json* type = find(schema, "type")) {
    bool ok = false;
    if (type->is_string()) {
      ok = has_type(value, type->get_ref<const std::string&>());
    } else {
      for (const Json& t : *type) ok = ok || has_type(value, t.get_ref<const std::string&>());
    }
    if (!ok) {
      return fmt::format("{}: expected {}, found {}", at(path), to_line(*type), value.type_name());
    }
  }
  if (const Json* constant = find(schema, "const")) {
    if (!json_equal(*constant, value)) return at(path) + ": expected " + to_line(*constant);
  }
  if (const Json* choices = find(schema, "enum")) {
    bool ok = false;
    for (const Json& c : *choices) ok = ok || json_equal(c, value);
    if (!ok) {
      return fmt::format("{}: expected one of {}, found {}", at(path), to_line(*choices),
                         to_line(value).substr(0, 80));
    }
  }
  std::string wrong;
  if (value.is_number()) wrong = judge_number(schema, value, path);
  if (value.is_string()) wrong = judge_string(schema, value.get_ref<const std::string&>(), path);
  if (value.is_array()) wrong = judge_array(schema, value, path, effort);
  if (value.is_object()) wrong = judge_object(schema, value, path, effort);
  return wrong.empty() ? judge_combined(schema, value, path, effort) : wrong;
}

std::string JsonSchema::judge_string(const Json& schema, const std::string& text,
                                     const std::string& path) const {
  if (auto e = judge_count(schema, "minLength", "maxLength", characters(text), "characters", path);
      !e.empty()) {
    return e;
  }
  const Json* pattern = find(schema, "pattern");
  if (pattern == nullptr || patterns_.at(pattern->get<std::string>()).search(text)) return "";
  return fmt::format("{}: expected a match of {}", at(path), to_line(*pattern));
}

std::string JsonSchema::judge_array(const Json& schema, const Json& value, const std::string& path,
                                    Effort effort) const {
  if (auto e = judge_count(schema, "minItems", "maxItems", static_cast<double>(value.size()),
                           "elements", path);
      !e.empty()) {
    return e;
  }
  const Json* prefix = find(schema, "prefixItems");
  const Json* items = find(schema, "items");
  const size_t n_prefix = prefix == nullptr ? 0 : prefix->size();
  for (size_t i = 0; i < value.size(); ++i) {
    const Json* inner = i < n_prefix ? &(*prefix)[i] : items;
    if (inner == nullptr) continue;
    if (auto e = judge(*inner, value[i], fmt::format("{}/{}", path, i), effort.deeper());
        !e.empty()) {
      return e;
    }
  }
  const Json* unique = find(schema, "uniqueItems");
  if (unique == nullptr || !unique->get<bool>()) return "";
  for (size_t i = 0; i < value.size(); ++i) {
    spend(effort, static_cast<int64_t>(i));
    for (size_t j = 0; j < i; ++j) {
      if (json_equal(value[i], value[j])) {
        return fmt::format("{}: elements {} and {} are equal", at(path), j, i);
      }
    }
  }
  return "";
}

std::string JsonSchema::judge_object(const Json& schema, const Json& value, const std::string& path,
                                     Effort effort) const {
  if (auto e = judge_count(schema, "minProperties", "maxProperties",
                           static_cast<double>(value.size()), "properties", path);
      !e.empty()) {
    return e;
  }
  if (const Json* required = find(schema, "required")) {
    for (const Json& name : *required) {
      if (!value.contains(name.get_ref<const std::string&>())) {
        return fmt::format("{}: expected the property {}, found nothing", at(path), to_line(name));
      }
    }
  }
  const Json* properties = find(schema, "properties");
  const Json* by_pattern = find(schema, "patternProperties");
  const Json* rest = find(schema, "additionalProperties");
  for (const auto& [name, inner] : value.items()) {
    const std::string here = fmt::format("{}/{}", path, name);
    bool known = false;
    if (properties != nullptr) {
      if (const auto it = properties->find(name); it != properties->end()) {
        known = true;
        if (auto e = judge(*it, inner, here, effort.deeper()); !e.empty()) return e;
      }
    }
    if (by_pattern != nullptr) {
      for (const auto& [expression, wanted] : by_pattern->items()) {
        if (!patterns_.at(expression).search(name)) continue;
        known = true;
        if (auto e = judge(wanted, inner, here, effort.deeper()); !e.empty()) return e;
      }
    }
    if (known || rest == nullptr) continue;
    if (rest->is_boolean() && !rest->get<bool>()) {
      return fmt::format("{}: the schema has no property of this name", here);
    }
    if (auto e = judge(*rest, inner, here, effort.deeper()); !e.empty()) return e;
  }
  return "";
}

std::string JsonSchema::judge_combined(const Json& schema, const Json& value,
                                       const std::string& path, Effort effort) const {
  if (const Json* reference = find(schema, "$ref")) {
    const Json& target = resolve(reference->get_ref<const std::string&>());
    if (auto e = judge(target, value, path, effort.deeper()); !e.empty()) return e;
  }
  if (const Json* all = find(schema, "allOf")) {
    for (const Json& inner : *all) {
      if (auto e = judge(inner, value, path, effort.deeper()); !e.empty()) return e;
    }
  }
  const auto count = [&](const Json& alternatives) {
    size_t n = 0;
    for (const Json& inner : alternatives) n += judge(inner, value, path, effort.deeper()).empty();
    return n;
  };
  if (const Json* any = find(schema, "anyOf"); any != nullptr && count(*any) == 0) {
    return at(path) + ": fits none of anyOf";
  }
  if (const Json* one = find(schema, "oneOf")) {
    if (const size_t n = count(*one); n != 1) {
      return fmt::format("{}: expected to fit one of oneOf, fits {}", at(path), n);
    }
  }
  if (const Json* inner = find(schema, "not")) {
    if (judge(*inner, value, path, effort.deeper()).empty()) {
      return at(path) + ": fits what `not` excludes";
    }
  }
  return "";
}

}  // namespace sinter
