#include "compress/plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>

#include "artifact/dialect.h"
#include "base/error.h"
#include "compress/output.h"

namespace sinter {
namespace {

// Linears that engines run as one matrix product, so they must be stored alike.
const std::vector<std::vector<std::string_view>> kFused = {{"q_proj", "k_proj", "v_proj"},
                                                           {"gate_proj", "up_proj"}};

constexpr int64_t kMaxLayers = 100'000;

// The module of a weight matrix that a recipe may speak of, or "": 2-D float weights of a layer, of
// the embedding and of the head.
std::string module_of(const StoredTensor& t, std::string_view name) {
  constexpr std::string_view kSuffix = ".weight";
  if (!name.ends_with(kSuffix) || t.shape.size() != 2 || plain_codec(t.dtype) == nullptr) return "";
  const std::string module(name.substr(0, name.size() - kSuffix.size()));
  const bool known = layer_of(name) >= 0 || module == "lm_head" || module.ends_with(".lm_head") ||
                     module_class(module) == "Embedding";
  return known ? module : "";
}

void refuse_split(const std::map<std::string, const Scheme*>& schemes, const Recipe& recipe) {
  for (const auto& step : recipe.rounds) {
    if (step->words().allow_split) return;
  }
  const auto named = [](const Scheme* s) {
    return s == nullptr ? std::string("dense") : to_string(format_of(*s, DType::bf16));
  };
  for (const auto& [module, scheme] : schemes) {
    for (const auto& parts : kFused) {
      const std::string prefix = module.substr(0, module.rfind('.') + 1);
      if (prefix.empty() || module.substr(prefix.size()) != parts[0]) continue;
      for (const std::string_view part : parts) {
        const auto other = schemes.find(prefix + std::string(part));
        if (other == schemes.end()) continue;
        const bool same = (scheme == nullptr) == (other->second == nullptr) &&
                          (scheme == nullptr || *scheme == *other->second);
        if (same) continue;
        fail(Fault::bad_input, "recipe-splits-fused",
             "{} would be {} but {} {}: engines such as vLLM run these as one matrix and refuse "
             "such a "
             "checkpoint; give both the same scheme, or set allow_split: true in the step",
             module, named(scheme), other->first, named(other->second));
      }
    }
  }
}

}  // namespace

std::vector<const PlannedTensor*> fused_with(const PlannedShard& shard,
                                             const PlannedTensor& tensor) {
  const size_t dot = tensor.module.rfind('.') + 1;  // 0 without one
  const std::string_view prefix = std::string_view(tensor.module).substr(0, dot);
  const std::string_view part = std::string_view(tensor.module).substr(dot);
  std::vector<const PlannedTensor*> found = {&tensor};
  for (const auto& parts : kFused) {
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) continue;
    for (const PlannedTensor& other : shard.tensors) {
      if (&other == &tensor || !other.module.starts_with(prefix)) continue;
      const std::string_view name = std::string_view(other.module).substr(dot);
      if (std::find(parts.begin(), parts.end(), name) != parts.end()) found.push_back(&other);
    }
  }
  return found;
}

int64_t layer_of(std::string_view tensor) {
  constexpr std::string_view kWord = "layers.";
  for (size_t at = tensor.find(kWord); at != std::string_view::npos;
       at = tensor.find(kWord, at + 1)) {
    if (at != 0 && tensor[at - 1] != '.') continue;
    int64_t n = -1;
    const char* begin = tensor.data() + at + kWord.size();
    const auto [end, error] = std::from_chars(begin, tensor.data() + tensor.size(), n);
    if (error == std::errc() && end != tensor.data() + tensor.size() && *end == '.' && n >= 0 &&
        n < kMaxLayers) {
      return n;
    }
  }
  return -1;
}

