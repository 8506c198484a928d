// Qwen2 and 2.5: q, k, v always have a bias and o never has; no switch in config.json says so. The
// window is off unless use_sliding_window, and then on from layer max_window_layers.
#include "model/arch/decoder_config.h"

namespace sinter {
namespace {

ModelConfig config(const JsonFields& json) {
  ModelConfig c = read_decoder_config(json);
  c.qkv_bias = true;
  c.sliding_window = read_switched_window(json, c.n_layers);
  return c;
}

}  // namespace

const Architecture kQwen2 = {.name = "Qwen2ForCausalLM", .config = config, .names = {}};

}  // namespace sinter
