#include "bench/synth.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>

#include "artifact/store.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/random.h"
#include "text/byte_alphabet.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

constexpr float kStandardDeviation = 0.02f;  // initializer_range of most published configs
constexpr int64_t kShardBytes = int64_t{512} << 20;
constexpr int64_t kMinVocab = 3 + 256 + 1;

// quantile[i] is where the normal distribution has mass (i + 1/2) / 65536 below it.
std::vector<float> normal_quantiles() {
  constexpr int kSteps = 1 << 16;
  std::vector<float> quantile(kSteps);
  double x = -5;
  for (int i = 0; i < kSteps / 2; ++i) {
    const double p = (i + 0.5) / kSteps;
    for (int step = 0; step < 50; ++step) {  // Newton's method, begun at the neighbour below
      const double density = 0.3989422804014327 * std::exp(-0.5 * x * x);
      const double change = (0.5 * std::erfc(-x * 0.7071067811865476) - p) / density;
      x -= std::clamp(change, -0.5, 0.5);
      if (std::abs(change) < 1e-9) break;
    }
    quantile[static_cast<size_t>(i)] = static_cast<float>(x);
    quantile[static_cast<size_t>(kSteps - 1 - i)] = static_cast<float>(-x);
  }
  return quantile;
}

// FNV-1a, so that a tensor's draws hang on its name and not on its place in a list.
uint64_t stream_of(const std::string& name) {
  uint64_t h = 0xcbf29ce484222325;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

// One row of draws; a call of the generator gives eight.
void normal_row(uint64_t seed, uint64_t stream, int64_t row, std::span<float> w) {
  static const std::vector<float> kQuantile = normal_quantiles();
  const uint64_t calls = (w.size() + 7) / 8;
  for (size_t i = 0; i < w.size(); i += 8) {
    const uint64_t index = static_cast<uint64_t>(row) * calls + i / 8;
    const auto bits =
        philox4x32({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                    static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)},
                   {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
    for (size_t j = 0; j < 8 && i + j < w.size(); ++j) {
      w[i + j] = kStandardDeviation * kQuantile[bits[j / 2] >> (16 * (j % 2)) & 0xFFFF];
    }
  }
}

struct Coding {
  Format format;
  ActivationMode activation = ActivationMode::exact;
};

Coding coding_named(const std::string& name) {
  if (const Scheme* preset = preset_named(name)) {
    return {format_of(*preset, DType::bf16), preset->activation};
  }
  return {format_named(name), ActivationMode::exact};
}

// An integer format as the scheme that a quantization_config can speak of; nothing for others.
std::optional<Scheme> integer_scheme(const Format& format, ActivationMode activation) {
  const Scheme scheme{.bits = static_cast<int>(format.codec->bits),
                      .symmetric = !format.codec->has_zero_point,
                      .group = format.group,
                      .activation = activation};
  if (!scheme_problem(scheme).empty() || format_of(scheme, format.scale) != format) return {};
  if (has_input_scale(scheme)) return {};  // no inputs were seen
  return scheme;
}

Scheme scheme_of(const SynthTensor& t) {
  if (const auto scheme = integer_scheme(t.format, t.activation)) return *scheme;
  fail(Fault::unsupported, "synth-format",
       "{}: a model directory has no way to store {}; give -o a name that ends in .gguf if it is "
       "one of GGUF's, or choose one of {}",
       t.name, to_string(t.format), fmt::join(directory_formats(), ", "));
}

Weight as_weight(const SynthTensor& t, const SynthBytes& bytes) {
  return {.format = t.format,
          .rows = t.rows,
          .cols = t.cols,
          .codes = bytes.codes.data(),
          .params = t.format.codec->is_plain ? nullptr : bytes.params.data()};
}

// The dtype that safetensors has for a plain codec.
DType dtype_of(const Codec& codec) {
  for (const DType d : {DType::f32, DType::f16, DType::bf16}) {
    if (plain_codec(d) == &codec) return d;
  }
  SINTER_CHECK(false);
  return DType::f32;
}

// The tensors of one module as a directory stores them.
std::vector<OwnedTensor> stored(const SynthTensor& t, const SynthBytes& bytes) {
  if (t.rows > 0 && !t.format.codec->is_plain) {
    return store_quantized({t.name, scheme_of(t)}, as_weight(t, bytes));
  }
  OwnedTensor tensor{t.rows == 0 ? t.name : t.name + ".weight", dtype_of(*t.format.codec), {}, {}};
  if (t.rows > 0) tensor.shape.push_back(t.rows);
  tensor.shape.push_back(t.cols);
  tensor.bytes.resize(bytes.codes.size());
  std::memcpy(tensor.bytes.data(), bytes.codes.data(), bytes.codes.size());
  std::vector<OwnedTensor> one;
  one.push_back(std::move(tensor));
  return one;
}

void refuse_foreign(const std::string& out) {
  std::error_code error;
  fs::create_directories(out, error);
  if (error || !fs::is_directory(out) || !fs::is_empty(out)) {
    fail(Fault::bad_input, "output-foreign",
         "{}: expected a new or empty directory{}; choose another, or remove it yourself", out,
         error ? ", cannot make one: " + error.message() : ", found something there");
  }
}

// config.json with the quantization_config of what is not dense.
Json quantised_config(Json config, const std::vector<SynthTensor>& tensors,
                      const std::string& embedding) {
  std::vector<QuantisedModule> modules;
  std::vector<std::string> dense;
  for (const SynthTensor& t : tensors) {
    if (t.rows == 0) continue;
    if (!t.format.codec->is_plain) {
      modules.push_back({t.name, scheme_of(t)});
    } else if (t.name != embedding) {
      dense.push_back(t.name);
    }
  }
  if (!modules.empty()) config["quantization_config"] = quantization_config(modules, dense);
  return config;
}

// Which tensors share a file: as many as fit kShardBytes.
std::vector<std::vector<const SynthTensor*>> shards_of(const std::vector<SynthTensor>& tensors) {
  std::vector<std::vector<const SynthTensor*>> shards;
  int64_t room = 0;
  for (const SynthTensor& t : tensors) {
    if (shards.empty() || t.bytes() > room) {
      shards.emplace_back();
      room = kShardBytes;
    }
    shards.back().push_back(&t);
    room -= t.bytes();
  }
  return shards;
}

}  // namespace

std::vector<std::string> directory_formats() {
  std::vector<std::string> names;
  for (const Codec* codec : codecs()) {
    const auto fits = [&](int32_t group) {
      return integer_scheme({.codec = codec, .group = group}, ActivationMode::exact).has_value();
    };
    constexpr int32_t kAnyGroup = 128;
    if (!codec->is_plain && fits(kAnyGroup)) {
      names.push_back(fmt::format("{}:N", codec->name));
    } else if (codec->is_plain || fits(0)) {
      names.emplace_back(codec->name);
    }
  }
  return names;
}

int64_t SynthTensor::bytes() const {
  return std::max<int64_t>(rows, 1) *
         (format.codec->row_bytes(format, cols) + format.codec->param_bytes(format, cols));
}

std::vector<SynthTensor> synth_tensors(const ModelConfig& c, const ModuleNames& names,
                                       const SynthOptions& options) {
  const Coding coding = coding_named(options.format);
  const Coding head = options.head.empty() ? coding : coding_named(options.head);
  const Coding brain{format_named("bf16")};
  std::vector<SynthTensor> tensors;
  const auto matrix = [&](const std::string& module, int64_t rows, int64_t cols, const Coding& as) {
    require_columns(as.format, cols, module);
    tensors.push_back({module, rows, cols, false, as.format, as.activation});
  };
  const auto vector = [&](const std::string& name, int64_t size, bool is_gain) {
    tensors.push_back({name, 0, size, is_gain, brain.format});
  };
  const auto linear = [&](const std::string& module, int64_t rows, int64_t cols, bool bias) {
    matrix(module, rows, cols, coding);
    if (bias) vector(module + ".bias", rows, false);
  };
  const int64_t q_dim = int64_t{c.n_heads} * c.head_dim,
                kv_dim = int64_t{c.n_kv_heads} * c.head_dim;
  // An embedding of its own is looked up a row a token: its format is nothing to the speed.
  const Coding& embed = c.tied_embeddings ? head : coding.format.codec->is_plain ? coding : brain;
  matrix(names.embed, c.vocab, c.d_model, embed);
  for (int32_t i = 0; i < c.n_layers; ++i) {
    const std::string at = fmt::format(fmt::runtime(names.layer), i);
    vector(at + names.attn_norm, c.d_model, true);
    linear(at + names.q, q_dim, c.d_model, c.qkv_bias);
    linear(at + names.k, kv_dim, c.d_model, c.qkv_bias);
    linear(at + names.v, kv_dim, c.d_model, c.qkv_bias);
    if (c.qk_norm) {
      vector(at + names.q_norm, c.head_dim, true);
      vector(at + names.k_norm, c.head_dim, true);
    }
    if (c.sub_norm) vector(at + names.attn_sub_norm, q_dim, true);
    linear(at + names.o, c.d_model, q_dim, c.o_bias);
    vector(at + names.ffn_norm, c.d_model, true);
    linear(at + names.gate, c.d_ff, c.d_model, c.mlp_bias);
    linear(at + names.up, c.d_ff, c.d_model, c.mlp_bias);
    if (c.sub_norm) vector(at + names.ffn_sub_norm, c.d_ff, true);
    linear(at + names.down, c.d_model, c.d_ff, c.mlp_bias);
  }
  vector(names.final_norm, c.d_model, true);
  if (!c.tied_embeddings) matrix(names.head, c.vocab, c.d_model, head);
  return tensors;
}

SynthBytes synth_bytes(const SynthTensor& t, uint64_t seed, ThreadPool& pool) {
  constexpr int64_t kGrainWeights = 1 << 16;
  const Codec& codec = *t.format.codec;
  const int64_t rows = std::max<int64_t>(t.rows, 1);
  const int64_t row_bytes = codec.row_bytes(t.format, t.cols);
  const int64_t param_bytes = codec.param_bytes(t.format, t.cols);
  const uint64_t stream = stream_of(t.name);
  SynthBytes out;
  out.codes.resize(static_cast<size_t>(rows * row_bytes));
  out.params.resize(static_cast<size_t>(rows * param_bytes));
  pool.run(rows, std::max<int64_t>(kGrainWeights / t.cols, 1), [&](int64_t begin, int64_t end) {
    std::vector<float> w(static_cast<size_t>(t.cols), 1.0f);
    for (int64_t r = begin; r < end; ++r) {
      if (!t.is_gain) normal_row(seed, stream, r, w);
      uint8_t* params = out.params.data() + r * param_bytes;
      codec.fit_row(t.format, w, {}, params);
      codec.pack_row(t.format, w, params, out.codes.data() + r * row_bytes);
    }
  });
  return out;
}

std::vector<std::pair<std::string, std::string>> synth_text_files(const Json& config) {
  const Json tokenizer_config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                 {"bos_token", "<|bos|>"},
                                 {"eos_token", "<|end|>"},
                                 {"pad_token", "<|pad|>"}};
  return {{"tokenizer.json", synth_tokenizer(config.at("vocab_size").get<int64_t>()).dump() + "\n"},
          {"tokenizer_config.json", tokenizer_config.dump(2) + "\n"},
          {"chat_template.jinja",
           "{{ bos_token }}{% for message in messages %}{{ message['content'] }}\n{% endfor %}"}};
}

