// Checkpoints that other tools packed (tests/golden/artifact/make_dialects.py): the dequantised
// matrices are theirs, bit for bit; and damage to any of them throws Error or nothing.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "artifact/artifact.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/mutation.h"
#include "base/scratch_directory.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

const std::string kGolden = std::string(SINTER_SOURCE_DIR) + "/tests/golden/artifact";

std::vector<std::string> golden_checkpoints() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    if (fs::exists(entry.path() / "expected.json")) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// NVFP4 inputs are what this version cannot compute.
bool needs_weights_only(const std::string& name) {
  return name == "ct_nvfp4" || name == "modelopt_nvfp4";
}

std::string digest_of(const Weight& weight) {
  std::vector<float> row(static_cast<size_t>(weight.cols));
  Sha256 digest;
  for (int64_t r = 0; r < weight.rows; ++r) {
    unpack_row(weight, r, row);
    digest.add(std::as_bytes(std::span(row)));
  }
  return digest.hex();
}

TEST(Dialects, MatricesAreTheirToolsBitForBit) {
  const std::vector<std::string> names = golden_checkpoints();
  ASSERT_GE(names.size(), 25u);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const auto a = Artifact::open(kGolden + "/" + name, {.weights_only = needs_weights_only(name)});
    const Json expected = read_json_file(kGolden + "/" + name + "/expected.json");
    for (const auto& [module, digest] : expected["matrices"].items()) {
      const Json& shape = expected["shapes"][module];
      const Weight w = a->matrix(module, shape[0].get<int64_t>(), shape[1].get<int64_t>());
      EXPECT_EQ(digest_of(w), digest.get<std::string>()) << module << " " << to_string(w.format);
    }
    for (const auto& [module, scale] : expected["inputs"].items()) {
      EXPECT_EQ(a->activation(module).scale, scale.get<float>()) << module;
    }
  }
}

TEST(Dialects, SchemesAndInputsAreAsTheyWereMade) {
  struct Row {
    const char *name, *scheme;
    ActivationMode inputs;
  };
  using enum ActivationMode;
  const Row rows[] = {
      {"awq", "awq W4A16_ASYM (u4_group:16/f16)", exact},
      {"ct_fp8_block", "compressed-tensors FP8A16 (f8_group:128/f32)", exact},
      {"ct_fp8_block_group", "compressed-tensors FP8 (f8_group:128/f32, inputs fp8_group)",
       fp8_group},
      {"ct_fp8_dynamic", "compressed-tensors FP8 (f8_row/f32, inputs fp8_token)", fp8_token},
      {"ct_fp8_static", "compressed-tensors FP8 (f8_row/f32, inputs fp8_tensor)", fp8_tensor},
      {"ct_mxfp4a16", "compressed-tensors MXFP4A16 (mxfp4)", exact},
      {"ct_mxfp8a16", "compressed-tensors FP8A16 (f8_group:32)", exact},
      {"ct_nvfp4", "compressed-tensors NVFP4A16 (nvfp4_div), weights only", exact},
      {"ct_nvfp4a16", "compressed-tensors NVFP4A16 (nvfp4_div)", exact},
      {"ct_w4a16", "compressed-tensors W4A16 (i4_group:32/f32)", exact},
      {"ct_w4a8", "compressed-tensors W4A8 (i4_group/f32)", int8_token},
      {"ct_w8a8", "compressed-tensors W8A8 (i8_row/f32)", int8_token},
      {"ct_w8a8_static", "compressed-tensors W8A8 (i8_row/f32, inputs int8_tensor)", int8_tensor},
      {"fp8_block", "fp8 FP8 (f8_group:128/f32, inputs fp8_group)", fp8_group},
      {"fp8_static", "fp8 FP8 (f8_row/f32, inputs fp8_tensor)", fp8_tensor},
      {"gptq_asym_channel", "gptq W8A16_ASYM (u8_group/f16)", exact},
      {"gptq_desc_act", "gptq W4A16 (i4_group:16/f16)", exact},
      {"gptq_sym", "gptq W4A16 (i4_group:16/f16)", exact},
      {"modelopt_fp8", "modelopt FP8 (f8_row/f32, inputs fp8_tensor)", fp8_tensor},
      {"modelopt_nvfp4", "modelopt NVFP4A16 (nvfp4), weights only", exact},
      {"modelopt_nvfp4a16", "modelopt NVFP4A16 (nvfp4)", exact},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto a =
        Artifact::open(kGolden + "/" + row.name, {.weights_only = needs_weights_only(row.name)});
    EXPECT_EQ(a->scheme(), row.scheme);
    EXPECT_EQ(a->activation("model.layers.0.self_attn.q_proj").mode, row.inputs);
    EXPECT_EQ(a->activation("lm_head").mode, exact);
    const auto only = Artifact::open(kGolden + "/" + row.name, {.weights_only = true});
    EXPECT_EQ(only->activation("model.layers.0.self_attn.q_proj").mode, exact);
  }
  const Weight ordered =
      Artifact::open(kGolden + "/gptq_desc_act")->matrix("model.layers.0.self_attn.q_proj", 64, 32);
  EXPECT_NE(ordered.column_order, nullptr);
  for (const std::string name : {"ct_nvfp4", "modelopt_nvfp4"}) {
    try {
      Artifact::open(kGolden + "/" + name);
      ADD_FAILURE() << name;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), "dialect-unsupported");
      EXPECT_NE(std::string(e.what()).find("--weights-only"), std::string::npos);
    }
  }
}

