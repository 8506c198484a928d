#include "artifact/gguf_names.h"

#include <array>

namespace sinter {
namespace {

constexpr std::array kArchitectures = {
    GgufArchitecture{"llama", "LlamaForCausalLM", "llama", true, false, GgufBiases::all},
    GgufArchitecture{"llama", "MistralForCausalLM", "mistral", true, false, GgufBiases::none},
    GgufArchitecture{"qwen2", "Qwen2ForCausalLM", "qwen2", false, false, GgufBiases::qkv},
    GgufArchitecture{"qwen3", "Qwen3ForCausalLM", "qwen3", false, true, GgufBiases::attention},
};

struct Names {
  std::string_view gguf, hugging_face;
};
constexpr std::array<Names, 3> kWhole = {
    {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}}};
constexpr std::string_view kLayer = "blk.", kHfLayer = "model.layers.";
constexpr std::array<Names, 11> kInLayer = {{{"attn_norm", "input_layernorm"},
                                             {"attn_q", "self_attn.q_proj"},
                                             {"attn_k", "self_attn.k_proj"},
                                             {"attn_v", "self_attn.v_proj"},
                                             {"attn_output", "self_attn.o_proj"},
                                             {"attn_q_norm", "self_attn.q_norm"},
                                             {"attn_k_norm", "self_attn.k_norm"},
                                             {"ffn_norm", "post_attention_layernorm"},
                                             {"ffn_gate", "mlp.gate_proj"},
                                             {"ffn_up", "mlp.up_proj"},
                                             {"ffn_down", "mlp.down_proj"}}};

std::optional<std::string> translate(std::string_view name, std::string_view Names::*from,
                                     std::string_view Names::*to, std::string_view layer_from,
                                     std::string_view layer_to) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view suffix = name.substr(dot);
  if (suffix != ".weight" && suffix != ".bias") return std::nullopt;
  const std::string_view module = name.substr(0, dot);
  for (const Names& n : kWhole) {
    if (n.*from == module) return std::string(n.*to) + std::string(suffix);
  }
  if (!module.starts_with(layer_from)) return std::nullopt;
  const std::string_view rest = module.substr(layer_from.size());
  const size_t end = rest.find('.');
  if (end == std::string_view::npos || end == 0 || end > 4 ||
      rest.find_first_not_of("0123456789") != end) {
    return std::nullopt;
  }
  for (const Names& n : kInLayer) {
    if (n.*from == rest.substr(end + 1)) {
      return std::string(layer_to) + std::string(rest.substr(0, end + 1)) + std::string(n.*to) +
             std::string(suffix);
    }
  }
  return std::nullopt;
}

}  // namespace

std::span<const GgufArchitecture> gguf_architectures() { return kArchitectures; }

std::optional<std::string> hugging_face_name(std::string_view gguf) {
  return translate(gguf, &Names::gguf, &Names::hugging_face, kLayer, kHfLayer);
}

std::optional<std::string> gguf_name(std::string_view hugging_face) {
  return translate(hugging_face, &Names::hugging_face, &Names::gguf, kHfLayer, kLayer);
}

bool is_rotated(std::string_view hugging_face) {
  const std::string_view module = hugging_face.substr(0, hugging_face.rfind('.'));
  return module.ends_with(".self_attn.q_proj") || module.ends_with(".self_attn.k_proj");
}

}  // namespace sinter
