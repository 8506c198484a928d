// The `budget` of a recipe: how large the result may be, and which formats its matrices may get.
// docs/recipes.md has the words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/scheme.h"
#include "compress/yaml_tree.h"

namespace sinter {

struct Budget {
  enum class Limit : uint8_t {
    bytes,              // of all tensors of the result
    bits_per_weight,    // stored bits of the matrices that are rounded, scales and all
    tokens_per_second,  // that the machine could read the weights, once a token
  };
  Limit limit = Limit::bits_per_weight;
  double amount = 0;
  double read_gb_per_second = 0;  // of tokens_per_second; 0 = measured
  std::vector<Scheme> schemes;    // at least two, all different, whose inputs stay as they are
  int64_t tokens = 4096;          // that divergence is measured on
  double flips = 0;               // nats that a flip of every sure token would count for
  std::string measured;           // of the words that a measurement depends on, digest
};

const char* to_string(Budget::Limit limit);

// `steps` is the recipe's list of steps, on which measurements depend too. Throws Error(bad_input,
// "recipe-field").
Budget read_budget(const YamlNode& node, const YamlNode& steps, const std::string& where);

}  // namespace sinter
