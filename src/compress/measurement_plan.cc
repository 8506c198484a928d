#include "compress/measurement_plan.h"

#include <algorithm>
#include <map>

#include "base/build.h"
#include "base/error.h"
#include "compress/output.h"

namespace sinter {
namespace {

bool is_free(const PlannedShard& shard, const PlannedTensor& t) {
  return shard.layer >= 0 && t.target.step != nullptr &&
         !t.target.step->words().overridden(t.module);
}

// What is stored of a matrix depends on its shape alone, so one of ones will do.
class StoredBytes {
 public:
  explicit StoredBytes(const StoredDialect& dialect) : dialect_(dialect) {}
  int64_t of(const PlannedTensor& t) {
    const int64_t rows = t.source->shape[0], cols = t.source->shape[1];
    const std::string key = fmt::format("{} {} {} {}", to_string(t.target.format), rows, cols,
                                        has_input_scale(t.target.scheme));
    const auto known = known_.find(key);
    return known != known_.end() ? known->second : known_[key] = measure(t, rows, cols);
  }

 private:
  int64_t measure(const PlannedTensor& t, int64_t rows, int64_t cols) const {
    const Format& format = t.target.format;
    const Codec& codec = *format.codec;
    const std::vector<float> ones(static_cast<size_t>(cols), 1.0f);
    std::vector<uint8_t> params(static_cast<size_t>(codec.param_bytes(format, cols)));
    std::vector<uint8_t> codes(static_cast<size_t>(codec.row_bytes(format, cols)));
    codec.fit_row(format, ones, {}, params.data());
    codec.pack_row(format, ones, params.data(), codes.data());
    std::vector<uint8_t> all_params, all_codes;
    for (int64_t r = 0; r < rows; ++r) {
      all_params.insert(all_params.end(), params.begin(), params.end());
      all_codes.insert(all_codes.end(), codes.begin(), codes.end());
    }
    const Weight weight{.format = format,
                        .rows = rows,
                        .cols = cols,
                        .codes = all_codes.data(),
                        .params = all_params.data()};
    const QuantisedModule module{.name = t.module,
                                 .scheme = t.target.scheme,
                                 .rows = rows,
                                 .cols = cols,
                                 .input_scale = has_input_scale(t.target.scheme) ? 1.0f : 0.0f};
    int64_t bytes = 0;
    for (const OwnedTensor& o : dialect_.store(module, weight)) {
      bytes += static_cast<int64_t>(o.bytes.size());
    }
    return bytes;
  }

  const StoredDialect& dialect_;
  std::map<std::string, int64_t> known_;
};

const PlannedTensor* find_module(const PlannedShard& shard, const std::string& module) {
  const auto at = std::find_if(shard.tensors.begin(), shard.tensors.end(),
                               [&](const PlannedTensor& t) { return t.module == module; });
  return at == shard.tensors.end() ? nullptr : &*at;
}

}  // namespace

MeasurementPlan plan_formats(const Artifact& base, const Recipe& recipe,
                             const Calibration* calibration, const StoredDialect& dialect) {
  SINTER_CHECK(recipe.budget.has_value());
  const Budget& budget = *recipe.budget;
  const CompressPlan plain = plan_compression(base, recipe, dialect);
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
    for (const PlannedTensor& t : plain.shards[shard].tensors) {
      if (is_free(plain.shards[shard], t)) continue;
      const int64_t bytes =
          t.target.step != nullptr ? stored.of(t) : static_cast<int64_t>(t.source->bytes.size());
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
