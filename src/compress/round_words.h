// The words that every step which rounds has: which modules, to what, and how a group's range is
// chosen. docs/recipes.md explains them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/name_pattern.h"
#include "artifact/scheme.h"
#include "compress/observer.h"

namespace sinter {

struct YamlNode;
class YamlFields;

struct RoundWords {
  struct Override {
    std::vector<NamePattern> match;
    std::optional<Scheme> scheme;  // nullopt = stays dense
  };
  Scheme scheme;
  std::vector<NamePattern> targets, ignore;
  std::vector<Override> overrides;
  Observer observer = Observer::minmax;
  bool allow_split = false;  // q/k/v, or gate/up, of a layer may get different schemes

  // The scheme that these words give a module; null leaves it to the other steps, or dense.
  const Scheme* scheme_of(std::string_view module) const;
  // Whether that is an override's.
  bool overridden(std::string_view module) const { return override_of(module) != nullptr; }
  // Patterns that say nothing about any of these modules: probably misspelt.
  std::vector<std::string> idle_patterns(std::span<const std::string> modules) const;

 private:
  const Override* override_of(std::string_view module) const;
};

// The keys of these words, to which a method adds its own.
std::vector<std::string_view> round_keys();
// Throws Error(bad_input, "recipe-field").
RoundWords read_round_words(const YamlFields& fields, const std::string& where);

}  // namespace sinter
