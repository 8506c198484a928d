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
  std::string name;    // in the output; differs from source->name where that was an alias
  std::string module;  // name without ".weight"; of matrices that a recipe may speak of
  RoundTarget target;  // without a step: copied
};

struct PlannedShard {
  std::string file;    // "model-00003-of-00012.safetensors"
  std::string label;   // "layer 1", "embeddings and head"
  int64_t layer = -1;  // or -1
  std::vector<PlannedTensor> tensors;
};

struct CompressPlan {
  std::vector<PlannedShard> shards;  // [0] is what belongs to no layer, then one a layer
  StorePlan stored;                  // its linears that stay dense are for the ignore list
};

// `dialect`: what will be written. Throws Error(bad_input, "recipe-idle-pattern" |
// "recipe-splits-fused" | "recipe-conflict" | "recipe-rounds-nothing" | "recipe-needs-inputs" |
// "format-columns"), Error(unsupported, "compress-not-dense" | "compress-dialect").
CompressPlan plan_compression(const Artifact& base, const Recipe& recipe,
                              const StoredDialect& dialect = default_dialect());

// Tensors of a shard that engines run as one matrix product with this one (q, k and v; gate and
// up), itself included.
std::vector<const PlannedTensor*> fused_with(const PlannedShard& shard,
                                             const PlannedTensor& tensor);

// The N of a tensor "....layers.N....", or -1.
int64_t layer_of(std::string_view tensor);

}  // namespace sinter
