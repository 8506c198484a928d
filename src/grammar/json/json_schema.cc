// From shapes to a grammar: a rule for each value that is an object or an array, a lexeme for each
// scalar.
#include "grammar/json/json_schema.h"

#include <algorithm>
#include <deque>
#include <map>

#include "grammar/json/schema_algebra.h"
#include "grammar/json/string_text.h"

namespace sinter {
namespace {

using namespace json_type;

class Lowering {
 public:
  Lowering(GrammarBuilder& builder, SchemaAlgebra& algebra, const JsonSchemaOptions& options,
           SchemaCertificate& certificate)
      : b_(builder),
        r_(builder.regexes()),
        a_(algebra),
        options_(options),
        certificate_(certificate),
        strings_(builder.regexes()) {
    const Regex space = white_space();
    open_object_ = b_.lexeme(r_.concat(r_.byte('{'), space));
    close_object_ = b_.lexeme(r_.concat(space, r_.byte('}')));
    open_array_ = b_.lexeme(r_.concat(r_.byte('['), space));
    close_array_ = b_.lexeme(r_.concat(space, r_.byte(']')));
    comma_ = b_.lexeme(r_.concat(r_.byte(','), space));
    const bool spaces = options.whitespace == JsonWhitespace::bounded;
    colon_ = b_.lexeme(r_.concat(r_.byte(':'), spaces ? r_.optional(r_.byte(' ')) : r_.empty()));
  }

  GrammarNode lower(ValueId root) {
    const GrammarNode node = node_of(root);
    while (!waiting_.empty()) {
      const auto [value, rule] = waiting_.front();
      waiting_.pop_front();
      std::vector<GrammarNode> choices;
      if (value == kAnyValue) {
        Shape all = a_.everything();
        add_shape(all, choices);
      } else {
        const std::vector<Shape> shapes = a_.shapes(value);
        for (const Shape& shape : shapes) add_shape(shape, choices);
      }
      b_.define(rule, b_.choice(choices));
    }
    return node;
  }

  GrammarNode object() {
    std::vector<GrammarNode> choices;
    Shape shape = a_.of_type(kObject);
    add_shape(shape, choices);
    const GrammarNode rule = b_.rule("object", b_.choice(choices));
    lower(kAnyValue);
    return rule;
  }

 private:
  Regex white_space() {
    if (options_.whitespace == JsonWhitespace::compact) return r_.empty();
    constexpr uint32_t kIndentation = 80;
    const Regex blank = r_.bytes(ByteSet::of(' ') | ByteSet::of('\t'));
    const Regex line[] = {r_.optional(r_.byte('\r')), r_.byte('\n'),
                          r_.repeat(blank, 0, kIndentation)};
    return r_.either(r_.optional(r_.byte(' ')), r_.concat(line));
  }

  [[noreturn]] void unsupported(const std::string& where, std::string_view why,
                                std::string_view remedy) {
    a_.unsupported(where, why, remedy);
  }
  // A keyword that turns out here to be beyond a grammar.
  void give_up(SchemaId schema, std::string_view keyword, std::string_view why,
               std::string_view remedy) {
    const std::string where = fmt::format("{}/{}", a_.documents().pointer(schema), keyword);
    if (!options_.lenient) unsupported(where, why, remedy);
    std::erase(certificate_.enforced, where);
    certificate_.not_enforced.push_back({where, std::string(why)});
  }

  GrammarNode node_of(ValueId value) {
    if (value == kNoValue) return b_.nothing();
    if (const auto found = nodes_.find(value.id); found != nodes_.end()) return found->second;
    bool scalar = value != kAnyValue;
    if (scalar) {
      const std::vector<Shape>& shapes = a_.shapes(value);
      scalar = std::all_of(shapes.begin(), shapes.end(), [](const Shape& shape) {
        return (shape.types & (kArray | kObject)) == 0;
      });
    }
    GrammarNode node;
    if (scalar) {
      std::vector<GrammarNode> choices;
      const std::vector<Shape> shapes = a_.shapes(value);
      for (const Shape& shape : shapes) add_shape(shape, choices);
      node = b_.choice(choices);
    } else {
      node = b_.declare(fmt::format("value{}", value.id));
      waiting_.emplace_back(value, node);
    }
    nodes_.emplace(value.id, node);
    return node;
  }

