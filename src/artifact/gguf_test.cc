// GGUF: the container against a file worked out by hand and against damage; models written and read
// back, every tensor bit for bit. What llama.cpp and the Python package think of our files is in
// tests/interop/test_gguf.py, tokenizers in tests/gguf_text_test.cc.
#include "artifact/gguf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "artifact/gguf_artifact.h"
#include "artifact/gguf_config.h"
#include "artifact/gguf_names.h"
#include "artifact/gguf_write.h"
#include "base/error.h"
#include "base/mutation.h"
#include "base/scratch_directory.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

std::string hex_bytes(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

// Two keys, one tensor output_norm.weight F32 [2] = {1, 2}: 152 bytes of header, data at 160.
const std::string kMinimal = hex_bytes(
    "474755460300000001000000000000000200000000000000140000000000000067656e6572616c2e6172636869"
    "746563747572650800000005000000000000006c6c616d61110000000000000067656e6572616c2e616c69676e"
    "6d656e74040000002000000012000000000000006f75747075745f6e6f726d2e77656967687401000000020000"
    "000000000000000000000000000000000000000000000000000000803f00000040000000000000000000000000"
    "000000000000000000000000");

class Gguf : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) const {
    const std::string path = dir_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  std::string code_of(const std::string& bytes) const {
    try {
      GgufFile::open(write("x.gguf", bytes));
      return "";
    } catch (const Error& e) {
      return e.code();
    }
  }

  template <typename File>
  std::string open_code(const File& file) {
    try {
      Artifact::open(write("made.gguf", file.bytes()));
      return "";
    } catch (const Error& e) {
      message_ = e.what();
      return e.code();
    }
  }

  std::string convert(const std::string& model, const GgufWriteOptions& options) const {
    const std::string path = dir_ / "model.gguf";
    ThreadPool pool(2);
    write_gguf(*Artifact::open(model), path, options, pool, [](int64_t, int64_t) {});
    return path;
  }

  const ScratchDirectory scratch_{"sinter-gguf"};
  const fs::path dir_ = scratch_.path();
  std::string message_;
};

template <typename T>
std::string with(std::string bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
  return bytes;
}

TEST_F(Gguf, TheFileWorkedOutByHand) {
  ASSERT_EQ(kMinimal.size(), 192u);
  const auto file = GgufFile::open(write("x.gguf", kMinimal));
  EXPECT_EQ(file->string("general.architecture"), "llama");
  EXPECT_EQ(file->integer("general.alignment"), 32);
  ASSERT_EQ(file->tensors().size(), 1u);
  const GgufTensor& t = file->tensors()[0];
  EXPECT_EQ(t.name, "output_norm.weight");
  EXPECT_EQ(t.type->name, "F32");
  EXPECT_EQ(t.shape, std::vector<int64_t>{2});
  float values[2];
  ASSERT_EQ(t.bytes.size(), sizeof values);
  std::memcpy(values, t.bytes.data(), sizeof values);
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[1], 2);
  EXPECT_EQ(code_of(with(kMinimal, 4, uint32_t{2})), "");  // version 2 is the same
  EXPECT_EQ(code_of(kMinimal.substr(0, 168)), "");         // no padding at the end
}

