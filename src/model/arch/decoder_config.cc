#include "model/arch/decoder_config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace sinter {
namespace {

int32_t size_field(const JsonFields& json, const char* key, int64_t value, int64_t limit) {
  if (value < 1 || value > limit) {
    fail(Fault::bad_input, "config-value", "{}: {}: expected 1 to {}, found {}", json.where(), key,
         limit, value);
  }
  return static_cast<int32_t>(value);
}

double positive(const JsonFields& json, const char* key, double value) {
  if (!(value > 0) || !std::isfinite(value)) {
    fail(Fault::bad_input, "config-value", "{}: {}: expected a positive number, found {}",
         json.where(), key, value);
  }
  return value;
}

// The frequencies are computed in float32 in the order of transformers' modeling_rope_utils, so
// that long positions agree with it.
std::vector<float> plain_frequencies(double theta, int32_t dim) {
  std::vector<float> f(static_cast<size_t>(dim / 2));
  for (size_t i = 0; i < f.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    f[i] = 1.0f / static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
  }
  return f;
}

// Llama 3.1: long wavelengths divided by `factor`, short ones kept, a ramp between.
void scale_llama3(const JsonFields& rope, std::vector<float>& f) {
  const double factor = positive(rope, "factor", rope.number("factor"));
  const double low = positive(rope, "low_freq_factor", rope.number("low_freq_factor"));
  const double high = positive(rope, "high_freq_factor", rope.number("high_freq_factor"));
  const double original = positive(rope, "original_max_position_embeddings",
                                   rope.number("original_max_position_embeddings"));
  if (high <= low) {
    fail(Fault::bad_input, "config-value",
         "{}: high_freq_factor: expected more than low_freq_factor {}, found {}", rope.where(), low,
         high);
  }
  for (float& x : f) {
    const double wavelength = 2 * std::numbers::pi / static_cast<double>(x);
    if (wavelength > original / low) {
      x = static_cast<float>(static_cast<double>(x) / factor);
    } else if (wavelength >= original / high) {
      const double smooth = (original / wavelength - low) / (high - low);
      const auto value = static_cast<double>(x);
      x = static_cast<float>((1 - smooth) * value / factor + smooth * value);
    }
  }
}

// YaRN (Peng et al., 2023): interpolate low frequencies, keep high ones, and sharpen attention.
float scale_yarn(const JsonFields& rope, double theta, int32_t dim, int32_t max_tokens,
                 std::vector<float>& f) {
  const double factor = positive(rope, "factor", rope.number("factor"));
  const double original =
      positive(rope, "original_max_position_embeddings",
               rope.number("original_max_position_embeddings", static_cast<double>(max_tokens)));
  const double fast = positive(rope, "beta_fast", rope.number("beta_fast", 32));
  const double slow = positive(rope, "beta_slow", rope.number("beta_slow", 1));
  const auto dimension = [&](double rotations) {
    return dim * std::log(original / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  double low = dimension(fast);
  double high = dimension(slow);
  if (rope.boolean("truncate", true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < f.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    const auto value = static_cast<double>(f[i]);
    f[i] = static_cast<float>(value / factor * ramp + value * (1 - ramp));
  }
  const auto magnitude = [&](double scale) {
    return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0;
  };
  if (rope.has("attention_factor")) return static_cast<float>(rope.number("attention_factor"));
  if (rope.has("mscale") && rope.has("mscale_all_dim")) {
    return static_cast<float>(magnitude(rope.number("mscale")) /
                              magnitude(rope.number("mscale_all_dim")));
  }
  return static_cast<float>(magnitude(1));
}

}  // namespace

RopeConfig read_rope(const JsonFields& json, int32_t head_dim, int32_t max_tokens) {
  double theta = json.number("rope_theta", 10000);
  RopeConfig rope;
  const char* key = json.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!json.has(key)) {
    rope.inv_freq = plain_frequencies(positive(json, "rope_theta", theta), head_dim);
    return rope;
  }
  const JsonFields scaling = json.object(key);
  theta = positive(scaling, "rope_theta", scaling.number("rope_theta", theta));
  if (scaling.number("partial_rotary_factor", 1) != 1) {
    fail(Fault::unsupported, "config-unsupported",
         "{}: partial_rotary_factor: expected 1, found {}", scaling.where(),
         scaling.number("partial_rotary_factor", 1));
  }
  rope.inv_freq = plain_frequencies(theta, head_dim);
  const std::string type = scaling.string("rope_type", scaling.string("type", "default"));
  if (type == "linear") {
    const auto factor = static_cast<float>(positive(scaling, "factor", scaling.number("factor")));
    for (float& f : rope.inv_freq) f /= factor;
  } else if (type == "llama3") {
    scale_llama3(scaling, rope.inv_freq);
  } else if (type == "yarn") {
    rope.magnitude = scale_yarn(scaling, theta, head_dim, max_tokens, rope.inv_freq);
  } else if (type == "divisors") {  // as a GGUF file has them, where they are no known scaling's
    const Json& list = scaling.at("divisors");
    if (!list.is_array() || list.size() != rope.inv_freq.size()) {
      fail(Fault::bad_input, "config-value", "{}: divisors: expected a list of {} numbers",
           scaling.where(), rope.inv_freq.size());
    }
    for (size_t i = 0; i < list.size(); ++i) {
      const double divisor = list[i].is_number() ? list[i].get<double>() : 0;
      rope.inv_freq[i] /= static_cast<float>(positive(scaling, "divisors", divisor));
    }
  } else if (type != "default") {
    fail(Fault::unsupported, "config-unsupported",
         "{}: rope_type: expected default, linear, llama3, yarn or divisors, found {}",
         scaling.where(), type);
  }
  return rope;
}

std::vector<int32_t> read_sliding_window(const JsonFields& json, int32_t n_layers, int32_t window,
                                         int32_t first_sliding_layer) {
  if (window < 0) {
    fail(Fault::bad_input, "config-value", "{}: sliding_window: expected at least 0, found {}",
         json.where(), window);
  }
  std::vector<int32_t> windows(static_cast<size_t>(n_layers), 0);
  const bool listed = json.has("layer_types");
  if (listed &&
      (!json.at("layer_types").is_array() || json.at("layer_types").size() != windows.size())) {
    fail(Fault::bad_input, "config-value", "{}: layer_types: expected a list of {} names",
         json.where(), n_layers);
  }
  for (int32_t i = 0; i < n_layers; ++i) {
    const auto at = static_cast<size_t>(i);
    const bool slides =
        listed ? json.at("layer_types")[at] == "sliding_attention" : i >= first_sliding_layer;
    if (slides) windows[at] = window;
  }
  return windows;
}

std::vector<int32_t> read_switched_window(const JsonFields& json, int32_t n_layers) {
  if (!json.boolean("use_sliding_window", false)) {
    return std::vector<int32_t>(static_cast<size_t>(n_layers), 0);
  }
  return read_sliding_window(json, n_layers,
                             static_cast<int32_t>(json.integer("sliding_window", 4096)),
                             static_cast<int32_t>(json.integer("max_window_layers", 28)));
}

ModelConfig read_decoder_config(const JsonFields& json) {
  const auto size = [&](const char* key, int64_t limit) {
    return size_field(json, key, json.integer(key), limit);
  };
  ModelConfig c;
  c.n_layers = size("num_hidden_layers", 1024);
  c.d_model = size("hidden_size", 1 << 16);
  c.d_ff = size("intermediate_size", (1 << 17) - 1);
  c.n_heads = size("num_attention_heads", 1024);
  c.n_kv_heads = size_field(json, "num_key_value_heads",
                            json.integer("num_key_value_heads", c.n_heads), c.n_heads);
  c.head_dim = size_field(json, "head_dim", json.integer("head_dim", c.d_model / c.n_heads), 4096);
  c.vocab = size("vocab_size", 1 << 24);
  c.max_tokens = size("max_position_embeddings", 1 << 26);
  c.norm_eps =
      static_cast<float>(positive(json, "rms_norm_eps", json.number("rms_norm_eps", 1e-6)));
  c.tied_embeddings = json.boolean("tie_word_embeddings", false);
  c.rope = read_rope(json, c.head_dim, c.max_tokens);
  c.sliding_window.assign(static_cast<size_t>(c.n_layers), 0);
  if (c.n_heads % c.n_kv_heads != 0 || c.head_dim % 2 != 0) {
    fail(Fault::bad_input, "config-value",
         "{}: expected num_attention_heads to be a multiple of num_key_value_heads and head_dim to "
         "be even, found {} heads, {} key-value heads, head_dim {}",
         json.where(), c.n_heads, c.n_kv_heads, c.head_dim);
  }
  if (const std::string act = json.string("hidden_act", "silu"); act != "silu") {
    fail(Fault::unsupported, "config-unsupported", "{}: hidden_act: expected silu, found {}",
         json.where(), act);
  }
  return c;
}

int64_t ModelConfig::parameters() const {
  const int64_t q_dim = int64_t{n_heads} * head_dim;
  const int64_t kv_dim = int64_t{n_kv_heads} * head_dim;
  const int64_t layer = d_model * (2 * q_dim + 2 * kv_dim) + int64_t{3} * d_model * d_ff +
                        int64_t{2} * d_model + (qk_norm ? 2 * head_dim : 0) +
                        (sub_norm ? q_dim + d_ff : 0) + (qkv_bias ? q_dim + 2 * kv_dim : 0) +
                        (o_bias ? d_model : 0) + (mlp_bias ? 2 * d_ff + d_model : 0);
  return n_layers * layer + d_model + int64_t{vocab} * d_model * (tied_embeddings ? 1 : 2);
}

}  // namespace sinter
