// What store_quantized writes, load_quantized reads: the same codes and parameters, for every
// preset and for shapes that end inside a word. The words themselves are pinned in
// artifact_test.cc.
#include "artifact/store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "artifact/manifest.h"
#include "artifact/quantized.h"
#include "artifact/scratch_directory.h"
#include "base/error.h"
#include "base/random.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

class Store : public testing::Test {
 protected:
  void SetUp() override { dir_ = scratch_directory("sinter-store"); }
  void TearDown() override { fs::remove_all(dir_); }
  fs::path dir_;
};

TEST_F(Store, WhatIsStoredIsLoaded) {
  for (const Preset& preset : presets()) {
    for (const DType scale : {DType::bf16, DType::f16, DType::f32}) {
      for (const int64_t rows : {1, 13, 32, 33}) {
        SCOPED_TRACE(fmt::format("{} {} rows", preset.name, rows));
        const int64_t cols = preset.scheme.group == 0 ? 37 : 2 * preset.scheme.group;
        const Format f = format_of(preset.scheme, scale);
        const int64_t row_bytes = f.codec->row_bytes(f, cols),
                      param_bytes = f.codec->param_bytes(f, cols);
        std::vector<uint8_t> codes(static_cast<size_t>(rows * row_bytes));
        std::vector<uint8_t> params(static_cast<size_t>(rows * param_bytes));
        std::vector<float> w(static_cast<size_t>(cols));
        for (int64_t r = 0; r < rows; ++r) {
          for (size_t i = 0; i < w.size(); ++i) {
            w[i] = static_cast<float>(random_uniform(1, static_cast<uint64_t>(r), i) - 0.4);
          }
          f.codec->fit_row(f, w, {}, params.data() + r * param_bytes);
          f.codec->pack_row(f, w, params.data() + r * param_bytes, codes.data() + r * row_bytes);
        }
        const Weight weight{.format = f,
                            .rows = rows,
                            .cols = cols,
                            .codes = codes.data(),
                            .params = params.data()};
        const auto stored = store_quantized("m", weight, layout_of(preset.scheme));
        std::vector<TensorToWrite> tensors;
        for (const OwnedTensor& t : stored) tensors.push_back(t.to_write());
        const std::string path = dir_ / "model.safetensors";
        write_safetensors(path, tensors);
        const Json config = {
            {"quantization_config", quantization_config({{"m", preset.scheme}}, {"lm_head"})}};
        const Dialect dialect = read_dialect(parse_json(to_line(config), "written"), dir_);
        EXPECT_EQ(dialect.group_of("lm_head"), nullptr);
        ASSERT_NE(dialect.group_of("m"), nullptr);
        const auto file = Checkpoint::open_file(path);
        const LoadedWeight loaded =
            load_quantized(*file, "test", "m", *dialect.group_of("m"), rows, cols);
        ASSERT_EQ(loaded.weight.format, f);
        EXPECT_TRUE(std::equal(codes.begin(), codes.end(), loaded.weight.codes));
        EXPECT_TRUE(std::equal(params.begin(), params.end(), loaded.weight.params));
      }
    }
  }
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
  m.recipe = "steps:\n  - rtn: {}\n# \"quoted\"\n";
  m.recipe_digest = "r";
  m.build = "sinter";
  m.tensors.push_back({"m", "i4_group:64", 3, 128, 0.1, 1e-3, "s"});
  write_manifest(dir_, m);
  const Manifest back = read_manifest(dir_);
  EXPECT_EQ(back.recipe, m.recipe);
  EXPECT_EQ(back.base_digest, "b");
  ASSERT_EQ(back.tensors.size(), 1u);
  EXPECT_EQ(back.tensors[0].relative_error, 0.1);
  EXPECT_EQ(back.tensors[0].cols, 128);
  write_file_atomically(dir_ / "manifest.json", R"({"schema":2})");
  EXPECT_THROW(read_manifest(dir_), Error);
}

}  // namespace
}  // namespace sinter
