// What each keyword says, and what its negation says: the one list of keywords is at the end.
#include <algorithm>

#include "grammar/json/formats.h"
#include "grammar/json/schema_reader.h"
#include "grammar/regex_text.h"

namespace sinter {

using namespace json_type;
using Branches = SchemaAlgebra::Branches;
using Place = SchemaDocuments::Place;

uint32_t SchemaReader::count(const Json& value) const {
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

Regex SchemaReader::pattern(const std::string& text, const std::string& where) {
  RegexText dialect;
  dialect.dialect = RegexDialect::ecma;
  return parse_regex(r_, text, "schema: " + where, dialect, a_.limits());
}

Shape SchemaReader::type_shape(const Json& value, bool negated) {
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

std::vector<const Json*> SchemaReader::constants(const Json& value) const {
  require_kind(value, value.is_array(), "a list of values");
  std::vector<const Json*> all;
  for (const Json& constant : value) all.push_back(&constant);
  return all;
}

Shape SchemaReader::bound(const Json& value, bool upper, bool exclusive, bool negated) {
  require_kind(value, value.is_number(), "a number");
  Shape shape = negated ? a_.of_type(kNumber) : a_.everything();
  auto& side = upper != negated ? shape.numbers.high : shape.numbers.low;
  side = NumberBound{Decimal::of(value), exclusive != negated};
  return shape;
}

Shape SchemaReader::multiple(const Json& value, bool negated) {
  require_kind(value, value.is_number(), "a number");
  const Decimal step = Decimal::of(value).magnitude();
  if (step.is_zero()) invalid("a number larger than 0", value);
  Shape shape = negated ? a_.of_type(kNumber) : a_.everything();
  (negated ? shape.numbers.no_multiples_of : shape.numbers.multiples_of).push_back(step);
  number_texts(r_, shape.numbers, a_.strict_integers());  // says here if it cannot be done
  return shape;
}

Shape SchemaReader::pattern_shape(const Json& value, bool negated) {
  require_kind(value, value.is_string(), "a regular expression");
  const Regex words = pattern(value.get<std::string>(), at());
  Shape shape = negated ? a_.of_type(kString) : a_.everything();
  shape.words = negated ? r_.complement(words) : words;
  return shape;
}

void SchemaReader::keep_format(const Json& value) {
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

Branches SchemaReader::deny_format(const Json& value) {
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

const SchemaReader::Keyword SchemaReader::kKeywords[] = {
    {"$ref", &SchemaReader::keep_reference, &SchemaReader::deny_reference},
    {"$dynamicRef", &SchemaReader::keep_reference, &SchemaReader::deny_reference},
    {"$recursiveRef", &SchemaReader::keep_reference, &SchemaReader::deny_reference},
    {"type", &SchemaReader::keep_type, &SchemaReader::deny_type},
    {"enum", &SchemaReader::keep_enum, &SchemaReader::deny_enum},
    {"const", &SchemaReader::keep_const, &SchemaReader::deny_const},
    {"minimum", &SchemaReader::keep_minimum, &SchemaReader::deny_minimum},
    {"maximum", &SchemaReader::keep_maximum, &SchemaReader::deny_maximum},
    {"exclusiveMinimum", &SchemaReader::keep_above, &SchemaReader::deny_above},
    {"exclusiveMaximum", &SchemaReader::keep_below, &SchemaReader::deny_below},
    {"multipleOf", &SchemaReader::keep_multiple, &SchemaReader::deny_multiple},
    {"minLength", &SchemaReader::keep_count<&Shape::min_length>,
     &SchemaReader::deny_min<&Shape::max_length, kString>},
    {"maxLength", &SchemaReader::keep_count<&Shape::max_length>,
     &SchemaReader::deny_max<&Shape::min_length, kString>},
    {"pattern", &SchemaReader::keep_pattern, &SchemaReader::deny_pattern},
    {"format", &SchemaReader::keep_format, &SchemaReader::deny_format},
    {"prefixItems", &SchemaReader::keep_items, &SchemaReader::deny_items},
    {"items", &SchemaReader::keep_items, &SchemaReader::deny_items},
    {"additionalItems", nullptr, nullptr, true},
    {"minItems", &SchemaReader::keep_count<&Shape::min_items>,
     &SchemaReader::deny_min<&Shape::max_items, kArray>},
    {"maxItems", &SchemaReader::keep_count<&Shape::max_items>,
     &SchemaReader::deny_max<&Shape::min_items, kArray>},
    {"contains", &SchemaReader::keep_contains, &SchemaReader::deny_contains},
    {"minContains", nullptr, nullptr, true},
    {"maxContains", nullptr, nullptr, true},
    {"uniqueItems", &SchemaReader::keep_unique, &SchemaReader::deny_unique},
    {"properties", &SchemaReader::keep_properties, &SchemaReader::deny_properties},
    {"patternProperties", &SchemaReader::keep_patterns, &SchemaReader::deny_patterns},
    {"additionalProperties", &SchemaReader::keep_additional, &SchemaReader::deny_additional},
    {"propertyNames", &SchemaReader::keep_names, &SchemaReader::deny_names},
    {"required", &SchemaReader::keep_required, &SchemaReader::deny_required},
    {"minProperties", &SchemaReader::keep_count<&Shape::min_properties>,
     &SchemaReader::deny_min<&Shape::max_properties, kObject>},
    {"maxProperties", &SchemaReader::keep_count<&Shape::max_properties>,
     &SchemaReader::deny_max<&Shape::min_properties, kObject>},
    {"dependentRequired", &SchemaReader::keep_dependent, &SchemaReader::deny_dependent},
    {"dependentSchemas", &SchemaReader::keep_dependent, &SchemaReader::deny_dependent},
    {"dependencies", &SchemaReader::keep_dependent, &SchemaReader::deny_dependent},
    {"allOf", &SchemaReader::keep_all_of, &SchemaReader::deny_all_of},
    {"anyOf", &SchemaReader::keep_any_of, &SchemaReader::deny_any_of},
    {"oneOf", &SchemaReader::keep_one_of, &SchemaReader::deny_one_of},
    {"not", &SchemaReader::keep_not, &SchemaReader::deny_not},
    {"if", &SchemaReader::keep_if, &SchemaReader::deny_if},
    {"then", nullptr, nullptr, true},
    {"else", nullptr, nullptr, true},
    // After all others: they ask what these have looked at.
    {"unevaluatedProperties", &SchemaReader::keep_unevaluated_properties, nullptr},
    {"unevaluatedItems", &SchemaReader::keep_unevaluated_items, nullptr},
};

const SchemaReader::Keyword* SchemaReader::find(std::string_view name) {
  const auto found = std::find_if(std::begin(kKeywords), std::end(kKeywords),
                                  [&](const Keyword& k) { return k.name == name; });
  return found == std::end(kKeywords) ? nullptr : found;
}

namespace {

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

}  // namespace

Branches SchemaReader::keep_all() {
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

Branches SchemaReader::deny_all() {
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

Branches expand_schema(SchemaAlgebra& algebra, Place place) {
  return SchemaReader(algebra, place).keep_all();
}

Branches expand_negated_schema(SchemaAlgebra& algebra, Place place) {
  return SchemaReader(algebra, place).deny_all();
}

}  // namespace sinter
