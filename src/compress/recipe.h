// A recipe: what to do to a checkpoint, as a list of steps, each by a method of the one list in
// steps.h. docs/recipes.md has the words.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compress/budget.h"
#include "compress/steps.h"

namespace sinter {

struct Recipe {
  std::string name;
  std::string description;
  std::vector<std::shared_ptr<const TransformStep>> transforms;  // before all that round
  std::vector<std::shared_ptr<const RoundStep>> rounds;
  std::optional<Number> kv;  // keys and values get 8-bit codes of this kind (e4m3 or integer)
  std::optional<Budget> budget;
  // What a budget chose for modules, in place of their step's scheme.
  std::map<std::string, Scheme> chosen;
  std::string text;    // verbatim
  std::string digest;  // SHA-256 of text
  bool needs_calibration() const;
};

// Throws Error(bad_input, "recipe-syntax" | "recipe-field" | "pattern-syntax") with file and line.
Recipe parse_recipe(std::string_view text, const std::string& where);
Recipe read_recipe(const std::string& path);

}  // namespace sinter
