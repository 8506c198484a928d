// The transforms of a recipe on one layer: its inputs as it is loaded, then step after step. The
// layer's function stays.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "compress/plan.h"
#include "compress/stages.h"
#include "compress/steps.h"

namespace sinter {

using Transforms = std::vector<std::shared_ptr<const TransformStep>>;
// One a LayerLinear; without a step where it stays as it is.
using LayerTargets = std::array<RoundTarget, kLayerLinears.size()>;

// Of a shard that is a layer.
LayerTargets targets_of(const ModelConfig& config, const ModuleNames& names,
                        const PlannedShard& shard);

// Whether any of them wants the Gram matrix of an input.
bool want_gram(const Transforms& transforms, LayerInput input);

// Of every input, in order of kLayerInputs, the layer as it is, which must be the walk's current
// one.
std::vector<InputStatistics> inputs_of_transforms(const Transforms& transforms, LayerWalk& walk,
                                                  const CalibratedLayer& layer);

// `targets`: what the layer will be rounded to, for searches. The walk then begins the layer anew.
void transform_layer(const Artifact& base, const Transforms& transforms,
                     const LayerTargets& targets, LayerWalk& walk, CalibratedLayer& layer,
                     std::vector<ManifestNote>& notes, StageSeconds& seconds);

}  // namespace sinter
