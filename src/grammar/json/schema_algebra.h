// The algebra of schemas: conjunctions and negations of schemas, rewritten as alternatives of
// shapes. Schemas inside of others (of properties, of items) stay names in a table until somebody
// asks for their shapes, so recursion ends: there are only so many conjunctions of what is there.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "grammar/json/json_schema.h"
#include "grammar/json/schema_shape.h"

namespace sinter {

class SchemaAlgebra {
 public:
  SchemaAlgebra(SchemaDocuments& documents, GrammarBuilder& builder,
                const JsonSchemaOptions& options, SchemaCertificate& certificate);

  ValueId root() { return value_of(documents_.root(), false); }
  ValueId meet(ValueId a, ValueId b);
  // What is not of this value. Of several conditions together: a term of its own.
  ValueId negation(ValueId value);
  ValueId any_of(std::vector<ValueId> values);
  // Alternatives, none of which is known to be empty. The reference stays.
  const std::vector<Shape>& shapes(ValueId value);
  bool is_never(ValueId value);   // false where that is not easily known
  Regex words_of(ValueId value);  // of its strings
  // Whether a name is in this set.
  bool matches(Regex keys, const std::string& name) { return r_.matches(keys, name); }
  bool known_empty(Regex words);  // false where that takes too long to find

  RegexSet& regexes() { return r_; }
  SchemaDocuments& documents() { return documents_; }
  bool strict_integers() const { return strict_integers_; }
  void count_step();

  // For the keywords (schema_keywords.cc)
  // ----------------------------------------------------------
  using Place = SchemaDocuments::Place;
  using Branches = std::vector<Branch>;
  Shape everything() const;
  Shape of_type(TypeSet types) const;
  Branch branch(Shape shape) const { return {std::move(shape), {}}; }
  ValueId value_of(Place place, bool negated);
  ValueId value_of(const Json& constant, bool negated);
  const Branches& expand(Place place, bool negated);
  // Both of two alternatives; what is plainly contradictory is left out.
  Branches product(const Branches& a, const Branches& b, const std::string& where);
  // Whether anything can be of this shape, which is made tighter on the way; true where that is
  // not easily known.
  bool refine(Shape& shape);
  bool tracks_evaluated() const { return tracks_evaluated_; }
  bool is_disjoint(ValueId a, ValueId b) { return is_never(meet(a, b)); }
  [[noreturn]] void unsupported(const std::string& where, std::string_view why,
                                std::string_view remedy) const;
  const JsonSchemaOptions& options() const { return options_; }
  SchemaCertificate& certificate() { return certificate_; }
  const GrammarLimits& limits() const { return builder_.limits(); }

 private:
  enum class TermKind : uint8_t { schema, constant, any_of };
  struct Term {
    TermKind kind = TermKind::schema;
    Place place;
    const Json* constant = nullptr;
    std::vector<ValueId> choices;
    friend auto operator<=>(const Term&, const Term&) = default;
  };
  using Literals = std::vector<uint32_t>;  // sorted; term * 2 + (negated ? 1 : 0)

  ValueId intern(Literals literals);
  ValueId term_value(Term term, bool negated);
  const Branches& branches_of(uint32_t literal);
  bool intersect(Shape& shape, const Shape& other);
  // Whether b plainly says nothing that a does not say too.
  bool within(const Shape& a, const Shape& b) const;
  bool value_within(ValueId a, ValueId b) const;
  void add_alternative(Branches& made, Branch branch);
  void refine_strings(Shape& shape);
  void refine_array(Shape& shape);
  void refine_object(Shape& shape);

  SchemaDocuments& documents_;
  GrammarBuilder& builder_;
  RegexSet& r_;
  const JsonSchemaOptions& options_;
  SchemaCertificate& certificate_;
  bool tracks_evaluated_, strict_integers_;
  std::vector<Term> terms_;
  std::map<Term, uint32_t> term_ids_;
  std::vector<Literals> values_;
  std::map<Literals, ValueId> value_ids_;
  std::map<uint32_t, std::vector<Shape>> shapes_;  // of values
  std::set<uint32_t> open_values_;
  std::map<uint32_t, Branches> literal_branches_;
  std::map<std::pair<Place, bool>, Branches> expanded_;
  // Places that are being expanded, with the number of values that were being looked at then: the
  // same place at the same value refers to itself; at another it may well be below itself.
  std::map<std::pair<Place, bool>, size_t> open_places_;
  uint32_t steps_ = 0;
  int depth_ = 0;
};

// schema_keywords.cc: what the keywords of a schema say, and what their negation says.
SchemaAlgebra::Branches expand_schema(SchemaAlgebra& algebra, SchemaDocuments::Place place);
SchemaAlgebra::Branches expand_negated_schema(SchemaAlgebra& algebra, SchemaDocuments::Place place);
// schema_constants.cc: the values of const and enum.
SchemaAlgebra::Branches expand_constants(SchemaAlgebra& algebra,
                                         const std::vector<const Json*>& values);
SchemaAlgebra::Branches expand_other_than(SchemaAlgebra& algebra,
                                          const std::vector<const Json*>& values,
                                          const std::string& where);

}  // namespace sinter