  GrammarNode lexeme(Regex regex) {
    const bool empty = regex == r_.nothing() || a_.known_empty(regex);
    return empty ? b_.nothing() : b_.lexeme(regex);
  }

  void add_shape(const Shape& shape, std::vector<GrammarNode>& choices) {
    a_.count_step();
    const auto add = [&](GrammarNode node) {
      if (node != b_.nothing()) choices.push_back(node);
    };
    std::vector<std::string> literals;
    if (shape.has(kNull)) literals.emplace_back("null");
    if (shape.has(kFalse)) literals.emplace_back("false");
    if (shape.has(kTrue)) literals.emplace_back("true");
    if (!literals.empty()) add(b_.lexeme(r_.any_literal(literals)));
    if (shape.has(kNumber)) {
      add(lexeme(number_texts(r_, shape.numbers, a_.strict_integers())));
    }
    if (shape.has(kString)) add(lexeme(string_texts(shape)));
    if (shape.has(kArray)) add_array(shape, choices);
    if (shape.has(kObject)) add_object(shape, shape.witnesses, std::nullopt, choices);
  }

  Regex string_texts(const Shape& shape) {
    if (shape.only_strings) return strings_.quoted(r_.any_literal(*shape.only_strings));
    const bool counted = shape.min_length > 0 || shape.max_length != kUnbounded;
    if (shape.words == r_.anything()) return strings_.any(shape.min_length, shape.max_length);
    Regex words = shape.words;
    if (counted) words = r_.both(words, strings_.length(shape.min_length, shape.max_length));
    return strings_.quoted(words);
  }

  // Arrays ---------------------------------------------------------------------------------------

  void add_array(const Shape& shape, std::vector<GrammarNode>& choices) {
    if (shape.max_items == 0 && shape.min_items == 0 && shape.contains.empty()) {
      choices.push_back(b_.sequence({open_array_, close_array_}));
      return;
    }
    if (shape.unique && shape.max_items > 1) {
      if (add_distinct(shape, choices)) return;
      give_up(*shape.unique, "uniqueItems",
              "that items differ can be enforced only where each is one of a few values",
              "give items an enum, or maxItems 1, or be lenient");
    }
    GrammarNode inner;
    if (shape.contains.empty()) {
      inner = plain_items(shape);
    } else {
      inner = counted_items(shape);
    }
    choices.push_back(b_.sequence({open_array_, inner, close_array_}));
  }

  GrammarNode plain_items(const Shape& shape) {
    std::vector<Member> members;
    for (size_t i = 0; i < shape.prefix.size() && i < shape.max_items; ++i) {
      members.push_back({node_of(shape.prefix[i]), i < shape.min_items ? 1u : 0u, 1});
    }
    if (shape.max_items > shape.prefix.size() && !a_.is_never(shape.items)) {
      members.push_back({node_of(shape.items), 0, kUnbounded});
    }
    return b_.members(members, {.separator = comma_,
                                .order = MemberOrder::no_gaps,
                                .min = shape.min_items,
                                .max = shape.max_items});
  }

  // The values that this may have, if they are few and scalar.
  std::optional<std::vector<Shape>> few_values(ValueId value) {
    if (value == kAnyValue) return std::nullopt;
    std::vector<Decimal> numbers;
    std::vector<std::string> words;
    TypeSet literals = 0;
    const std::vector<Shape> shapes = a_.shapes(value);
    for (const Shape& shape : shapes) {
      if ((shape.types & (kArray | kObject)) != 0) return std::nullopt;
      literals |= static_cast<TypeSet>(shape.types & (kNull | kBoolean));
      if (shape.has(kString)) {
        if (!shape.only_strings) return std::nullopt;
        words.insert(words.end(), shape.only_strings->begin(), shape.only_strings->end());
      }
      if (shape.has(kNumber)) {
        const auto members = shape.numbers.members();
        if (!members) return std::nullopt;
        numbers.insert(numbers.end(), members->begin(), members->end());
      }
    }
    std::vector<Shape> values;
    for (const TypeSet type : {kNull, kFalse, kTrue}) {
      if ((literals & type) != 0) values.push_back(a_.of_type(type));
    }
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    for (const std::string& word : words) {
      values.push_back(a_.of_type(kString));
      values.back().only_strings = std::vector<std::string>{word};
    }
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    for (const Decimal& number : numbers) {
      values.push_back(a_.of_type(kNumber));
      values.back().numbers.only = std::vector<Decimal>{number};
    }
    return values;
  }

