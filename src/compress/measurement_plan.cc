#include "compress/measurement_plan.h"

#include <algorithm>

#include "base/build.h"
#include "base/error.h"
#include "compress/stored_bytes.h"

namespace sinter {
namespace {

bool is_free(const PlannedShard& shard, const PlannedTensor& t) {
  return shard.layer >= 0 && t.target.step != nullptr &&
         !t.target.step->words().overridden(t.module);
}

const PlannedTensor* find_module(const PlannedShard& shard, const std::string& module) {
  const auto at = std::find_if(shard.tensors.begin(), shard.tensors.end(),
                               [&](const PlannedTensor& t) { return t.module == module; });
  return at == shard.tensors.end() ? nullptr : &*at;
}

}  // namespace

MeasurementPlan plan_formats(const Artifact& base, const Recipe& recipe, const CompressPlan& plain,
                             const Calibration* calibration, const StoredDialect& dialect) {
  SINTER_CHECK(recipe.budget.has_value());
  const Budget& budget = *recipe.budget;
  // A plan for each format: all that may be chosen is that. It also finds what a format cannot do.
  std::vector<CompressPlan> plans;
  for (const Scheme& scheme : budget.schemes) {
    Recipe all = recipe;
    for (const PlannedShard& shard : plain.shards) {
      for (const PlannedTensor& t : shard.tensors) {
        if (is_free(shard, t)) all.chosen[t.module] = scheme;
      }
    }
    plans.push_back(plan_compression(base, all, dialect));
  }
  const JsonFields json(base.config(), base.directory() + "/config.json");
  const Architecture& architecture = architecture_of(json);
  const ModelConfig config = architecture.config(json);
  StoredBytes stored(dialect);
  MeasurementPlan plan;
  plan.scored_tokens = budget.tokens;
  plan.transforms = recipe.transforms;
  Sensitivity& s = plan.sensitivity;
  s.base_digest = base.digest();
  s.corpus_digest = calibration == nullptr ? "" : calibration->digest;
  s.build = build_name();
  s.measured = budget.measured + (dialect.half_scales ? " f16 scales" : "");
  for (const Scheme& scheme : budget.schemes) {
    s.formats.push_back(to_string(format_of(scheme, DType::bf16)));
  }
  for (size_t shard = 0; shard < plain.shards.size(); ++shard) {
    const auto layer = static_cast<int32_t>(plain.shards[shard].layer);
    if (layer >= 0 && layer < config.n_layers && !recipe.transforms.empty()) {
      plan.targets.push_back(targets_of(config, architecture.names, plain.shards[shard]));
    }
    for (const LayerInput input : kLayerInputs) {
      if (layer < 0 || layer >= config.n_layers) continue;
      MatrixGroup group{.layer = layer,
                        .input = to_string(input),
                        .modules = {},
                        .weights = 0,
                        .options = std::vector<MeasuredOption>(plans.size())};
      GroupJob job{.layer = layer, .input = input, .linears = {}, .targets = {}};
      job.targets.resize(plans.size());
      for (const LayerLinear l : readers_of(input)) {
        const std::string module = layer_linear(config, architecture.names, layer, l).module;
        const PlannedTensor* t = find_module(plain.shards[shard], module);
        if (t == nullptr || !is_free(plain.shards[shard], *t)) continue;
        group.modules.push_back(module);
        group.weights += t->source->elements();
        job.linears.push_back(l);
        for (size_t i = 0; i < plans.size(); ++i) {
          const PlannedTensor& planned = *find_module(plans[i].shards[shard], module);
          job.targets[i].push_back(planned.target);
          group.options[i].bytes += stored.of(planned);
        }
      }
      if (group.modules.empty()) continue;
      s.groups.push_back(std::move(group));
      plan.jobs.push_back(std::move(job));
    }
    if (recipe.kv && layer >= 0) plan.fixed_bytes += StoredBytes::kv_scales();
    for (const PlannedTensor& t : plain.shards[shard].tensors) {
      if (is_free(plain.shards[shard], t)) continue;
      const int64_t bytes = stored.of(t);
      plan.fixed_bytes += bytes;
      if (t.module == architecture.names.embed && !config.tied_embeddings) {
        plan.unread_bytes += bytes;
      }
      if (t.target.step == nullptr) continue;
      plan.fixed_rounded_bytes += bytes;
      plan.fixed_weights += t.source->elements();
    }
  }
  if (s.groups.empty()) {
    fail(Fault::bad_input, "budget-nothing",
         "recipe \"{}\": its budget has nothing to choose for: every matrix of a layer is ignored, "
         "or has its scheme from an override",
         recipe.name);
  }
  return plan;
}

Recipe with_choice(const Recipe& recipe, const Sensitivity& sensitivity,
                   const std::vector<int32_t>& choice) {
  SINTER_CHECK(choice.size() == sensitivity.groups.size());
  Recipe out = recipe;
  for (size_t i = 0; i < choice.size(); ++i) {
    const Scheme& scheme = recipe.budget->schemes[static_cast<size_t>(choice[i])];
    for (const std::string& module : sensitivity.groups[i].modules) out.chosen[module] = scheme;
  }
  return out;
}

}  // namespace sinter
