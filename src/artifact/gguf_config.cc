// Law 2 rules here as in dialect.cc: a key of a file that would change answers and is not
// understood is an error. Of a config.json only what GGUF cannot say is refused here: that it makes
// sense at all is model/config.h's business.
#include "artifact/gguf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace sinter {
namespace {

// Keys A.KEY of an architecture A that are read below, or say nothing that the rest does not.
constexpr std::array<std::string_view, 22> kKeys = {"context_length",
                                                    "embedding_length",
                                                    "block_count",
                                                    "feed_forward_length",
                                                    "vocab_size",
                                                    "attention.head_count",
                                                    "attention.head_count_kv",
                                                    "attention.key_length",
                                                    "attention.value_length",
                                                    "attention.layer_norm_rms_epsilon",
                                                    "rope.dimension_count",
                                                    "rope.freq_base",
                                                    "rope.scale_linear",
                                                    "rope.scaling.type",
                                                    "rope.scaling.factor",
                                                    "rope.scaling.original_context_length",
                                                    "rope.scaling.finetuned",
                                                    "rope.scaling.attn_factor",
                                                    "rope.scaling.yarn_beta_fast",
                                                    "rope.scaling.yarn_beta_slow",
                                                    "tensor_data_layout",
                                                    "pooling_type"};

struct Llama3Rope {
  double factor, low, high, original;
};

// What Llama 3.1's scaling divides frequency i of `half` by.
float llama3_divisor(const Llama3Rope& r, double theta, size_t i, size_t half) {
  const double frequency = std::pow(theta, -static_cast<double>(i) / static_cast<double>(half));
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < r.original / r.high) return 1;
  if (wavelength > r.original / r.low) return static_cast<float>(r.factor);
  const double smooth = (r.original / wavelength - r.low) / (r.high - r.low);
  return static_cast<float>(1 / ((1 - smooth) / r.factor + smooth));
}

// The divisors as Llama 3.1's scaling if they are that one's, else as they are.
Json rope_from_factors(const std::vector<float>& factors, double theta) {
  const float largest = *std::max_element(factors.begin(), factors.end());
  const Llama3Rope released{largest, 1, 4, 8192};
  bool same = true;
  for (size_t i = 0; i < factors.size(); ++i) {
    const float expected = llama3_divisor(released, theta, i, factors.size());
    same = same && std::abs(factors[i] - expected) <= 1e-5f * expected;
  }
  if (!same) return {{"rope_type", "divisors"}, {"divisors", factors}};
  return {{"rope_type", "llama3"},
          {"factor", largest},
          {"low_freq_factor", 1.0},
          {"high_freq_factor", 4.0},
          {"original_max_position_embeddings", 8192}};
}

class ConfigReader {
 public:
  using Tensors = std::map<std::string, const GgufTensor*, std::less<>>;
  ConfigReader(const GgufFile& file, const Tensors& tensors) : file_(file), tensors_(tensors) {}

  GgufConfig read() {
    const std::string name = file_.string("general.architecture");
    for (const GgufArchitecture& a : gguf_architectures()) {
      if (a.name == name && architecture_ == nullptr) architecture_ = &a;
    }
    if (architecture_ == nullptr) {
      std::vector<std::string_view> known;
      for (const GgufArchitecture& a : gguf_architectures()) {
        if (known.empty() || known.back() != a.name) known.push_back(a.name);
      }
      fail(Fault::unsupported, "gguf-architecture",
           "{}: general.architecture: expected one of {}, found {}", file_.path(),
           fmt::join(known, ", "), name.substr(0, 60));
    }
    prefix_ = name + ".";
    refuse_unknown_keys();
    return config();
  }

 private:
  std::string key(const char* name) const { return prefix_ + name; }

  void refuse_unknown_keys() const {
    for (const auto& [key, value] : file_.metadata()) {
      if (!key.starts_with(prefix_)) continue;
      if (std::find(kKeys.begin(), kKeys.end(), std::string_view(key).substr(prefix_.size())) !=
          kKeys.end()) {
        continue;
      }
      // A count, size or cap of nothing changes nothing.
      const auto* n = std::get_if<uint64_t>(&value);
      const auto* x = std::get_if<double>(&value);
      if ((n != nullptr && *n == 0) || (x != nullptr && *x == 0)) continue;
      fail(Fault::unsupported, "gguf-key",
           "{}: metadata key \"{}\": this version does not know what this asks for", file_.path(),
           key);
    }
  }