TEST_F(Gguf, RefusesWhatIsNoGguf) {
  EXPECT_EQ(code_of(""), "gguf-corrupt");
  EXPECT_EQ(code_of("GGUX" + kMinimal.substr(4)), "gguf-corrupt");
  for (const uint32_t version : {0u, 1u, 4u, 0x03000000u}) {
    EXPECT_EQ(code_of(with(kMinimal, 4, version)), "gguf-version") << version;
  }
  for (const uint64_t n : {uint64_t{3}, UINT64_MAX, uint64_t{1} << 60}) {
    EXPECT_EQ(code_of(with(kMinimal, 8, n)), "gguf-corrupt") << n;   // tensors
    EXPECT_EQ(code_of(with(kMinimal, 16, n)), "gguf-corrupt") << n;  // keys
    EXPECT_EQ(code_of(with(kMinimal, 24, n)), "gguf-corrupt") << n;  // length of a key
  }
  const size_t alignment = kMinimal.find("alignment") + 9 + 4, name = kMinimal.find("output_norm");
  const size_t rank = name + 18, dims = rank + 4, type = dims + 8, offset = type + 4;
  for (const uint32_t a : {0u, 24u, 0x40000000u}) {
    EXPECT_EQ(code_of(with(kMinimal, alignment, a)), "gguf-corrupt") << a;
  }
  EXPECT_EQ(code_of(with(kMinimal, alignment - 4, uint32_t{13})), "gguf-corrupt");
  EXPECT_EQ(code_of(with(kMinimal, rank, uint32_t{5})), "gguf-corrupt");
  for (const uint64_t n : {UINT64_MAX, uint64_t{1} << 62, uint64_t{9}}) {
    EXPECT_EQ(code_of(with(kMinimal, dims, n)), "gguf-corrupt") << n;
  }
  EXPECT_EQ(code_of(with(kMinimal, type, uint32_t{10})), "gguf-type");  // Q2_K
  EXPECT_EQ(code_of(with(kMinimal, type, uint32_t{999})), "gguf-type");
  EXPECT_EQ(code_of(with(kMinimal, type, uint32_t{2})), "gguf-corrupt");  // half a block of Q4_0
  EXPECT_EQ(code_of(with(kMinimal, offset, uint64_t{32})), "gguf-corrupt");
  EXPECT_EQ(code_of(kMinimal.substr(0, 167)), "gguf-corrupt");
}

TEST_F(Gguf, RowsOfHeadsInterleave) {
  const int64_t one_head[] = {0, 4, 1, 5, 2, 6, 3, 7};
  const int64_t two_heads[] = {0, 2, 1, 3, 4, 6, 5, 7};
  for (int64_t at = 0; at < 8; ++at) {
    EXPECT_EQ(gguf_row(one_head[at], 8), at);
    EXPECT_EQ(gguf_row(two_heads[at], 4), at);
  }
}

TEST_F(Gguf, NamesGoBothWays) {
  EXPECT_EQ(hugging_face_name("blk.11.attn_q.weight"), "model.layers.11.self_attn.q_proj.weight");
  EXPECT_EQ(gguf_name("model.layers.0.mlp.down_proj.weight"), "blk.0.ffn_down.weight");
  EXPECT_EQ(gguf_name("lm_head.weight"), "output.weight");
  for (const char* unknown : {"blk.x.attn_q.weight", "blk..attn_q.weight", "blk.0.attn_q", "blk.0.",
                              "", "blk.0.attn_q.scale", "blk.123456.attn_q.weight"}) {
    EXPECT_EQ(hugging_face_name(unknown), std::nullopt) << unknown;
  }
}

// A file made key by key, for what no writer writes.
class MadeFile {
 public:
  template <typename T>
  MadeFile& key(const std::string& name, GgufKind kind, T value) {
    text(keys_, name);
    number(keys_, static_cast<uint32_t>(kind));
    number(keys_, value);
    ++n_keys_;
    return *this;
  }
  MadeFile& integer(const std::string& name, uint32_t value) {
    return key(name, GgufKind::u32, value);
  }
  MadeFile& string(const std::string& name, const std::string& value) {
    key(name, GgufKind::string, uint64_t{value.size()});
    keys_ += value;
    return *this;
  }
  MadeFile& strings(const std::string& name, const std::vector<std::string>& list) {
    array(name, GgufKind::string, list.size());
    for (const std::string& value : list) text(keys_, value);
    return *this;
  }
  MadeFile& floats(const std::string& name, const std::vector<float>& list) {
    array(name, GgufKind::f32, list.size());
    for (const float value : list) number(keys_, value);
    return *this;
  }
  // F32, every element `value`; the shape as GGUF writes it, columns first.
  MadeFile& tensor(const std::string& name, const std::vector<uint64_t>& shape, float value = 1) {
    text(entries_, name);
    number(entries_, static_cast<uint32_t>(shape.size()));
    uint64_t n = 1;
    for (const uint64_t d : shape) {
      number(entries_, d);
      n *= d;
    }
    number(entries_, uint32_t{0});
    number(entries_, uint64_t{data_.size()});
    for (uint64_t i = 0; i < n; ++i) number(data_, value);
    data_.resize((data_.size() + 31) / 32 * 32);
    ++n_tensors_;
    return *this;
  }
  std::string bytes() const {
    std::string out = "GGUF";
    number(out, uint32_t{3});
    number(out, n_tensors_);
    number(out, n_keys_);
    out += keys_ + entries_;
    out.resize((out.size() + 31) / 32 * 32);
    return out + data_;
  }

