// One layer of a decoder without its linears: what runs between them, for whoever computes those.
// The decoder multiplies packed weights; calibration multiplies float32 matrices that it changes.
//
//   x -> norm -> q k v -> attend -> o -> + x -> norm -> gate up -> gated -> down -> + x
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "artifact/artifact.h"
#include "backend/backend.h"
#include "model/config.h"
#include "model/model.h"

namespace sinter {

// The linears of a layer, in the order in which they run.
enum class LayerLinear : uint8_t { q, k, v, o, gate, up, down };
inline constexpr std::array kLayerLinears = {LayerLinear::q,   LayerLinear::k,    LayerLinear::v,
                                             LayerLinear::o,   LayerLinear::gate, LayerLinear::up,
                                             LayerLinear::down};

// Its name and shape in layer i.
LinearShape layer_linear(const ModelConfig& config, const ModuleNames& names, int32_t i,
                         LayerLinear linear);
bool has_bias(const ModelConfig& config, LayerLinear linear);

struct LayerVectors {
  std::vector<float> attn_norm, ffn_norm;  // [d_model]
  std::vector<float> q_norm, k_norm;       // [head_dim] or empty
  std::vector<float> attn_sub_norm;        // [n_heads * head_dim] or empty
  std::vector<float> ffn_sub_norm;         // [d_ff] or empty
  KvRounding kv;
};
LayerVectors load_layer_vectors(const Artifact& artifact, const ModelConfig& config,
                                const ModuleNames& names, int32_t i);

// Where a batch's rows stand: what every layer needs of it.
struct BatchPlaces {
  std::span<const AttentionSpan> spans;
  MatView cos, sin;  // [n, head_dim / 2]
};
// The spans of a batch whose tables hold its tokens already.
void find_spans(const Batch& batch, std::vector<AttentionSpan>& spans);
// The angles of every row's position. cos, sin: [n, head_dim / 2].
void rotations(const RopeConfig& rope, std::span<const AttentionSpan> spans, MatMut cos,
               MatMut sin);

// What becomes of q, k and v (in place) until they are the input of o. Keys and values go to layer
// `slot` of the pages. q, attended: [n, n_heads * head_dim]; k, v: [n, n_kv_heads * head_dim].
void attend(Backend& backend, const ModelConfig& config, const LayerVectors& layer,
            int32_t sliding_window, const KvShape& kv, int32_t slot, const BatchPlaces& places,
            MatMut q, MatMut k, MatMut v, MatMut attended);

// gate = the input of down. gate, up: [n, d_ff].
void gated(Backend& backend, const ModelConfig& config, const LayerVectors& layer, MatMut gate,
           MatView up);

}  // namespace sinter