class DialectDamageTest : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name, std::ios::binary) << text;
  }
  const ScratchDirectory scratch_{"sinter-dialects"};
  const fs::path dir_ = scratch_.path();
};

// Bytes of the weights, of config.json and of a side-car are flipped, cut and spliced. Damage to
// scales and codes alone may pass: it is another model.
TEST_F(DialectDamageTest, OnlyErrorsComeOut) {
  int refused = 0, read = 0;
  for (const std::string& name : golden_checkpoints()) {
    const std::string from = kGolden + "/" + name;
    const Json expected = read_json_file(from + "/expected.json");
    std::vector<std::string> files = {"config.json", "model.safetensors"};
    for (const char* car : {"quantize_config.json", "hf_quant_config.json"}) {
      if (fs::exists(from + "/" + car)) files.emplace_back(car);
    }
    for (const auto& entry : fs::directory_iterator(dir_)) fs::remove(entry.path());
    std::vector<std::string> texts;
    for (const std::string& f : files) {
      texts.push_back(read_file(from + "/" + f));
      put(f, texts.back());
    }
    // The header is where a container's lies are; most of a checkpoint is data.
    uint64_t header = 0;
    std::memcpy(&header, texts[1].data(), sizeof header);
    const size_t head = sizeof header + header;
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const size_t which = seed % files.size();
      std::string damaged =
          which != 1      ? mutated(texts[which], seed)
          : seed % 4 == 1 ? texts[1].substr(0, 8) + mutated(texts[1].substr(8, head - 8), seed) +
                                texts[1].substr(head)
                          : texts[1].substr(0, head) + mutated(texts[1].substr(head), seed);
      if (which == 1) damaged.resize(texts[1].size());  // else every length is wrong at once
      put(files[which], damaged);
      try {
        const auto a = Artifact::open(dir_, {.weights_only = seed % 3 == 0});
        for (const auto& [module, shape] : expected["shapes"].items()) {
          digest_of(a->matrix(module, shape[0].get<int64_t>(), shape[1].get<int64_t>()));
          a->activation(module);
        }
        ++read;
      } catch (const Error&) {
        ++refused;
      }
      put(files[which], texts[which]);
    }
  }
  EXPECT_GT(refused, 300);
  EXPECT_GT(read, 100);
}

// The header stays true, the tensors change their types, shapes or names: what a loader checks
// itself.
TEST_F(DialectDamageTest, TensorsThatContradictEachOther) {
  int refused = 0;
  for (const std::string& name : golden_checkpoints()) {
    SCOPED_TRACE(name);
    const std::string from = kGolden + "/" + name;
    const Json expected = read_json_file(from + "/expected.json");
    const auto original = Checkpoint::open_file(from + "/model.safetensors");
    const std::string module = expected["matrices"].begin().key();
    for (const auto& entry : fs::directory_iterator(dir_)) fs::remove(entry.path());
    for (const char* f : {"config.json", "quantize_config.json", "hf_quant_config.json"}) {
      if (fs::exists(from + "/" + f)) put(f, read_file(from + "/" + f));
    }
    for (size_t i = 0; i < original->tensors().size(); ++i) {
      const StoredTensor& victim = original->tensors()[i];
      if (!victim.name.starts_with(module + ".")) continue;
      for (int change = 0; change < 4; ++change) {
        std::vector<TensorToWrite> tensors;
        const std::vector<std::byte> longer(victim.bytes.size() * 2);
        for (const StoredTensor& t : original->tensors()) {
          TensorToWrite w{t.name, t.dtype, t.shape, t.bytes};
          if (&t == &victim && change == 0) continue;  // gone
          if (&t == &victim && change == 1) {          // another type of the same size
            w.dtype = DType::u8;
            w.shape = {static_cast<int64_t>(t.bytes.size())};
          }
          if (&t == &victim && change == 2) {  // twice as many rows
            if (w.shape.empty())
              w.shape = {2};
            else
              w.shape[0] *= 2;
            w.bytes = longer;
          }
          if (&t == &victim && change == 3) w.name += "x";
          tensors.push_back(std::move(w));
        }
        write_safetensors(dir_ / "model.safetensors", tensors);
        try {
          const auto a = Artifact::open(dir_, {.weights_only = needs_weights_only(name)});
          const Json& shape = expected["shapes"][module];
          a->matrix(module, shape[0].get<int64_t>(), shape[1].get<int64_t>());
          a->activation(module);
          // What may go: what says nothing that the rest does not say.
          const bool idle =
              victim.name.ends_with("_shape") || victim.name.ends_with(".g_idx") ||
              victim.name.ends_with("input_global_scale") ||
              (name.starts_with("modelopt_nvfp4") && victim.name.ends_with("input_scale"));
          EXPECT_TRUE(idle) << victim.name << " change " << change;
        } catch (const Error&) {
          ++refused;
        }
      }
    }
  }
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace sinter