CompressPlan plan_compression(const Artifact& base, const Recipe& recipe,
                              const StoredDialect& dialect) {
  if (!std::filesystem::is_directory(base.directory())) {
    fail(Fault::unsupported, "compress-not-dense",
         "{}: expected a directory with a dense safetensors checkpoint, found a single file ({}); "
         "start from the checkpoint it was made from",
         base.directory(), base.scheme());
  }
  if (!read_dialect(base.config(), base.directory()).method.empty()) {
    fail(
        Fault::unsupported, "compress-not-dense",
        "{}: expected a dense checkpoint, found one that is quantised already ({}); start from the "
        "checkpoint it was made from",
        base.directory(), base.scheme());
  }
  const JsonFields config(base.config(), base.directory() + "/config.json");
  const bool tied = config.boolean("tie_word_embeddings", false);
  std::map<int64_t, PlannedShard> by_layer;
  by_layer[-1].label = "embeddings and head";
  std::vector<std::string> modules;
  for (const StoredTensor& t : base.checkpoint().tensors()) {
    PlannedTensor planned{.source = &t, .name = t.name, .module = "", .target = {}};
    // A tied table may be stored under the head's name; loaders look for the embedding's.
    constexpr const char* kEmbedding = "model.embed_tokens.weight";
    if (tied && t.name == "lm_head.weight" && base.checkpoint().find(kEmbedding) == &t) {
      planned.name = kEmbedding;
    }
    planned.module = module_of(t, planned.name);
    if (tied && planned.module == "lm_head") planned.module.clear();  // no loader reads it
    if (!planned.module.empty()) modules.push_back(planned.module);
    by_layer[layer_of(t.name)].tensors.push_back(std::move(planned));
  }
  for (const auto& step : recipe.rounds) {
    for (const std::string& pattern : step->words().idle_patterns(modules)) {
      if (pattern == "lm_head") continue;  // may be tied; recipes name it for all models
      fail(
          Fault::bad_input, "recipe-idle-pattern",
          "recipe \"{}\": the pattern \"{}\" decides about no module of {}; `sinter inspect` lists "
          "their names",
          recipe.name, pattern, base.directory());
    }
  }
  CompressPlan plan;
  std::map<std::string, const Scheme*> schemes;
  for (auto& [layer, shard] : by_layer) {
    shard.file = shard_name(plan.shards.size(), by_layer.size());
    shard.layer = layer;
    if (layer >= 0) shard.label = fmt::format("layer {}", layer);
    for (PlannedTensor& t : shard.tensors) {
      if (t.module.empty()) continue;
      const Scheme* scheme = nullptr;
      for (const auto& step : recipe.rounds) {
        const Scheme* found = step->words().scheme_of(t.module);
        if (found != nullptr && scheme != nullptr) {
          fail(Fault::bad_input, "recipe-conflict",
               "recipe \"{}\": two steps round {}; narrow the targets of one", recipe.name,
               t.module);
        }
        if (found == nullptr) continue;
        const auto chosen = recipe.chosen.find(t.module);
        scheme = chosen != recipe.chosen.end() ? &chosen->second : found;
        t.target.step = step.get();
      }
      schemes[t.module] = scheme;
      if (scheme == nullptr) {
        if (module_class(t.module) == "Linear") plan.stored.dense.push_back(t.module);
        continue;
      }
      const int64_t cols = t.source->shape[1];
      t.target.scheme = *scheme;
      t.target.format =
          format_of(*scheme, dialect.half_scales ? DType::f16 : t.source->dtype, cols);
      require_columns(t.target.format, cols, t.name);
      if (const std::string problem = t.target.step->problem(t.target.format, cols);
          !problem.empty()) {
        fail(Fault::bad_input, "format-columns", "{}: {}", t.name, problem);
      }
      if (layer < 0 && (t.target.step->needs_gram() || has_input_scale(*scheme))) {
        fail(
            Fault::bad_input, "recipe-needs-inputs",
            "recipe \"{}\": {} looks at the inputs of {}, but calibration sees those of linears in "
            "layers; round this one by rtn, or ignore it",
            recipe.name, t.target.step->method(), t.module);
      }
      plan.stored.modules.push_back(
          {.name = t.module, .scheme = *scheme, .rows = t.source->shape[0], .cols = cols});
    }
    plan.shards.push_back(std::move(shard));
  }
  refuse_split(schemes, recipe);
  if (plan.stored.modules.empty()) {
    fail(Fault::bad_input, "recipe-rounds-nothing",
         "recipe \"{}\": no module of {} would be rounded; check targets and ignore", recipe.name,
         base.directory());
  }
  if (tied)
    plan.stored.dense.push_back("lm_head");  // loaders build it as a Linear before they tie it
  plan.stored.kv = recipe.kv;
  if (const std::string problem = dialect.problem(plan.stored); !problem.empty()) {
    fail(Fault::unsupported, "compress-dialect",
         "recipe \"{}\" in the dialect {}: {}; change the recipe, or write {}, which has room for "
         "every recipe",
         recipe.name, dialect.name, problem, default_dialect().name);
  }
  return plan;
}

}  // namespace sinter
