#include "grammar/json/json_validator.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "grammar/json/decimal.h"
#include "grammar/json/ecma_pattern.h"
#include "grammar/json/format_check.h"
#include "text/utf8.h"

namespace sinter {
namespace {

using Place = SchemaDocuments::Place;

// What of a value the keywords that held have looked at.
struct Seen {
  std::set<std::string> keys;
  std::set<size_t> items;
  void add(const Seen& other) {
    keys.insert(other.keys.begin(), other.keys.end());
    items.insert(other.items.begin(), other.items.end());
  }
};

// Equal values have equal texts: 1 and 1.0, and objects in whatever order.
void write_canonical(const Json& value, std::string& out) {
  if (value.is_number()) {
    const Decimal d = Decimal::of(value);
    out += fmt::format("{}{}e{}", d.negative() ? "-" : "", d.digits(), d.exponent());
  } else if (value.is_array()) {
    out += '[';
    for (const Json& item : value) write_canonical(item, out), out += ',';
    out += ']';
  } else if (value.is_object()) {
    std::map<std::string, const Json*> sorted;
    for (const auto& [key, inner] : value.items()) sorted.emplace(key, &inner);
    out += '{';
    for (const auto& [key, inner] : sorted) {
      out += Json(key).dump() + ":";
      write_canonical(*inner, out);
      out += ',';
    }
    out += '}';
  } else {
    out += to_line(value);
  }
}

std::string canonical(const Json& value) {
  std::string out;
  write_canonical(value, out);
  return out;
}

bool equal(const Json& a, const Json& b) { return canonical(a) == canonical(b); }

uint64_t n_characters(const std::string& text) {
  uint64_t n = 0;
  for (size_t at = 0; at < text.size(); at += utf8_at(text, at).size) ++n;
  return n;
}

}  // namespace

struct JsonValidator::Checks {
  Checks(JsonSchemaSource source, bool formats)
      : documents(std::move(source)), assert_formats(formats) {}

  SchemaDocuments documents;
  bool assert_formats;
  std::map<std::string, EcmaPattern> patterns;
  int depth = 0;

  const EcmaPattern& pattern(const std::string& source, const std::string& where) {
    const auto found = patterns.find(source);
    if (found != patterns.end()) return found->second;
    return patterns.emplace(source, EcmaPattern(source, where)).first->second;
  }
};

namespace {

// One schema against one value.
class Check {
 public:
  Check(JsonValidator::Checks& all, Place place, const Json& value, std::string pointer,
        std::vector<SchemaViolation>& violations)
      : all_(all),
        docs_(all.documents),
        place_(place),
        schema_(docs_.json(place.schema)),
        draft_(docs_.draft(place.schema)),
        value_(value),
        pointer_(std::move(pointer)),
        out_(violations) {}

  bool run(Seen& seen);

 private:
  using Rule = void (Check::*)(const Json&);