 private:
  template <typename T>
  static void number(std::string& to, T value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  static void text(std::string& to, const std::string& value) {
    number(to, uint64_t{value.size()});
    to += value;
  }
  void array(const std::string& name, GgufKind kind, uint64_t size) {
    key(name, GgufKind::array, static_cast<uint32_t>(kind));
    number(keys_, size);
  }
  std::string keys_, entries_, data_;
  uint64_t n_keys_ = 0, n_tensors_ = 0;
};

// Metadata of two layers of two heads, and an embedding of 4 tokens.
MadeFile made_model(const std::string& architecture, uint32_t head_dim) {
  MadeFile f;
  f.string("general.architecture", architecture);
  const auto set = [&](const char* key, uint32_t value) {
    f.integer(architecture + "." + key, value);
  };
  set("context_length", 16);
  set("embedding_length", 2 * head_dim);
  set("block_count", 2);
  set("feed_forward_length", 4);
  set("attention.head_count", 2);
  f.key(architecture + ".attention.layer_norm_rms_epsilon", GgufKind::f32, 1e-5f);
  set("attention.key_length", head_dim);
  set("attention.value_length", head_dim);
  set("rope.dimension_count", head_dim);
  f.tensor("token_embd.weight", {2 * head_dim, 4});
  return f;
}

TEST_F(Gguf, HeadsHaveTwoHalves) {
  for (const uint32_t head_dim : {0u, 1u, 3u}) {
    SCOPED_TRACE(head_dim);
    EXPECT_EQ(open_code(made_model("llama", head_dim)), "gguf-key");
    EXPECT_NE(message_.find("even"), std::string::npos);
    EXPECT_EQ(open_code(made_model("llama", head_dim).tensor(kRopeFactors, {head_dim / 2})),
              "gguf-key");
  }
  EXPECT_EQ(open_code(made_model("llama", 4)), "");
}

TEST_F(Gguf, RopeFactorsStandAlone) {
  EXPECT_EQ(open_code(made_model("llama", 4).tensor(kRopeFactors, {2}, 2)), "");
  for (const char* key : {"llama.rope.scale_linear", "llama.rope.scaling.factor"}) {
    EXPECT_EQ(
        open_code(
            made_model("llama", 4).key(key, GgufKind::f32, 2.0f).tensor(kRopeFactors, {2}, 2)),
        "gguf-key");
    EXPECT_NE(message_.find(key), std::string::npos);
  }
}

TEST_F(Gguf, PartNumbersMayBeAnything) {
  for (const int64_t number : {INT64_MAX, int64_t{-1}}) {
    EXPECT_EQ(open_code(made_model("llama", 4)
                            .integer("split.count", 2)
                            .key("split.no", GgufKind::i64, number)),
              "gguf-parts");
    EXPECT_NE(message_.find(std::to_string(number)), std::string::npos);
  }
}

// What nobody would compute with is no part of the model that the file says it is.
TEST_F(Gguf, TensorsThatTheConfigDoesNotImplyAreRefused) {
  const auto file = [](const char* architecture) { return made_model(architecture, 4); };
  EXPECT_EQ(open_code(file("qwen3").tensor("blk.0.attn_q_norm.weight", {4})), "");
  EXPECT_EQ(open_code(file("llama").tensor("blk.0.attn_q_norm.weight", {4})), "gguf-tensor");
  EXPECT_EQ(open_code(file("llama").tensor("blk.1.ffn_up.weight", {8, 4})), "");
  EXPECT_EQ(open_code(file("llama").tensor("blk.2.ffn_up.weight", {8, 4})), "gguf-tensor");
  EXPECT_EQ(open_code(file("llama").tensor("blk.01.ffn_up.weight", {8, 4})), "gguf-tensor");
  EXPECT_EQ(open_code(file("llama").tensor("blk.1.attn_q.bias", {8})), "gguf-tensor");
  EXPECT_EQ(open_code(file("llama").tensor("blk.0.attn_q.bias", {8})), "");
  EXPECT_EQ(open_code(file("qwen2").tensor("blk.1.attn_q.bias", {8})), "");
  EXPECT_EQ(open_code(file("qwen2").tensor("blk.0.attn_output.bias", {8})), "gguf-tensor");
  EXPECT_EQ(open_code(file("qwen3").tensor("blk.0.ffn_down.bias", {8})), "gguf-tensor");
  EXPECT_EQ(open_code(file("llama").tensor("token_embd.bias", {8})), "gguf-tensor");
}

TEST_F(Gguf, ScoresAreNumbers) {
  const auto with_score = [](float score) {
    MadeFile f = made_model("llama", 4);
    f.string("tokenizer.ggml.model", "llama").strings("tokenizer.ggml.tokens", {"a", "b", "ab"});
    return f.floats("tokenizer.ggml.scores", {0, 0, score});
  };
  const auto code = [&](float score) {
    try {
      Artifact::open(write("scores.gguf", with_score(score).bytes()))->text_file("tokenizer.json");
      return std::string();
    } catch (const Error& e) {
      return e.code();
    }
  };
  EXPECT_EQ(code(-1), "");
  EXPECT_EQ(code(NAN), "gguf-key");
  EXPECT_EQ(code(INFINITY), "gguf-key");
}

std::vector<float> row_of(const Weight& w, int64_t r) {
  std::vector<float> row(static_cast<size_t>(w.cols));
  unpack_row(w, r, row);
  return row;
}

// Written as float32 and read back, a model is what it was, for every kind of model in the golden
// folder that GGUF has a word for.
TEST_F(Gguf, ModelsRoundTripBitForBit) {
  for (const char* name : {"llama", "llama_f16_tied", "llama_f32_biased", "llama_linear",
                           "llama_llama3", "llama_yarn", "qwen2", "qwen3", "qwen3_biased"}) {
    SCOPED_TRACE(name);
    const std::string model = std::string(SINTER_SOURCE_DIR "/tests/golden/model/") + name;
    const auto before = Artifact::open(model);
    const auto after = Artifact::open(convert(model, {.type = format_named("f32").codec,
                                                      .embedding_type = nullptr,
                                                      .head_type = nullptr,
                                                      .tokenizer = false,
                                                      .name = name}));
    for (const StoredTensor& t : before->checkpoint().tensors()) {
      SCOPED_TRACE(t.name);
      if (t.shape.size() == 1) {
        EXPECT_EQ(after->vector(t.name, t.shape[0]), before->vector(t.name, t.shape[0]));
        continue;
      }
      const std::string module = t.name.substr(0, t.name.rfind('.'));
      const Weight a = before->matrix(module, t.shape[0], t.shape[1]);
      const Weight b = after->matrix(module, t.shape[0], t.shape[1]);
      for (int64_t r = 0; r < a.rows; ++r) ASSERT_EQ(row_of(b, r), row_of(a, r)) << r;
    }
    for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers",
                            "num_attention_heads", "num_key_value_heads", "vocab_size",
                            "max_position_embeddings", "architectures", "tie_word_embeddings"}) {
      EXPECT_EQ(after->config()[key], before->config()[key]) << key;
    }
    EXPECT_EQ(after->config()["rms_norm_eps"].get<float>(),
              before->config()["rms_norm_eps"].get<float>());
    EXPECT_EQ(after->digest(), Artifact::open(after->directory())->digest());
  }
}

