// The keywords of a schema, read one by one. schema_keywords.cc has the list of them, and what they
// say about scalars; schema_containers.cc has arrays and objects, schema_applicators.cc schemas
// about the same value.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/json/schema_algebra.h"

namespace sinter {

// A schema while its keywords are read.
class SchemaReader {
 public:
  using Branches = SchemaAlgebra::Branches;
  using Place = SchemaDocuments::Place;

  SchemaReader(SchemaAlgebra& algebra, Place place)
      : a_(algebra),
        r_(algebra.regexes()),
        place_(place),
        schema_(algebra.documents().json(place.schema)),
        draft_(algebra.documents().draft(place.schema)) {}

  Branches keep_all();
  Branches deny_all();

 private:
  struct Keyword {
    const char* name;
    // What it says: narrows branches_. nullptr: nothing by itself (an annotation, or part of
    // another keyword).
    void (SchemaReader::*keep)(const Json& value);
    // What its negation says. nullptr: cannot be negated, as long as it says anything.
    Branches (SchemaReader::*deny)(const Json& value);
    bool said_with_another = false;  // is part of what another keyword enforces
  };
  static const Keyword kKeywords[];
  static const Keyword* find(std::string_view name);

  std::string at() const { return a_.documents().pointer(place_.schema) + "/" + keyword_; }
  const Json* member(const char* name) const {
    const auto found = schema_.find(name);
    return found == schema_.end() ? nullptr : &*found;
  }
  [[noreturn]] void invalid(std::string_view expected, const Json& found) const {
    fail(Fault::bad_input, "schema-invalid", "schema: {}: expected {}, found {}", at(), expected,
         found.type_name());
  }
  void narrow(const Shape& shape) { narrow(Branches{a_.branch(shape)}); }
  void narrow(const Branches& alternatives) {
    branches_ = a_.product(branches_, alternatives, at());
  }
  Branches one(Shape shape) { return {a_.branch(std::move(shape))}; }

