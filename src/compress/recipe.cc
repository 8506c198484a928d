#include "compress/recipe.h"

#include <array>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "compress/yaml_tree.h"

namespace sinter {
namespace {

constexpr size_t kMaxSteps = 64;

std::shared_ptr<const Step> read_step(const YamlNode& node, const std::string& where) {
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
  return nullptr;
}

}  // namespace

Recipe parse_recipe(std::string_view text, const std::string& where) {
  const YamlNode root = parse_yaml(text, where);
  constexpr std::array<std::string_view, 3> kKeys = {"name", "description", "steps"};
  const YamlFields fields(root, where, kKeys);
  Recipe recipe;
  recipe.name = fields.string("name", "");
  recipe.description = fields.string("description", "");
  const YamlNode& steps = fields.at("steps");
  if (steps.kind != YamlNode::Kind::list || steps.items.empty() || steps.items.size() > kMaxSteps) {
    fail(Fault::bad_input, "recipe-field", "{}: expected a list of 1 to {} steps",
         fields.place("steps"), kMaxSteps);
  }
  for (const YamlNode& step : steps.items) recipe.steps.push_back(read_step(step, where));
  recipe.text = text;
  recipe.digest = sha256_hex(text);
  return recipe;
}

Recipe read_recipe(const std::string& path) { return parse_recipe(read_file(path), path); }

}  // namespace sinter
