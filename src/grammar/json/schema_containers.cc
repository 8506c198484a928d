// What keywords say about arrays and objects.
#include <algorithm>

#include "grammar/json/schema_reader.h"

namespace sinter {

using namespace json_type;
using Branches = SchemaAlgebra::Branches;
using Place = SchemaDocuments::Place;

// The items that are said one by one (prefixItems, or items as a list before 2020-12).
std::vector<ValueId> SchemaReader::prefix(bool negated) {
  std::vector<ValueId> values;
  for (const char* keyword : {"prefixItems", "items"}) {
    const Json* list = member(keyword);
    if (list == nullptr || !list->is_array()) continue;
    for (size_t i = 0; i < list->size(); ++i) {
      values.push_back(value(child_at((*list)[i], fmt::format("{}/{}", keyword, i)), negated));
    }
    break;
  }
  return values;
}

// The schema of all items behind those.
const Json* SchemaReader::behind_prefix(std::string& keyword) const {
  const Json* items = member("items");
  keyword = "items";
  if (items != nullptr && items->is_array()) {
    keyword = "additionalItems";
    return member("additionalItems");
  }
  return items;
}

// prefixItems, items and additionalItems are read together, by the first of them that is there.
bool SchemaReader::is_items_keyword_in_charge() const {
  if (keyword_ == "prefixItems") return true;
  return keyword_ == "items" && member("prefixItems") == nullptr;
}

void SchemaReader::keep_items(const Json& /*value*/) {
  if (!is_items_keyword_in_charge()) return;
  Branch branch = a_.branch(a_.everything());
  branch.shape.prefix = prefix(false);
  std::string keyword;
  const Json* rest = behind_prefix(keyword);
  if (rest != nullptr) branch.shape.items = value(child_at(*rest, keyword));
  branch.seen.n_items = static_cast<uint32_t>(branch.shape.prefix.size());
  branch.seen.all_items = rest != nullptr;
  narrow(Branches{branch});
}

Branches SchemaReader::deny_items(const Json& /*value*/) {
  Branches made;
  if (!is_items_keyword_in_charge()) return made;
  const std::vector<ValueId> others = prefix(true);
  for (size_t i = 0; i < others.size(); ++i) {
    Shape shape = a_.of_type(kArray);
    shape.min_items = static_cast<uint32_t>(i + 1);
    shape.prefix.assign(i, kAnyValue);
    shape.prefix.push_back(others[i]);
    made.push_back(a_.branch(shape));
  }
  std::string keyword;
  if (const Json* rest = behind_prefix(keyword)) {
    Shape shape = a_.of_type(kArray);
    shape.contains.push_back({static_cast<uint32_t>(others.size()),
                              value(child_at(*rest, keyword), true), 1, kUnbounded});
    made.push_back(a_.branch(shape));
  }
  return made;
}

std::pair<uint32_t, uint32_t> SchemaReader::contains_counts() const {
  uint32_t min = 1, max = kUnbounded;
  if (draft_ >= Draft::draft2019) {
    if (const Json* said = member("minContains")) min = count(*said);
    if (const Json* said = member("maxContains")) max = count(*said);
  }
  return {min, max};
}

void SchemaReader::keep_contains(const Json& json) {
  const auto [min, max] = contains_counts();
  Branch branch = a_.branch(a_.everything());
  const ValueId wanted = value(child(json));
  if (min > 0 || max != kUnbounded) branch.shape.contains.push_back({0, wanted, min, max});
  if (draft_ >= Draft::draft2020) branch.seen.matches.push_back(wanted);
  narrow(Branches{branch});
}

Branches SchemaReader::deny_contains(const Json& json) {
  const auto [min, max] = contains_counts();
  const ValueId wanted = value(child(json));
  Branches made;
  Shape fewer = a_.of_type(kArray), more = fewer;
  if (min > 0) {
    fewer.contains.push_back({0, wanted, 0, min - 1});
    made.push_back(a_.branch(fewer));
  }
  if (max != kUnbounded) {
    more.contains.push_back({0, wanted, max + 1, kUnbounded});
    made.push_back(a_.branch(more));
  }
  return made;
}

void SchemaReader::keep_unique(const Json& value) {
  require_kind(value, value.is_boolean(), "true or false");
  Shape shape = a_.everything();
  if (value.get<bool>()) shape.unique = place_.schema;
  narrow(shape);
}

Branches SchemaReader::deny_unique(const Json& value) {
  if (value.is_boolean() && !value.get<bool>()) return {};
  a_.unsupported(at(), "arrays in which an item repeats cannot be enforced",
                 "leave uniqueItems out of what is negated");
}

void SchemaReader::keep_properties(const Json& json) {
  require_kind(json, json.is_object(), "an object of schemas");
  Branch branch = a_.branch(a_.everything());
  std::vector<std::string> names;
  for (const auto& [name, schema] : json.items()) {
    branch.shape.properties.push_back({name, value(child(schema, name)), false});
    names.push_back(name);
  }
  if (a_.tracks_evaluated()) branch.seen.keys = r_.any_literal(names);
  narrow(Branches{branch});
}

Branches SchemaReader::deny_properties(const Json& json) {
  require_kind(json, json.is_object(), "an object of schemas");
  Branches made;
  for (const auto& [name, schema] : json.items()) {
    Shape shape = a_.of_type(kObject);
    shape.properties.push_back({name, value(child(schema, name), true), true});
    if (shape.properties[0].value != kNoValue) made.push_back(a_.branch(shape));
  }
  return made;
}

void SchemaReader::keep_patterns(const Json& json) {
  require_kind(json, json.is_object(), "an object of schemas");
  Branch branch = a_.branch(a_.everything());
  for (const auto& [text, schema] : json.items()) {
    const Regex keys = pattern(text, at() + "/" + pointer_token(text));
    branch.shape.rules.push_back({keys, value(child(schema, text))});
    branch.seen.keys = r_.either(branch.seen.keys, keys);
  }
  narrow(Branches{branch});
}

Branches SchemaReader::deny_patterns(const Json& json) {
  require_kind(json, json.is_object(), "an object of schemas");
  Branches made;
  for (const auto& [text, schema] : json.items()) {
    Shape shape = a_.of_type(kObject);
    shape.witnesses.push_back(
        {pattern(text, at() + "/" + pointer_token(text)), value(child(schema, text), true)});
    if (shape.witnesses[0].value != kNoValue) made.push_back(a_.branch(shape));
  }
  return made;
}

// Names that neither properties nor patternProperties of this schema speak of.
Regex SchemaReader::additional_keys() {
  std::vector<Regex> all;
  std::vector<std::string> named;
  if (const Json* properties = member("properties")) {
    for (const auto& [name, schema] : properties->items()) named.push_back(name);
  }
  if (!named.empty()) all.push_back(r_.complement(r_.any_literal(named)));
  if (const Json* patterns = member("patternProperties")) {
    for (const auto& [text, schema] : patterns->items()) {
      all.push_back(r_.complement(pattern(text, a_.documents().pointer(place_.schema) +
                                                    "/patternProperties/" + pointer_token(text))));
    }
  }
  return r_.both(all);
}

void SchemaReader::keep_additional(const Json& json) {
  Branch branch = a_.branch(a_.everything());
  const Regex keys = additional_keys();
  const ValueId wanted = value(child(json));
  if (wanted != kAnyValue) branch.shape.rules.push_back({keys, wanted});
  branch.seen.keys = keys;
  narrow(Branches{branch});
}

Branches SchemaReader::deny_additional(const Json& json) {
  const ValueId other = value(child(json), true);
  if (other == kNoValue) return {};
  Shape shape = a_.of_type(kObject);
  shape.witnesses.push_back({additional_keys(), other});
  return one(shape);
}

Regex SchemaReader::property_names(const Json& json) { return a_.words_of(value(child(json))); }

void SchemaReader::keep_names(const Json& json) {
  Shape shape = a_.everything();
  shape.names = property_names(json);
  narrow(shape);
}

Branches SchemaReader::deny_names(const Json& json) {
  Shape shape = a_.of_type(kObject);
  shape.witnesses.push_back({a_.words_of(value(child(json), true)), kAnyValue});
  return one(shape);
}

std::vector<std::string> SchemaReader::names(const Json& value) const {
  require_kind(value, value.is_array(), "a list of names");
  std::vector<std::string> all;
  for (const Json& name : value) {
    require_kind(name, name.is_string(), "a name");
    all.push_back(name.get<std::string>());
  }
  return all;
}

Shape SchemaReader::with(const std::string& name) {
  Shape shape = a_.of_type(kObject);
  shape.property(name).required = true;
  return shape;
}

Shape SchemaReader::without(const std::string& name, TypeSet types) {
  Shape shape = a_.of_type(types);
  shape.property(name).value = kNoValue;
  return shape;
}

void SchemaReader::keep_required(const Json& value) {
  Shape shape = a_.everything();
  for (const std::string& name : names(value)) shape.property(name).required = true;
  narrow(shape);
}

Branches SchemaReader::deny_required(const Json& value) {
  Branches made;
  for (const std::string& name : names(value)) made.push_back(a_.branch(without(name, kObject)));
  return made;
}

// dependentRequired, dependentSchemas, and dependencies, which is both.
void SchemaReader::keep_dependent(const Json& json) {
  require_kind(json, json.is_object(), "an object of conditions");
  for (const auto& [name, condition] : json.items()) {
    Branches present = one(with(name));
    if (condition.is_array()) {
      Shape shape = with(name);
      for (const std::string& other : names(condition)) shape.property(other).required = true;
      present = one(shape);
    } else {
      present = a_.product(present, a_.expand(child(condition, name), false), at());
    }
    narrow(joined(one(without(name, kAll)), present));
  }
}

Branches SchemaReader::deny_dependent(const Json& json) {
  require_kind(json, json.is_object(), "an object of conditions");
  Branches made;
  for (const auto& [name, condition] : json.items()) {
    Branches broken;
    if (condition.is_array()) {
      for (const std::string& other : names(condition)) {
        broken.push_back(a_.branch(without(other, kObject)));
      }
    } else {
      broken = a_.expand(child(condition, name), true);
    }
    made = joined(made, a_.product(one(with(name)), broken, at()));
  }
  return made;
}

}  // namespace sinter
