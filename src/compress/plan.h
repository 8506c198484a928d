// What will become of every tensor of a checkpoint, decided before a byte is written: which modules
// are rounded to what, and which output shard holds what. All that a recipe can get wrong about a
// model is found here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "artifact/artifact.h"
#include "artifact/store.h"
#include "compress/recipe.h"

namespace sinter {

struct PlannedTensor {
  const StoredTensor* source = nullptr;
  std::string name;            // in the output; differs from source->name where that was an alias
  const Step* step = nullptr;  // null = copied
  std::string module;          // name without ".weight"; of rounded tensors only
  Scheme scheme;
  Format format;
};

struct PlannedShard {
  std::string file;   // "model-00003-of-00012.safetensors"
  std::string label;  // "layer 1", "embeddings and head"
  std::vector<PlannedTensor> tensors;
};

struct CompressPlan {
  std::vector<PlannedShard> shards;  // [0] is what belongs to no layer, then one a layer
  std::vector<QuantisedModule> rounded;
  std::vector<std::string> dense;  // linears that stay dense, for the ignore list
};

// Throws Error(bad_input, "recipe-idle-pattern" | "recipe-splits-fused" | "recipe-conflict" |
// "recipe-rounds-nothing" | "format-columns"), Error(unsupported, "compress-not-dense").
CompressPlan plan_compression(const Artifact& base, const Recipe& recipe);

// The N of a tensor "....layers.N....", or -1.
int64_t layer_of(std::string_view tensor);

}  // namespace sinter
