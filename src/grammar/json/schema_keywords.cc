// What each keyword says, and what its negation says: the one list of keywords is at the end.
#include <algorithm>
#include <limits>

#include "grammar/json/formats.h"
#include "grammar/json/schema_algebra.h"
#include "grammar/json/string_text.h"
#include "grammar/regex_text.h"

namespace sinter {
namespace {

using Branches = SchemaAlgebra::Branches;
using Place = SchemaDocuments::Place;
using namespace json_type;

// A schema while its keywords are read.
class Reader {
 public:
  Reader(SchemaAlgebra& algebra, Place place)
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
    void (Reader::*keep)(const Json& value);
    // What its negation says. nullptr: cannot be negated, as long as it says anything.
    Branches (Reader::*deny)(const Json& value);
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

// Values by name and count ------------------------------------------------------------------------

uint32_t Reader::count(const Json& value) const {
  constexpr uint32_t kLargest = 1'000'000'000;  // nobody writes so much: as good as no bound
  if (!value.is_number()) invalid("a count", value);
  const Decimal n = Decimal::of(value);
  if (n.negative() || !n.is_integer()) invalid("a count", value);
  const std::string digits = n.whole_digits();
  if (digits.size() > 9) {
    if (keyword_.compare(0, 3, "min") == 0) {
      limit_reached("repetition", kLargest, "a minimum that no text reaches");
    }
    return kUnbounded;
  }
  return static_cast<uint32_t>(std::stoul(digits));
}

Regex Reader::pattern(const std::string& text, const std::string& where) {
  RegexText dialect;
  dialect.dialect = RegexDialect::ecma;
  return parse_regex(r_, text, "schema: " + where, dialect, a_.limits());
}

Shape Reader::type_shape(const Json& value, bool negated) {
  struct Type {
    std::string_view name;
    TypeSet types;
  };
  constexpr Type kTypes[] = {{"null", kNull},      {"boolean", kBoolean}, {"number", kNumber},
                             {"integer", kNumber}, {"string", kString},   {"array", kArray},
                             {"object", kObject}};
  TypeSet types = 0;
  bool fractions = false;
  const auto add = [&](const Json& name) {
    if (!name.is_string()) invalid("the name of a type", name);
    const auto found = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Type& type) {
      return type.name == name.get_ref<const std::string&>();
    });
    if (found == std::end(kTypes)) {
      fail(Fault::bad_input, "schema-invalid", "schema: {}: there is no type {}", at(),
           name.get_ref<const std::string&>());
    }
    types |= found->types;
    fractions |= found->name == "number";
  };
  if (value.is_array()) {
    for (const Json& name : value) add(name);
  } else {
    add(value);
  }
  Shape shape = a_.of_type(types);
  if (!negated) {
    shape.numbers.fractions = fractions;
    return shape;
  }
  shape.types = static_cast<TypeSet>(~types & kAll);
  if ((types & kNumber) != 0 && !fractions) {
    shape.types |= kNumber;
    shape.numbers.integers = false;
  }
  return shape;
}

std::vector<const Json*> Reader::constants(const Json& value) const {
  require_kind(value, value.is_array(), "a list of values");
  std::vector<const Json*> all;
  for (const Json& constant : value) all.push_back(&constant);
  return all;
}

Shape Reader::bound(const Json& value, bool upper, bool exclusive, bool negated) {
  require_kind(value, value.is_number(), "a number");
  Shape shape = negated ? a_.of_type(kNumber) : a_.everything();
  auto& side = upper != negated ? shape.numbers.high : shape.numbers.low;
  side = NumberBound{Decimal::of(value), exclusive != negated};
  return shape;
}

Shape Reader::multiple(const Json& value, bool negated) {
  require_kind(value, value.is_number(), "a number");
  const Decimal step = Decimal::of(value).magnitude();
  if (step.is_zero()) invalid("a number larger than 0", value);
  Shape shape = negated ? a_.of_type(kNumber) : a_.everything();
  (negated ? shape.numbers.no_multiples_of : shape.numbers.multiples_of).push_back(step);
  number_texts(r_, shape.numbers, a_.strict_integers());  // says here if it cannot be done
  return shape;
}

Shape Reader::pattern_shape(const Json& value, bool negated) {
  require_kind(value, value.is_string(), "a regular expression");
  const Regex words = pattern(value.get<std::string>(), at());
  Shape shape = negated ? a_.of_type(kString) : a_.everything();
  shape.words = negated ? r_.complement(words) : words;
  return shape;
}

void Reader::keep_format(const Json& value) {
  if (!value.is_string()) return;
  const auto& name = value.get_ref<const std::string&>();
  const auto format = a_.options().assert_formats ? format_words(r_, name) : std::nullopt;
  if (!format && a_.options().assert_formats && is_irregular_format(name)) {
    a_.unsupported(at(), "what is of this format is not a regular language",
                   "leave the format out, or take formats as annotations");
  }
  if (!format) {
    a_.certificate().ignored.push_back({at(), a_.options().assert_formats
                                                  ? "no format that is enforced: " + name
                                                  : "format is an annotation here: " + name});
    return;
  }
  Shape shape = a_.everything();
  shape.words = format->words;
  narrow(shape);
}

Branches Reader::deny_format(const Json& value) {
  if (!value.is_string() || !a_.options().assert_formats) return {};
  const auto& name = value.get_ref<const std::string&>();
  const auto format = format_words(r_, name);
  if (!format && is_irregular_format(name)) {
    a_.unsupported(at(), "what is not of this format is not a regular language",
                   "leave the format out, or take formats as annotations");
  }
  if (!format) return {};
  Shape shape = a_.of_type(kString);
  shape.words = format->others;
  return one(shape);
}

// Arrays
// -------------------------------------------------------------------------------------------

// The items that are said one by one (prefixItems, or items as a list before 2020-12).
std::vector<ValueId> Reader::prefix(bool negated) {
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
const Json* Reader::behind_prefix(std::string& keyword) const {
  const Json* items = member("items");
  keyword = "items";
  if (items != nullptr && items->is_array()) {
    keyword = "additionalItems";
    return member("additionalItems");
  }
  return items;
}

// prefixItems, items and additionalItems are read together, by the first of them that is there.
bool Reader::is_items_keyword_in_charge() const {
  if (keyword_ == "prefixItems") return true;
  return keyword_ == "items" && member("prefixItems") == nullptr;
}

void Reader::keep_items(const Json& /*value*/) {
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

Branches Reader::deny_items(const Json& /*value*/) {
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

std::pair<uint32_t, uint32_t> Reader::contains_counts() const {
  uint32_t min = 1, max = kUnbounded;
  if (draft_ >= Draft::draft2019) {
    if (const Json* said = member("minContains")) min = count(*said);
    if (const Json* said = member("maxContains")) max = count(*said);
  }
  return {min, max};
}

void Reader::keep_contains(const Json& json) {
  const auto [min, max] = contains_counts();
  Branch branch = a_.branch(a_.everything());
  const ValueId wanted = value(child(json));
  if (min > 0 || max != kUnbounded) branch.shape.contains.push_back({0, wanted, min, max});
  if (draft_ >= Draft::draft2020) branch.seen.matches.push_back(wanted);
  narrow(Branches{branch});
}

Branches Reader::deny_contains(const Json& json) {
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

void Reader::keep_unique(const Json& value) {
  require_kind(value, value.is_boolean(), "true or false");
  Shape shape = a_.everything();
  if (value.get<bool>()) shape.unique = place_.schema;
  narrow(shape);
}

Branches Reader::deny_unique(const Json& value) {
  if (value.is_boolean() && !value.get<bool>()) return {};
  a_.unsupported(at(), "arrays in which an item repeats cannot be enforced",
                 "leave uniqueItems out of what is negated");
}

// Objects
// ------------------------------------------------------------------------------------------

void Reader::keep_properties(const Json& json) {
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

Branches Reader::deny_properties(const Json& json) {
  require_kind(json, json.is_object(), "an object of schemas");
  Branches made;
  for (const auto& [name, schema] : json.items()) {
    Shape shape = a_.of_type(kObject);
    shape.properties.push_back({name, value(child(schema, name), true), true});
    if (shape.properties[0].value != kNoValue) made.push_back(a_.branch(shape));
  }
  return made;
}

void Reader::keep_patterns(const Json& json) {
  require_kind(json, json.is_object(), "an object of schemas");
  Branch branch = a_.branch(a_.everything());
  for (const auto& [text, schema] : json.items()) {
    const Regex keys = pattern(text, at() + "/" + pointer_token(text));
    branch.shape.rules.push_back({keys, value(child(schema, text))});
    branch.seen.keys = r_.either(branch.seen.keys, keys);
  }
  narrow(Branches{branch});
}

Branches Reader::deny_patterns(const Json& json) {
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
Regex Reader::additional_keys() {
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

void Reader::keep_additional(const Json& json) {
  Branch branch = a_.branch(a_.everything());
  const Regex keys = additional_keys();
  const ValueId wanted = value(child(json));
  if (wanted != kAnyValue) branch.shape.rules.push_back({keys, wanted});
  branch.seen.keys = keys;
  narrow(Branches{branch});
}

Branches Reader::deny_additional(const Json& json) {
  const ValueId other = value(child(json), true);
  if (other == kNoValue) return {};
  Shape shape = a_.of_type(kObject);
  shape.witnesses.push_back({additional_keys(), other});
  return one(shape);
}

Regex Reader::property_names(const Json& json) { return a_.words_of(value(child(json))); }

void Reader::keep_names(const Json& json) {
  Shape shape = a_.everything();
  shape.names = property_names(json);
  narrow(shape);
}

Branches Reader::deny_names(const Json& json) {
  Shape shape = a_.of_type(kObject);
  shape.witnesses.push_back({a_.words_of(value(child(json), true)), kAnyValue});
  return one(shape);
}

std::vector<std::string> Reader::names(const Json& value) const {
  require_kind(value, value.is_array(), "a list of names");
  std::vector<std::string> all;
  for (const Json& name : value) {
    require_kind(name, name.is_string(), "a name");
    all.push_back(name.get<std::string>());
  }
  return all;
}

Shape Reader::with(const std::string& name) {
  Shape shape = a_.of_type(kObject);
  shape.property(name).required = true;
  return shape;
}

Shape Reader::without(const std::string& name, TypeSet types) {
  Shape shape = a_.of_type(types);
  shape.property(name).value = kNoValue;
  return shape;
}

void Reader::keep_required(const Json& value) {
  Shape shape = a_.everything();
  for (const std::string& name : names(value)) shape.property(name).required = true;
  narrow(shape);
}

Branches Reader::deny_required(const Json& value) {
  Branches made;
  for (const std::string& name : names(value)) made.push_back(a_.branch(without(name, kObject)));
  return made;
}

// dependentRequired, dependentSchemas, and dependencies, which is both.
void Reader::keep_dependent(const Json& json) {
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

Branches Reader::deny_dependent(const Json& json) {
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

// Schemas about the same value
// ---------------------------------------------------------------------

std::vector<Place> Reader::list(const Json& value) {
  require_kind(value, value.is_array(), "a list of schemas");
  std::vector<Place> places;
  for (size_t i = 0; i < value.size(); ++i) places.push_back(child(value[i], i));
  return places;
}

void Reader::keep_all_of(const Json& value) {
  for (const Place place : list(value)) narrow(a_.expand(place, false));
}

Branches Reader::deny_all_of(const Json& value) {
  Branches made;
  for (const Place place : list(value)) made = joined(made, a_.expand(place, true));
  return made;
}

void Reader::keep_any_of(const Json& value) {
  Branches made;
  for (const Place place : list(value)) {
    const Branches& next = a_.expand(place, false);
    // A value that two of them accept has been looked at by both.
    Branches both;
    if (a_.tracks_evaluated()) both = a_.product(made, next, at());
    made = joined(joined(made, next), both);
  }
  narrow(made);
}

Branches Reader::deny_any_of(const Json& value) {
  Branches made = one(a_.everything());
  for (const Place place : list(value)) {
    made = a_.product(made, without_seen(a_.expand(place, true)), at());
  }
  return made;
}

// Each alternative without the others. What has nothing in common with another needs no exclusion.
void Reader::keep_one_of(const Json& json) {
  const std::vector<Place> places = list(json);
  Branches made;
  for (size_t i = 0; i < places.size(); ++i) {
    Branches alone = a_.product(branches_, a_.expand(places[i], false), at());
    for (size_t j = 0; j < places.size(); ++j) {
      if (j == i) continue;
      Branches apart;
      for (const Branch& branch : alone) {
        const Branches common = a_.product({branch}, a_.expand(places[j], false), at());
        const bool disjoint = std::none_of(common.begin(), common.end(),
                                           [&](Branch both) { return a_.refine(both.shape); });
        if (disjoint) {
          apart.push_back(branch);
          continue;
        }
        for (Branch& rest : a_.product({branch}, without_seen(a_.expand(places[j], true)), at())) {
          if (a_.refine(rest.shape)) apart.push_back(std::move(rest));
        }
      }
      alone = std::move(apart);
    }
    made = joined(made, alone);
  }
  branches_ = std::move(made);
}

Branches Reader::deny_one_of(const Json& value) {
  const std::vector<Place> places = list(value);
  Branches made = deny_any_of(value);
  for (size_t i = 0; i < places.size(); ++i) {
    for (size_t j = i + 1; j < places.size(); ++j) {
      made =
          joined(made, a_.product(a_.expand(places[i], false), a_.expand(places[j], false), at()));
    }
  }
  return without_seen(made);
}

Branches Reader::branch_of_if(const char* keyword, bool negated) {
  const Json* said = member(keyword);
  if (said == nullptr) return negated ? Branches() : one(a_.everything());
  return a_.expand(child_at(*said, keyword), negated);
}

void Reader::keep_if(const Json& json) {
  if (draft_ < Draft::draft7) return;
  if (member("then") == nullptr && member("else") == nullptr && !a_.tracks_evaluated()) return;
  const Place condition = child(json);
  narrow(joined(
      a_.product(a_.expand(condition, false), branch_of_if("then", false), at()),
      a_.product(without_seen(a_.expand(condition, true)), branch_of_if("else", false), at())));
}

Branches Reader::deny_if(const Json& json) {
  if (draft_ < Draft::draft7) return {};
  const Place condition = child(json);
  return without_seen(
      joined(a_.product(a_.expand(condition, false), branch_of_if("then", true), at()),
             a_.product(a_.expand(condition, true), branch_of_if("else", true), at())));
}

void Reader::keep_unevaluated_properties(const Json& json) {
  const ValueId wanted = value(child(json));
  for (Branch& branch : branches_) {
    branch.shape.rules.push_back({r_.complement(branch.seen.keys), wanted});
    branch.seen.keys = r_.anything();
  }
}

void Reader::keep_unevaluated_items(const Json& json) {
  const ValueId wanted = value(child(json));
  for (Branch& branch : branches_) {
    if (branch.seen.all_items) continue;
    std::vector<ValueId> choices = branch.seen.matches;
    choices.push_back(wanted);
    const ValueId allowed = a_.any_of(choices);
    Shape& shape = branch.shape;
    while (shape.prefix.size() < branch.seen.n_items) shape.prefix.push_back(shape.items);
    for (size_t i = branch.seen.n_items; i < shape.prefix.size(); ++i) {
      shape.prefix[i] = a_.meet(shape.prefix[i], allowed);
    }
    shape.items = a_.meet(shape.items, allowed);
    branch.seen.all_items = true;
  }
}

// The list
// -----------------------------------------------------------------------------------------

const Reader::Keyword Reader::kKeywords[] = {
    {"$ref", &Reader::keep_reference, &Reader::deny_reference},
    {"$dynamicRef", &Reader::keep_reference, &Reader::deny_reference},
    {"$recursiveRef", &Reader::keep_reference, &Reader::deny_reference},
    {"type", &Reader::keep_type, &Reader::deny_type},
    {"enum", &Reader::keep_enum, &Reader::deny_enum},
    {"const", &Reader::keep_const, &Reader::deny_const},
    {"minimum", &Reader::keep_minimum, &Reader::deny_minimum},
    {"maximum", &Reader::keep_maximum, &Reader::deny_maximum},
    {"exclusiveMinimum", &Reader::keep_above, &Reader::deny_above},
    {"exclusiveMaximum", &Reader::keep_below, &Reader::deny_below},
    {"multipleOf", &Reader::keep_multiple, &Reader::deny_multiple},
    {"minLength", &Reader::keep_count<&Shape::min_length>,
     &Reader::deny_min<&Shape::max_length, kString>},
    {"maxLength", &Reader::keep_count<&Shape::max_length>,
     &Reader::deny_max<&Shape::min_length, kString>},
    {"pattern", &Reader::keep_pattern, &Reader::deny_pattern},
    {"format", &Reader::keep_format, &Reader::deny_format},
    {"prefixItems", &Reader::keep_items, &Reader::deny_items},
    {"items", &Reader::keep_items, &Reader::deny_items},
    {"additionalItems", nullptr, nullptr, true},
    {"minItems", &Reader::keep_count<&Shape::min_items>,
     &Reader::deny_min<&Shape::max_items, kArray>},
    {"maxItems", &Reader::keep_count<&Shape::max_items>,
     &Reader::deny_max<&Shape::min_items, kArray>},
    {"contains", &Reader::keep_contains, &Reader::deny_contains},
    {"minContains", nullptr, nullptr, true},
    {"maxContains", nullptr, nullptr, true},
    {"uniqueItems", &Reader::keep_unique, &Reader::deny_unique},
    {"properties", &Reader::keep_properties, &Reader::deny_properties},
    {"patternProperties", &Reader::keep_patterns, &Reader::deny_patterns},
    {"additionalProperties", &Reader::keep_additional, &Reader::deny_additional},
    {"propertyNames", &Reader::keep_names, &Reader::deny_names},
    {"required", &Reader::keep_required, &Reader::deny_required},
    {"minProperties", &Reader::keep_count<&Shape::min_properties>,
     &Reader::deny_min<&Shape::max_properties, kObject>},
    {"maxProperties", &Reader::keep_count<&Shape::max_properties>,
     &Reader::deny_max<&Shape::min_properties, kObject>},
    {"dependentRequired", &Reader::keep_dependent, &Reader::deny_dependent},
    {"dependentSchemas", &Reader::keep_dependent, &Reader::deny_dependent},
    {"dependencies", &Reader::keep_dependent, &Reader::deny_dependent},
    {"allOf", &Reader::keep_all_of, &Reader::deny_all_of},
    {"anyOf", &Reader::keep_any_of, &Reader::deny_any_of},
    {"oneOf", &Reader::keep_one_of, &Reader::deny_one_of},
    {"not", &Reader::keep_not, &Reader::deny_not},
    {"if", &Reader::keep_if, &Reader::deny_if},
    {"then", nullptr, nullptr, true},
    {"else", nullptr, nullptr, true},
    // After all others: they ask what these have looked at.
    {"unevaluatedProperties", &Reader::keep_unevaluated_properties, nullptr},
    {"unevaluatedItems", &Reader::keep_unevaluated_items, nullptr},
};

const Reader::Keyword* Reader::find(std::string_view name) {
  const auto found = std::find_if(std::begin(kKeywords), std::end(kKeywords),
                                  [&](const Keyword& k) { return k.name == name; });
  return found == std::end(kKeywords) ? nullptr : found;
}

// Keywords that say nothing about which values are valid.
bool is_annotation(std::string_view name) {
  constexpr std::string_view kAnnotations[] = {"$schema",
                                               "$id",
                                               "id",
                                               "$anchor",
                                               "$dynamicAnchor",
                                               "$recursiveAnchor",
                                               "$comment",
                                               "$defs",
                                               "definitions",
                                               "$vocabulary",
                                               "title",
                                               "description",
                                               "default",
                                               "examples",
                                               "example",
                                               "deprecated",
                                               "readOnly",
                                               "writeOnly",
                                               "contentEncoding",
                                               "contentMediaType",
                                               "contentSchema"};
  return std::find(std::begin(kAnnotations), std::end(kAnnotations), name) !=
         std::end(kAnnotations);
}

bool applies(std::string_view keyword, Draft draft) {
  struct Since {
    std::string_view keyword;
    Draft draft;
  };
  constexpr Since kSince[] = {{"const", Draft::draft6},
                              {"contains", Draft::draft6},
                              {"propertyNames", Draft::draft6},
                              {"if", Draft::draft7},
                              {"dependentRequired", Draft::draft2019},
                              {"dependentSchemas", Draft::draft2019},
                              {"unevaluatedProperties", Draft::draft2019},
                              {"unevaluatedItems", Draft::draft2019},
                              {"$recursiveRef", Draft::draft2019},
                              {"prefixItems", Draft::draft2020},
                              {"$dynamicRef", Draft::draft2020}};
  for (const Since& since : kSince) {
    if (since.keyword == keyword) return draft >= since.draft;
  }
  return true;
}

Branches Reader::keep_all() {
  if (schema_.is_boolean()) return schema_.get<bool>() ? one(a_.everything()) : Branches();
  if (!schema_.is_object()) {
    fail(Fault::bad_input, "schema-invalid",
         "schema: {}: expected an object or a boolean, found {}",
         a_.documents().pointer(place_.schema), schema_.type_name());
  }
  branches_ = one(a_.everything());
  const bool only_reference = draft_ < Draft::draft2019 && schema_.contains("$ref");
  for (const Keyword& keyword : kKeywords) {
    keyword_ = keyword.name;
    const Json* value = member(keyword.name);
    if (value == nullptr || (only_reference && keyword_ != "$ref")) continue;
    if (!applies(keyword_, draft_)) {
      a_.certificate().ignored.push_back({at(), "not a keyword of this draft"});
      continue;
    }
    const Branches before = a_.options().lenient ? branches_ : Branches();
    try {
      if (keyword.keep != nullptr) (this->*keyword.keep)(*value);
      if (keyword.keep != nullptr || keyword.said_with_another) {
        a_.certificate().enforced.push_back(at());
      }
    } catch (const Error& error) {
      const bool is_ours = error.code() == "schema-unsupported";
      if (!is_ours && error.code() != "grammar-unsupported") throw;
      if (a_.options().lenient) {
        branches_ = before;
        a_.certificate().not_enforced.push_back({at(), error.what()});
        continue;
      }
      if (is_ours) throw;
      a_.unsupported(at(), error.what(), "say it with other keywords, or be lenient");
    }
  }
  if (only_reference) return branches_;
  for (const auto& [name, value] : schema_.items()) {
    if (find(name) != nullptr || is_annotation(name)) continue;
    keyword_ = pointer_token(name);
    a_.certificate().ignored.push_back({at(), "unknown keyword"});
  }
  return branches_;
}

Branches Reader::deny_all() {
  if (schema_.is_boolean()) return schema_.get<bool>() ? Branches() : one(a_.everything());
  Branches made;
  const bool only_reference = draft_ < Draft::draft2019 && schema_.contains("$ref");
  for (const Keyword& keyword : kKeywords) {
    keyword_ = keyword.name;
    const Json* value = member(keyword.name);
    if (value == nullptr || (only_reference && keyword_ != "$ref") || !applies(keyword_, draft_) ||
        keyword.keep == nullptr) {
      continue;
    }
    if (keyword.deny == nullptr) {
      a_.unsupported(at(), "cannot be negated exactly", "leave it out of not, oneOf and if");
    }
    try {
      made = joined(made, (this->*keyword.deny)(*value));
    } catch (const Error& error) {
      if (error.code() != "grammar-unsupported") throw;
      a_.unsupported(at(), error.what(), "say it with other keywords, or be lenient");
    }
  }
  return without_seen(made);
}

}  // namespace

Branches expand_schema(SchemaAlgebra& algebra, Place place) {
  return Reader(algebra, place).keep_all();
}

Branches expand_negated_schema(SchemaAlgebra& algebra, Place place) {
  return Reader(algebra, place).deny_all();
}

}  // namespace sinter
