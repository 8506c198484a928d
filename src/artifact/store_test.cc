// What store_quantized writes, load_quantized reads: the same codes and parameters, for every
// preset and for shapes that end inside a word. The words themselves are pinned in
// artifact_test.cc.
#include "artifact/store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "artifact/manifest.h"
#include "artifact/quantized.h"
#include "base/error.h"
#include "base/mutation.h"
#include "base/random.h"
#include "base/scratch_directory.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

class Store : public testing::Test {
 protected:
  const ScratchDirectory scratch_{"sinter-store"};
  const fs::path dir_ = scratch_.path();
};

TEST_F(Store, WhatIsStoredIsLoaded) {
  for (const Preset& preset : presets()) {
    for (const DType scale : {DType::bf16, DType::f16, DType::f32}) {
      for (const int64_t rows : {1, 13, 32, 33, 200}) {
        SCOPED_TRACE(fmt::format("{} {} rows", preset.name, rows));
        const Scheme& scheme = preset.scheme;
        const int64_t cols = scheme.group == 0 ? 37 : 2 * scheme.group;
        const Format f = format_of(scheme, scale, cols);
        const int64_t row_bytes = f.codec->row_bytes(f, cols),
                      param_bytes = f.codec->param_bytes(f, cols);
        std::vector<uint8_t> codes(static_cast<size_t>(rows * row_bytes));
        std::vector<uint8_t> params(static_cast<size_t>(rows * param_bytes));
        std::vector<float> w(static_cast<size_t>(cols));
        const auto n_groups = static_cast<size_t>(cols / scale_columns(f, cols));
        for (int64_t r = 0; r < rows; ++r) {
          for (size_t i = 0; i < w.size(); ++i) {
            w[i] = static_cast<float>(random_uniform(1, static_cast<uint64_t>(r), i) - 0.4);
          }
          const auto block = static_cast<float>(r / rows_of_scale(scheme, rows));
          const std::vector<float> peaks(n_groups, 0.6f + 0.1f * block);
          Fit fit{.matrix_peak = 0.7f};
          if (scheme.per_tensor || scheme.block_rows > 0) fit.group_peaks = peaks;
          f.codec->fit_row(f, w, fit, params.data() + r * param_bytes);
          f.codec->pack_row(f, w, params.data() + r * param_bytes, codes.data() + r * row_bytes);
        }
        const Weight weight{.format = f,
                            .rows = rows,
                            .cols = cols,
                            .codes = codes.data(),
                            .params = params.data()};
        const QuantisedModule module = {
            .name = "m", .scheme = scheme, .input_scale = has_input_scale(scheme) ? 0.125f : 0};
        const auto stored = store_quantized(module, weight);
        std::vector<TensorToWrite> tensors;
        for (const OwnedTensor& t : stored) tensors.push_back(t.to_write());
        const std::string path = dir_ / "model.safetensors";
        write_safetensors(path, tensors);
        const Json config = {{"quantization_config", quantization_config({module}, {"lm_head"})}};
        const Dialect dialect = read_dialect(parse_json(to_line(config), "written"), dir_);
        EXPECT_EQ(dialect.group_of("lm_head"), nullptr);
        ASSERT_NE(dialect.group_of("m"), nullptr);
        const auto file = Checkpoint::open_file(path);
        const LoadedWeight loaded =
            load_quantized(*file, "test", "m", *dialect.group_of("m"), rows, cols);
        ASSERT_EQ(loaded.weight.format, f);
        EXPECT_EQ(dialect.group_of("m")->scheme, scheme);
        if (has_input_scale(scheme)) {
          EXPECT_EQ(load_input_scale(*file, "test", "m", *dialect.group_of("m")), 0.125f);
        }
        EXPECT_TRUE(std::equal(codes.begin(), codes.end(), loaded.weight.codes));
        EXPECT_TRUE(std::equal(params.begin(), params.end(), loaded.weight.params));
      }
    }
  }
}

