// Schemas about the same value: references, allOf and its like, conditions; and what they leave.
#include <algorithm>

#include "grammar/json/schema_reader.h"

namespace sinter {

using namespace json_type;
using Branches = SchemaAlgebra::Branches;
using Place = SchemaDocuments::Place;

std::vector<Place> SchemaReader::list(const Json& value) {
  require_kind(value, value.is_array(), "a list of schemas");
  std::vector<Place> places;
  for (size_t i = 0; i < value.size(); ++i) places.push_back(child(value[i], i));
  return places;
}

void SchemaReader::keep_all_of(const Json& value) {
  for (const Place place : list(value)) narrow(a_.expand(place, false));
}

Branches SchemaReader::deny_all_of(const Json& value) {
  Branches made;
  for (const Place place : list(value)) made = joined(made, a_.expand(place, true));
  return made;
}

void SchemaReader::keep_any_of(const Json& value) {
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

Branches SchemaReader::deny_any_of(const Json& value) {
  Branches made = one(a_.everything());
  for (const Place place : list(value)) {
    made = a_.product(made, without_seen(a_.expand(place, true)), at());
  }
  return made;
}

// Each alternative without the others. What has nothing in common with another needs no exclusion.
void SchemaReader::keep_one_of(const Json& json) {
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

Branches SchemaReader::deny_one_of(const Json& value) {
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

Branches SchemaReader::branch_of_if(const char* keyword, bool negated) {
  const Json* said = member(keyword);
  if (said == nullptr) return negated ? Branches() : one(a_.everything());
  return a_.expand(child_at(*said, keyword), negated);
}

void SchemaReader::keep_if(const Json& json) {
  if (draft_ < Draft::draft7) return;
  if (member("then") == nullptr && member("else") == nullptr && !a_.tracks_evaluated()) return;
  const Place condition = child(json);
  narrow(joined(
      a_.product(a_.expand(condition, false), branch_of_if("then", false), at()),
      a_.product(without_seen(a_.expand(condition, true)), branch_of_if("else", false), at())));
}

Branches SchemaReader::deny_if(const Json& json) {
  if (draft_ < Draft::draft7) return {};
  const Place condition = child(json);
  return without_seen(
      joined(a_.product(a_.expand(condition, false), branch_of_if("then", true), at()),
             a_.product(a_.expand(condition, true), branch_of_if("else", true), at())));
}

void SchemaReader::keep_unevaluated_properties(const Json& json) {
  const ValueId wanted = value(child(json));
  for (Branch& branch : branches_) {
    branch.shape.rules.push_back({r_.complement(branch.seen.keys), wanted});
    branch.seen.keys = r_.anything();
  }
}

void SchemaReader::keep_unevaluated_items(const Json& json) {
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

}  // namespace sinter
