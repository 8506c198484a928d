// Logits of checkpoints that other tools quantised against transformers' (tests/golden/artifact).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "model/model.h"

namespace sinter {
namespace {

const std::string kGolden = std::string(SINTER_SOURCE_DIR) + "/tests/golden/artifact";

std::vector<float> floats(const StoredTensor& t) {
  std::vector<float> out(static_cast<size_t>(t.elements()));
  std::memcpy(out.data(), t.bytes.data(), t.bytes.size());
  return out;
}

class DialectLogits : public testing::TestWithParam<std::string> {};

TEST_P(DialectLogits, AreTransformers) {
  const std::string directory = kGolden + "/" + GetParam();
  // What inputs do is not part of these expectations: nobody's CPU kernels compute it.
  const bool weights_only = GetParam() == "ct_nvfp4" || GetParam() == "modelopt_nvfp4" ||
                            GetParam() == "modelopt_fp8" || GetParam().starts_with("fp8_");
  const auto artifact = Artifact::open(directory, {.weights_only = weights_only});
  const auto file = Checkpoint::open_file(directory + "/expected.safetensors");
  const StoredTensor& stored = *file->find("tokens");
  std::vector<Token> tokens(static_cast<size_t>(stored.elements()));
  std::memcpy(tokens.data(), stored.bytes.data(), stored.bytes.size());
  const std::vector<float> expected = floats(*file->find("logits"));

  const auto backend = make_cpu_backend(2, "");
  Decoder model(artifact, *backend, {.kv_bytes = 1 << 20});
  PageTable table(model.pages());
  Batch batch;
  for (size_t i = 0; i < tokens.size(); ++i) batch.logit_rows.push_back(static_cast<int32_t>(i));
  batch.spans.push_back({.table = &table,
                         .first_row = 0,
                         .n_rows = static_cast<int32_t>(tokens.size()),
                         .first_position = 0});
  batch.tokens = tokens;
  const MatView logits = model.forward(batch);
  ASSERT_EQ(static_cast<size_t>(logits.rows * logits.cols), expected.size());
  double difference = 0, size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(double{logits.at[i]} - double{expected[i]}, 2);
    size += std::pow(double{expected[i]}, 2);
  }
  // Rounded inputs may land on the other side of a tie; exact ones differ by summation alone.
  const bool exact =
      artifact->activation("model.layers.0.self_attn.q_proj").mode == ActivationMode::exact;
  EXPECT_LT(std::sqrt(difference / size), exact ? 5e-6 : 2e-3);
}

std::vector<std::string> golden_checkpoints() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    if (std::filesystem::exists(entry.path() / "expected.json")) {
      names.push_back(entry.path().filename());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Golden, DialectLogits, testing::ValuesIn(golden_checkpoints()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace sinter
