#include "compress/recipe.h"

#include <algorithm>
#include <array>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "compress/yaml_tree.h"

namespace sinter {
namespace {

constexpr size_t kMaxSteps = 64;

Step read_step(const YamlNode& node, const std::string& where) {
  std::vector<std::string_view> names;
  for (const StepMethod& m : step_methods()) names.push_back(m.name);
  const YamlFields fields(node, where, names);
  if (node.keys.size() != 1) {
    fail(Fault::bad_input, "recipe-field", "{}:{}: expected one method in a step, found {}", where,
         node.line, node.keys.size());
  }
  for (const StepMethod& m : step_methods()) {
    if (m.name == node.keys[0]) return m.read(node.items[0], where);
  }
  SINTER_CHECK(false);  // YamlFields refused it
}

Number read_kv(const YamlNode& node, const std::string& where) {
  constexpr std::array<std::string_view, 1> kKeys = {"scheme"};
  const YamlFields fields(node, where, kKeys);
  const std::string scheme = fields.string("scheme");
  if (scheme == "FP8") return Number::e4m3;
  if (scheme == "INT8") return Number::integer;
  fail(Fault::bad_input, "recipe-field", "{}: expected FP8 or INT8, found \"{}\"",
       fields.place("scheme"), scheme.substr(0, 60));
}

}  // namespace

Recipe parse_recipe(std::string_view text, const std::string& where) {
  const YamlNode root = parse_yaml(text, where);
  constexpr std::array<std::string_view, 5> kKeys = {"name", "description", "steps", "budget",
                                                     "kv_cache"};
  const YamlFields fields(root, where, kKeys);
  Recipe recipe;
  recipe.name = fields.string("name", "");
  recipe.description = fields.string("description", "");
  const YamlNode& steps = fields.at("steps");
  if (steps.kind != YamlNode::Kind::list || steps.items.empty() || steps.items.size() > kMaxSteps) {
    fail(Fault::bad_input, "recipe-field", "{}: expected a list of 1 to {} steps",
         fields.place("steps"), kMaxSteps);
  }
  for (const YamlNode& item : steps.items) {
    Step step = read_step(item, where);
    if (step.round != nullptr) {
      recipe.rounds.push_back(std::move(step.round));
    } else if (recipe.rounds.empty()) {
      recipe.transforms.push_back(std::move(step.transform));
    } else {
      fail(Fault::bad_input, "recipe-field",
           "{}:{}: expected the steps that transform weights before those that round them, found "
           "{} after one",
           where, item.line, item.keys[0]);
    }
  }
  if (recipe.rounds.empty()) {
    fail(Fault::bad_input, "recipe-field",
         "{}: expected a step that rounds weights (rtn, gptq), found only transforms",
         fields.place("steps"));
  }
  if (fields.has("budget")) {
    recipe.budget = read_budget(fields.at("budget"), steps, where);
  }
  if (fields.has("kv_cache")) recipe.kv = read_kv(fields.at("kv_cache"), where);
  recipe.text = text;
  recipe.digest = sha256_hex(text);
  return recipe;
}

bool Recipe::needs_calibration() const {
  const auto calibrated = [](const auto& step) {
    const RoundWords& words = step->words();
    return step->needs_gram() || has_input_scale(words.scheme) ||
           std::any_of(words.overrides.begin(), words.overrides.end(), [](const auto& o) {
             return o.scheme.has_value() && has_input_scale(*o.scheme);
           });
  };
  return budget.has_value() || kv.has_value() || !transforms.empty() ||
         std::any_of(rounds.begin(), rounds.end(), calibrated);
}

Recipe read_recipe(const std::string& path) { return parse_recipe(read_file(path), path); }

}  // namespace sinter
