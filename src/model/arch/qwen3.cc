// Qwen3: RMS norm of each head of q and k before RoPE; head_dim is explicit.
#include "model/arch/decoder_config.h"

namespace sinter {
namespace {

ModelConfig config(const JsonFields& json) {
  ModelConfig c = read_decoder_config(json);
  c.qk_norm = true;
  c.qkv_bias = c.o_bias = json.boolean("attention_bias", false);
  c.sliding_window = read_switched_window(json, c.n_layers);
  return c;
}

}  // namespace

const Architecture kQwen3 = {.name = "Qwen3ForCausalLM", .config = config, .names = {}};

}  // namespace sinter
