#include "grammar/json/schema_algebra.h"

#include <algorithm>

namespace sinter {
namespace {

constexpr size_t kMany = 24;   // alternatives, from which on each is looked at closer
constexpr int kMaxDepth = 48;  // of looking for what is never: conservative beyond

// Looking for what is never has come back to where it began.
struct StillOpen {};

uint32_t minimum(uint32_t a, uint32_t b) { return std::min(a, b); }

}  // namespace

ShapeProperty& Shape::property(const std::string& name) {
  const auto found = std::find_if(properties.begin(), properties.end(),
                                  [&](const ShapeProperty& p) { return p.name == name; });
  if (found != properties.end()) return *found;
  properties.push_back({name, kAnyValue, false});
  return properties.back();
}

SchemaAlgebra::SchemaAlgebra(SchemaDocuments& documents, GrammarBuilder& builder,
                             const JsonSchemaOptions& options, SchemaCertificate& certificate)
    : documents_(documents),
      builder_(builder),
      r_(builder.regexes()),
      options_(options),
      certificate_(certificate),
      tracks_evaluated_(documents.uses("unevaluatedProperties") ||
                        documents.uses("unevaluatedItems")),
      strict_integers_(documents.draft(0) == Draft::draft4) {
  values_.emplace_back();           // kAnyValue
  values_.push_back({UINT32_MAX});  // kNoValue
  value_ids_.emplace(Literals(), kAnyValue);
}

void SchemaAlgebra::unsupported(const std::string& where, std::string_view why,
                                std::string_view remedy) const {
  fail(Fault::unsupported, "schema-unsupported", "schema: {}: {}; {}", where, why, remedy);
}

void SchemaAlgebra::count_step() {
  if (++steps_ > options_.max_steps) {
    limit_reached("max_steps", options_.max_steps, "rewriting the schema takes too long");
  }
}

Shape SchemaAlgebra::everything() const {
  Shape shape;
  shape.words = r_.anything();
  shape.names = r_.anything();
  return shape;
}

Shape SchemaAlgebra::of_type(TypeSet types) const {
  Shape shape = everything();
  shape.types = types;
  return shape;
}

// --- values -------------------------------------------------------------------------------------

ValueId SchemaAlgebra::intern(Literals literals) {
  std::sort(literals.begin(), literals.end());
  literals.erase(std::unique(literals.begin(), literals.end()), literals.end());
  for (size_t i = 0; i + 1 < literals.size(); ++i) {
    if ((literals[i] ^ 1) == literals[i + 1]) return kNoValue;  // a term and its negation
  }
  if (!literals.empty() && literals.back() == UINT32_MAX) return kNoValue;
  const auto [found, fresh] =
      value_ids_.try_emplace(literals, ValueId{static_cast<uint32_t>(values_.size())});
  if (fresh) {
    count_step();
    values_.push_back(std::move(literals));
  }
  return found->second;
}

ValueId SchemaAlgebra::term_value(Term term, bool negated) {
  const auto [found, fresh] = term_ids_.try_emplace(term, static_cast<uint32_t>(terms_.size()));
  if (fresh) terms_.push_back(std::move(term));
  return intern({found->second * 2 + (negated ? 1 : 0)});
}

ValueId SchemaAlgebra::value_of(Place place, bool negated) {
  const Json& json = documents_.json(place.schema);
  const bool empty = json.is_object() && json.empty();
  if (json.is_boolean() || empty) return (empty || json == true) != negated ? kAnyValue : kNoValue;
  return term_value({TermKind::schema, place, nullptr, {}}, negated);
}

ValueId SchemaAlgebra::value_of(const Json& constant, bool negated) {
  return term_value({TermKind::constant, {}, &constant, {}}, negated);
}

ValueId SchemaAlgebra::meet(ValueId a, ValueId b) {
  if (a == kNoValue || b == kNoValue) return kNoValue;
  if (a == kAnyValue || a == b) return b;
  if (b == kAnyValue) return a;
  Literals all = values_[a.id];
  all.insert(all.end(), values_[b.id].begin(), values_[b.id].end());
  return intern(std::move(all));
}

ValueId SchemaAlgebra::negation(ValueId value) {
  if (value == kAnyValue) return kNoValue;
  if (value == kNoValue) return kAnyValue;
  const Literals literals = values_[value.id];
  std::vector<ValueId> choices;
  for (const uint32_t literal : literals) choices.push_back(intern({literal ^ 1}));
  return any_of(std::move(choices));
}

ValueId SchemaAlgebra::any_of(std::vector<ValueId> values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  std::erase(values, kNoValue);
  if (values.empty()) return kNoValue;
  if (values[0] == kAnyValue) return kAnyValue;
  if (values.size() == 1) return values[0];
  return term_value({TermKind::any_of, {}, nullptr, std::move(values)}, false);
}

// --- alternatives -------------------------------------------------------------------------------

SchemaAlgebra::Branches SchemaAlgebra::product(const Branches& a, const Branches& b,
                                               const std::string& where) {
  Branches made;
  for (const Branch& x : a) {
    for (const Branch& y : b) {
      count_step();
      Branch both = x;
      if (!intersect(both.shape, y.shape)) continue;
      if (made.size() >= kMany && !refine(both.shape)) continue;
      if (tracks_evaluated_) {
        both.seen.keys = r_.either(both.seen.keys, y.seen.keys);
        both.seen.n_items = std::max(both.seen.n_items, y.seen.n_items);
        both.seen.all_items |= y.seen.all_items;
        both.seen.matches.insert(both.seen.matches.end(), y.seen.matches.begin(),
                                 y.seen.matches.end());
      }
      add_alternative(made, std::move(both));
      if (made.size() > options_.max_alternatives) {
        limit_reached("max_alternatives", options_.max_alternatives,
                      ("schema: " + where + ": too many combinations of alternatives").c_str());
      }
    }
  }
  return made;
}

// Without those that another one covers.
void SchemaAlgebra::add_alternative(Branches& made, Branch branch) {
  constexpr size_t kCompared = 300;
  if (!tracks_evaluated_ && made.size() >= kMany / 2 && made.size() < kCompared) {
    for (const Branch& other : made) {
      if (within(branch.shape, other.shape)) return;
    }
    std::erase_if(made, [&](const Branch& other) { return within(other.shape, branch.shape); });
  }
  made.push_back(std::move(branch));
}

bool SchemaAlgebra::value_within(ValueId a, ValueId b) const {
  if (a == b || a == kNoValue || b == kAnyValue) return true;
  const Literals &x = values_[a.id], &y = values_[b.id];
  return std::includes(x.begin(), x.end(), y.begin(), y.end());
}

bool SchemaAlgebra::within(const Shape& a, const Shape& b) const {
  using namespace json_type;
  if ((a.types & ~b.types) != 0) return false;
  if (a.has(kNumber) && !(a.numbers == b.numbers)) return false;
  if (a.has(kString)) {
    const bool words = a.words == b.words || b.words == r_.anything();
    if (!words || a.min_length < b.min_length || a.max_length > b.max_length) return false;
    if (b.only_strings && a.only_strings != b.only_strings) return false;
  }
  if (a.has(kArray)) {
    if (a.min_items < b.min_items || a.max_items > b.max_items || (b.unique && !a.unique) ||
        !b.contains.empty() || !value_within(a.items, b.items) ||
        a.prefix.size() < b.prefix.size()) {
      return false;
    }
    for (size_t i = 0; i < a.prefix.size(); ++i) {
      if (!value_within(a.prefix[i], i < b.prefix.size() ? b.prefix[i] : b.items)) return false;
    }
  }
  if (!a.has(kObject)) return true;
  if (a.min_properties < b.min_properties || a.max_properties > b.max_properties ||
      (b.names != a.names && b.names != r_.anything())) {
    return false;
  }
  for (const ShapeProperty& theirs : b.properties) {
    const auto mine = std::find_if(a.properties.begin(), a.properties.end(),
                                   [&](const ShapeProperty& p) { return p.name == theirs.name; });
    const ValueId value = mine == a.properties.end() ? kAnyValue : mine->value;
    if (!value_within(value, theirs.value)) return false;
    if (theirs.required && (mine == a.properties.end() || !mine->required)) return false;
  }
  const auto has_all = [](const std::vector<ShapeKeys>& some, const std::vector<ShapeKeys>& all) {
    return std::all_of(some.begin(), some.end(), [&](const ShapeKeys& keys) {
      return std::find(all.begin(), all.end(), keys) != all.end();
    });
  };
  return has_all(b.rules, a.rules) && has_all(b.witnesses, a.witnesses);
}

bool SchemaAlgebra::intersect(Shape& shape, const Shape& other) {
  using namespace json_type;
  shape.types &= other.types;
  if (shape.has(kNumber)) {
    shape.numbers.intersect(other.numbers);
    if (shape.numbers.is_empty()) shape.types &= static_cast<TypeSet>(~kNumber);
  }
  if (shape.has(kString)) {
    if (other.only_strings) {
      if (shape.only_strings) {
        std::erase_if(*shape.only_strings, [&](const std::string& word) {
          return std::find(other.only_strings->begin(), other.only_strings->end(), word) ==
                 other.only_strings->end();
        });
      } else {
        shape.only_strings = other.only_strings;
      }
    }
    shape.words = r_.both(shape.words, other.words);
    shape.min_length = std::max(shape.min_length, other.min_length);
    shape.max_length = minimum(shape.max_length, other.max_length);
    if (shape.words == r_.nothing() || shape.min_length > shape.max_length ||
        (shape.only_strings && shape.only_strings->empty())) {
      shape.types &= static_cast<TypeSet>(~kString);
    }
  }
  if (shape.has(kArray)) {
    const size_t n = std::max(shape.prefix.size(), other.prefix.size());
    for (size_t i = 0; i < n; ++i) {
      const ValueId theirs = i < other.prefix.size() ? other.prefix[i] : other.items;
      if (i == shape.prefix.size()) shape.prefix.push_back(shape.items);
      shape.prefix[i] = meet(shape.prefix[i], theirs);
    }
    shape.items = meet(shape.items, other.items);
    shape.min_items = std::max(shape.min_items, other.min_items);
    shape.max_items = minimum(shape.max_items, other.max_items);
    shape.contains.insert(shape.contains.end(), other.contains.begin(), other.contains.end());
    if (other.unique) shape.unique = other.unique;
    if (shape.min_items > shape.max_items) shape.types &= static_cast<TypeSet>(~kArray);
  }
  if (shape.has(kObject)) {
    bool possible = true;
    for (const ShapeProperty& theirs : other.properties) {
      ShapeProperty& mine = shape.property(theirs.name);
      mine.value = meet(mine.value, theirs.value);
      mine.required |= theirs.required;
      possible = possible && !(mine.required && mine.value == kNoValue);
    }
    shape.rules.insert(shape.rules.end(), other.rules.begin(), other.rules.end());
    shape.witnesses.insert(shape.witnesses.end(), other.witnesses.begin(), other.witnesses.end());
    shape.names = r_.both(shape.names, other.names);
    if (other.min_properties > shape.min_properties) {
      shape.min_properties = other.min_properties;
      shape.min_properties_at = other.min_properties_at;
    }
    shape.max_properties = minimum(shape.max_properties, other.max_properties);
    if (!possible || shape.min_properties > shape.max_properties) {
      shape.types &= static_cast<TypeSet>(~kObject);
    }
  }
  return shape.types != 0;
}

const SchemaAlgebra::Branches& SchemaAlgebra::expand(Place place, bool negated) {
  const auto key = std::pair(place, negated);
  if (const auto found = expanded_.find(key); found != expanded_.end()) return found->second;
  const auto [open, fresh] = open_places_.try_emplace(key, open_values_.size());
  if (!fresh && open->second != open_values_.size()) throw StillOpen();
  if (!fresh) {
    fail(
        Fault::bad_input, "schema-invalid",
        "schema: {}: refers to itself with no property or item between, so it says nothing; remove "
        "the reference",
        documents_.pointer(place.schema));
  }
  struct Close {
    std::map<std::pair<Place, bool>, size_t>& open;
    const std::pair<Place, bool>& key;
    ~Close() { open.erase(key); }
  } close{open_places_, key};
  if (open_places_.size() > 200) {
    limit_reached("nesting", 200, "references and alternatives within each other");
  }
  count_step();
  Branches made = negated ? expand_negated_schema(*this, place) : expand_schema(*this, place);
  return expanded_.emplace(key, std::move(made)).first->second;
}

const SchemaAlgebra::Branches& SchemaAlgebra::branches_of(uint32_t literal) {
  const bool negated = (literal & 1) != 0;
  const Term term = terms_[literal / 2];
  if (term.kind == TermKind::schema) return expand(term.place, negated);
  if (const auto found = literal_branches_.find(literal); found != literal_branches_.end()) {
    return found->second;
  }
  Branches made;
  if (term.kind == TermKind::constant) {
    made = negated ? expand_other_than(*this, {term.constant}, "#")
                   : expand_constants(*this, {term.constant});
  } else if (!negated) {
    for (const ValueId choice : term.choices) {
      for (const Shape& shape : shapes(choice)) made.push_back(branch(shape));
    }
  } else {
    made.push_back(branch(everything()));
    for (const ValueId choice : term.choices) {
      Branches others;
      for (const Shape& shape : shapes(negation(choice))) others.push_back(branch(shape));
      made = product(made, others, "alternatives");
    }
  }
  return literal_branches_.emplace(literal, std::move(made)).first->second;
}

const std::vector<Shape>& SchemaAlgebra::shapes(ValueId value) {
  if (const auto found = shapes_.find(value.id); found != shapes_.end()) return found->second;
  std::vector<Shape> made;
  if (value == kNoValue) return shapes_[value.id];
  open_values_.insert(value.id);
  struct Close {
    std::set<uint32_t>& open;
    uint32_t id;
    ~Close() { open.erase(id); }
  } close{open_values_, value.id};
  Branches all{branch(everything())};
  const Literals literals = values_[value.id];
  for (const uint32_t literal : literals) all = product(all, branches_of(literal), "conjunction");
  for (Branch& branch : all) {
    if (refine(branch.shape)) made.push_back(std::move(branch.shape));
  }
  return shapes_.emplace(value.id, std::move(made)).first->second;
}

bool SchemaAlgebra::is_never(ValueId value) {
  if (value == kNoValue) return true;
  if (value == kAnyValue || open_values_.count(value.id) != 0) return false;
  if (const auto found = shapes_.find(value.id); found != shapes_.end())
    return found->second.empty();
  if (depth_ >= kMaxDepth) return false;
  ++depth_;
  struct Leave {
    int& depth;
    ~Leave() { --depth; }
  } leave{depth_};
  try {
    return shapes(value).empty();
  } catch (const StillOpen&) {
    return false;
  }
}

Regex SchemaAlgebra::words_of(ValueId value) {
  if (value == kAnyValue) return r_.anything();
  Regex all = r_.nothing();
  for (const Shape& shape : shapes(value)) {
    if (!shape.has(json_type::kString)) continue;
    Regex words = shape.words;
    if (shape.only_strings) words = r_.any_literal(*shape.only_strings);
    if (shape.min_length > 0 || shape.max_length != kUnbounded) {
      words = r_.both(words, r_.repeat(r_.any_char(), shape.min_length, shape.max_length));
    }
    all = r_.either(all, words);
  }
  return all;
}

bool SchemaAlgebra::known_empty(Regex words) {
  try {
    return r_.is_empty(words);
  } catch (const Error&) {
    return false;
  }
}

// --- what a shape cannot be ---------------------------------------------------------------------

bool SchemaAlgebra::refine(Shape& shape) {
  if (shape.has(json_type::kString)) refine_strings(shape);
  if (shape.has(json_type::kArray)) refine_array(shape);
  if (shape.has(json_type::kObject)) refine_object(shape);
  return shape.types != 0;
}

void SchemaAlgebra::refine_strings(Shape& shape) {
  if (shape.only_strings) {
    const Regex length = r_.repeat(r_.any_char(), shape.min_length, shape.max_length);
    std::erase_if(*shape.only_strings, [&](const std::string& word) {
      return !r_.matches(shape.words, word) || !r_.matches(length, word);
    });
    if (shape.only_strings->empty()) shape.types &= static_cast<TypeSet>(~json_type::kString);
    return;
  }
  if (shape.words == r_.anything()) return;
  Regex words = shape.words;
  if (shape.min_length > 0 || shape.max_length != kUnbounded) {
    words = r_.both(words, r_.repeat(r_.any_char(), shape.min_length, shape.max_length));
  }
  if (known_empty(words)) shape.types &= static_cast<TypeSet>(~json_type::kString);
}

void SchemaAlgebra::refine_array(Shape& shape) {
  uint32_t possible = 0;
  for (; possible < shape.prefix.size() && possible < shape.max_items; ++possible) {
    if (is_never(shape.prefix[possible])) break;
  }
  if (possible < shape.prefix.size()) {
    shape.max_items = minimum(shape.max_items, possible);
    shape.prefix.resize(possible);
  } else if (is_never(shape.items)) {
    shape.max_items = minimum(shape.max_items, possible);
  }
  bool dead = shape.min_items > shape.max_items;
  for (ShapeContains& c : shape.contains) {
    if (c.min == 0) continue;
    bool found = shape.max_items > c.from && !is_never(meet(shape.items, c.value)) &&
                 shape.max_items > shape.prefix.size();
    for (size_t i = c.from; i < shape.prefix.size() && !found; ++i) {
      found = !is_never(meet(shape.prefix[i], c.value));
    }
    dead = dead || !found || c.min > c.max ||
           shape.max_items - minimum(c.from, shape.max_items) < c.min;
  }
  if (dead) shape.types &= static_cast<TypeSet>(~json_type::kArray);
}

void SchemaAlgebra::refine_object(Shape& shape) {
  uint32_t n_required = 0;
  bool dead = false;
  for (ShapeProperty& property : shape.properties) {
    if (!r_.matches(shape.names, property.name)) property.value = kNoValue;
    for (const ShapeKeys& rule : shape.rules) {
      if (property.value != kNoValue && matches(rule.keys, property.name)) {
        property.value = meet(property.value, rule.value);
      }
    }
    if (is_never(property.value)) property.value = kNoValue;
    n_required += property.required ? 1 : 0;
    dead = dead || (property.required && property.value == kNoValue);
  }
  for (const ShapeKeys& witness : shape.witnesses) dead = dead || is_never(witness.value);
  if (dead || n_required > shape.max_properties) {
    shape.types &= static_cast<TypeSet>(~json_type::kObject);
  }
}

}  // namespace sinter
