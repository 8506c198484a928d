#include "compress/convert.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "artifact/artifact.h"
#include "artifact/dialect.h"
#include "artifact/quantized.h"
#include "base/digest.h"
#include "base/error.h"
#include "compress/plan.h"
#include "compress/shards.h"

namespace sinter {
namespace {

// A module of the checkpoint, where its tensors are.
struct Module {
  std::string name;
  const QuantGroup* group;
  std::array<int64_t, 2> shape;  // [rows, columns]
};

struct Shard {
  std::string file;
  std::vector<Module> modules;
  std::vector<const StoredTensor*> copied;
};

struct Conversion {
  Dialect dialect;
  std::vector<Shard> shards;
  StorePlan plan;
};

[[noreturn]] void refuse(const Artifact& base, const std::string& why) {
  fail(Fault::unsupported, "convert-unsupported", "{}: {}", base.directory(), why);
}

LoadedWeight load(const Artifact& base, const Module& m) {
  return load_quantized(base.checkpoint(), base.directory(), m.name, *m.group, m.shape[0],
                        m.shape[1]);
}

// The modules that are quantised, by the tensor that holds their codes.
std::map<std::string, Module> find_modules(const Artifact& base, const Dialect& dialect) {
  std::map<std::string, Module> modules;
  for (const StoredTensor& t : base.checkpoint().tensors()) {
    const size_t dot = t.name.rfind('.');
    if (dot == std::string::npos) continue;
    const std::string name = t.name.substr(0, dot);
    const QuantGroup* group = dialect.group_of(name);
    if (group == nullptr || t.name.substr(dot) != tensors_of(group->layout).codes) continue;
    if (!is_stored(base.checkpoint(), name, *group)) continue;
    if (group->scheme.number != Number::integer ||
        group->scheme.activation != ActivationMode::exact) {
      refuse(base,
             fmt::format("module \"{}\" is {}; only integer weights whose inputs stay as they "
                         "are move between dialects",
                         name, scheme_name(group->scheme)));
    }
    modules[name] = {name, group, stored_shape(base.checkpoint(), base.directory(), name, *group)};
  }
  return modules;
}

void refuse_scales(const Artifact& base, const Module& m, const StoredDialect& target) {
  const std::string name = m.name + tensors_of(m.group->layout).scales;
  const StoredTensor* scales = base.checkpoint().find(name);
  if (scales == nullptr || plain_codec(scales->dtype) == nullptr) return;  // loading says why
  const int64_t step = traits(scales->dtype).bytes;
  for (int64_t i = 0; i < scales->elements(); ++i) {
    const auto* at = reinterpret_cast<const uint8_t*>(scales->bytes.data()) + i * step;
    if (is_half(scales->dtype, at)) continue;
    refuse(base, fmt::format("tensor \"{}\": scale {} is no F16, the only type of scale that {} "
                             "has, and rounding it would change weights; try --to "
                             "compressed-tensors",
                             name, i, target.name));
  }
}

// A checkpoint's dense linears; the head that a tied model has is one of them for loaders.
std::vector<std::string> dense_linears(const Artifact& base,
                                       const std::map<std::string, Module>& modules) {
  constexpr std::string_view kSuffix = ".weight";
  std::set<std::string> dense;
  for (const StoredTensor& t : base.checkpoint().tensors()) {
    if (!t.name.ends_with(kSuffix) || t.shape.size() != 2) continue;
    const std::string name = t.name.substr(0, t.name.size() - kSuffix.size());
    if (!modules.contains(name) && module_class(name) == "Linear") dense.insert(name);
  }
  const JsonFields config(base.config(), base.directory() + "/config.json");
  if (config.boolean("tie_word_embeddings", false)) dense.insert("lm_head");
  return {dense.begin(), dense.end()};
}

Conversion plan_conversion(const Artifact& base, const StoredDialect& target) {
  Conversion c;
  c.dialect = read_dialect(base.config(), base.directory());
  if (c.dialect.method == target.name) {
    refuse(base, fmt::format("this is a checkpoint of {} already", target.name));
  }
  const std::map<std::string, Module> modules = find_modules(base, c.dialect);
  if (modules.empty()) {
    refuse(base,
           fmt::format("expected integer weights as AWQ, GPTQ or compressed-tensors store "
                       "them, found {}; to quantise a dense checkpoint, use `sinter compress`",
                       base.scheme()));
  }
  std::map<int64_t, Shard> by_layer;
  for (const auto& [name, m] : modules) {
    if (target.half_scales) refuse_scales(base, m, target);
    const LoadedWeight loaded = load(base, m);  // damage shows before anything is written
    c.plan.modules.push_back({.name = name,
                              .scheme = m.group->scheme,
                              .rows = m.shape[0],
                              .cols = m.shape[1],
                              .column_order = !loaded.column_order.empty()});
    by_layer[layer_of(name + ".")].modules.push_back(m);
  }
  for (const StoredTensor& t : base.checkpoint().tensors()) {
    const size_t dot = t.name.rfind('.');
    const auto m = dot == std::string::npos ? modules.end() : modules.find(t.name.substr(0, dot));
    if (m == modules.end() || t.name.ends_with(".bias")) {
      by_layer[layer_of(t.name)].copied.push_back(&t);
    } else if (!reads_tensor(m->second.group->layout, std::string_view(t.name).substr(dot))) {
      refuse(base,
             fmt::format("tensor \"{}\": {} has no such part of a module", t.name, target.name));
    }
  }
  c.plan.dense = dense_linears(base, modules);
  c.plan.kv = c.dialect.kv;
  if (const std::string problem = target.problem(c.plan); !problem.empty()) {
    refuse(base, fmt::format("{} cannot represent this: {}", target.name, problem));
  }
  for (auto& [layer, shard] : by_layer) {
    shard.file = shard_name(c.shards.size(), by_layer.size());
    c.shards.push_back(std::move(shard));
  }
  return c;
}

std::string digest_of(const Weight& w) {
  Sha256 digest;
  for (int64_t r = 0; r < w.rows; ++r) {
    digest.add(std::as_bytes(std::span(w.row_codes(r), static_cast<size_t>(w.row_bytes()))));
    digest.add(std::as_bytes(std::span(w.row_params(r), static_cast<size_t>(w.param_bytes()))));
  }
  return digest.hex();
}

ShardContent make_shard(const Artifact& base, const Shard& shard, const StoredDialect& target) {
  ShardContent content;
  for (const StoredTensor* t : shard.copied) content.keep(*t, t->name);
  for (const Module& m : shard.modules) {
    const LoadedWeight loaded = load(base, m);
    content.record.tensors.push_back({.name = m.name,
                                      .format = to_string(loaded.weight.format),
                                      .rows = m.shape[0],
                                      .cols = m.shape[1],
                                      .relative_error = 0,
                                      .max_error = 0,
                                      .sha256 = digest_of(loaded.weight)});
    content.add(target.store({m.name, m.group->scheme}, loaded.weight));
  }
  return content;
}

// Dequantises every module on both sides and compares the bits. Returns what the manifest says.
Json prove(const Artifact& base, const Conversion& c, const std::string& out_dir) {
  const auto written = Artifact::open(out_dir);
  const Dialect dialect = read_dialect(written->config(), out_dir);
  Sha256 digest;
  int64_t weights = 0;
  for (const Shard& shard : c.shards) {
    for (const Module& m : shard.modules) {
      const QuantGroup* group = dialect.group_of(m.name);
      if (group == nullptr) {
        fail(Fault::corrupt, "convert-proof", "{}: module \"{}\" came out dense", out_dir, m.name);
      }
      const LoadedWeight before = load(base, m);
      const LoadedWeight after =
          load_quantized(written->checkpoint(), out_dir, m.name, *group, m.shape[0], m.shape[1]);
      const auto cols = static_cast<size_t>(m.shape[1]);
      std::vector<float> want(cols), got(cols);
      for (int64_t r = 0; r < m.shape[0]; ++r) {
        unpack_row(before.weight, r, want);
        unpack_row(after.weight, r, got);
        if (std::memcmp(want.data(), got.data(), cols * sizeof(float)) != 0) {
          fail(Fault::corrupt, "convert-proof",
               "{}: module \"{}\", row {}: the converted weights differ from those of {}; this is "
               "a fault of sinter's, and the output must not be used",
               out_dir, m.name, r, base.directory());
        }
        digest.add(std::as_bytes(std::span(got)));
      }
      weights += m.shape[0] * m.shape[1];
    }
  }
  return {{"compared", "dequantised matrices, float32, bit for bit"},
          {"matrices", c.plan.modules.size()},
          {"weights", weights},
          {"sha256", digest.hex()}};
}

}  // namespace

CompressResult convert_dialect(const std::string& model_dir, const StoredDialect& target,
                               const std::string& out_dir, const CompressOptions& options) {
  const auto base = Artifact::open(model_dir);
  const Conversion c = plan_conversion(*base, target);
  refuse_nested(model_dir, out_dir);
  const std::string recipe = fmt::format("convert:\n  to: {}\n", target.name);
  Sha256 recipe_digest;
  recipe_digest.add(std::as_bytes(std::span(recipe.data(), recipe.size())));
  ShardWork work;
  work.verb = "convert";
  work.recipe = recipe;
  work.recipe_digest = recipe_digest.hex();
  work.make = [&](size_t i, const ShardRecord*) { return make_shard(*base, c.shards[i], target); };
  work.label = [&](size_t i, const ShardRecord&) { return c.shards[i].file; };
  work.dialect = target.name;
  work.quantization_config = target.config(c.plan);
  work.prove = [&] { return prove(*base, c, out_dir); };
  work.files.reserve(c.shards.size());
  for (const Shard& shard : c.shards) work.files.push_back(shard.file);
  return write_shards(*base, out_dir, options, work);
}

}  // namespace sinter