JsonMap synth_tokenizer(int64_t n_vocab) {
  if (n_vocab < kMinVocab) {
    fail(Fault::bad_input, "config-value",
         "config.json: vocab_size: expected at least {}, for the bytes and special tokens of a "
         "made-up tokenizer, found {}",
         kMinVocab, n_vocab);
  }
  JsonMap vocab, added = JsonMap::array();
  int64_t id = 0;
  for (const char* content : {"<|pad|>", "<|bos|>", "<|end|>"}) {
    added.push_back({{"id", id},
                     {"content", content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    vocab[content] = id++;
  }
  for (int byte = 0; byte < 256; ++byte) {
    vocab[spell_bytes(std::string(1, static_cast<char>(byte)))] = id++;
  }
  vocab["th"] = id++;
  for (; id < n_vocab; ++id) {
    vocab[fmt::format("<|unused {}|>", id)] = id;  // with a space, so no text is spelled like it
  }
  const JsonMap byte_level = {{"type", "ByteLevel"},
                              {"add_prefix_space", false},
                              {"trim_offsets", true},
                              {"use_regex", true}};
  const JsonMap merge = JsonMap::array({"t", "h"});
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", vocab},
            {"merges", JsonMap::array({merge})}}}};
}

SynthResult synth_directory(const Json& config, const SynthOptions& options,
                            const std::string& out) {
  const JsonFields fields(config, "config.json");
  const Architecture& architecture = architecture_of(fields);
  const ModelConfig c = architecture.config(fields);
  const std::vector<SynthTensor> tensors = synth_tensors(c, architecture.names, options);
  const Json written = quantised_config(config, tensors, architecture.names.embed);
  const auto texts = synth_text_files(config);
  refuse_foreign(out);

  SynthResult result{.parameters = c.parameters(), .bytes = 0};
  for (const SynthTensor& t : tensors) result.bytes += t.bytes();
  Progress progress("synth", std::max<int64_t>(result.bytes >> 20, 1), "MiB");
  ThreadPool pool(options.threads);
  const auto shards = shards_of(tensors);
  JsonMap weight_map;
  int64_t done = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string file =
        shards.size() == 1 ? "model.safetensors"
                           : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    std::vector<OwnedTensor> owned;
    for (const SynthTensor* t : shards[i]) {
      for (OwnedTensor& o : stored(*t, synth_bytes(*t, options.seed, pool))) {
        weight_map[o.name] = file;
        owned.push_back(std::move(o));
      }
      const int64_t before = done >> 20;
      done += t->bytes();
      progress.advance((done >> 20) - before, t->name);
    }
    std::vector<TensorToWrite> to_write;
    to_write.reserve(owned.size());
    for (const OwnedTensor& o : owned) to_write.push_back(o.to_write());
    write_safetensors(fmt::format("{}/{}", out, file), to_write);
  }
  if (shards.size() > 1) {
    JsonMap index;
    index["metadata"]["total_size"] = result.bytes;
    index["weight_map"] = weight_map;
    write_file_atomically(out + "/model.safetensors.index.json", index.dump(2) + "\n");
  }
  for (const auto& [name, text] : texts) {
    write_file_atomically(fmt::format("{}/{}", out, name), text);
  }
  write_file_atomically(out + "/config.json", written.dump(2) + "\n");
  return result;
}

}  // namespace sinter
