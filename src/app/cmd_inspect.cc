// sinter inspect: what a model is, from headers alone; with --kernels, from its weights too.
#include <algorithm>
#include <map>

#include "app/command.h"
#include "app/loaded_model.h"
#include "artifact/artifact.h"
#include "base/error.h"
#include "base/huge_buffer.h"
#include "kv/page_pool.h"
#include "model/config.h"

namespace sinter {
namespace {

struct Options {
  std::string model;
  bool tensors = false, kernels = false, int8 = false, weights_only = false;
  std::string isa;
  int64_t context = 0;
};

std::string bytes_text(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto x = static_cast<double>(bytes);
  size_t unit = 0;
  while (x >= 1024 && unit + 1 < std::size(kUnits)) {
    x /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", x, kUnits[unit]);
}

std::string_view type_name(const StoredTensor& t) {
  return t.block.empty() ? traits(t.dtype).name : t.block;
}

// In elements: a tensor in blocks is stored as rows of bytes.
std::vector<int64_t> shape_of(const StoredTensor& t) {
  std::vector<int64_t> shape = t.shape;
  if (!t.block.empty() && !shape.empty()) {
    const Format format = format_named(t.block);
    const int64_t columns = format.codec->col_multiple(format);
    shape.back() = shape.back() / format.codec->row_bytes(format, columns) * columns;
  }
  return shape;
}

Json config_json(const ModelConfig& c) {
  const bool windowed = std::any_of(c.sliding_window.begin(), c.sliding_window.end(),
                                    [](int32_t w) { return w > 0; });
  return {{"n_layers", c.n_layers},
          {"d_model", c.d_model},
          {"d_ff", c.d_ff},
          {"n_heads", c.n_heads},
          {"n_kv_heads", c.n_kv_heads},
          {"head_dim", c.head_dim},
          {"vocab", c.vocab},
          {"max_tokens", c.max_tokens},
          {"qk_norm", c.qk_norm},
          {"qkv_bias", c.qkv_bias},
          {"tied_embeddings", c.tied_embeddings},
          {"sliding_window", windowed},
          {"parameters", c.parameters()}};
}

// How many linears run in each way.
std::map<std::string, int> kernels_of(const Artifact& artifact, const ModelConfig& config,
                                      const Architecture& architecture, const Options& o) {
  const auto backend = make_cpu_backend(1, o.isa);
  std::map<std::string, int> kinds;
  for (const LinearShape& l : linear_shapes(config, architecture.names)) {
    Activation activation = artifact.activation(l.module);
    if (activation.mode == ActivationMode::exact && o.int8) activation.mode = ActivationMode::int8;
    const Weight weight = artifact.matrix(l.matrix, l.rows, l.cols);
    const KernelChoice k = backend->predict(weight, activation);
    ++kinds[fmt::format("{} as {}, inputs {}, {}{}", to_string(weight.format), k.codes,
                        k.activations, backend->name(),
                        k.why_slow.empty() ? "" : ": slow, " + k.why_slow)];
    artifact.release(l.matrix, false);
  }
  return kinds;
}

int run(const Options& o) {
  const auto artifact = Artifact::open(o.model, {.weights_only = o.weights_only});
  const JsonFields json(artifact->config(), o.model + "/config.json");
  const Architecture& architecture = architecture_of(json);
  const ModelConfig c = architecture.config(json);

  int64_t total = 0, embedding = 0;
  std::map<std::string, std::pair<int64_t, int64_t>> by_type;  // count, bytes
  for (const StoredTensor& t : artifact->checkpoint().tensors()) {
    const auto bytes = static_cast<int64_t>(t.bytes.size());
    total += bytes;
    if (t.name.starts_with(architecture.names.embed + ".")) embedding += bytes;
    auto& entry = by_type[std::string(type_name(t))];
    ++entry.first;
    entry.second += bytes;
  }
  // A token reads every weight once, but of an embedding table that is not also the head one row.
  const int64_t per_token = c.tied_embeddings ? total : total - embedding;
  const KvShape kv{.n_kv_heads = c.n_kv_heads, .head_dim = c.head_dim};
  const int64_t page_bytes = c.n_layers * kv.layer_bytes();
  const int64_t kv_per_token = page_bytes / kPageTokens;
  const int64_t context = o.context > 0 ? o.context : c.max_tokens;
  const double bits = 8.0 * static_cast<double>(total) / static_cast<double>(c.parameters());
  const int64_t needed = total + PageTable::pages_for(context) * page_bytes;

  if (globals().json) {
    Json out = {{"model", o.model},
                {"architecture", architecture.name},
                {"scheme", artifact->scheme()},
                {"config", config_json(c)},
                {"tensors", artifact->checkpoint().tensors().size()},
                {"weight_bytes", total},
                {"bits_per_weight", bits},
                {"bytes_read_per_token", per_token},
                {"kv_bytes_per_token", kv_per_token},
                {"context", context},
                {"memory_bytes_at_context", needed},
                {"physical_memory_bytes", physical_memory_bytes()}};
    if (o.kernels) out["kernels"] = kernels_of(*artifact, c, architecture, o);
    if (o.tensors) {
      for (const StoredTensor& t : artifact->checkpoint().tensors()) {
        out["tensor_list"].push_back(
            {{"name", t.name}, {"dtype", type_name(t)}, {"shape", shape_of(t)}});
      }
    }
    print_json(out);
    return 0;
  }
  std::string text = fmt::format("{}\n", o.model);
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("  {:<16} {}\n", name, value);
  };
  line("architecture", architecture.name);
  line("shape",
       fmt::format("{} layers, d_model {}, d_ff {}, {} heads ({} KV) x {}, vocabulary {}",
                   c.n_layers, c.d_model, c.d_ff, c.n_heads, c.n_kv_heads, c.head_dim, c.vocab));
  line("parameters", fmt::format("{:.2f} M{}", static_cast<double>(c.parameters()) / 1e6,
                                 c.tied_embeddings ? ", embeddings tied" : ""));
  line("scheme", artifact->scheme());
  std::vector<std::string> types;
  types.reserve(by_type.size());
  for (const auto& [name, entry] : by_type) {
    types.push_back(fmt::format("{} x {} ({})", entry.first, name, bytes_text(entry.second)));
  }
  line("tensors", fmt::format("{}", fmt::join(types, ", ")));
  line("size",
       fmt::format("{}, {:.2f} bits per weight, everything counted", bytes_text(total), bits));
  line("per token", fmt::format("{} of weights read, {} of KV written", bytes_text(per_token),
                                bytes_text(kv_per_token)));
  line("memory", fmt::format("{} with {} tokens of context (this machine has {})",
                             bytes_text(needed), context, bytes_text(physical_memory_bytes())));
  if (o.kernels) {
    for (const auto& [kind, n] : kernels_of(*artifact, c, architecture, o)) {
      line("kernel", fmt::format("{} x {}", n, kind));
    }
  }
  if (o.tensors) {
    for (const StoredTensor& t : artifact->checkpoint().tensors()) {
      text += fmt::format("  {:<8} [{}] {}\n", type_name(t), fmt::join(shape_of(t), ", "), t.name);
    }
  }
  print_text(text);
  return 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model directory or a GGUF file.")->required();
  app.add_flag("--tensors", o->tensors, "List every tensor.");
  app.add_flag(
      "--weights-only", o->weights_only,
      "As with --weights-only of `sinter run`: nothing that the checkpoint asks of inputs, "
      "keys and values.");
  auto* kernels = app.add_flag("--kernels", o->kernels,
                               "Predict how each linear will be multiplied on this machine.");
  app.add_option(
         "--isa", o->isa,
         fmt::format("With --kernels: the instruction set to predict for: {}.", isa_names()))
      ->needs(kernels);
  app.add_flag("--int8", o->int8, "With --kernels: as with --activations int8.")->needs(kernels);
  app.add_option("--context", o->context, "Plan memory for this many tokens. Default: the model's.")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  app.footer(
      "Reads headers only, so it is instant for any size; with --kernels it goes through the "
      "weights, a matrix at a time.");
  return [o] { return run(*o); };
}

}  // namespace

const Command kInspectCommand = {
    "inspect", "Architecture, scheme, size, bytes per token and memory plan of a model.", setup};

}  // namespace sinter
