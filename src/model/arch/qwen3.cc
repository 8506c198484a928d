// Qwen3: RMS norm of each head of q and k before RoPE; head_dim is explicit.
#include "model/arch/decoder_config.h"

namespace sinter {
namespace {

ModelConfig config(const JsonFields& json) {
  ModelConfig c = read_decoder_config(json);
  c.qk_norm = true;
  c.qkv_bias = c.o_bias = json.boolean("attention_bias", false);
  if (json.boolean("use_sliding_window", false)) {
    c.sliding_window = read_sliding_window(
        json, c.n_layers, static_cast<int32_t>(json.integer("sliding_window", 4096)),
        static_cast<int32_t>(json.integer("max_window_layers", 28)));
  }
  return c;
}

}  // namespace

const Architecture kQwen3 = {.name = "Qwen3ForCausalLM", .config = config, .names = {}};

}  // namespace sinter
