// Mistral: a sliding window, when set, holds for every layer.
#include "model/arch/decoder_config.h"

namespace sinter {
namespace {

ModelConfig config(const JsonFields& json) {
  ModelConfig c = read_decoder_config(json);
  const auto window = static_cast<int32_t>(json.integer("sliding_window", 0));
  c.sliding_window = read_sliding_window(json, c.n_layers, window, 0);
  return c;
}

}  // namespace

const Architecture kMistral = {.name = "MistralForCausalLM", .config = config, .names = {}};

}  // namespace sinter
