// What the config.json files of Llama-like families have in common, checked once.
#pragma once

#include "model/config.h"

namespace sinter {

// Sizes, norm, RoPE and tying. Throws Error(bad_input | unsupported, "config-...") on values that
// no decoder can have or that Sinter does not compute (an activation, a RoPE scaling).
ModelConfig read_decoder_config(const JsonFields& json);

// RoPE frequencies with scaling (default, linear, llama3, yarn), from either generation of config
// ("rope_theta" + "rope_scaling", or "rope_parameters").
RopeConfig read_rope(const JsonFields& json, int32_t head_dim, int32_t max_tokens);

// "layer_types" where present, else every layer from first_sliding_layer on has `window`.
std::vector<int32_t> read_sliding_window(const JsonFields& json, int32_t n_layers, int32_t window,
                                         int32_t first_sliding_layer);

// The same behind Qwen's switch: off unless "use_sliding_window", then from "max_window_layers" on.
std::vector<int32_t> read_switched_window(const JsonFields& json, int32_t n_layers);

extern const Architecture kBitNet;
extern const Architecture kLlama;
extern const Architecture kMistral;
extern const Architecture kQwen2;
extern const Architecture kQwen3;

}  // namespace sinter
