// The maths of a decoder-only transformer: RMS norm, attention with RoPE and grouped heads, SwiGLU.
// A screen of loading, a screen of forward.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "model/layer.h"
#include "model/model.h"

namespace sinter {
namespace {

// y = W x + b
struct Linear {
  std::string module, matrix;  // matrix: see LinearKernel
  Format format;
  std::unique_ptr<PreparedWeight> weight;  // [out, in]
  std::vector<float> bias;                 // [out] or empty
};

struct Layer {
  LayerVectors vectors;
  std::array<Linear, kLayerLinears.size()> linears;
  int32_t sliding_window = 0;
  const Linear& at(LayerLinear l) const { return linears[static_cast<size_t>(l)]; }
};

// A matrix that grows with the largest batch seen.
class Activations {
 public:
  MatMut get(int64_t rows, int64_t cols) {
    const auto n = static_cast<size_t>(rows * cols);
    if (floats_.size() < n) floats_.resize(n);
    return {floats_.data(), rows, cols, cols};
  }

 private:
  std::vector<float> floats_;
};

class Loader {
 public:
  Loader(const Artifact& artifact, Backend& backend, ActivationMode unsaid)
      : artifact_(artifact), backend_(backend), unsaid_(unsaid) {}

  Linear linear(const std::string& module, int64_t rows, int64_t cols, bool with_bias) const {
    Linear l = linear_of(module, module, rows, cols);
    artifact_.release(module, l.weight->reads_stored());
    if (with_bias) l.bias = artifact_.vector(module + ".bias", rows);
    return l;
  }

  // The matrix of module `from`, as `module` uses it (a tied head has no matrix of its own).
  Linear linear_of(const std::string& module, const std::string& from, int64_t rows,
                   int64_t cols) const {
    Activation activation = artifact_.activation(module);
    if (activation.mode == ActivationMode::exact) activation.mode = unsaid_;
    const Weight stored = artifact_.matrix(from, rows, cols);
    return {.module = module,
            .matrix = from,
            .format = stored.format,
            .weight = backend_.prepare(stored, activation),
            .bias = {}};
  }

  std::vector<float> vector(const std::string& tensor, int64_t size) const {
    return artifact_.vector(tensor, size);
  }

  Layer layer(const ModelConfig& c, const ModuleNames& names, int32_t i) const {
    Layer l{.vectors = load_layer_vectors(artifact_, c, names, i), .linears = {}};
    for (const LayerLinear which : kLayerLinears) {
      const LinearShape shape = layer_linear(c, names, i, which);
      l.linears[static_cast<size_t>(which)] =
          linear(shape.module, shape.rows, shape.cols, has_bias(c, which));
    }
    l.sliding_window = c.sliding_window[static_cast<size_t>(i)];
    return l;
  }

 private:
  const Artifact& artifact_;
  Backend& backend_;
  ActivationMode unsaid_;
};

}  // namespace

std::vector<LinearShape> linear_shapes(const ModelConfig& c, const ModuleNames& names) {
  std::vector<LinearShape> shapes;
  for (int32_t i = 0; i < c.n_layers; ++i) {
    for (const LayerLinear l : kLayerLinears) shapes.push_back(layer_linear(c, names, i, l));
  }
  shapes.push_back({names.head, c.tied_embeddings ? names.embed : names.head, c.vocab, c.d_model});
  return shapes;
}

struct Decoder::State {
  State(std::shared_ptr<const Artifact> a, Backend& b) : artifact(std::move(a)), backend(b) {}

  std::shared_ptr<const Artifact> artifact;  // owns the bytes under the weights
  Backend& backend;
  ModelConfig config;
  KvShape kv;
  std::unique_ptr<PagePool> pool;
  Weight embed;                   // [vocab, d_model]; rows are read where they are stored
  Linear head;                    // [vocab, d_model]
  std::vector<float> final_norm;  // [d_model]
  std::vector<Layer> layers;
  Tap tap;

  Activations x, normed, q, k, v, attended, gate, up, cos, sin, last, logits;
  std::vector<AttentionSpan> spans;