  const Json* member(const char* name) const {
    const auto found = schema_.find(name);
    return found == schema_.end() ? nullptr : &*found;
  }
  std::string at() const { return docs_.pointer(place_.schema) + "/" + keyword_; }
  void wrong(std::string message) {
    valid_ = false;
    out_.push_back({pointer_, at(), std::move(message)});
  }
  [[noreturn]] void invalid(std::string_view expected) const {
    fail(Fault::bad_input, "schema-invalid", "schema: {}: expected {}", at(), expected);
  }
  // Another schema; `quiet`: whether it holds is asked, not demanded.
  bool holds(const Json& json, const std::string& tokens, const Json& value,
             const std::string& pointer, Seen& seen, bool quiet) {
    if (!json.is_object() && !json.is_boolean()) invalid("a schema");
    return holds(docs_.child(place_, json, tokens), value, pointer, seen, quiet);
  }
  bool holds(Place place, const Json& value, const std::string& pointer, Seen& seen, bool quiet) {
    std::vector<SchemaViolation> ignored;
    Seen inner;
    const bool held = Check(all_, place, value, pointer, quiet ? ignored : out_).run(inner);
    if (held) seen.add(inner);
    if (!held && !quiet) valid_ = false;
    return held;
  }
  bool same(const Json& json, const std::string& tokens, bool quiet) {
    return holds(json, tokens, value_, pointer_, seen_, quiet);
  }
  void part(const Json& json, const std::string& tokens, const Json& value,
            const std::string& token) {
    Seen unused;
    holds(json, tokens, value, pointer_ + "/" + token, unused, false);
  }
  void item(const Json& json, const std::string& tokens, size_t i) {
    part(json, tokens, value_[i], std::to_string(i));
    seen_.items.insert(i);
  }
  void entry(const Json& json, const std::string& tokens, const std::string& name) {
    part(json, tokens, value_[name], pointer_token(name));
    seen_.keys.insert(name);
  }
  uint64_t count(const Json& json) const {
    if (!json.is_number() || json.get<double>() < 0) invalid("a count");
    return static_cast<uint64_t>(std::min(json.get<double>(), 1e18));
  }
  template <typename T>
  void compare(bool right, const char* relation, const T& bound, const T& found) {
    if (!right) wrong(fmt::format("expected {} {}, found {}", relation, bound, found));
  }