  const GgufTensor* find(const char* name) const {
    const auto at = tensors_.find(name);
    return at == tensors_.end() ? nullptr : at->second;
  }

  GgufConfig config() const {
    const int64_t d_model = file_.integer(key("embedding_length"));
    const int64_t heads = file_.integer(key("attention.head_count"));
    const int64_t head_dim =
        file_.integer(key("attention.key_length"), heads > 0 ? d_model / heads : 0);
    if (head_dim < 2 || head_dim % 2 != 0 || head_dim > 1 << 16 ||
        file_.integer(key("attention.value_length"), head_dim) != head_dim ||
        file_.integer(key("rope.dimension_count"), head_dim) != head_dim) {
      fail(Fault::unsupported, "gguf-key",
           "{}: expected {}, {} and {} to be the same, even and positive, found {}, {}, {}",
           file_.path(), key("attention.key_length"), key("attention.value_length"),
           key("rope.dimension_count"), head_dim,
           file_.integer(key("attention.value_length"), head_dim),
           file_.integer(key("rope.dimension_count"), head_dim));
    }
    const GgufTensor* embedding = find("model.embed_tokens.weight");
    if (embedding == nullptr || embedding->shape.size() != 2) {
      fail(Fault::not_found, "tensor-not-found",
           "{}: expected a matrix token_embd.weight, found none; a file with only a vocabulary is "
           "good for `sinter tokenize` alone",
           file_.path());
    }
    const bool biased = find("model.layers.0.self_attn.q_proj.bias") != nullptr;
    Json json = {{"architectures", {architecture_->hugging_face}},
                 {"model_type", architecture_->model_type},
                 {"hidden_act", "silu"},
                 {"hidden_size", d_model},
                 {"intermediate_size", file_.integer(key("feed_forward_length"))},
                 {"num_hidden_layers", file_.integer(key("block_count"))},
                 {"num_attention_heads", heads},
                 {"num_key_value_heads", file_.integer(key("attention.head_count_kv"), heads)},
                 {"head_dim", head_dim},
                 {"vocab_size", embedding->shape[0]},
                 {"max_position_embeddings", file_.integer(key("context_length"))},
                 {"rms_norm_eps", file_.number(key("attention.layer_norm_rms_epsilon"))},
                 {"rope_theta", file_.number(key("rope.freq_base"), 10000)},
                 {"tie_word_embeddings", find("lm_head.weight") == nullptr},
                 {"attention_bias", biased},
                 {"mlp_bias", find("model.layers.0.mlp.down_proj.bias") != nullptr}};
    json["rope_scaling"] = rope(static_cast<size_t>(head_dim));
    return {architecture_, std::move(json), head_dim};
  }