// Where the last block of columns is short, one stored scale stands for several groups.
TEST_F(Store, BlocksNeedNotDivideTheMatrix) {
  const Scheme& scheme = *preset_named("FP8_BLOCK");
  for (const int64_t cols : {100, 130, 192, 256}) {
    SCOPED_TRACE(cols);
    const int64_t rows = 150;
    const Format f = format_of(scheme, DType::bf16, cols);
    ASSERT_EQ(cols % f.group, 0);
    const int64_t param_bytes = f.codec->param_bytes(f, cols);
    std::vector<uint8_t> codes(static_cast<size_t>(rows * cols));
    std::vector<uint8_t> params(static_cast<size_t>(rows * param_bytes));
    for (int64_t r = 0; r < rows; ++r) {
      std::vector<float> peaks(static_cast<size_t>(cols / f.group));
      for (size_t g = 0; g < peaks.size(); ++g) {
        const int64_t block = static_cast<int64_t>(g) * f.group / scheme.group;
        peaks[g] = 0.5f + static_cast<float>(r / 128 + 2 * block);
      }
      const std::vector<float> w(static_cast<size_t>(cols), 0.01f * static_cast<float>(r));
      f.codec->fit_row(f, w, {.group_peaks = peaks}, params.data() + r * param_bytes);
      f.codec->pack_row(f, w, params.data() + r * param_bytes, codes.data() + r * cols);
    }
    const Weight weight{
        .format = f, .rows = rows, .cols = cols, .codes = codes.data(), .params = params.data()};
    const auto stored = store_quantized({"m", scheme}, weight);
    ASSERT_EQ(stored[1].name, "m.weight_scale");
    EXPECT_EQ(stored[1].shape, (std::vector<int64_t>{2, (cols + 127) / 128}));
    std::vector<TensorToWrite> tensors;
    for (const OwnedTensor& t : stored) tensors.push_back(t.to_write());
    const std::string path = dir_ / "model.safetensors";
    write_safetensors(path, tensors);
    const Json config = {{"quantization_config", quantization_config({{"m", scheme}}, {})}};
    const Dialect dialect = read_dialect(config, dir_);
    const auto file = Checkpoint::open_file(path);
    const LoadedWeight loaded =
        load_quantized(*file, "test", "m", *dialect.group_of("m"), rows, cols);
    ASSERT_EQ(loaded.weight.format, f);
    EXPECT_TRUE(std::equal(params.begin(), params.end(), loaded.weight.params));
    EXPECT_TRUE(std::equal(codes.begin(), codes.end(), loaded.weight.codes));
  }
}

TEST_F(Store, ScalesThatRowsShareMustBeShared) {
  const Scheme& scheme = *preset_named("FP8");
  const Format f = format_of(scheme, DType::f32);
  const std::vector<float> scales = {1, 2};
  const std::vector<uint8_t> codes(8);
  const Weight weight{.format = f,
                      .rows = 2,
                      .cols = 4,
                      .codes = codes.data(),
                      .params = reinterpret_cast<const uint8_t*>(scales.data())};
  EXPECT_DEATH(store_quantized({.name = "m", .scheme = scheme, .input_scale = 1}, weight), "");
}

TEST_F(Store, KeysAndValues) {
  const auto stored = store_kv_scales("model.layers.3.self_attn", 0.5f, 0.25f);
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].name, "model.layers.3.self_attn.k_scale");
  EXPECT_EQ(stored[1].name, "model.layers.3.self_attn.v_scale");
  EXPECT_EQ(stored[1].shape, std::vector<int64_t>{1});
  const Json config = quantization_config({{"m", *preset_named("FP8_DYNAMIC")}}, {}, Number::e4m3);
  EXPECT_EQ(
      to_line(config["kv_cache_scheme"]),
      R"({"num_bits":8,"type":"float","symmetric":true,"strategy":"tensor","dynamic":false})");
  EXPECT_EQ(quantization_config({{"m", *preset_named("W8A16")}}, {},
                                Number::integer)["kv_cache_scheme"]["type"],
            "int");
  const Json whole = {{"quantization_config", config}};
  EXPECT_EQ(read_dialect(whole, dir_).kv, Number::e4m3);
  const Dialect weights = read_dialect(whole, dir_, true);
  EXPECT_EQ(weights.kv, std::nullopt);
  EXPECT_NE(weights.left_out.find("kv_cache_scheme"), std::string::npos);
  EXPECT_NE(weights.group_of("m"), nullptr);
}

