// The one list of shapes. To add one: its line, from the model's published config.json, with the
// number of parameters that its card or safetensors index gives (the test counts them again).
#include "model/arch/shapes.h"

#include <array>

#include "base/error.h"

namespace sinter {
namespace {

constexpr std::array kShapes = {
    // Small enough for tests: two layers, everything a multiple of 256.
    Shape{"tiny", 1'705'216, R"({"architectures":["LlamaForCausalLM"],"hidden_size":256,
      "intermediate_size":512,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
      "vocab_size":1024,"max_position_embeddings":4096,"rms_norm_eps":1e-5,"rope_theta":10000.0,
      "tie_word_embeddings":false})"},
    Shape{"smollm2-135m", 134'515'008, R"({"architectures":["LlamaForCausalLM"],"hidden_size":576,
      "intermediate_size":1536,"num_hidden_layers":30,"num_attention_heads":9,
      "num_key_value_heads":3,"vocab_size":49152,"max_position_embeddings":8192,
      "rms_norm_eps":1e-5,"rope_theta":100000.0,"tie_word_embeddings":true})"},
    Shape{"qwen2.5-0.5b", 494'032'768, R"({"architectures":["Qwen2ForCausalLM"],"hidden_size":896,
      "intermediate_size":4864,"num_hidden_layers":24,"num_attention_heads":14,
      "num_key_value_heads":2,"vocab_size":151936,"max_position_embeddings":32768,
      "rms_norm_eps":1e-6,"rope_theta":1000000.0,"tie_word_embeddings":true})"},
    Shape{"qwen3-0.6b", 596'049'920, R"({"architectures":["Qwen3ForCausalLM"],"hidden_size":1024,
      "intermediate_size":3072,"num_hidden_layers":28,"num_attention_heads":16,
      "num_key_value_heads":8,"head_dim":128,"vocab_size":151936,"max_position_embeddings":40960,
      "rms_norm_eps":1e-6,"rope_theta":1000000.0,"tie_word_embeddings":true})"},
    Shape{"tinyllama-1.1b", 1'100'048'384, R"({"architectures":["LlamaForCausalLM"],
      "hidden_size":2048,"intermediate_size":5632,"num_hidden_layers":22,"num_attention_heads":32,
      "num_key_value_heads":4,"vocab_size":32000,"max_position_embeddings":2048,
      "rms_norm_eps":1e-5,"rope_theta":10000.0,"tie_word_embeddings":false})"},
    Shape{"llama-3.2-1b", 1'235'814'400, R"({"architectures":["LlamaForCausalLM"],
      "hidden_size":2048,"intermediate_size":8192,"num_hidden_layers":16,"num_attention_heads":32,
      "num_key_value_heads":8,"head_dim":64,"vocab_size":128256,"max_position_embeddings":131072,
      "rms_norm_eps":1e-5,"rope_theta":500000.0,"rope_scaling":{"rope_type":"llama3",
      "factor":32.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
      "original_max_position_embeddings":8192},"tie_word_embeddings":true})"},
    Shape{"qwen2.5-1.5b", 1'543'714'304, R"({"architectures":["Qwen2ForCausalLM"],
      "hidden_size":1536,"intermediate_size":8960,"num_hidden_layers":28,"num_attention_heads":12,
      "num_key_value_heads":2,"vocab_size":151936,"max_position_embeddings":32768,
      "rms_norm_eps":1e-6,"rope_theta":1000000.0,"tie_word_embeddings":true})"},
    Shape{"qwen3-1.7b", 1'720'574'976, R"({"architectures":["Qwen3ForCausalLM"],"hidden_size":2048,
      "intermediate_size":6144,"num_hidden_layers":28,"num_attention_heads":16,
      "num_key_value_heads":8,"head_dim":128,"vocab_size":151936,"max_position_embeddings":40960,
      "rms_norm_eps":1e-6,"rope_theta":1000000.0,"tie_word_embeddings":true})"},
    Shape{"qwen2.5-3b", 3'085'938'688, R"({"architectures":["Qwen2ForCausalLM"],"hidden_size":2048,
      "intermediate_size":11008,"num_hidden_layers":36,"num_attention_heads":16,
      "num_key_value_heads":2,"vocab_size":151936,"max_position_embeddings":32768,
      "rms_norm_eps":1e-6,"rope_theta":1000000.0,"tie_word_embeddings":true})"},
    Shape{"llama-3.2-3b", 3'212'749'824, R"({"architectures":["LlamaForCausalLM"],
      "hidden_size":3072,"intermediate_size":8192,"num_hidden_layers":28,"num_attention_heads":24,
      "num_key_value_heads":8,"head_dim":128,"vocab_size":128256,"max_position_embeddings":131072,
      "rms_norm_eps":1e-5,"rope_theta":500000.0,"rope_scaling":{"rope_type":"llama3",
      "factor":32.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
      "original_max_position_embeddings":8192},"tie_word_embeddings":true})"},
    Shape{"qwen3-4b", 4'022'468'096, R"({"architectures":["Qwen3ForCausalLM"],"hidden_size":2560,
      "intermediate_size":9728,"num_hidden_layers":36,"num_attention_heads":32,
      "num_key_value_heads":8,"head_dim":128,"vocab_size":151936,"max_position_embeddings":40960,
      "rms_norm_eps":1e-6,"rope_theta":1000000.0,"tie_word_embeddings":true})"},
    Shape{"mistral-7b", 7'241'732'096, R"({"architectures":["MistralForCausalLM"],
      "hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,
      "num_attention_heads":32,"num_key_value_heads":8,"head_dim":128,"vocab_size":32000,
      "max_position_embeddings":32768,"rms_norm_eps":1e-5,"rope_theta":1000000.0,
      "sliding_window":null,"tie_word_embeddings":false})"},
    Shape{"qwen2.5-7b", 7'615'616'512, R"({"architectures":["Qwen2ForCausalLM"],"hidden_size":3584,
      "intermediate_size":18944,"num_hidden_layers":28,"num_attention_heads":28,
      "num_key_value_heads":4,"vocab_size":152064,"max_position_embeddings":32768,
      "rms_norm_eps":1e-6,"rope_theta":1000000.0,"tie_word_embeddings":false})"},
    Shape{"llama-3.1-8b", 8'030'261'248, R"({"architectures":["LlamaForCausalLM"],
      "hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,
      "num_attention_heads":32,"num_key_value_heads":8,"head_dim":128,"vocab_size":128256,
      "max_position_embeddings":131072,"rms_norm_eps":1e-5,"rope_theta":500000.0,
      "rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,
      "high_freq_factor":4.0,"original_max_position_embeddings":8192},
      "tie_word_embeddings":false})"},
    Shape{"qwen3-8b", 8'190'735'360, R"({"architectures":["Qwen3ForCausalLM"],"hidden_size":4096,
      "intermediate_size":12288,"num_hidden_layers":36,"num_attention_heads":32,
      "num_key_value_heads":8,"head_dim":128,"vocab_size":151936,"max_position_embeddings":40960,
      "rms_norm_eps":1e-6,"rope_theta":1000000.0,"tie_word_embeddings":false})"},
};

// "model_type" is the first word of the class name, as transformers has it for these families.
std::string model_type(const std::string& architecture) {
  std::string type = architecture.substr(0, architecture.find("For"));
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return type;
}

}  // namespace

std::span<const Shape> shapes() { return kShapes; }

const Shape& shape_named(const std::string& name) {
  std::string known;
  for (const Shape& s : kShapes) {
    if (name == s.name) return s;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", s.name);
  }
  fail(Fault::bad_input, "shape-unknown", "shape \"{}\": expected one of {}", name.substr(0, 60),
       known);
}

Json config_of(const Shape& shape, int32_t n_layers) {
  Json config = parse_json(shape.config, shape.name);
  config["model_type"] = model_type(config["architectures"][0].get<std::string>());
  config["torch_dtype"] = "bfloat16";
  config["hidden_act"] = "silu";
  config["attention_bias"] = false;
  config["bos_token_id"] = 1;
  config["eos_token_id"] = 2;
  if (n_layers > 0) config["num_hidden_layers"] = n_layers;
  return config;
}

}  // namespace sinter