  Json rope(size_t head_dim) const {
    const std::string type = file_.string(key("rope.scaling.type"), "none");
    const double factor =
        file_.number(key("rope.scaling.factor"), file_.number(key("rope.scale_linear"), 1));
    const double theta = file_.number(key("rope.freq_base"), 10000);
    if (const GgufTensor* t = find(kRopeFactors)) {
      const auto n = static_cast<int64_t>(head_dim / 2);
      if (t->shape != std::vector{n} || t->type->codec != "f32" || type != "none" || factor != 1) {
        fail(Fault::unsupported, "gguf-key",
             "{}: tensor \"{}\": expected F32 [{}], and no {}, {} or {} beside it; found {} [{}], "
             "\"{}\" and the factor {}",
             file_.path(), t->name, n, key("rope.scaling.type"), key("rope.scaling.factor"),
             key("rope.scale_linear"), t->type->name, fmt::join(t->shape, ", "), type, factor);
      }
      std::vector<float> factors(head_dim / 2);
      std::memcpy(factors.data(), t->bytes.data(), t->bytes.size());
      return rope_from_factors(factors, theta);
    }
    if (type == "linear" || (type == "none" && factor != 1)) {
      return factor == 1 ? Json() : Json{{"rope_type", "linear"}, {"factor", factor}};
    }
    if (type == "none") return nullptr;
    if (type != "yarn") {
      fail(Fault::unsupported, "gguf-key", "{}: {}: expected none, linear or yarn, found {}",
           file_.path(), key("rope.scaling.type"), type.substr(0, 40));
    }
    Json yarn = {{"rope_type", "yarn"},
                 {"factor", factor},
                 {"beta_fast", file_.number(key("rope.scaling.yarn_beta_fast"), 32)},
                 {"beta_slow", file_.number(key("rope.scaling.yarn_beta_slow"), 1)}};
    if (file_.has(key("rope.scaling.original_context_length"))) {
      yarn["original_max_position_embeddings"] =
          file_.integer(key("rope.scaling.original_context_length"));
    }
    if (const double attention = file_.number(key("rope.scaling.attn_factor"), 1); attention != 1) {
      yarn["attention_factor"] = attention * (0.1 * std::log(factor) + 1);
    }
    return yarn;
  }

  const GgufFile& file_;
  const Tensors& tensors_;
  const GgufArchitecture* architecture_ = nullptr;
  std::string prefix_;
};

template <typename... Args>
[[noreturn]] void no_word(fmt::format_string<Args...> format, Args&&... args) {
  fail(Fault::unsupported, "gguf-architecture", "{}; GGUF cannot say this for this architecture",
       fmt::format(format, std::forward<Args>(args)...));
}

uint32_t count(const JsonFields& config, const char* field, int64_t value) {
  if (value < 0 || value > UINT32_MAX) {
    fail(Fault::bad_input, "config-value", "{}: {}: expected 0 to 2^32 - 1, found {}",
         config.where(), field, value);
  }
  return static_cast<uint32_t>(value);
}

void add_rope(const JsonFields& config, GgufHyperparameters& out) {
  const char* key = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  double theta = config.number("rope_theta", 10000);
  if (!config.has(key)) {
    out.add("rope.freq_base", static_cast<float>(theta));
    return;
  }
  const JsonFields rope = config.object(key);
  theta = rope.number("rope_theta", theta);
  out.add("rope.freq_base", static_cast<float>(theta));
  const std::string type = rope.string("rope_type", rope.string("type", "default"));
  if (type == "llama3") {
    const Llama3Rope r{rope.number("factor"), rope.number("low_freq_factor"),
                       rope.number("high_freq_factor"),
                       rope.number("original_max_position_embeddings")};
    const auto half = static_cast<size_t>(out.head_dim / 2);
    for (size_t i = 0; i < half; ++i) out.rope_factors.push_back(llama3_divisor(r, theta, i, half));
  } else if (type == "divisors") {
    for (const Json& x : rope.at("divisors")) out.rope_factors.push_back(x.get<float>());
  } else if (type == "linear" || type == "yarn") {
    out.add("rope.scaling.type", type);
    out.add("rope.scaling.factor", static_cast<float>(rope.number("factor")));
    if (type == "yarn") {
      const double factor = rope.number("factor"), usual = 0.1 * std::log(factor) + 1;
      const int64_t original = rope.integer("original_max_position_embeddings",
                                            config.integer("max_position_embeddings"));
      out.add("rope.scaling.original_context_length",
              count(rope, "original_max_position_embeddings", original));
      out.add("rope.scaling.yarn_beta_fast", static_cast<float>(rope.number("beta_fast", 32)));
      out.add("rope.scaling.yarn_beta_slow", static_cast<float>(rope.number("beta_slow", 1)));
      if (rope.has("mscale") || rope.has("mscale_all_dim") || !rope.boolean("truncate", true))
        no_word("{}: mscale, mscale_all_dim or truncate", rope.where());
      if (rope.has("attention_factor")) {
        out.add("rope.scaling.attn_factor",
                static_cast<float>(rope.number("attention_factor") / usual));
      }
    }
  } else if (type != "default") {
    no_word("{}: rope_type {}", rope.where(), type);
  }
}

}  // namespace

