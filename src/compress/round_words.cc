#include "compress/round_words.h"

#include <algorithm>

#include "artifact/dialect.h"
#include "base/error.h"
#include "compress/scheme_words.h"
#include "compress/yaml_tree.h"

namespace sinter {
namespace {

constexpr size_t kMaxPatterns = 1024;

bool matches(const NamePattern& p, std::string_view module) {
  return p.matches(module) || p.text() == module_class(module);
}

bool any_matches(const std::vector<NamePattern>& patterns, std::string_view module) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const NamePattern& p) { return matches(p, module); });
}

std::vector<NamePattern> read_patterns(const YamlFields& fields, std::string_view key) {
  std::vector<NamePattern> patterns;
  for (std::string& text : fields.strings(key)) {
    patterns.emplace_back(std::move(text), NamePattern::Globs::yes, fields.place(key));
  }
  if (patterns.size() > kMaxPatterns) {
    fail(Fault::bad_input, "recipe-field", "{}: expected at most {} patterns, found {}",
         fields.place(key), kMaxPatterns, patterns.size());
  }
  return patterns;
}

RoundWords::Override read_override(const YamlNode& node, const std::string& where,
                                   const Scheme& base) {
  std::vector<std::string_view> keys(kSchemeWords.begin(), kSchemeWords.end());
  keys.push_back("match");
  const YamlFields fields(node, where, keys);
  RoundWords::Override override{.match = read_patterns(fields, "match"),
                                .scheme = read_scheme(fields, base)};
  if (override.match.empty()) {
    fail(Fault::bad_input, "recipe-field", "{}: expected a pattern", fields.place("match"));
  }
  return override;
}

}  // namespace

const RoundWords::Override* RoundWords::override_of(std::string_view module) const {
  for (const Override& o : overrides) {
    if (any_matches(o.match, module)) return &o;
  }
  return nullptr;
}

const Scheme* RoundWords::scheme_of(std::string_view module) const {
  if (any_matches(ignore, module)) return nullptr;
  if (const Override* o = override_of(module)) return o->scheme ? &*o->scheme : nullptr;
  return any_matches(targets, module) ? &scheme : nullptr;
}

std::vector<std::string> RoundWords::idle_patterns(std::span<const std::string> modules) const {
  std::vector<std::string> idle;
  for (const auto* list : {&targets, &ignore}) {
    for (const NamePattern& p : *list) {
      if (std::none_of(modules.begin(), modules.end(),
                       [&](const std::string& m) { return matches(p, m); })) {
        idle.push_back(p.text());
      }
    }
  }
  for (const Override& o : overrides) {
    const auto decides = [&](const std::string& m) {
      return !any_matches(ignore, m) && override_of(m) == &o;
    };
    if (std::none_of(modules.begin(), modules.end(), decides)) idle.push_back(o.match[0].text());
  }
  return idle;
}

std::vector<std::string_view> round_keys() {
  std::vector<std::string_view> keys(kSchemeWords.begin(), kSchemeWords.end());
  for (const char* key : {"targets", "ignore", "overrides", "observer", "allow_split"}) {
    keys.push_back(key);
  }
  return keys;
}

RoundWords read_round_words(const YamlFields& fields, const std::string& where) {
  RoundWords words;
  if (!fields.has("scheme") && !fields.has("num_bits")) {
    fail(Fault::bad_input, "recipe-field", "{}: expected a scheme (such as W4A16) or num_bits",
         fields.place("scheme"));
  }
  const std::optional<Scheme> scheme = read_scheme(fields, Scheme{});
  if (!scheme) {
    fail(Fault::bad_input, "recipe-field", "{}: dense is for overrides; a step must round",
         fields.place("scheme"));
  }
  words.scheme = *scheme;
  words.targets = fields.has("targets")
                      ? read_patterns(fields, "targets")
                      : std::vector{NamePattern("Linear", NamePattern::Globs::no, where)};
  words.ignore = fields.has("ignore")
                     ? read_patterns(fields, "ignore")
                     : std::vector{NamePattern("lm_head", NamePattern::Globs::no, where)};
  words.observer = observer_named(fields.string("observer", "minmax"), fields.place("observer"));
  words.allow_split = fields.boolean("allow_split", false);
  if (fields.has("overrides")) {
    const YamlNode& list = fields.at("overrides");
    if (list.kind != YamlNode::Kind::list || list.items.size() > kMaxPatterns) {
      fail(Fault::bad_input, "recipe-field", "{}: expected a list of at most {} {{match, scheme}}",
           fields.place("overrides"), kMaxPatterns);
    }
    for (const YamlNode& item : list.items) {
      words.overrides.push_back(read_override(item, where, words.scheme));
    }
  }
  return words;
}

}  // namespace sinter
