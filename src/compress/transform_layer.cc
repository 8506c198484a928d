#include "compress/transform_layer.h"

#include <algorithm>

namespace sinter {

LayerTargets targets_of(const ModelConfig& config, const ModuleNames& names,
                        const PlannedShard& shard) {
  LayerTargets targets;
  for (const LayerLinear l : kLayerLinears) {
    const std::string module =
        layer_linear(config, names, static_cast<int32_t>(shard.layer), l).module;
    for (const PlannedTensor& t : shard.tensors) {
      if (t.module == module) targets[static_cast<size_t>(l)] = t.target;
    }
  }
  return targets;
}

bool want_gram(const Transforms& transforms, LayerInput input) {
  return std::any_of(transforms.begin(), transforms.end(),
                     [&](const auto& step) { return step->needs_gram(input); });
}

std::vector<InputStatistics> inputs_of_transforms(const Transforms& transforms, LayerWalk& walk,
                                                  const CalibratedLayer& layer) {
  std::vector<InputStatistics> inputs;
  for (const LayerInput input : kLayerInputs) {
    walk.advance(layer, input,
                 &inputs.emplace_back(walk.input_size(input), want_gram(transforms, input)));
  }
  return inputs;
}

void transform_layer(const Artifact& base, const Transforms& transforms,
                     const LayerTargets& targets, LayerWalk& walk, CalibratedLayer& layer,
                     std::vector<ManifestNote>& notes, StageSeconds& seconds) {
  if (transforms.empty()) return;
  std::vector<InputStatistics> inputs;
  {
    const StageTimer timer(seconds, kTokensStage);
    inputs = inputs_of_transforms(transforms, walk, layer);
  }
  const ModuleNames& names = walk.names();
  const std::string prefix = fmt::format(fmt::runtime(names.layer), layer.index);
  const std::array<std::string, kLayerInputs.size()> norms = {names.attn_norm, names.attn_sub_norm,
                                                              names.ffn_norm, names.ffn_sub_norm};
  std::array<DType, kLayerInputs.size()> types{};
  for (size_t i = 0; i < norms.size(); ++i) {
    const StoredTensor* t = base.checkpoint().find(prefix + norms[i]);
    types[i] = t == nullptr ? DType::f32 : t->dtype;
  }
  const LayerToTransform job{.layer = layer,
                             .walk = walk,
                             .inputs = inputs,
                             .targets = targets,
                             .norm_types = types,
                             .notes = notes};
  for (const auto& step : transforms) {
    const StageTimer timer(seconds, step->method());
    step->apply(job);
  }
}

}  // namespace sinter