GgufConfig read_gguf_config(const GgufFile& file,
                            const std::map<std::string, const GgufTensor*, std::less<>>& tensors) {
  return ConfigReader(file, tensors).read();
}

std::set<std::string, std::less<>> gguf_tensors(const GgufArchitecture& architecture,
                                                const JsonFields& config) {
  struct Linear {
    const char* name;
    bool bias;
  };
  const GgufBiases biases = architecture.biases;
  const bool mlp = biases == GgufBiases::all && config.boolean("mlp_bias", false);
  const bool attention = (biases == GgufBiases::all || biases == GgufBiases::attention) &&
                         config.boolean("attention_bias", false);
  const bool qkv = attention || biases == GgufBiases::qkv;
  const Linear linears[] = {{"self_attn.q_proj", qkv}, {"self_attn.k_proj", qkv},
                            {"self_attn.v_proj", qkv}, {"self_attn.o_proj", attention},
                            {"mlp.gate_proj", mlp},    {"mlp.up_proj", mlp},
                            {"mlp.down_proj", mlp}};
  std::set<std::string, std::less<>> names = {"model.embed_tokens.weight", "model.norm.weight",
                                              "lm_head.weight"};
  // No name has a larger number than this (gguf_names.cc).
  const int64_t n_layers = std::min<int64_t>(config.integer("num_hidden_layers"), 9999);
  for (int64_t i = 0; i < n_layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    for (const Linear& l : linears) {
      names.insert(layer + l.name + ".weight");
      if (l.bias) names.insert(layer + l.name + ".bias");
    }
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) {
      names.insert(layer + norm + ".weight");
    }
    if (!architecture.head_norms) continue;
    for (const char* norm : {"self_attn.q_norm", "self_attn.k_norm"}) {
      names.insert(layer + norm + ".weight");
    }
  }
  return names;
}

GgufHyperparameters gguf_hyperparameters(const JsonFields& config) {
  GgufHyperparameters out;
  const Json& classes = config.at("architectures");
  std::vector<std::string_view> known;
  for (const GgufArchitecture& a : gguf_architectures()) {
    known.push_back(a.hugging_face);
    if (classes.is_array() && classes.size() == 1 && classes[0] == Json(a.hugging_face))
      out.architecture = &a;
  }
  if (out.architecture == nullptr) {
    fail(Fault::unsupported, "gguf-architecture",
         "{}: architectures: expected one of {} to write GGUF, found {}", config.where(),
         fmt::join(known, ", "), to_line(classes).substr(0, 80));
  }
  const auto size = [&](const char* key, const char* field, int64_t value) {
    out.add(key, count(config, field, value));
  };
  const auto same = [&](const char* key, const char* field) {
    size(key, field, config.integer(field));
  };
  const int64_t heads = config.integer("num_attention_heads");
  const int64_t max_tokens = config.integer("max_position_embeddings");
  out.head_dim = config.integer("head_dim", heads > 0 ? config.integer("hidden_size") / heads : 0);
  out.vocab = config.integer("vocab_size");
  same("context_length", "max_position_embeddings");
  same("embedding_length", "hidden_size");
  same("block_count", "num_hidden_layers");
  same("feed_forward_length", "intermediate_size");
  same("attention.head_count", "num_attention_heads");
  size("attention.head_count_kv", "num_key_value_heads",
       config.integer("num_key_value_heads", heads));
  size("attention.key_length", "head_dim", out.head_dim);
  size("attention.value_length", "head_dim", out.head_dim);
  out.add("attention.layer_norm_rms_epsilon",
          static_cast<float>(config.number("rms_norm_eps", 1e-6)));
  same("vocab_size", "vocab_size");
  size("rope.dimension_count", "head_dim", out.head_dim);

  const bool windowed = config.has("sliding_window") && config.integer("sliding_window") > 0 &&
                        config.integer("sliding_window") < max_tokens &&
                        config.boolean("use_sliding_window", true);
  if (windowed) no_word("{}: sliding_window {}", config.where(), config.integer("sliding_window"));
  add_rope(config, out);
  return out;
}

}  // namespace sinter