  Place child_at(const Json& json, std::string_view tokens) {
    if (!json.is_object() && !json.is_boolean()) {
      fail(Fault::bad_input, "schema-invalid", "schema: {}/{}: expected a schema, found {}",
           a_.documents().pointer(place_.schema), tokens, json.type_name());
    }
    return a_.documents().child(place_, json, tokens);
  }
  Place child(const Json& json) { return child_at(json, keyword_); }
  Place child(const Json& json, size_t index) {
    return child_at(json, fmt::format("{}/{}", keyword_, index));
  }
  Place child(const Json& json, const std::string& name) {
    return child_at(json, keyword_ + "/" + pointer_token(name));
  }
  ValueId value(Place place, bool negated = false) { return a_.value_of(place, negated); }
  void require_kind(const Json& value, bool right, std::string_view expected) const {
    if (!right) invalid(expected, value);
  }
  uint32_t count(const Json& value) const;
  Regex pattern(const std::string& text, const std::string& where);
  Branches without_seen(Branches branches) {
    for (Branch& branch : branches) branch.seen = Evaluated();
    return branches;
  }
  Branches joined(Branches a, const Branches& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  // The keywords, in the order of the list.
  void keep_type(const Json& value) { narrow(type_shape(value, false)); }
  Branches deny_type(const Json& value) { return one(type_shape(value, true)); }
  Shape type_shape(const Json& value, bool negated);
  std::vector<const Json*> constants(const Json& value) const;
  void keep_enum(const Json& value) { narrow(expand_constants(a_, constants(value))); }
  Branches deny_enum(const Json& value) { return expand_other_than(a_, constants(value), at()); }
  void keep_const(const Json& value) { narrow(expand_constants(a_, {&value})); }
  Branches deny_const(const Json& value) { return expand_other_than(a_, {&value}, at()); }

  Shape bound(const Json& value, bool upper, bool exclusive, bool negated);
  bool is_exclusive(const char* keyword) const {
    const Json* said = member(keyword);
    return said != nullptr && said->is_boolean() && said->get<bool>();
  }
  void keep_minimum(const Json& v) {
    narrow(bound(v, false, is_exclusive("exclusiveMinimum"), false));
  }
  Branches deny_minimum(const Json& v) {
    return one(bound(v, false, is_exclusive("exclusiveMinimum"), true));
  }
  void keep_maximum(const Json& v) {
    narrow(bound(v, true, is_exclusive("exclusiveMaximum"), false));
  }
  Branches deny_maximum(const Json& v) {
    return one(bound(v, true, is_exclusive("exclusiveMaximum"), true));
  }
  // The booleans of draft 4 belong to minimum and maximum.
  void keep_above(const Json& v) {
    if (!v.is_boolean()) narrow(bound(v, false, true, false));
  }
  Branches deny_above(const Json& v) {
    return v.is_boolean() ? Branches() : one(bound(v, false, true, true));
  }
  void keep_below(const Json& v) {
    if (!v.is_boolean()) narrow(bound(v, true, true, false));
  }
  Branches deny_below(const Json& v) {
    return v.is_boolean() ? Branches() : one(bound(v, true, true, true));
  }
  Shape multiple(const Json& value, bool negated);
  void keep_multiple(const Json& value) { narrow(multiple(value, false)); }
  Branches deny_multiple(const Json& value) { return one(multiple(value, true)); }

  template <uint32_t Shape::*Bound>
  void keep_count(const Json& value) {
    Shape shape = a_.everything();
    shape.*Bound = count(value);
    shape.min_properties_at = place_.schema;
    narrow(shape);
  }
  // Not at least n: at most n - 1.
  template <uint32_t Shape::*Max, TypeSet Type>
  Branches deny_min(const Json& value) {
    if (count(value) == 0) return {};
    Shape shape = a_.of_type(Type);
    shape.*Max = count(value) - 1;
    return one(shape);
  }
  template <uint32_t Shape::*Min, TypeSet Type>
  Branches deny_max(const Json& value) {
    if (count(value) == kUnbounded) return {};
    Shape shape = a_.of_type(Type);
    shape.*Min = count(value) + 1;
    shape.min_properties_at = place_.schema;
    return one(shape);
  }
  void keep_pattern(const Json& value) { narrow(pattern_shape(value, false)); }
  Branches deny_pattern(const Json& value) { return one(pattern_shape(value, true)); }
  Shape pattern_shape(const Json& value, bool negated);
  void keep_format(const Json& value);
  Branches deny_format(const Json& value);

  std::vector<ValueId> prefix(bool negated);
  const Json* behind_prefix(std::string& keyword) const;
  void keep_items(const Json& value);
  Branches deny_items(const Json& value);
  bool is_items_keyword_in_charge() const;
  void keep_contains(const Json& value);
  Branches deny_contains(const Json& value);
  std::pair<uint32_t, uint32_t> contains_counts() const;
  void keep_unique(const Json& value);
  Branches deny_unique(const Json& value);

  void keep_properties(const Json& value);
  Branches deny_properties(const Json& value);
  void keep_patterns(const Json& value);
  Branches deny_patterns(const Json& value);
  Regex additional_keys();
  void keep_additional(const Json& value);
  Branches deny_additional(const Json& value);
  Regex property_names(const Json& value);
  void keep_names(const Json& value);
  Branches deny_names(const Json& value);
  std::vector<std::string> names(const Json& value) const;
  void keep_required(const Json& value);
  Branches deny_required(const Json& value);
  Shape with(const std::string& name);
  Shape without(const std::string& name, TypeSet types);
  void keep_dependent(const Json& value);
  Branches deny_dependent(const Json& value);

  void keep_reference(const Json& value) { narrow(a_.expand(target(value), false)); }
  Branches deny_reference(const Json& value) { return a_.expand(target(value), true); }
  Place target(const Json& value) {
    require_kind(value, value.is_string(), "a reference as a string");
    return a_.documents().resolve(place_, keyword_, value.get<std::string>());
  }
  std::vector<Place> list(const Json& value);
  void keep_all_of(const Json& value);
  Branches deny_all_of(const Json& value);
  void keep_any_of(const Json& value);
  Branches deny_any_of(const Json& value);
  void keep_one_of(const Json& value);
  Branches deny_one_of(const Json& value);
  void keep_not(const Json& value) { narrow(without_seen(a_.expand(child(value), true))); }
  Branches deny_not(const Json& value) { return without_seen(a_.expand(child(value), false)); }
  void keep_if(const Json& value);
  Branches deny_if(const Json& value);
  Branches branch_of_if(const char* keyword, bool negated);

  void keep_unevaluated_properties(const Json& value);
  void keep_unevaluated_items(const Json& value);

  SchemaAlgebra& a_;
  RegexSet& r_;
  Place place_;
  const Json& schema_;
  Draft draft_;
  std::string keyword_;
  Branches branches_;
};

}  // namespace sinter