  void reference(const Json& json) {
    if (!json.is_string()) invalid("a reference");
    holds(docs_.resolve(place_, keyword_, json.get<std::string>()), value_, pointer_, seen_, false);
  }
  bool is_type(const std::string& name) const {
    if (name == "integer") {
      if (!value_.is_number()) return false;
      if (draft_ == Draft::draft4 && !value_.is_number_integer()) {
        return std::abs(value_.get<double>()) >= 1e18;  // too large to have been read as one
      }
      return Decimal::of(value_).is_integer();
    }
    if (name == "number") return value_.is_number();
    return name == value_.type_name() && name != "binary";
  }
  void type(const Json& json) {
    bool right = false;
    if (json.is_string()) right = is_type(json.get<std::string>());
    if (json.is_array()) {
      for (const Json& name : json)
        right = right || (name.is_string() && is_type(name.get<std::string>()));
    }
    if (!right) wrong(fmt::format("expected {}, found {}", json.dump(), value_.type_name()));
  }
  void enumeration(const Json& json) {
    if (!json.is_array()) invalid("a list of values");
    if (std::none_of(json.begin(), json.end(), [&](const Json& v) { return equal(v, value_); })) {
      wrong("not one of the values listed");
    }
  }
  void constant(const Json& json) {
    if (!equal(json, value_)) wrong("not the constant");
  }
  // Draft 4 says with a boolean that a bound is exclusive.
  bool exclusive(const char* keyword) const {
    const Json* said = member(keyword);
    return said != nullptr && *said == true;
  }
  void bound(const Json& json, bool upper, bool is_exclusive) {
    if (!value_.is_number()) return;
    if (!json.is_number()) invalid("a number");
    const Decimal limit = Decimal::of(json), found = Decimal::of(value_);
    const bool right = upper ? (is_exclusive ? found < limit : found <= limit)
                             : (is_exclusive ? found > limit : found >= limit);
    compare(right,
            upper ? (is_exclusive ? "less than" : "at most")
                  : (is_exclusive ? "more than" : "at least"),
            json.dump(), value_.dump());
  }
  void minimum(const Json& json) { bound(json, false, exclusive("exclusiveMinimum")); }
  void maximum(const Json& json) { bound(json, true, exclusive("exclusiveMaximum")); }
  void above(const Json& json) {
    if (!json.is_boolean()) bound(json, false, true);
  }
  void below(const Json& json) {
    if (!json.is_boolean()) bound(json, true, true);
  }
  void multiple_of(const Json& json) {
    if (!value_.is_number()) return;
    if (!json.is_number() || Decimal::of(json).is_zero()) invalid("a number larger than 0");
    compare(is_multiple(Decimal::of(value_), Decimal::of(json).magnitude()), "a multiple of",
            json.dump(), value_.dump());
  }
  void min_length(const Json& json) {
    if (!value_.is_string()) return;
    const uint64_t n = n_characters(value_.get_ref<const std::string&>());
    compare(n >= count(json), "characters: at least", count(json), n);
  }
  void max_length(const Json& json) {
    if (!value_.is_string()) return;
    const uint64_t n = n_characters(value_.get_ref<const std::string&>());
    compare(n <= count(json), "characters: at most", count(json), n);
  }
  void pattern(const Json& json) {
    if (!value_.is_string()) return;
    if (!json.is_string()) invalid("a regular expression");
    const auto& source = json.get_ref<const std::string&>();
    if (!all_.pattern(source, at()).finds(value_.get_ref<const std::string&>())) {
      wrong("does not match " + source);
    }
  }
  void format(const Json& json) {
    if (!all_.assert_formats || !value_.is_string() || !json.is_string()) return;
    if (!is_of_format(json.get_ref<const std::string&>(), value_.get_ref<const std::string&>())) {
      wrong("not of this format: " + json.get<std::string>());
    }
  }
  void prefix_items(const Json& json) {
    if (!value_.is_array()) return;
    if (!json.is_array()) invalid("a list of schemas");
    for (size_t i = 0; i < json.size() && i < value_.size(); ++i) {
      item(json[i], fmt::format("{}/{}", keyword_, i), i);
    }
  }
  void items(const Json& json) {
    if (!value_.is_array()) return;
    if (json.is_array()) return prefix_items(json);
    const Json* before = member("prefixItems");
    for (size_t i = before != nullptr && before->is_array() ? before->size() : 0; i < value_.size();
         ++i) {
      item(json, keyword_, i);
    }
  }
  void additional_items(const Json& json) {
    const Json* before = member("items");
    if (!value_.is_array() || before == nullptr || !before->is_array()) return;
    for (size_t i = before->size(); i < value_.size(); ++i) item(json, keyword_, i);
  }
  void contains(const Json& json) {
    if (!value_.is_array()) return;
    uint64_t n = 0;
    for (size_t i = 0; i < value_.size(); ++i) {
      Seen unused;
      if (!holds(json, keyword_, value_[i], pointer_, unused, true)) continue;
      ++n;
      if (draft_ >= Draft::draft2020) seen_.items.insert(i);
    }
    const Json* least = draft_ >= Draft::draft2019 ? member("minContains") : nullptr;
    const Json* most = draft_ >= Draft::draft2019 ? member("maxContains") : nullptr;
    const uint64_t min = least != nullptr ? count(*least) : 1;
    compare(n >= min, "such items: at least", min, n);
    if (most != nullptr) compare(n <= count(*most), "such items: at most", count(*most), n);
  }
  void unique_items(const Json& json) {
    if (!value_.is_array() || json != true) return;
    std::set<std::string> all;
    for (const Json& inner : value_) {
      if (!all.insert(canonical(inner)).second) return wrong("an item repeats");
    }
  }
  void min_items(const Json& json) {
    if (value_.is_array())
      compare(value_.size() >= count(json), "items: at least", count(json), value_.size());
  }
  void max_items(const Json& json) {
    if (value_.is_array())
      compare(value_.size() <= count(json), "items: at most", count(json), value_.size());
  }
  void properties(const Json& json) {
    if (!value_.is_object()) return;
    for (const auto& [name, schema] : json.items()) {
      if (value_.contains(name)) entry(schema, keyword_ + "/" + pointer_token(name), name);
    }
  }
  void pattern_properties(const Json& json) {
    if (!value_.is_object()) return;
    for (const auto& [source, schema] : json.items()) {
      for (const auto& [name, inner] : value_.items()) {
        if (all_.pattern(source, at()).finds(name))
          entry(schema, keyword_ + "/" + pointer_token(source), name);
      }
    }
  }
  void additional_properties(const Json& json) {
    if (!value_.is_object()) return;
    const Json* named = member("properties");
    const Json* by_pattern = member("patternProperties");
    for (const auto& [name, inner] : value_.items()) {
      bool known = named != nullptr && named->contains(name);
      if (by_pattern != nullptr && !known) {
        for (const auto& [source, schema] : by_pattern->items()) {
          known = known || all_.pattern(source, at()).finds(name);
        }
      }
      if (!known) entry(json, keyword_, name);
    }
  }
  void property_names(const Json& json) {
    if (!value_.is_object()) return;
    for (const auto& [name, inner] : value_.items()) {
      const Json key = name;
      Seen unused;
      holds(json, keyword_, key, pointer_ + "/" + pointer_token(name), unused, false);
    }
  }
  void demand(const Json& names) {
    if (!names.is_array()) invalid("a list of names");
    for (const Json& name : names) {
      if (!name.is_string()) invalid("a list of names");
      if (!value_.contains(name.get_ref<const std::string&>()))
        wrong("missing: " + name.get<std::string>());
    }
  }
  void required(const Json& json) {
    if (value_.is_object()) demand(json);
  }
  void min_properties(const Json& json) {
    if (value_.is_object())
      compare(value_.size() >= count(json), "members: at least", count(json), value_.size());
  }
  void max_properties(const Json& json) {
    if (value_.is_object())
      compare(value_.size() <= count(json), "members: at most", count(json), value_.size());
  }
  void dependent(const Json& json) {
    if (!value_.is_object()) return;
    for (const auto& [name, condition] : json.items()) {
      if (!value_.contains(name)) continue;
      if (condition.is_array()) {
        demand(condition);
      } else {
        same(condition, keyword_ + "/" + pointer_token(name), false);
      }
    }
  }
  size_t n_that_hold(const Json& json, bool quiet) {
    if (!json.is_array()) invalid("a list of schemas");
    size_t n = 0;
    for (size_t i = 0; i < json.size(); ++i) {
      n += same(json[i], fmt::format("{}/{}", keyword_, i), quiet) ? 1 : 0;
    }
    return n;
  }
  void all_of(const Json& json) { n_that_hold(json, false); }
  void any_of(const Json& json) {
    if (n_that_hold(json, true) == 0) wrong("none of the alternatives holds");
  }
  void one_of(const Json& json) {
    const size_t n = n_that_hold(json, true);
    if (n != 1) wrong(fmt::format("expected one of the alternatives to hold, found {}", n));
  }
  void negation(const Json& json) {
    Seen unused;
    if (holds(json, keyword_, value_, pointer_, unused, true)) wrong("what must not hold does");
  }
  void condition(const Json& json) {
    const bool held = same(json, keyword_, true);
    const Json* next = member(held ? "then" : "else");
    if (next != nullptr) same(*next, held ? "then" : "else", false);
  }
  void unevaluated_properties(const Json& json) {
    if (!value_.is_object()) return;
    for (const auto& [name, inner] : value_.items()) {
      if (seen_.keys.count(name) == 0) entry(json, keyword_, name);
    }
  }
  void unevaluated_items(const Json& json) {
    if (!value_.is_array()) return;
    for (size_t i = 0; i < value_.size(); ++i) {
      if (seen_.items.count(i) == 0) item(json, keyword_, i);
    }
  }