// The words of formats.md 4.10.
TEST_F(Store, ConfigsOfFloats) {
  const auto group = [](const char* preset) {
    return to_line(
        quantization_config({{"m", *preset_named(preset)}}, {})["config_groups"]["group_0"]);
  };
  EXPECT_EQ(group("FP8"),
            R"({"targets":["Linear"],"weights":{"num_bits":8,"type":"float","symmetric":true,)"
            R"("strategy":"tensor","group_size":null,"dynamic":false},"input_activations":)"
            R"({"num_bits":8,"type":"float","symmetric":true,"strategy":"tensor",)"
            R"("dynamic":false},"output_activations":null})");
  EXPECT_EQ(group("FP8_BLOCK"),
            R"({"targets":["Linear"],"weights":{"num_bits":8,"type":"float","symmetric":true,)"
            R"("strategy":"block","group_size":null,"dynamic":false,"block_structure":[128,128]},)"
            R"("input_activations":{"num_bits":8,"type":"float","symmetric":true,)"
            R"("strategy":"group","dynamic":true,"group_size":128},"output_activations":null})");
  EXPECT_EQ(group("NVFP4A16"),
            R"({"targets":["Linear"],"weights":{"num_bits":4,"type":"float","symmetric":true,)"
            R"("strategy":"tensor_group","group_size":16,"dynamic":false},)"
            R"("input_activations":null,"output_activations":null})");
  EXPECT_EQ(group("MXFP4A16"),
            R"({"targets":["Linear"],"weights":{"num_bits":4,"type":"float","symmetric":true,)"
            R"("strategy":"group","group_size":32,"dynamic":false,"scale_dtype":"torch.uint8"},)"
            R"("input_activations":null,"output_activations":null})");
  EXPECT_EQ(quantization_config({{"m", *preset_named("NVFP4A16")}}, {})["format"],
            "nvfp4-pack-quantized");
}

TEST_F(Store, DialectsOfIntegersRefuseTheRest) {
  const auto problem = [](const char* dialect, const char* preset, std::optional<Number> kv = {}) {
    const StorePlan plan = {
        .modules = {{.name = "a.q_proj", .scheme = *preset_named(preset), .rows = 8, .cols = 128}},
        .dense = {},
        .kv = kv};
    return stored_dialect(dialect).problem(plan);
  };
  for (const char* dialect : {"awq", "gptq"}) {
    EXPECT_EQ(problem(dialect, "W4A16"), "");
    for (const char* preset : {"FP8_DYNAMIC", "W8A8", "MXFP4A16", "W8A8_STATIC"}) {
      EXPECT_NE(problem(dialect, preset), "") << preset;
    }
    EXPECT_NE(problem(dialect, "W4A16", Number::e4m3), "");
  }
  EXPECT_EQ(problem("compressed-tensors", "FP8_DYNAMIC", Number::e4m3), "");
  EXPECT_THROW(stored_dialect("exl2"), Error);
}

TEST_F(Store, ConfigOfOneScheme) {
  EXPECT_EQ(
      to_line(quantization_config({{"a.q_proj", *preset_named("W4A16")}}, {"lm_head"})),
      R"({"quant_method":"compressed-tensors","format":"pack-quantized",)"
      R"("quantization_status":"compressed","config_groups":{"group_0":{"targets":["Linear"],)"
      R"("weights":{"num_bits":4,"type":"int","symmetric":true,"strategy":"group",)"
      R"("group_size":128,"dynamic":false},"input_activations":null,)"
      R"("output_activations":null}},"ignore":["lm_head"]})");
}

TEST_F(Store, SeveralSchemesAreNamedModuleByModule) {
  const Json config = quantization_config({{"a.q_proj", *preset_named("W4A16")},
                                           {"a.down_proj", *preset_named("W8A8")},
                                           {"b.q_proj", *preset_named("W4A16")}},
                                          {"lm_head"});
  EXPECT_EQ(config["format"], "mixed-precision");
  EXPECT_EQ(config["config_groups"]["group_0"]["targets"], Json({"a.q_proj", "b.q_proj"}));
  EXPECT_EQ(config["config_groups"]["group_0"]["format"], "pack-quantized");
  EXPECT_EQ(config["config_groups"]["group_1"]["targets"], Json::array({"a.down_proj"}));
  EXPECT_EQ(config["config_groups"]["group_1"]["format"], "int-quantized");
  EXPECT_EQ(quantization_config({{"a", *preset_named("W3A16")}}, {})["quant_method"], "sinter");
}

