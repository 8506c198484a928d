// What GGUF calls architectures and tensors, and what Hugging Face calls them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sinter {

// Which linears have a bias: of `attention` and `all`, only if config.json's attention_bias (q, k,
// v and o) and mlp_bias say so.
enum class GgufBiases : uint8_t { none, qkv, attention, all };

struct GgufArchitecture {
  std::string_view name;          // general.architecture, and the prefix of its keys
  std::string_view hugging_face;  // config.json's "architectures"
  std::string_view model_type;    // and "model_type"
  // RoPE turns pairs of neighbours: rows of q and k are interleaved (see gguf_row). Else halves.
  bool interleaved;
  bool head_norms;  // each head of q and k has a norm
  GgufBiases biases;
};
// The one list. Several may share a GGUF name; the first of them is what a file is read as.
std::span<const GgufArchitecture> gguf_architectures();

// "blk.3.attn_q.weight" <-> "model.layers.3.self_attn.q_proj.weight"; nothing for other names.
std::optional<std::string> hugging_face_name(std::string_view gguf);
std::optional<std::string> gguf_name(std::string_view hugging_face);

// Whether the rows of this Hugging Face tensor (a weight or a bias) are interleaved.
bool is_rotated(std::string_view hugging_face);

// Where an interleaved file keeps row `row` of a rotated tensor: within a head of `head_dim` rows,
// row i of the first half and row i of the second half become neighbours.
inline int64_t gguf_row(int64_t row, int64_t head_dim) {
  const int64_t in_head = row % head_dim, half = head_dim / 2;
  return row - in_head + (in_head < half ? 2 * in_head : 2 * (in_head - half) + 1);
}

}  // namespace sinter
