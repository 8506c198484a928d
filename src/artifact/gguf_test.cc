// GGUF: the container against a file worked out by hand and against damage; models written and read
// back, every tensor bit for bit. What llama.cpp and the Python package think of our files is in
// tests/interop/test_gguf.py, tokenizers in tests/gguf_text_test.cc.
#include "artifact/gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "artifact/gguf_artifact.h"
#include "artifact/gguf_config.h"
#include "artifact/gguf_names.h"
#include "artifact/gguf_write.h"
#include "artifact/mutation.h"
#include "artifact/scratch_directory.h"
#include "base/error.h"

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
  void SetUp() override { dir_ = scratch_directory("sinter-gguf"); }
  void TearDown() override { fs::remove_all(dir_); }

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

  std::string convert(const std::string& model, const GgufWriteOptions& options) const {
    const std::string path = dir_ / "model.gguf";
    ThreadPool pool(2);
    write_gguf(*Artifact::open(model), path, options, pool, [](int64_t, int64_t) {});
    return path;
  }

  fs::path dir_;
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
