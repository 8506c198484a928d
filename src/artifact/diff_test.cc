// sinter diff on little models whose differences are known, against sums in double; and on the
// golden checkpoints of other tools, whose conversions differ in format alone.
#include "artifact/diff.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "artifact/manifest.h"
#include "artifact/store.h"
#include "base/error.h"
#include "base/file.h"
#include "base/scratch_directory.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

class Diff : public testing::Test {
 protected:
  struct Tensor {
    std::string name;
    std::vector<int64_t> shape;
    std::vector<float> values;
  };

  // A dense model in float32.
  std::string model(const std::string& name, const std::vector<Tensor>& tensors,
                    const std::string& config = R"({"model_type":"llama","rope_theta":10000})") {
    std::vector<TensorToWrite> write;
    for (const Tensor& t : tensors) {
      write.push_back({t.name, DType::f32, t.shape, std::as_bytes(std::span(t.values))});
    }
    return put(name, write, config);
  }

  std::string put(const std::string& name, const std::vector<TensorToWrite>& tensors,
                  const std::string& config) {
    fs::create_directories(dir_ / name);
    write_safetensors(dir_ / name / "model.safetensors", tensors);
    write_file_atomically(dir_ / name / "config.json", config);
    return dir_ / name;
  }

  // `w` [2, 128] as FP8 with one scale and static inputs.
  std::string float8(const std::string& name, const std::vector<float>& w, float input_scale) {
    const QuantisedModule module = {
        .name = "a", .scheme = *preset_named("FP8"), .input_scale = input_scale};
    const Format f = format_of(module.scheme, DType::f32);
    std::vector<uint8_t> codes(256), params(8);
    const std::vector<float> peaks = {448};
    for (size_t r = 0; r < 2; ++r) {
      const auto row = std::span(w).subspan(128 * r, 128);
      f.codec->fit_row(f, row, {.group_peaks = peaks}, params.data() + 4 * r);
      f.codec->pack_row(f, row, params.data() + 4 * r, codes.data() + 128 * r);
    }
    const auto owned = store_quantized(
        module,
        {.format = f, .rows = 2, .cols = 128, .codes = codes.data(), .params = params.data()});
    std::vector<TensorToWrite> tensors;
    for (const OwnedTensor& t : owned) tensors.push_back(t.to_write());
    const Json config = {{"quantization_config", quantization_config({module}, {})}};
    return put(name, tensors, to_line(config));
  }

  static ArtifactDiff diff(const std::string& a, const std::string& b, int n_threads = 2) {
    ThreadPool threads(n_threads);
    return diff_artifacts(*Artifact::open(a), *Artifact::open(b), false, threads);
  }

  const ScratchDirectory scratch_{"sinter-diff"};
  const fs::path dir_ = scratch_.path();
};

TEST_F(Diff, ValuesAgainstTheDefinition) {
  const std::vector<float> was = {1, 2, -3, 0, 5, 6}, is = {1, 2.5f, -3, 0, 4, 6};
  const std::string a = model("a", {{"x.weight", {2, 3}, was}, {"norm.weight", {3}, {1, 1, 1}}});
  const std::string b = model("b", {{"x.weight", {2, 3}, is}, {"norm.weight", {3}, {1, 1, 1}}});
  const ArtifactDiff d = diff(a, b);
  ASSERT_EQ(d.tensors.size(), 2u);
  EXPECT_EQ(d.tensors[0].name, "x");
  EXPECT_EQ(d.tensors[0].difference, Difference::values);
  EXPECT_DOUBLE_EQ(d.tensors[0].relative_error, std::sqrt((0.25 + 1) / (1 + 4 + 9 + 25 + 36)));
  EXPECT_EQ(d.tensors[0].max_error, 1);
  EXPECT_DOUBLE_EQ(d.tensors[0].cosine,
                   (1 + 5 + 9 + 20 + 36) / std::sqrt(75.0 * (1 + 6.25 + 9 + 16 + 36)));
  EXPECT_EQ(d.tensors[1].difference, Difference::none);
  EXPECT_DOUBLE_EQ(d.relative_error, std::sqrt(1.25 / 78));
  EXPECT_FALSE(d.same());
  EXPECT_TRUE(diff(a, a).same());
  EXPECT_EQ(diff(a, a).relative_error, 0);
}

TEST_F(Diff, WhatOnlyOneHas) {
  const std::string a = model("a", {{"x.weight", {1, 2}, {1, 2}}, {"y.weight", {1, 1}, {1}}});
  const std::string b = model("b", {{"x.weight", {2, 1}, {1, 2}}, {"z.bias", {1}, {1}}});
  const ArtifactDiff d = diff(a, b);
  std::map<std::string, Difference> found;
  for (const TensorDiff& t : d.tensors) {
    found[t.name] = t.difference;
    EXPECT_TRUE(std::isnan(t.relative_error));
  }
  EXPECT_EQ(found, (std::map<std::string, Difference>{{"x", Difference::shape},
                                                      {"y", Difference::only_a},
                                                      {"z.bias", Difference::only_b}}));
  EXPECT_FALSE(d.same());
  EXPECT_TRUE(to_json(d)["tensors"][0].contains("relative_error"));
}