  JsonValidator::Checks& all_;
  SchemaDocuments& docs_;
  Place place_;
  const Json& schema_;
  Draft draft_;
  const Json& value_;
  std::string pointer_;
  std::vector<SchemaViolation>& out_;
  std::string keyword_;
  Seen seen_;
  bool valid_ = true;
};

bool Check::run(Seen& seen) {
  struct Keyword {
    const char* name;
    Rule rule;
    Draft since = Draft::draft4;
  };
  // The one list; what asks what others have looked at comes last.
  static const Keyword kKeywords[] = {
      {"$ref", &Check::reference},
      {"$dynamicRef", &Check::reference, Draft::draft2020},
      {"$recursiveRef", &Check::reference, Draft::draft2019},
      {"type", &Check::type},
      {"enum", &Check::enumeration},
      {"const", &Check::constant, Draft::draft6},
      {"minimum", &Check::minimum},
      {"maximum", &Check::maximum},
      {"exclusiveMinimum", &Check::above},
      {"exclusiveMaximum", &Check::below},
      {"multipleOf", &Check::multiple_of},
      {"minLength", &Check::min_length},
      {"maxLength", &Check::max_length},
      {"pattern", &Check::pattern},
      {"format", &Check::format},
      {"prefixItems", &Check::prefix_items, Draft::draft2020},
      {"items", &Check::items},
      {"additionalItems", &Check::additional_items},
      {"contains", &Check::contains, Draft::draft6},
      {"uniqueItems", &Check::unique_items},
      {"minItems", &Check::min_items},
      {"maxItems", &Check::max_items},
      {"properties", &Check::properties},
      {"patternProperties", &Check::pattern_properties},
      {"additionalProperties", &Check::additional_properties},
      {"propertyNames", &Check::property_names, Draft::draft6},
      {"required", &Check::required},
      {"minProperties", &Check::min_properties},
      {"maxProperties", &Check::max_properties},
      {"dependentRequired", &Check::dependent, Draft::draft2019},
      {"dependentSchemas", &Check::dependent, Draft::draft2019},
      {"dependencies", &Check::dependent},
      {"allOf", &Check::all_of},
      {"anyOf", &Check::any_of},
      {"oneOf", &Check::one_of},
      {"not", &Check::negation},
      {"if", &Check::condition, Draft::draft7},
      {"unevaluatedProperties", &Check::unevaluated_properties, Draft::draft2019},
      {"unevaluatedItems", &Check::unevaluated_items, Draft::draft2019},
  };
  constexpr int kMaxDepth = 2000;
  if (schema_.is_boolean()) {
    if (!schema_.get<bool>()) {
      valid_ = false;
      out_.push_back({pointer_, docs_.pointer(place_.schema), "nothing is valid here"});
    }
    return valid_;
  }
  if (!schema_.is_object()) invalid("a schema");
  if (++all_.depth > kMaxDepth) {
    fail(Fault::bad_input, "schema-invalid", "schema: {}: refers to itself without end",
         docs_.pointer(place_.schema));
  }
  struct Leave {
    int& depth;
    ~Leave() { --depth; }
  } leave{all_.depth};
  const bool only_reference = draft_ < Draft::draft2019 && schema_.contains("$ref");
  for (const Keyword& keyword : kKeywords) {
    const Json* said = member(keyword.name);
    if (said == nullptr || draft_ < keyword.since) continue;
    if (only_reference && std::string_view(keyword.name) != "$ref") continue;
    keyword_ = keyword.name;
    (this->*keyword.rule)(*said);
  }
  if (valid_) seen.add(seen_);
  return valid_;
}

}  // namespace

JsonValidator::JsonValidator(JsonSchemaSource source, bool assert_formats)
    : checks_(std::make_unique<Checks>(std::move(source), assert_formats)) {}
JsonValidator::~JsonValidator() = default;

std::vector<SchemaViolation> JsonValidator::validate(const Json& instance, size_t max_violations) {
  std::vector<SchemaViolation> violations;
  Seen unused;
  checks_->depth = 0;
  Check(*checks_, checks_->documents.root(), instance, "", violations).run(unused);
  if (violations.size() > max_violations) violations.resize(max_violations);
  return violations;
}

std::vector<SchemaViolation> validate_json(const Json& schema, const Json& instance) {
  return JsonValidator({.schema = schema, .documents = {}}).validate(instance);
}

}  // namespace sinter
