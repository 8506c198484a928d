// What is to be measured for a budget, decided before anything is: the groups of matrices, the
// formats, how each would be rounded and how many bytes it would take.
#pragma once

#include <vector>

#include "artifact/store.h"
#include "compress/layer_walk.h"
#include "compress/plan.h"
#include "compress/recipe.h"
#include "compress/sensitivity.h"
#include "compress/transform_layer.h"

namespace sinter {

// How a group is rounded.
struct GroupJob {
  int32_t layer = 0;
  LayerInput input = LayerInput::attn;
  std::vector<LayerLinear> linears;
  std::vector<std::vector<RoundTarget>> targets;  // [format, linear]
};

struct MeasurementPlan {
  Sensitivity sensitivity;     // not measured yet
  std::vector<GroupJob> jobs;  // of its groups
  // What is done to each layer before its groups are rounded, by the schemes of the recipe's steps:
  // which will be chosen is not known yet.
  Transforms transforms;
  std::vector<LayerTargets> targets;  // of each layer; empty without transforms
  // Bytes of the result that no choice changes: of matrices that are rounded, and of all tensors.
  int64_t fixed_rounded_bytes = 0, fixed_bytes = 0;
  int64_t fixed_weights = 0;  // of matrices that are rounded whatever is chosen
  int64_t unread_bytes = 0;   // of fixed_bytes: the embedding table, of which a token reads a row
  int64_t scored_tokens = 0;  // that divergence is to be measured on
};

// `plain` is the recipe's plan, nothing chosen. `calibration` may be null: then the corpus has no
// digest. Throws as plan_compression, for every format; Error(bad_input, "budget-nothing").
MeasurementPlan plan_formats(const Artifact& base, const Recipe& recipe, const CompressPlan& plain,
                             const Calibration* calibration, const StoredDialect& dialect);

// The recipe with what was chosen: an option for each group.
Recipe with_choice(const Recipe& recipe, const Sensitivity& sensitivity,
                   const std::vector<int32_t>& choice);

}  // namespace sinter
