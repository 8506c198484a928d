// Llama 1, 2, 3 and 3.x: attention_bias puts a bias on all four projections.
#include "model/arch/decoder_config.h"

namespace sinter {
namespace {

ModelConfig config(const JsonFields& json) {
  ModelConfig c = read_decoder_config(json);
  c.qkv_bias = c.o_bias = json.boolean("attention_bias", false);
  c.mlp_bias = json.boolean("mlp_bias", false);
  return c;
}

}  // namespace

const Architecture kLlama = {.name = "LlamaForCausalLM", .config = config, .names = {}};

}  // namespace sinter
