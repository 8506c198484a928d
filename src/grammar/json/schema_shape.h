// A set of JSON values as the rewriting of schemas knows it: for each type, what its values must
// meet. A schema becomes a list of shapes, and a value is accepted where one of them has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "grammar/json/number_text.h"
#include "grammar/json/schema_documents.h"
#include "grammar/regex.h"

namespace sinter {

// A conjunction of schemas (and of their negations), of which the algebra keeps a table.
struct ValueId {
  uint32_t id = 0;
  friend auto operator<=>(ValueId, ValueId) = default;
};
constexpr ValueId kAnyValue{0};
constexpr ValueId kNoValue{1};

using TypeSet = uint8_t;
namespace json_type {
constexpr TypeSet kNull = 1, kFalse = 2, kTrue = 4, kNumber = 8, kString = 16, kArray = 32,
                  kObject = 64, kBoolean = kFalse | kTrue, kAll = 127,
                  kScalars = kNull | kBoolean | kNumber | kString;
}  // namespace json_type

struct ShapeProperty {
  std::string name;
  ValueId value;
  bool required = false;
};

// Members whose name is in `keys`: all of them (a rule), or one of them (a witness), have this
// value.
struct ShapeKeys {
  Regex keys;
  ValueId value;
  friend bool operator==(const ShapeKeys&, const ShapeKeys&) = default;
};

// From item `from` on, between min and max items have this value.
struct ShapeContains {
  uint32_t from = 0;
  ValueId value;
  uint32_t min = 0, max = kUnbounded;
};

struct Shape {
  TypeSet types = json_type::kAll;

  NumberSet numbers;

  std::optional<std::vector<std::string>> only_strings;
  Regex words;  // set by SchemaAlgebra::everything()
  uint32_t min_length = 0, max_length = kUnbounded;

  std::vector<ValueId> prefix;
  ValueId items = kAnyValue;  // behind the prefix
  uint32_t min_items = 0, max_items = kUnbounded;
  std::vector<ShapeContains> contains;
  std::optional<SchemaId> unique;  // where uniqueItems is said

  std::vector<ShapeProperty> properties;
  std::vector<ShapeKeys> rules, witnesses;
  Regex names;  // that members may have
  uint32_t min_properties = 0, max_properties = kUnbounded;
  SchemaId min_properties_at = 0;

  bool has(TypeSet type) const { return (types & type) != 0; }
  ShapeProperty& property(const std::string& name);  // added if it is not there
};

// What the keywords that succeeded have looked at, for unevaluatedProperties and -Items.
struct Evaluated {
  Regex keys;  // nothing() at first
  uint32_t n_items = 0;
  bool all_items = false;
  std::vector<ValueId> matches;  // of contains: items that have one of these values
};

struct Branch {
  Shape shape;
  Evaluated seen;
};

}  // namespace sinter