TEST_F(Gguf, LlamasRopeScalingComesBackAsItself) {
  const std::string model = SINTER_SOURCE_DIR "/tests/golden/model/llama_llama3";
  Json config = read_json_file(model + "/config.json");
  const auto after = Artifact::open(convert(model, {.type = format_named("f32").codec,
                                                    .embedding_type = nullptr,
                                                    .head_type = nullptr,
                                                    .tokenizer = false,
                                                    .name = "x"}));
  const char* key = config.contains("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const Json& rope = after->config()["rope_scaling"];
  if (config[key]["original_max_position_embeddings"] == 8192) {
    EXPECT_EQ(rope["rope_type"], "llama3");
    EXPECT_EQ(rope["factor"].get<double>(), config[key]["factor"].get<double>());
  } else {
    EXPECT_EQ(rope["rope_type"], "divisors");
    EXPECT_EQ(rope["divisors"].size(), static_cast<size_t>(after->config()["head_dim"]) / 2);
  }
}

// A model of the golden folder with one tensor more.
TEST_F(Gguf, TensorsThatCannotBeWrittenAreRefused) {
  const std::string model = SINTER_SOURCE_DIR "/tests/golden/model/llama";
  const auto original = Checkpoint::open_directory(model);
  const std::vector<float> zeros(64);
  fs::create_directories(dir_ / "m");
  fs::copy(model + "/config.json", dir_ / "m");
  for (const char* name : {"lm_head.bias", "model.embed_tokens.bias",
                           "model.layers.1.self_attn.q_proj.bias", "model.layers.2.x.weight"}) {
    SCOPED_TRACE(name);
    std::vector<TensorToWrite> tensors;
    for (const StoredTensor& t : original->tensors()) {
      tensors.push_back({t.name, t.dtype, t.shape, t.bytes});
    }
    tensors.push_back({name, DType::f32, {64}, std::as_bytes(std::span(zeros))});
    write_safetensors(dir_ / "m" / "model.safetensors", tensors);
    try {
      convert(dir_ / "m", {.name = "m"});
      ADD_FAILURE();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), "gguf-write");
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos);
    }
  }
}

