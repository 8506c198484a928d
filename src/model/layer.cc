#include "model/layer.h"

#include <cmath>

#include "base/error.h"

namespace sinter {

LinearShape layer_linear(const ModelConfig& c, const ModuleNames& names, int32_t i,
                         LayerLinear linear) {
  const int64_t q_dim = int64_t{c.n_heads} * c.head_dim;
  const int64_t kv_dim = int64_t{c.n_kv_heads} * c.head_dim;
  struct Row {
    const std::string& name;
    int64_t rows, cols;
  };
  const std::array<Row, kLayerLinears.size()> table = {
      Row{names.q, q_dim, c.d_model},  {names.k, kv_dim, c.d_model},
      {names.v, kv_dim, c.d_model},    {names.o, c.d_model, q_dim},
      {names.gate, c.d_ff, c.d_model}, {names.up, c.d_ff, c.d_model},
      {names.down, c.d_model, c.d_ff}};
  const Row& row = table[static_cast<size_t>(linear)];
  const std::string module = fmt::format(fmt::runtime(names.layer), i) + row.name;
  return {module, module, row.rows, row.cols};
}

bool has_bias(const ModelConfig& c, LayerLinear linear) {
  if (linear <= LayerLinear::v) return c.qkv_bias;
  return linear == LayerLinear::o ? c.o_bias : c.mlp_bias;
}

LayerVectors load_layer_vectors(const Artifact& artifact, const ModelConfig& c,
                                const ModuleNames& names, int32_t i) {
  const std::string at = fmt::format(fmt::runtime(names.layer), i);
  LayerVectors l;
  l.attn_norm = artifact.vector(at + names.attn_norm, c.d_model);
  l.ffn_norm = artifact.vector(at + names.ffn_norm, c.d_model);
  if (c.qk_norm) {
    l.q_norm = artifact.vector(at + names.q_norm, c.head_dim);
    l.k_norm = artifact.vector(at + names.k_norm, c.head_dim);
  }
  if (c.sub_norm) {
    l.attn_sub_norm = artifact.vector(at + names.attn_sub_norm, int64_t{c.n_heads} * c.head_dim);
    l.ffn_sub_norm = artifact.vector(at + names.ffn_sub_norm, c.d_ff);
  }
  l.kv = artifact.kv_rounding(at + names.k.substr(0, names.k.rfind('.')));
  return l;
}

void find_spans(const Batch& batch, std::vector<AttentionSpan>& spans) {
  spans.clear();
  for (const BatchSpan& b : batch.spans) {
    spans.push_back({.pages = b.table->pages(),
                     .first_row = b.first_row,
                     .n_rows = b.n_rows,
                     .first_position = b.first_position});
  }
}

void rotations(const RopeConfig& rope, std::span<const AttentionSpan> spans, MatMut cos,
               MatMut sin) {
  for (const AttentionSpan& span : spans) {
    for (int32_t i = 0; i < span.n_rows; ++i) {
      const auto position = static_cast<float>(span.first_position + i);
      for (int64_t j = 0; j < cos.cols; ++j) {
        const auto at = static_cast<size_t>(j);
        const float angle = position * rope.inv_freq[at];
        cos.row(span.first_row + i)[at] = std::cos(angle) * rope.magnitude;
        sin.row(span.first_row + i)[at] = std::sin(angle) * rope.magnitude;
      }
    }
  }
}

void attend(Backend& b, const ModelConfig& c, const LayerVectors& layer, int32_t sliding_window,
            const KvShape& kv, int32_t slot, const BatchPlaces& places, MatMut q, MatMut k,
            MatMut v, MatMut attended) {
  if (c.qk_norm) {
    b.rms_norm(layer.q_norm, c.norm_eps, q, q);
    b.rms_norm(layer.k_norm, c.norm_eps, k, k);
  }
  b.rope(c.head_dim, places.cos, places.sin, q);
  b.rope(c.head_dim, places.cos, places.sin, k);
  if (layer.kv.keys.mode != ActivationMode::exact) {
    b.round_inputs(layer.kv.keys, k);
    b.round_inputs(layer.kv.values, v);
  }
  const int64_t offset = slot * kv.layer_bytes();
  b.store_kv(kv, offset, places.spans, k, v);
  b.attention(kv,
              {.n_heads = c.n_heads,
               .sliding_window = sliding_window,
               .scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim))},
              offset, places.spans, q, attended);
  if (c.sub_norm) b.rms_norm(layer.attn_sub_norm, c.norm_eps, attended, attended);
}

void gated(Backend& b, const ModelConfig& c, const LayerVectors& layer, MatMut gate, MatView up) {
  b.silu_mul(gate, up);
  if (c.sub_norm) b.rms_norm(layer.ffn_sub_norm, c.norm_eps, gate, gate);
}

}  // namespace sinter