  bool add_distinct(const Shape& shape, std::vector<GrammarNode>& choices) {
    if (!shape.prefix.empty() || !shape.contains.empty()) return false;
    const auto values = few_values(shape.items);
    if (!values) return false;
    std::vector<Member> members;
    for (const Shape& value : *values) {
      std::vector<GrammarNode> one;
      add_shape(value, one);
      if (!one.empty()) members.push_back({b_.choice(one), 0, 1});
    }
    const GrammarNode inner = b_.members(members, {.separator = comma_,
                                                   .order = MemberOrder::any,
                                                   .min = shape.min_items,
                                                   .max = shape.max_items});
    choices.push_back(b_.sequence({open_array_, inner, close_array_}));
    return true;
  }

  // Items of which some are counted. With one count over all items alike, members do it; otherwise
  // a rule for each place and state of the counts.
  GrammarNode counted_items(const Shape& shape) {
    const ShapeContains& first = shape.contains[0];
    if (shape.contains.size() == 1 && shape.prefix.empty() && first.from == 0) {
      const ValueId wanted = a_.meet(shape.items, first.value);
      const ValueId other =
          first.max == kUnbounded ? shape.items : a_.meet(shape.items, a_.negation(first.value));
      std::vector<Member> members;
      if (first.max > 0 && !a_.is_never(wanted)) {
        members.push_back({node_of(wanted), first.min, first.max});
      }
      if (!a_.is_never(other)) members.push_back({node_of(other), 0, kUnbounded});
      return b_.members(members, {.separator = comma_,
                                  .order = MemberOrder::any,
                                  .min = shape.min_items,
                                  .max = shape.max_items});
    }
    states_.clear();
    return items_from(shape, 0, std::vector<uint32_t>(shape.contains.size(), 0));
  }

  GrammarNode items_from(const Shape& shape, uint32_t place, const std::vector<uint32_t>& counts) {
    constexpr size_t kMaxStates = 3000;
    // Beyond this place all are alike.
    uint32_t last = std::max({1u, static_cast<uint32_t>(shape.prefix.size()), shape.min_items});
    for (const ShapeContains& c : shape.contains) last = std::max(last, c.from);
    if (shape.max_items != kUnbounded) last = std::max(last, shape.max_items);
    place = std::min(place, last);
    const auto key = std::pair(place, counts);
    if (const auto found = states_.find(key); found != states_.end()) return found->second;
    if (states_.size() >= kMaxStates) {
      limit_reached("states", kMaxStates, "contains together with other conditions on the items");
    }
    const GrammarNode rule = b_.declare(fmt::format("items{}", rule_count_++));
    states_.emplace(key, rule);
    std::vector<GrammarNode> choices;
    bool may_end = place >= shape.min_items;
    for (size_t i = 0; i < counts.size(); ++i)
      may_end = may_end && counts[i] >= shape.contains[i].min;
    if (may_end) choices.push_back(b_.empty());
    if (place < shape.max_items) add_next_item(shape, place, counts, choices);
    b_.define(rule, b_.choice(choices));
    return rule;
  }

  void add_next_item(const Shape& shape, uint32_t place, const std::vector<uint32_t>& counts,
                     std::vector<GrammarNode>& choices) {
    const size_t n = counts.size();
    const ValueId said = place < shape.prefix.size() ? shape.prefix[place] : shape.items;
    for (size_t hits = 0; hits < size_t{1} << n; ++hits) {
      ValueId value = said;
      std::vector<uint32_t> next = counts;
      bool possible = true;
      for (size_t i = 0; i < n && possible; ++i) {
        const ShapeContains& c = shape.contains[i];
        const bool hit = ((hits >> i) & 1) != 0;
        if (place < c.from) {
          possible = !hit;
          continue;
        }
        const bool exact = c.max != kUnbounded;  // else what is not counted may be anything
        if (hit) {
          if (exact && counts[i] == c.max) possible = false;
          next[i] = std::min(counts[i] + 1, exact ? c.max : c.min);
          value = a_.meet(value, c.value);
        } else if (exact) {
          value = a_.meet(value, a_.negation(c.value));
        }
      }
      if (!possible || a_.is_never(value)) continue;
      const GrammarNode rest = items_from(shape, place + 1, next);
      const GrammarNode item = node_of(value);
      choices.push_back(place == 0 ? b_.sequence({item, rest}) : b_.sequence({comma_, item, rest}));
    }
  }