// An artifact that counts the matrices that nobody has released.
class Counting : public Artifact {
 public:
  explicit Counting(const std::string& path) : base_(Artifact::open(path)) {}
  const std::string& directory() const override { return base_->directory(); }
  const Json& config() const override { return base_->config(); }
  std::optional<std::string> text_file(const std::string& name) const override {
    return base_->text_file(name);
  }
  const Checkpoint& checkpoint() const override { return base_->checkpoint(); }
  Weight matrix(std::string_view module, int64_t rows, int64_t cols) const override {
    held_.emplace(module);
    most_ = std::max(most_, held_.size());
    return base_->matrix(module, rows, cols);
  }
  void release(std::string_view module, bool in_use) const override {
    held_.erase(std::string(module));
    base_->release(module, in_use);
  }
  Activation activation(std::string_view module) const override {
    return base_->activation(module);
  }
  std::vector<float> vector(std::string_view tensor, int64_t size) const override {
    return base_->vector(tensor, size);
  }
  bool has_tensor(std::string_view tensor) const override { return base_->has_tensor(tensor); }
  std::string digest() const override { return base_->digest(); }
  std::string scheme() const override { return base_->scheme(); }
  size_t held() const { return held_.size(); }
  size_t most() const { return most_; }

 private:
  std::shared_ptr<const Artifact> base_;
  mutable std::set<std::string> held_;
  mutable size_t most_ = 0;
};

TEST_F(Gguf, OneMatrixIsInMemoryAtATime) {
  const Counting model(SINTER_SOURCE_DIR "/tests/golden/model/qwen3");
  ThreadPool pool(1);
  write_gguf(model, dir_ / "m.gguf", {.tokenizer = false, .name = "m"}, pool,
             [](int64_t, int64_t) {});
  EXPECT_EQ(model.most(), 1u);
  EXPECT_EQ(model.held(), 0u);
}