TEST_F(Store, ManifestRoundTrips) {
  Manifest m;
  m.digest = "d";
  m.base_digest = "b";
  m.base_scheme = "bf16";
  m.tokenizer_digest = "t";
  m.template_digest = "c";
  m.recipe = "steps:\n  - rtn: {}\n# \"quoted\"\n";
  m.recipe_digest = "r";
  m.build = "sinter";
  m.corpus = {.name = "corpus", .digest = "k", .tokens = 65536, .sequences = 128};
  m.tensors.push_back({"m", "i4_group:64", 3, 128, 0.1, 1e-3, "s", "gptq", 0.05, 0.01});
  m.tensors.push_back({"n", "bf16", 1, 128, 0, 0, "s", ""});
  m.notes.push_back({"m", "rounded to nearest", "the Gram matrix has no inverse"});
  m.verified = "unverified";
  m.quick_check = {{"kl", 0.01}};
  write_manifest(dir_, m);
  const Manifest back = read_manifest(dir_);
  EXPECT_EQ(back.recipe, m.recipe);
  EXPECT_EQ(back.base_digest, "b");
  EXPECT_EQ(back.tokenizer_digest, "t");
  EXPECT_EQ(back.template_digest, "c");
  EXPECT_EQ(back.corpus.digest, "k");
  EXPECT_EQ(back.corpus.sequences, 128);
  EXPECT_EQ(back.verified, "unverified");
  EXPECT_EQ(back.quick_check, m.quick_check);
  ASSERT_EQ(back.notes.size(), 1u);
  EXPECT_EQ(back.notes[0].why, "the Gram matrix has no inverse");
  ASSERT_EQ(back.tensors.size(), 2u);
  EXPECT_EQ(back.tensors[0].relative_error, 0.1);
  EXPECT_EQ(back.tensors[0].cols, 128);
  EXPECT_EQ(back.tensors[0].method, "gptq");
  EXPECT_EQ(back.tensors[0].output_error, 0.05);
  EXPECT_EQ(back.tensors[0].damp, 0.01);
  EXPECT_LT(back.tensors[1].output_error, 0);  // unknown
}

TEST_F(Store, ManifestsOfBeforeAreRead) {
  write_file_atomically(dir_ / "manifest.json",
                        R"({"schema":1,"digest":"d","base":{"digest":"b","scheme":"bf16"},)"
                        R"("recipe":{"sha256":"r","text":"x"},"build":"sinter","tensors":)"
                        R"([{"name":"m","format":"i8_row","rows":1,"cols":2,"error":)"
                        R"({"relative":0.5,"max":1},"sha256":"s"}]})");
  const Manifest m = read_manifest(dir_);
  EXPECT_EQ(m.tensors[0].method, "");
  EXPECT_LT(m.tensors[0].output_error, 0);
  EXPECT_EQ(m.corpus.digest, "");
  EXPECT_EQ(m.verified, "");
  EXPECT_TRUE(m.quick_check.is_null());
  write_file_atomically(dir_ / "manifest.json", R"({"schema":2})");
  EXPECT_THROW(read_manifest(dir_), Error);
}

TEST_F(Store, ManifestSurvivesMutation) {
  Manifest m;
  m.corpus = {.name = "corpus", .digest = "k", .tokens = 1, .sequences = 1};
  m.tensors.push_back({"m", "i4_group:64", 3, 128, 0.1, 1e-3, "s", "gptq", 0.05, 0.01});
  m.notes.push_back({"m", "a", "b"});
  m.quick_check = {{"kl", 0.01}};
  write_manifest(dir_, m);
  const std::string valid = read_file(dir_ / "manifest.json");
  int refused = 0;
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    write_file_atomically(dir_ / "manifest.json", mutated(valid, seed));
    try {
      read_manifest(dir_);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
  EXPECT_LT(refused, 1500);
}

}  // namespace
}  // namespace sinter
