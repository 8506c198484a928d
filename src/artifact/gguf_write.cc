#include "artifact/gguf_write.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>

#include "artifact/gguf.h"
#include "artifact/gguf_config.h"
#include "artifact/gguf_exact.h"
#include "artifact/gguf_names.h"
#include "artifact/gguf_tokenizer.h"
#include "base/error.h"
#include "base/file.h"
#include "format/codecs.h"

namespace sinter {
namespace {

constexpr uint64_t kAlignment = 32;
constexpr int64_t kSlabBytes = int64_t{1} << 24;  // of a matrix in memory at a time
constexpr float kMaxHalf = 65504;

// What a matrix is written as when its columns do not fill the blocks of a format: the next larger
// one that they may fill.
struct Fallback {
  const Codec *codec, *instead;
};
constexpr std::array<Fallback, 9> kFallbacks = {{{&kQ4K, &kQ50},
                                                 {&kQ5K, &kQ80},
                                                 {&kQ6K, &kQ80},
                                                 {&kIq4Xs, &kIq4Nl},
                                                 {&kQ40, &kF16},
                                                 {&kQ41, &kF16},
                                                 {&kQ50, &kF16},
                                                 {&kIq4Nl, &kF16},
                                                 {&kQ80, &kF16}}};

uint64_t padded(uint64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

// The file's header as it grows.
class Header {
 public:
  template <typename T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void string(std::string_view text) {
    number(uint64_t{text.size()});
    bytes_ += text;
  }
  void key(std::string_view name, GgufKind kind) {
    string(name);
    number(static_cast<uint32_t>(kind));
    ++n_keys_;
  }
  void add(std::string_view name, uint32_t value) {
    key(name, GgufKind::u32);
    number(value);
  }
  void add(std::string_view name, float value) {
    key(name, GgufKind::f32);
    number(value);
  }
  void add(std::string_view name, const std::string& value) {
    key(name, GgufKind::string);
    string(value);
  }
  void add_flag(std::string_view name, bool value) {
    key(name, GgufKind::boolean);
    number(static_cast<uint8_t>(value));
  }
  void add(std::string_view name, const std::vector<std::string>& list) {
    array(name, GgufKind::string, list.size());
    for (const std::string& text : list) string(text);
  }
  template <typename T>
  void add_numbers(std::string_view name, GgufKind kind, const std::vector<T>& list) {
    array(name, kind, list.size());
    for (const T value : list) number(value);
  }
  uint64_t n_keys() const { return n_keys_; }
  const std::string& bytes() const { return bytes_; }

 private:
  void array(std::string_view name, GgufKind kind, size_t size) {
    key(name, GgufKind::array);
    number(static_cast<uint32_t>(kind));
    number(uint64_t{size});
  }
  std::string bytes_;
  uint64_t n_keys_ = 0;
};

struct PlannedMatrix {
  std::string module;  // empty: `values` are the tensor
  int64_t rows = 0, cols = 0;
  bool interleave = false;
  bool exact = false;  // by pack_exact_row
  std::vector<float> values;
};

struct Choice {
  const Codec* codec;
  bool exact;
};

PlannedMatrix values_of(std::vector<float> values) {
  PlannedMatrix m;
  m.values = std::move(values);
  return m;
}

struct PlannedTensor {
  std::string name;  // GGUF's
  std::vector<int64_t> shape;
  const Codec* codec = nullptr;
  PlannedMatrix source;
  uint64_t bytes = 0;
};

class GgufWriter {
 public:
  GgufWriter(const Artifact& artifact, const std::string& path, const GgufWriteOptions& options,
             ThreadPool& pool)
      : artifact_(artifact), path_(path), options_(options), pool_(pool) {}

  GgufWritten write(const std::function<void(int64_t, int64_t)>& progress) {
    const JsonFields config(artifact_.config(), artifact_.directory() + "/config.json");
    hyper_ = gguf_hyperparameters(config);
    SINTER_CHECK(hyper_.head_dim > 0 && hyper_.head_dim % 2 == 0);
    plan(config);
    const std::string header = this->header();
    AtomicFile file(path_);
    file.write(header);
    file.write(std::string(padded(header.size()) - header.size(), '\0'));
    written_.bytes = static_cast<int64_t>(padded(header.size()));
    for (size_t i = 0; i < tensors_.size(); ++i) {
      write_tensor(tensors_[i], file);
      file.write(std::string(padded(tensors_[i].bytes) - tensors_[i].bytes, '\0'));
      written_.bytes += static_cast<int64_t>(padded(tensors_[i].bytes));
      progress(static_cast<int64_t>(i) + 1, static_cast<int64_t>(tensors_.size()));
    }
    file.commit();
    return std::move(written_);
  }

 private:
  template <typename... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    written_.notes.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  // --- Which tensors, and what they become --------------------------------------------------

  void plan(const JsonFields& config) {
    const int64_t d = config.integer("hidden_size"), ff = config.integer("intermediate_size");
    const int64_t heads = config.integer("num_attention_heads");
    const int64_t q = heads * hyper_.head_dim;
    const int64_t kv = config.integer("num_key_value_heads", heads) * hyper_.head_dim;
    read_ = gguf_tensors(*hyper_.architecture, config);
    matrix("model.embed_tokens", hyper_.vocab, d, options_.embedding_type);
    const bool tied = config.boolean("tie_word_embeddings", false);
    if (!tied) matrix("lm_head", hyper_.vocab, d, options_.head_type);
    vector("model.norm.weight", d);
    if (!hyper_.rope_factors.empty()) {
      add({.name = kRopeFactors,
           .shape = {static_cast<int64_t>(hyper_.rope_factors.size())},
           .codec = &kF32,
           .source = values_of(hyper_.rope_factors)});
    }
    for (int64_t i = 0; i < config.integer("num_hidden_layers"); ++i) {
      const std::string layer = fmt::format("model.layers.{}.", i);
      vector(layer + "input_layernorm.weight", d);
      linear(layer + "self_attn.q_proj", q, d);
      linear(layer + "self_attn.k_proj", kv, d);
      linear(layer + "self_attn.v_proj", kv, d);
      linear(layer + "self_attn.o_proj", d, q);
      for (const char* norm : {"self_attn.q_norm.weight", "self_attn.k_norm.weight"}) {
        if (read_.contains(layer + norm)) vector(layer + norm, hyper_.head_dim);
      }
      vector(layer + "post_attention_layernorm.weight", d);
      linear(layer + "mlp.gate_proj", ff, d);
      linear(layer + "mlp.up_proj", ff, d);
      linear(layer + "mlp.down_proj", d, ff);
    }
    for (const StoredTensor& t : artifact_.checkpoint().tensors()) {
      const std::string module = t.name.substr(0, t.name.rfind('.'));
      const bool part = planned_.contains(module) && !t.name.ends_with(".bias");
      if (part || planned_.contains(t.name) || (tied && t.name == "lm_head.weight")) continue;
      if (t.name.ends_with(".self_attn.k_scale") || t.name.ends_with(".self_attn.v_scale")) {
        if (!noted_kv_) note("scales of quantised keys and values are not part of GGUF");
        noted_kv_ = true;
        continue;
      }
      fail(Fault::unsupported, "gguf-write",
           "{}: tensor \"{}\": architecture {} has no such tensor in GGUF", artifact_.directory(),
           t.name, hyper_.architecture->name);
    }
  }

  void add(PlannedTensor t) {
    uint64_t rows = 1;
    for (size_t i = 0; i + 1 < t.shape.size(); ++i) rows *= static_cast<uint64_t>(t.shape[i]);
    t.bytes = rows * static_cast<uint64_t>(t.codec->row_bytes({.codec = t.codec}, t.shape.back()));
    tensors_.push_back(std::move(t));
  }

  void vector(const std::string& name, int64_t size) {
    std::vector<float> values = artifact_.vector(name, size);
    planned_.insert(name);
    if (interleaved(name)) {
      const std::vector<float> in_order = values;
      for (int64_t r = 0; r < size; ++r) {
        values[static_cast<size_t>(gguf_row(r, hyper_.head_dim))] =
            in_order[static_cast<size_t>(r)];
      }
    }
    add({.name = gguf_name(name).value(),
         .shape = {size},
         .codec = &kF32,
         .source = values_of(std::move(values))});
  }

  void linear(const std::string& module, int64_t rows, int64_t cols) {
    matrix(module, rows, cols, nullptr);
    if (read_.contains(module + ".bias")) vector(module + ".bias", rows);
    if (artifact_.activation(module).mode != ActivationMode::exact && !noted_activations_) {
      note("quantised activations of the checkpoint ({}) are not part of GGUF",
           to_string(artifact_.activation(module).mode));
      noted_activations_ = true;
    }
  }

  bool interleaved(const std::string& name) const {
    return hyper_.architecture->interleaved && is_rotated(name);
  }

  void matrix(const std::string& module, int64_t rows, int64_t cols, const Codec* own) {
    planned_.insert(module);
    const std::string name = module + ".weight";
    const Choice choice = choose(module, rows, cols, own != nullptr ? own : options_.type);
    if (choice.exact) ++written_.n_exact;
    add({.name = gguf_name(name).value(),
         .shape = {rows, cols},
         .codec = choice.codec,
         .source = {.module = module,
                    .rows = rows,
                    .cols = cols,
                    .interleave = interleaved(name),
                    .exact = choice.exact,
                    .values = {}}});
    ++written_.matrices[tensors_.back().codec->name];
  }

  Choice choose(const std::string& module, int64_t rows, int64_t cols, const Codec* wanted) {
    const Weight weight = artifact_.matrix(module, rows, cols);
    const Codec* stored = weight.format.codec;
    std::string why;
    const Codec* exact = nullptr;
    if (!stored->is_plain && gguf_type_of(*stored) == nullptr) {
      exact = exact_blocks(weight, wanted, pool_, why);
    }
    artifact_.release(module, false);  // converted again when it is written: one at a time
    if (exact != nullptr) return {exact, true};
    const Codec* codec = wanted == nullptr ? stored : wanted;
    if (gguf_type_of(*codec) == nullptr) {
      fail(Fault::unsupported, "gguf-write",
           "{}: module \"{}\" is {}, which no format of GGUF holds as it is: {}; --type (such as "
           "q8_0 or q4_k) rounds it once more",
           artifact_.directory(), module, to_string(weight.format), why);
    }
    while (cols % codec->col_multiple({.codec = codec}) != 0) {
      const auto next = std::find_if(kFallbacks.begin(), kFallbacks.end(),
                                     [&](const Fallback& f) { return f.codec == codec; });
      SINTER_CHECK(next != kFallbacks.end());
      codec = next->instead;
    }
    if (wanted != nullptr && codec != wanted) {
      note("{}: {} columns do not fill blocks of {}; written as {}", module, cols, wanted->name,
           codec->name);
    }
    return {codec, false};
  }

  // --- The header ---------------------------------------------------------------------------

  std::string header() {
    Header keys;
    keys.add("general.architecture", std::string(hyper_.architecture->name));
    keys.add("general.name", options_.name);
    const Codec* most = &kF32;
    int64_t count = 0;
    for (const auto& [name, n] : written_.matrices) {
      if (n > count) {
        most = format_named(name).codec;
        count = n;
      }
    }
    keys.add("general.file_type", gguf_type_of(*most)->file_type);
    keys.add("general.quantization_version", uint32_t{2});
    for (const auto& key : hyper_.keys) {
      std::visit([&](const auto& value) { keys.add(key.first, value); }, key.second);
    }
    if (options_.tokenizer) add_tokenizer(keys);

    Header all;
    all.number(uint32_t{0x46554747});  // "GGUF"
    all.number(uint32_t{3});
    all.number(uint64_t{tensors_.size()});
    all.number(keys.n_keys());
    Header entries;
    uint64_t offset = 0;
    for (const PlannedTensor& t : tensors_) {
      entries.string(t.name);
      entries.number(static_cast<uint32_t>(t.shape.size()));
      for (auto n = t.shape.rbegin(); n != t.shape.rend(); ++n) entries.number(uint64_t(*n));
      entries.number(gguf_type_of(*t.codec)->id);
      entries.number(offset);
      offset += padded(t.bytes);
    }
    return all.bytes() + keys.bytes() + entries.bytes();
  }

  Json small_file(const char* name) const {
    const auto text = artifact_.text_file(name);
    return text ? parse_json(*text, artifact_.directory() + "/" + name,
                             {.max_depth = 256, .max_keys = 20000})
                : Json::object();
  }

  void add_tokenizer(Header& keys) {
    const auto json = artifact_.text_file("tokenizer.json");
    if (!json) {
      note("no tokenizer.json: the file has no tokenizer");
      return;
    }
    const GgufTokens tokens =
        gguf_tokens(*json, artifact_.directory() + "/tokenizer.json", hyper_.vocab);
    written_.notes.insert(written_.notes.end(), tokens.notes.begin(), tokens.notes.end());
    keys.add("tokenizer.ggml.model", tokens.model);
    keys.add("tokenizer.ggml.pre", tokens.pre);
    keys.add("tokenizer.ggml.tokens", tokens.tokens);
    keys.add_numbers("tokenizer.ggml.token_type", GgufKind::i32, tokens.types);
    if (!tokens.scores.empty())
      keys.add_numbers("tokenizer.ggml.scores", GgufKind::f32, tokens.scores);
    if (tokens.model == "gpt2") keys.add("tokenizer.ggml.merges", tokens.merges);
    keys.add_flag("tokenizer.ggml.add_bos_token", tokens.bos.has_value());
    keys.add_flag("tokenizer.ggml.add_eos_token", tokens.eos.has_value());
    if (tokens.add_space_prefix)
      keys.add_flag("tokenizer.ggml.add_space_prefix", *tokens.add_space_prefix);
    add_special(keys, tokens);
    keys.add("tokenizer.huggingface.json", *json);
  }

  // Special tokens, ends of a turn, templates: as Chat reads them.
  void add_special(Header& keys, const GgufTokens& tokens) {
    const Json config = small_file("tokenizer_config.json");
    const auto id = [&](const char* field) -> std::optional<uint32_t> {
      if (!config.contains(field)) return std::nullopt;
      const Json& value = config[field];
      const Json& name = value.is_object() && value.contains("content") ? value["content"] : value;
      const auto at = name.is_string() ? std::find(tokens.tokens.begin(), tokens.tokens.end(),
                                                   name.get<std::string>())
                                       : tokens.tokens.end();
      if (at == tokens.tokens.end()) return std::nullopt;
      return static_cast<uint32_t>(at - tokens.tokens.begin());
    };
    const auto add_id = [&](const char* key, std::optional<uint32_t> token) {
      if (token) keys.add(fmt::format("tokenizer.ggml.{}_token_id", key), *token);
    };
    // What is put around a text is what these keys name.
    const auto check = [&](const char* key, std::optional<uint32_t> added,
                           std::optional<uint32_t> named) {
      if (!added || added == named) return;
      fail(Fault::unsupported, "gguf-tokenizer",
           "{}: tokenizer.json puts token {} around every text, which is not the {} of "
           "tokenizer_config.json; llama.cpp has no tokenizer like this. The model can still be "
           "written with --no-tokenizer",
           artifact_.directory(), *added, key);
    };
    const auto named_bos = id("bos_token"), bos = named_bos ? named_bos : tokens.bos;
    check("bos_token", tokens.bos, bos);
    add_id("bos", bos);
    add_id("unknown", id("unk_token"));
    add_id("padding", id("pad_token"));
    std::vector<uint32_t> ends;
    const auto end = [&](const Json& token) {
      if (!token.is_number_unsigned() || token.get<uint64_t>() >= tokens.tokens.size()) return;
      const auto value = token.get<uint32_t>();
      if (std::find(ends.begin(), ends.end(), value) == ends.end()) ends.push_back(value);
    };
    if (const auto eos = id("eos_token")) ends.push_back(*eos);
    for (const Json& from : {small_file("generation_config.json"), artifact_.config()}) {
      if (!from.contains("eos_token_id")) continue;
      const Json& list = from["eos_token_id"];
      if (!list.is_array()) end(list);
      for (const Json& token : list.is_array() ? list : Json::array()) end(token);
    }
    check("eos_token", tokens.eos, ends.empty() ? std::nullopt : std::optional(ends[0]));
    constexpr std::array kEnds = {"eos", "eot", "eom"};
    for (size_t i = 0; i < ends.size(); ++i) {
      if (i < kEnds.size()) add_id(kEnds[i], ends[i]);
      if (i >= kEnds.size()) note("token {} also ends a turn: GGUF has room for three", ends[i]);
    }
    add_templates(keys, config);
  }

  void add_templates(Header& keys, const Json& config) const {
    std::string main, tools;
    if (config.contains("chat_template")) {
      const Json& source = config["chat_template"];
      if (source.is_string()) main = source.get<std::string>();
      for (const Json& entry : source.is_array() ? source : Json::array()) {
        const JsonFields f(entry, "tokenizer_config.json: chat_template");
        if (f.string("name") == "default") main = f.string("template");
        if (f.string("name") == "tool_use") tools = f.string("template");
      }
    }
    main = artifact_.text_file("chat_template.jinja").value_or(main);
    tools = artifact_.text_file("additional_chat_templates/tool_use.jinja").value_or(tools);
    if (!main.empty()) keys.add("tokenizer.chat_template", main);
    if (!tools.empty()) keys.add("tokenizer.chat_template.tool_use", tools);
  }

  // --- The data -----------------------------------------------------------------------------

  void write_tensor(const PlannedTensor& t, AtomicFile& file) {
    if (t.source.module.empty()) {
      const auto& values = t.source.values;
      file.write({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
      return;
    }
    const PlannedMatrix& source = t.source;
    const Weight weight = artifact_.matrix(source.module, source.rows, source.cols);
    const Format target{.codec = t.codec};
    const int64_t row_bytes = t.codec->row_bytes(target, source.cols);
    const int64_t slab_rows = std::clamp<int64_t>(kSlabBytes / (4 * source.cols), 1, source.rows);
    std::vector<char> slab(static_cast<size_t>(slab_rows * row_bytes));
    for (int64_t begin = 0; begin < source.rows; begin += slab_rows) {
      const int64_t n = std::min(slab_rows, source.rows - begin);
      std::atomic<bool> too_large = false, differs = false;
      pool_.run(n, 8, [&](int64_t from, int64_t to) {
        std::vector<float> row(static_cast<size_t>(source.cols));
        for (int64_t r = from; r < to; ++r) {
          const int64_t in = source.interleave ? hugging_face_row(begin + r) : begin + r;
          auto* out = reinterpret_cast<uint8_t*>(slab.data() + r * row_bytes);
          if (weight.format == target && weight.column_order == nullptr) {
            std::memcpy(out, weight.row_codes(in), static_cast<size_t>(row_bytes));
            continue;
          }
          unpack_row(weight, in, row);
          if (source.exact) {
            pack_exact_row(weight, in, *t.codec, out);
            std::vector<float> same(row.size());
            t.codec->unpack_row(target, out, nullptr, same);
            if (same != row) differs = true;
            continue;
          }
          // bf16 and f32 hold what the checkpoint holds; everything else has half-precision scales.
          if (t.codec != &kF32 && t.codec != &kBf16) {
            for (const float x : row) {
              if (!(std::abs(x) <= kMaxHalf)) too_large = true;
            }
          }
          t.codec->pack_row(target, row, nullptr, out);
        }
      });
      if (too_large) {
        fail(Fault::unsupported, "gguf-write",
             "{}: module \"{}\" has weights beyond {}, which {} cannot hold; choose bf16 or f32",
             artifact_.directory(), source.module, kMaxHalf, t.codec->name);
      }
      if (differs) {
        fail(Fault::corrupt, "convert-proof",
             "{}: module \"{}\" has other values as {}; this is a fault of sinter's, and nothing "
             "was kept",
             artifact_.directory(), source.module, t.codec->name);
      }
      file.write({slab.data(), static_cast<size_t>(n * row_bytes)});
    }
    artifact_.release(source.module, false);
  }

  // The inverse of gguf_row.
  int64_t hugging_face_row(int64_t row) const {
    const int64_t in_head = row % hyper_.head_dim;
    return row - in_head + in_head / 2 + in_head % 2 * (hyper_.head_dim / 2);
  }

  const Artifact& artifact_;
  const std::string& path_;
  const GgufWriteOptions& options_;
  ThreadPool& pool_;
  GgufHyperparameters hyper_;
  std::vector<PlannedTensor> tensors_;
  std::set<std::string, std::less<>> read_;  // gguf_tensors()
  std::set<std::string> planned_;  // Hugging Face names of modules, and of tensors that are none's
  bool noted_activations_ = false, noted_kv_ = false;
  GgufWritten written_;
};

}  // namespace

GgufWritten write_gguf(const Artifact& artifact, const std::string& path,
                       const GgufWriteOptions& options, ThreadPool& pool,
                       const std::function<void(int64_t, int64_t)>& progress) {
  return GgufWriter(artifact, path, options, pool).write(progress);
}

}  // namespace sinter