// A format of each kind: the matrices are what the codec makes of them, whichever row they lie in.
TEST_F(Gguf, FormatsAreWrittenAndRead) {
  const std::string model = SINTER_SOURCE_DIR "/models/pebble";
  const auto before = Artifact::open(model);
  for (const char* type : {"f16", "q8_0"}) {
    SCOPED_TRACE(type);
    const Format format = format_named(type);
    const auto after = Artifact::open(convert(model, {.type = format.codec,
                                                      .embedding_type = format_named("bf16").codec,
                                                      .head_type = nullptr,
                                                      .tokenizer = false,
                                                      .name = "pebble"}));
    for (const char* module : {"model.layers.0.self_attn.q_proj", "model.layers.4.self_attn.k_proj",
                               "model.layers.2.mlp.down_proj"}) {
      const auto shape = before->checkpoint().find(module + std::string(".weight"))->shape;
      const Weight a = before->matrix(module, shape[0], shape[1]);
      const Weight b = after->matrix(module, shape[0], shape[1]);
      ASSERT_EQ(b.format, format);
      for (const int64_t r : {int64_t{0}, int64_t{1}, int64_t{33}, a.rows - 1}) {
        std::vector<uint8_t> packed(static_cast<size_t>(b.row_bytes()));
        format.codec->pack_row(format, row_of(a, r), nullptr, packed.data());
        ASSERT_EQ(std::memcmp(packed.data(), b.row_codes(r), packed.size()), 0) << module << r;
      }
    }
  }
}

// Packing is at least as good as ggml's: the mean squared error that `llama-quantize --pure` (ggml
// 0.25.3) leaves in this matrix.
TEST_F(Gguf, PackingLeavesLessErrorThanGgml) {
  const auto pebble = Artifact::open(SINTER_SOURCE_DIR "/models/pebble");
  const Weight w = pebble->matrix("model.layers.2.mlp.down_proj", 256, 512);
  const std::pair<const char*, double> ggml[] = {{"q4_k", 3.35544e-05},
                                                 {"q5_k", 8.55589e-06},
                                                 {"q6_k", 2.09375e-06},
                                                 {"iq4_nl", 3.77622e-05},
                                                 {"iq4_xs", 3.83644e-05}};
  for (const auto& [name, theirs] : ggml) {
    const Format format = format_named(name);
    std::vector<uint8_t> packed(static_cast<size_t>(format.codec->row_bytes(format, w.cols)));
    std::vector<float> back(static_cast<size_t>(w.cols));
    double sum = 0;
    for (int64_t r = 0; r < w.rows; ++r) {
      const std::vector<float> row = row_of(w, r);
      format.codec->pack_row(format, row, nullptr, packed.data());
      format.codec->unpack_row(format, packed.data(), nullptr, back);
      for (size_t i = 0; i < row.size(); ++i) {
        const double e = static_cast<double>(back[i]) - static_cast<double>(row[i]);
        sum += e * e;
      }
    }
    EXPECT_LT(sum / static_cast<double>(w.rows * w.cols), theirs) << name;
  }
}

TEST_F(Gguf, AnOutputThatFailsLeavesNothing) {
  const std::string model = SINTER_SOURCE_DIR "/tests/golden/model/mistral_window";
  try {
    convert(model, {});
    ADD_FAILURE() << "a window that GGUF cannot say";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "gguf-architecture");
  }
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(Gguf, DamageIsAnErrorAndNeverACrash) {
  const std::string path =
      convert(SINTER_SOURCE_DIR "/models/pebble", {.type = format_named("q8_0").codec,
                                                   .embedding_type = nullptr,
                                                   .head_type = nullptr,
                                                   .tokenizer = true,
                                                   .name = "pebble"});
  const std::string valid = read_file(path);
  const size_t header = 40000;  // keys, vocabulary, tensor directory: where a parser can be fooled
  int opened = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const std::string bytes = seed % 2 == 0
                                  ? mutated(kMinimal, seed)
                                  : mutated(valid.substr(0, header), seed) + valid.substr(header);
    const std::string damaged = write("damaged.gguf", bytes);
    try {
      const auto artifact = Artifact::open(damaged);
      artifact->text_file("tokenizer.json");
      artifact->matrix("model.layers.0.self_attn.q_proj", 256, 256);
      ++opened;
    } catch (const Error&) {
    }
  }
  EXPECT_LT(opened, 60);
}

}  // namespace
}  // namespace sinter
