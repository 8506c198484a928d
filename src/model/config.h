// What a decoder computes, described by its maths and never by its family: nothing outside
// model/arch/ may ask which model this is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace sinter {

struct RopeConfig {
  std::vector<float> inv_freq;  // [head_dim / 2], scaling applied
  float magnitude = 1;          // multiplies cos and sin (YaRN)
};

struct ModelConfig {
  int32_t n_layers = 0;
  int32_t d_model = 0;
  int32_t d_ff = 0;
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t vocab = 0;
  int32_t max_tokens = 0;  // positions the model was made for
  float norm_eps = 1e-5f;
  RopeConfig rope;
  bool qk_norm = false;   // RMS norm of each head of q and k, before RoPE
  bool sub_norm = false;  // RMS norm of the inputs of o and down
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool tied_embeddings = false;
  std::vector<int32_t> sliding_window;  // [n_layers]; 0 = sees everything before it

  int64_t parameters() const;  // of the dense model
};

// Names of a checkpoint's modules; {} stands for the layer.
struct ModuleNames {
  std::string embed = "model.embed_tokens";
  std::string final_norm = "model.norm.weight";
  std::string head = "lm_head";
  std::string layer = "model.layers.{}.";
  std::string attn_norm = "input_layernorm.weight";
  std::string ffn_norm = "post_attention_layernorm.weight";
  std::string q = "self_attn.q_proj", k = "self_attn.k_proj", v = "self_attn.v_proj",
              o = "self_attn.o_proj";
  std::string q_norm = "self_attn.q_norm.weight", k_norm = "self_attn.k_norm.weight";
  std::string attn_sub_norm = "self_attn.attn_sub_norm.weight";
  std::string ffn_sub_norm = "mlp.ffn_sub_norm.weight";
  std::string gate = "mlp.gate_proj", up = "mlp.up_proj", down = "mlp.down_proj";
};

// A linear of a decoder: what it is called and what it must be.
struct LinearShape {
  std::string module;
  std::string matrix;  // the module whose matrix it is: of a tied head the embedding
  int64_t rows = 0, cols = 0;
};
// All of them, in the order in which they run.
std::vector<LinearShape> linear_shapes(const ModelConfig& config, const ModuleNames& names);

// One family: how its config.json becomes maths and what its tensors are called.
struct Architecture {
  const char* name;  // as in config.json's "architectures"
  ModelConfig (*config)(const JsonFields& config_json);
  ModuleNames names;
};

// Chooses the architecture by config.json. Throws Error(unsupported, "architecture-unknown") with
// the list of those that are known.
const Architecture& architecture_of(const JsonFields& config_json);
std::vector<std::string> architecture_names();

}  // namespace sinter