TEST_F(Diff, FormatsAndInputs) {
  std::vector<float> w(256);
  for (size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i % 8) - 4;  // on the grid
  const std::string dense = model("dense", {{"a.weight", {2, 128}, w}}, "{}");
  const std::string eight = float8("eight", w, 0.5f), other = float8("other", w, 0.25f);
  ArtifactDiff d = diff(eight, other);
  ASSERT_EQ(d.tensors.size(), 1u);  // the scales belong to the matrix
  EXPECT_EQ(d.tensors[0].difference, Difference::values);
  EXPECT_EQ(d.tensors[0].relative_error, 0);
  EXPECT_EQ(d.tensors[0].inputs_a, "fp8_tensor x 0.5");
  EXPECT_FALSE(d.same());
  d = diff(dense, eight);
  EXPECT_EQ(d.tensors[0].format_a, "f32");
  EXPECT_EQ(d.tensors[0].format_b, "f8_row/f32");
  EXPECT_EQ(d.tensors[0].relative_error, 0);
  EXPECT_TRUE(d.config.empty());
  ThreadPool threads(1);
  const ArtifactOptions only{.weights_only = true};
  const ArtifactDiff weights =
      diff_artifacts(*Artifact::open(dense, only), *Artifact::open(eight, only), true, threads);
  EXPECT_EQ(weights.tensors[0].difference, Difference::format);
  EXPECT_TRUE(weights.same());
  w[200] += 4;
  d = diff(dense, float8("moved", w, 0.5f));
  EXPECT_EQ(d.tensors[0].max_error, 4);
}

TEST_F(Diff, ConfigFilesAndManifests) {
  const std::vector<Tensor> tensors = {{"x.weight", {1, 1}, {1}}};
  const std::string a = model("a", tensors, R"({"rope_theta":10000,"r":{"f":1,"g":2},"x":1})");
  const std::string b = model("b", tensors, R"({"rope_theta":5000,"r":{"f":1,"g":3},"y":[1]})");
  write_file_atomically(a + "/tokenizer.json", "{}");
  write_file_atomically(b + "/chat_template.jinja", "x");
  Manifest m;
  m.recipe_digest = "r";
  m.corpus.digest = "c";
  m.corpus.name = "n";
  write_manifest(b, m);
  const ArtifactDiff d = diff(a, b);
  std::map<std::string, std::pair<std::string, std::string>> config;
  for (const FieldDiff& f : d.config) config[f.field] = {f.a, f.b};
  EXPECT_EQ(config, (std::map<std::string, std::pair<std::string, std::string>>{
                        {"/rope_theta", {"10000", "5000"}},
                        {"/r/g", {"2", "3"}},
                        {"/x", {"1", ""}},
                        {"/y", {"", "[1]"}}}));
  ASSERT_EQ(d.files.size(), 2u);
  EXPECT_EQ(d.files[0].field, "tokenizer.json");
  EXPECT_EQ(d.files[0].b, "");
  EXPECT_EQ(d.files[1].field, "chat_template.jinja");
  ASSERT_EQ(d.manifest.size(), 2u);
  EXPECT_EQ(d.manifest[0].field, "recipe");
  EXPECT_EQ(d.manifest[1].field, "corpus");
  EXPECT_FALSE(d.same());
}

TEST_F(Diff, ManifestsAreNoDifference) {
  const std::vector<Tensor> tensors = {{"x.weight", {1, 1}, {1}}};
  const std::string a = model("a", tensors), b = model("b", tensors);
  Manifest m;
  m.recipe_digest = "r";
  write_manifest(b, m);
  EXPECT_TRUE(diff(a, b).same());
  EXPECT_EQ(diff(a, b).manifest.size(), 1u);
}

// Every golden checkpoint is equal to itself; and one in which a byte moved is not.
TEST_F(Diff, EveryDialect) {
  int n = 0;
  for (const auto& entry : fs::directory_iterator(SINTER_SOURCE_DIR "/tests/golden/artifact")) {
    if (!fs::exists(entry.path() / "config.json")) continue;
    SCOPED_TRACE(entry.path().filename().string());
    std::shared_ptr<const Artifact> a;
    try {
      a = Artifact::open(entry.path(), {.weights_only = true});
    } catch (const Error&) {
      continue;  // one that the reader refuses
    }
    ThreadPool threads(1);
    const ArtifactDiff d = diff_artifacts(*a, *a, true, threads);
    EXPECT_TRUE(d.same());
    EXPECT_EQ(d.count(Difference::none), static_cast<int64_t>(d.tensors.size()));
    EXPECT_FALSE(d.tensors.empty());
    ++n;
  }
  EXPECT_GT(n, 10);
}

TEST_F(Diff, ThreadsChangeNothing) {
  std::vector<float> was(64 * 64), is(was.size());
  for (size_t i = 0; i < was.size(); ++i) {
    was[i] = std::sin(static_cast<float>(i));
    is[i] = was[i] + 0.01f * std::cos(3 * static_cast<float>(i));
  }
  const std::string a = model("a", {{"x.weight", {64, 64}, was}});
  const std::string b = model("b", {{"x.weight", {64, 64}, is}});
  EXPECT_EQ(to_line(to_json(diff(a, b, 1))), to_line(to_json(diff(a, b, 4))));
}

}  // namespace
}  // namespace sinter