  // Linears that share an input.
  struct Use {
    const Linear& linear;
    MatMut out;
  };
  void linears(std::initializer_list<Use> uses, MatView in) {
    std::array<LinearOp, 3> ops;
    SINTER_CHECK(uses.size() <= ops.size());
    size_t n = 0;
    for (const Use& use : uses) {
      if (tap) tap(use.linear.module, in);
      ops[n++] = {use.linear.weight.get(), use.linear.bias, use.out};
    }
    backend.linears({ops.data(), n}, in);
  }
};

Decoder::Decoder(std::shared_ptr<const Artifact> artifact_of_weights, Backend& backend,
                 const DecoderOptions& options)
    : state_(std::make_unique<State>(std::move(artifact_of_weights), backend)) {
  State& s = *state_;
  const Artifact& artifact = *s.artifact;
  const JsonFields json(artifact.config(), artifact.directory() + "/config.json");
  const Architecture& architecture = architecture_of(json);
  s.config = architecture.config(json);
  const ModelConfig& c = s.config;
  const ModuleNames& names = architecture.names;
  const Loader load(artifact, backend, options.activations);
  s.embed = artifact.matrix(names.embed, c.vocab, c.d_model);
  s.head = c.tied_embeddings ? load.linear_of(names.head, names.embed, c.vocab, c.d_model)
                             : load.linear(names.head, c.vocab, c.d_model, false);
  s.final_norm = load.vector(names.final_norm, c.d_model);
  for (int32_t i = 0; i < c.n_layers; ++i) s.layers.push_back(load.layer(c, names, i));

  s.kv = {.n_kv_heads = c.n_kv_heads, .head_dim = c.head_dim, .dtype = options.kv_dtype};
  const int64_t page_bytes = c.n_layers * s.kv.layer_bytes();
  if (options.kv_bytes < page_bytes) {
    fail(Fault::exhausted, "kv-too-small",
         "the KV cache has {} bytes, but one page of {} tokens needs {}; raise --kv-mib",
         options.kv_bytes, kPageTokens, page_bytes);
  }
  s.pool = std::make_unique<PagePool>(s.kv, c.n_layers, options.kv_bytes / page_bytes);
}

Decoder::~Decoder() = default;

const ModelConfig& Decoder::config() const { return state_->config; }
PagePool& Decoder::pages() { return *state_->pool; }
void Decoder::set_tap(Tap tap) { state_->tap = std::move(tap); }

std::vector<LinearKernel> Decoder::kernels() const {
  std::vector<LinearKernel> list;
  const auto add = [&](const Linear& l) {
    list.push_back({.module = l.module,
                    .matrix = l.matrix,
                    .format = l.format,
                    .rows = l.weight->rows(),
                    .cols = l.weight->cols(),
                    .bytes = l.weight->bytes(),
                    .kernel = l.weight->kernel()});
  };
  for (const Layer& l : state_->layers) {
    for (const Linear& linear : l.linears) add(linear);
  }
  add(state_->head);
  return list;
}

int64_t Decoder::bytes_per_token() const {
  int64_t bytes = 0;
  for (const LinearKernel& l : kernels()) bytes += l.bytes;
  return bytes;
}

int64_t Decoder::weight_bytes() const {
  return bytes_per_token() + (state_->config.tied_embeddings ? 0 : state_->embed.bytes());
}

MatView Decoder::forward(const Batch& batch) {
  State& s = *state_;
  const ModelConfig& c = s.config;
  Backend& b = s.backend;
  const auto n = static_cast<int64_t>(batch.tokens.size());
  const int64_t q_dim = int64_t{c.n_heads} * c.head_dim;
  const int64_t kv_dim = int64_t{c.n_kv_heads} * c.head_dim;
  const MatMut x = s.x.get(n, c.d_model), normed = s.normed.get(n, c.d_model);
  const MatMut q = s.q.get(n, q_dim), attended = s.attended.get(n, q_dim);
  const MatMut k = s.k.get(n, kv_dim), v = s.v.get(n, kv_dim);
  const MatMut gate = s.gate.get(n, c.d_ff), up = s.up.get(n, c.d_ff);
  const MatMut cos = s.cos.get(n, c.head_dim / 2), sin = s.sin.get(n, c.head_dim / 2);

  for (const BatchSpan& span : batch.spans) {
    SINTER_CHECK(span.table->n_tokens() == span.first_position);
    span.table->extend(span.n_rows);
  }
  find_spans(batch, s.spans);
  rotations(c.rope, s.spans, cos, sin);
  const BatchPlaces places{s.spans, cos, sin};
  b.embed(s.embed, batch.tokens, x);
  for (int32_t i = 0; i < c.n_layers; ++i) {
    const Layer& l = s.layers[static_cast<size_t>(i)];
    b.rms_norm(l.vectors.attn_norm, c.norm_eps, x, normed);
    s.linears({{l.at(LayerLinear::q), q}, {l.at(LayerLinear::k), k}, {l.at(LayerLinear::v), v}},
              normed);
    attend(b, c, l.vectors, l.sliding_window, s.kv, i, places, q, k, v, attended);
    s.linears({{l.at(LayerLinear::o), normed}}, attended);
    b.add(normed, x);

    b.rms_norm(l.vectors.ffn_norm, c.norm_eps, x, normed);
    s.linears({{l.at(LayerLinear::gate), gate}, {l.at(LayerLinear::up), up}}, normed);
    gated(b, c, l.vectors, gate, up);
    s.linears({{l.at(LayerLinear::down), normed}}, gate);
    b.add(normed, x);
  }

  const auto n_logits = static_cast<int64_t>(batch.logit_rows.size());
  const MatMut last = s.last.get(n_logits, c.d_model), logits = s.logits.get(n_logits, c.vocab);
  for (int64_t i = 0; i < n_logits; ++i) {
    const auto row = x.row(batch.logit_rows[static_cast<size_t>(i)]);
    std::copy(row.begin(), row.end(), last.row(i).begin());
  }
  b.rms_norm(s.final_norm, c.norm_eps, last, last);
  s.linears({{s.head, logits}}, last);
  return logits;
}

}  // namespace sinter