  // Objects --------------------------------------------------------------------------------------

  GrammarNode member(GrammarNode key, ValueId value) {
    return b_.sequence({key, colon_, node_of(value)});
  }

  // `other`: what a member with none of the names here must be, of which there must be one.
  void add_object(const Shape& shape, std::vector<ShapeKeys> witnesses,
                  const std::optional<ShapeKeys>& other, std::vector<GrammarNode>& choices) {
    a_.count_step();
    if (witnesses.empty()) return add_object_with(shape, other, choices);
    // Some member is like that: one of those with a name here, or another.
    const ShapeKeys witness = witnesses.back();
    witnesses.pop_back();
    for (size_t i = 0; i < shape.properties.size(); ++i) {
      if (!a_.matches(witness.keys, shape.properties[i].name)) continue;
      Shape with = shape;
      with.properties[i].required = true;
      with.properties[i].value = a_.meet(with.properties[i].value, witness.value);
      if (!a_.is_never(with.properties[i].value)) add_object(with, witnesses, other, choices);
    }
    if (!other) return add_object(shape, witnesses, witness, choices);
    note(
        "objects in which several members with names that the schema leaves open would each break "
        "another rule are left out");
    const ShapeKeys both{r_.both(other->keys, witness.keys), a_.meet(other->value, witness.value)};
    if (!a_.is_never(both.value)) add_object(shape, witnesses, both, choices);
  }

  void note(const std::string& text) {
    auto& notes = certificate_.notes;
    if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(text);
  }

  // Names that no property of the shape has, apart by the rules that speak of them.
  std::vector<ShapeKeys> other_members(const Shape& shape) {
    constexpr size_t kMaxRegions = 256;
    std::vector<std::string> named;
    for (const ShapeProperty& property : shape.properties) named.push_back(property.name);
    const Regex all =
        r_.both(named.empty() ? r_.anything() : r_.complement(r_.any_literal(named)), shape.names);
    std::vector<ShapeKeys> regions{{all, kAnyValue}};
    for (const ShapeKeys& rule : shape.rules) {
      std::vector<ShapeKeys> finer;
      for (const ShapeKeys& region : regions) {
        const ShapeKeys inside{r_.both(region.keys, rule.keys), a_.meet(region.value, rule.value)};
        const ShapeKeys outside{r_.difference(region.keys, rule.keys), region.value};
        if (inside.value != kNoValue && !a_.known_empty(inside.keys)) finer.push_back(inside);
        if (!a_.known_empty(outside.keys)) finer.push_back(outside);
      }
      regions = std::move(finer);
      if (regions.size() > kMaxRegions) {
        limit_reached("regions", kMaxRegions, "too many patterns of names that overlap");
      }
    }
    std::erase_if(regions, [&](const ShapeKeys& region) { return a_.is_never(region.value); });
    return regions;
  }

  GrammarNode key_of(Regex keys) {
    return b_.lexeme(keys == r_.anything() ? strings_.any() : strings_.quoted(keys));
  }

