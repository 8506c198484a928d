// The values of const and enum as shapes, and everything else than they.
#include <algorithm>

#include "grammar/json/schema_algebra.h"

namespace sinter {
namespace {

using Branches = SchemaAlgebra::Branches;
using namespace json_type;

TypeSet type_of(const Json& value) {
  if (value.is_null()) return kNull;
  if (value.is_boolean()) return value.get<bool>() ? kTrue : kFalse;
  if (value.is_number()) return kNumber;
  if (value.is_string()) return kString;
  return value.is_array() ? kArray : kObject;
}

// Names that are not among these.
Regex other_names(SchemaAlgebra& algebra, const Json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  RegexSet& r = algebra.regexes();
  return names.empty() ? r.anything() : r.complement(r.any_literal(names));
}

}  // namespace

Branches expand_constants(SchemaAlgebra& algebra, const std::vector<const Json*>& values) {
  Branches made;
  Shape scalars = algebra.of_type(0);
  scalars.numbers.only.emplace();
  scalars.only_strings.emplace();
  for (const Json* value : values) {
    const TypeSet type = type_of(*value);
    if ((type & kScalars) != 0) scalars.types |= type;
    if (type == kNumber) scalars.numbers.only->push_back(Decimal::of(*value));
    if (type == kString) scalars.only_strings->push_back(value->get<std::string>());
    if (type == kArray) {
      Shape shape = algebra.of_type(kArray);
      for (const Json& item : *value) shape.prefix.push_back(algebra.value_of(item, false));
      shape.items = kNoValue;
      shape.min_items = shape.max_items = static_cast<uint32_t>(value->size());
      made.push_back(algebra.branch(shape));
    }
    if (type == kObject) {
      Shape shape = algebra.of_type(kObject);
      for (const auto& [name, inner] : value->items()) {
        shape.properties.push_back({name, algebra.value_of(inner, false), true});
      }
      shape.rules.push_back({other_names(algebra, *value), kNoValue});
      made.push_back(algebra.branch(shape));
    }
  }
  if (scalars.types != 0) made.insert(made.begin(), algebra.branch(scalars));
  return made;
}

Branches expand_other_than(SchemaAlgebra& algebra, const std::vector<const Json*>& values,
                           const std::string& where) {
  RegexSet& r = algebra.regexes();
  Shape rest = algebra.everything();
  std::vector<std::string> strings;
  for (const Json* value : values) {
    const TypeSet type = type_of(*value);
    if ((type & (kNull | kBoolean)) != 0) rest.types &= static_cast<TypeSet>(~type);
    if (type == kNumber) rest.numbers.except.push_back(Decimal::of(*value));
    if (type == kString) strings.push_back(value->get<std::string>());
  }
  if (!strings.empty()) rest.words = r.complement(r.any_literal(strings));
  Branches made{algebra.branch(rest)};
  for (const Json* value : values) {
    const TypeSet type = type_of(*value);
    if ((type & kScalars) != 0) continue;
    const auto n = static_cast<uint32_t>(value->size());
    Branches others{algebra.branch(algebra.of_type(static_cast<TypeSet>(~type & kAll)))};
    if (type == kArray) {
      Shape longer = algebra.of_type(kArray);
      longer.min_items = n + 1;
      others.push_back(algebra.branch(longer));
      if (n > 0) {
        Shape shorter = algebra.of_type(kArray);
        shorter.max_items = n - 1;
        others.push_back(algebra.branch(shorter));
      }
      for (uint32_t i = 0; i < n; ++i) {
        Shape differs = algebra.of_type(kArray);
        differs.min_items = i + 1;
        differs.prefix.assign(i, kAnyValue);
        differs.prefix.push_back(algebra.value_of((*value)[i], true));
        others.push_back(algebra.branch(differs));
      }
    } else {
      Shape more = algebra.of_type(kObject);
      more.witnesses.push_back({other_names(algebra, *value), kAnyValue});
      others.push_back(algebra.branch(more));
      for (const auto& [name, inner] : value->items()) {
        Shape absent = algebra.of_type(kObject), differs = absent;
        absent.property(name).value = kNoValue;
        differs.properties.push_back({name, algebra.value_of(inner, true), true});
        others.push_back(algebra.branch(absent));
        others.push_back(algebra.branch(differs));
      }
    }
    made = algebra.product(made, others, where);
  }
  return made;
}

}  // namespace sinter