  // `witness`: a member with none of the names here that must be there. It comes last, so that no
  // other can repeat its name and be what counts.
  void add_object_with(const Shape& shape, const std::optional<ShapeKeys>& witness,
                       std::vector<GrammarNode>& choices) {
    std::vector<Member> members;
    uint32_t n_required = 0, n_named = 0;
    for (const ShapeProperty& property : shape.properties) {
      if (a_.is_never(property.value)) {
        if (property.required) return;
        continue;
      }
      ++n_named;
      n_required += property.required ? 1 : 0;
      members.push_back({member(b_.lexeme(strings_.quoted_literal(property.name)), property.value),
                         property.required ? 1u : 0u, 1});
    }
    std::vector<GrammarNode> others, witnessing;
    for (const ShapeKeys& region : other_members(shape)) {
      others.push_back(member(key_of(region.keys), region.value));
      if (!witness) continue;
      const Regex keys = r_.both(region.keys, witness->keys);
      const ValueId value = a_.meet(region.value, witness->value);
      if (!a_.known_empty(keys) && !a_.is_never(value)) {
        witnessing.push_back(member(key_of(keys), value));
      }
    }
    if (witness && witnessing.empty()) return;
    if (!others.empty()) members.push_back({b_.choice(others), 0, kUnbounded});
    uint32_t min = shape.min_properties, max = shape.max_properties;
    const uint32_t n_certain = n_required + (witness ? 1 : 0);
    // Names that the schema leaves open may repeat, and would then count for one.
    if (!others.empty() && min > std::max(1u, n_certain)) {
      give_up(
          shape.min_properties_at, "minProperties",
          "members whose names the schema leaves open could repeat a name",
          "name the members in properties and set additionalProperties to false, or be lenient");
      min = std::max(1u, n_certain);
    }
    if (n_certain > max || (others.empty() && min > n_named)) return;
    const auto list = [&](uint32_t least, uint32_t most) {
      return b_.members(members,
                        {.separator = comma_,
                         .order = options_.any_order ? MemberOrder::any : MemberOrder::fixed,
                         .min = least,
                         .max = most});
    };
    GrammarNode inner = b_.empty();
    if (witness) {
      const GrammarNode last = b_.choice(witnessing);
      std::vector<GrammarNode> ways;
      if (n_required == 0 && min <= 1) ways.push_back(last);
      if (max > 1 && !members.empty()) {
        const uint32_t most = max == kUnbounded ? max : max - 1;
        ways.push_back(b_.sequence({list(std::max(min, 2u) - 1, most), comma_, last}));
      }
      inner = b_.choice(ways);
    } else if (!members.empty() && max > 0) {
      inner = list(min, max);
    } else if (min > 0) {
      return;
    }
    choices.push_back(b_.sequence({open_object_, inner, close_object_}));
  }

  GrammarBuilder& b_;
  RegexSet& r_;
  SchemaAlgebra& a_;
  const JsonSchemaOptions& options_;
  SchemaCertificate& certificate_;
  StringTexts strings_;
  GrammarNode open_object_, close_object_, open_array_, close_array_, comma_, colon_;
  std::map<uint32_t, GrammarNode> nodes_;  // of values
  std::deque<std::pair<ValueId, GrammarNode>> waiting_;
  std::map<std::pair<uint32_t, std::vector<uint32_t>>, GrammarNode> states_;
  uint32_t rule_count_ = 0;
};

}  // namespace

JsonSchemaNode add_json_schema(GrammarBuilder& builder, JsonSchemaSource source,
                               const JsonSchemaOptions& options) {
  JsonSchemaNode made;
  SchemaDocuments documents(std::move(source));
  SchemaAlgebra algebra(documents, builder, options, made.certificate);
  const ValueId root = algebra.root();
  if (algebra.is_never(root)) {
    fail(Fault::bad_input, "schema-unsatisfiable",
         "schema: #: no value at all is valid; look for conditions that contradict each other");
  }
  made.node = Lowering(builder, algebra, options, made.certificate).lower(root);
  if (!made.certificate.not_enforced.empty()) {
    made.certificate.notes.emplace_back("lenient: validate the answer for what is not enforced");
  }
  return made;
}

JsonSchemaGrammar compile_json_schema(JsonSchemaSource source, const JsonSchemaOptions& options,
                                      const GrammarLimits& limits) {
  GrammarBuilder builder(limits);
  JsonSchemaNode made = add_json_schema(builder, std::move(source), options);
  return {Grammar::compile(std::move(builder), made.node), std::move(made.certificate)};
}

GrammarNode add_json_object(GrammarBuilder& builder, const JsonSchemaOptions& options) {
  SchemaCertificate certificate;
  SchemaDocuments documents(JsonSchemaSource{.schema = Json::object(), .documents = {}});
  SchemaAlgebra algebra(documents, builder, options, certificate);
  return Lowering(builder, algebra, options, certificate).object();
}

Json to_json(const SchemaCertificate& certificate) {
  const auto remarks = [](const std::vector<SchemaRemark>& all) {
    Json list = Json::array();
    for (const SchemaRemark& remark : all) {
      list.push_back({{"pointer", remark.pointer}, {"why", remark.why}});
    }
    return list;
  };
  Json json;
  json["enforced"] = certificate.enforced;
  json["not_enforced"] = remarks(certificate.not_enforced);
  json["ignored"] = remarks(certificate.ignored);
  json["notes"] = certificate.notes;
  return json;
}

}  // namespace sinter
