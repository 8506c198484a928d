// Moving integer weights between dialects, from checkpoints that the dialects' own tools packed
// (tests/golden/artifact): nothing may change, and what cannot be said is refused with a reason.
// That those tools read what comes out is tests/interop/convert_test.py.
#include "compress/convert.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "artifact/artifact.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/scratch_directory.h"
#include "compress/output.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

const std::string kGolden = std::string(SINTER_SOURCE_DIR) + "/tests/golden/artifact/";

const StoredDialect& dialect(const std::string& name) {
  for (const StoredDialect& d : stored_dialects()) {
    if (name == d.name) return d;
  }
  throw std::runtime_error(name);
}

class ConvertTest : public testing::Test {
 protected:
  std::string out(const std::string& name) const { return dir_ / name; }

  std::string code_of(const std::string& from, const std::string& to,
                      const std::string& name = "refused") {
    try {
      convert_dialect(from, dialect(to), out(name));
      return "";
    } catch (const Error& e) {
      message_ = e.what();
      return e.code();
    }
  }

  // Every matrix of a converted golden is the one that its tool made.
  void expect_same(const std::string& golden, const std::string& directory) const {
    const auto a = Artifact::open(directory);
    const Json expected = read_json_file(kGolden + golden + "/expected.json");
    for (const auto& [module, digest] : expected["matrices"].items()) {
      const Json& shape = expected["shapes"][module];
      const Weight w = a->matrix(module, shape[0].get<int64_t>(), shape[1].get<int64_t>());
      std::vector<float> row(static_cast<size_t>(w.cols));
      Sha256 all;
      for (int64_t r = 0; r < w.rows; ++r) {
        unpack_row(w, r, row);
        all.add(std::as_bytes(std::span(row)));
      }
      EXPECT_EQ(all.hex(), digest.get<std::string>()) << module;
    }
  }

  const ScratchDirectory scratch_{"sinter-convert"};
  const fs::path dir_ = scratch_.path();
  std::string message_;
};

TEST_F(ConvertTest, EveryWayThereAndBack) {
  struct Way {
    const char *golden, *method;
    std::vector<const char*> targets;
  };
  const Way ways[] = {
      {"awq", "awq", {"gptq", "compressed-tensors"}},
      {"gptq_sym", "gptq", {"awq", "compressed-tensors"}},
      {"gptq_v1_borrows", "gptq", {"awq", "compressed-tensors"}},
      {"ct_w4a16_asym", "compressed-tensors", {"awq", "gptq"}},
      {"ct_w8a16_half", "compressed-tensors", {"gptq"}},
      {"gptq_asym_channel", "gptq", {"compressed-tensors"}},
  };
  for (const Way& way : ways) {
    for (const char* target : way.targets) {
      SCOPED_TRACE(fmt::format("{} to {}", way.golden, target));
      const std::string there = out(fmt::format("{}-{}", way.golden, target));
      const std::string back = there + "-back";
      const CompressResult r = convert_dialect(kGolden + way.golden, dialect(target), there);
      expect_same(way.golden, there);
      EXPECT_EQ(r.manifest.proof["matrices"].get<size_t>(),
                read_json_file(kGolden + way.golden + "/expected.json")["matrices"].size());
      EXPECT_EQ(read_manifest(there).base_digest, Artifact::open(kGolden + way.golden)->digest());
      EXPECT_EQ(read_manifest(there).proof, r.manifest.proof);
      convert_dialect(there, dialect(way.method), back);
      expect_same(way.golden, back);
    }
  }
}

// A symmetric GPTQ checkpoint comes back byte for byte: what AutoGPTQ wrote is what Sinter writes.
TEST_F(ConvertTest, BackIsWhatTheToolPacked) {
  for (const auto& [golden, method] : {std::pair{"gptq_sym", "gptq"}, std::pair{"awq", "awq"}}) {
    SCOPED_TRACE(golden);
    const std::string there = out(std::string(golden) + "1"), back = out(std::string(golden) + "2");
    convert_dialect(kGolden + golden, dialect("compressed-tensors"), there);
    convert_dialect(there, dialect(method), back);
    const auto original = Checkpoint::open_directory(kGolden + golden);
    const auto again = Checkpoint::open_directory(back);
    ASSERT_EQ(original->tensors().size(), again->tensors().size());
    for (size_t i = 0; i < original->tensors().size(); ++i) {
      const StoredTensor &a = original->tensors()[i], &b = again->tensors()[i];
      EXPECT_EQ(a.name, b.name);
      EXPECT_EQ(a.shape, b.shape) << a.name;
      EXPECT_EQ(a.dtype, b.dtype) << a.name;
      EXPECT_TRUE(std::ranges::equal(a.bytes, b.bytes)) << a.name;
    }
  }
}

TEST_F(ConvertTest, RefusesWhatTheTargetCannotSay) {
  EXPECT_EQ(code_of(kGolden + "gptq_desc_act", "awq"), "convert-unsupported");
  EXPECT_NE(message_.find("desc_act"), std::string::npos);
  EXPECT_EQ(code_of(kGolden + "gptq_desc_act", "compressed-tensors"), "convert-unsupported");
  EXPECT_EQ(code_of(kGolden + "ct_w4a16", "awq"), "convert-unsupported");  // float32 scales
  EXPECT_NE(message_.find("F16"), std::string::npos);
  EXPECT_EQ(code_of(kGolden + "ct_w8a16_half", "awq"), "convert-unsupported");  // 8 bits
  EXPECT_EQ(code_of(kGolden + "gptq_v2_mixed", "awq"), "convert-unsupported");
  EXPECT_EQ(code_of(kGolden + "awq", "awq"), "convert-unsupported");
  EXPECT_EQ(code_of(kGolden + "ct_fp8_dynamic", "gptq"), "convert-unsupported");
  EXPECT_EQ(code_of(kGolden + "ct_w8a8", "gptq"), "convert-unsupported");
  EXPECT_EQ(code_of(std::string(SINTER_SOURCE_DIR) + "/tests/golden/model/llama", "gptq"),
            "convert-unsupported");
  EXPECT_NE(message_.find("sinter compress"), std::string::npos);
  EXPECT_FALSE(fs::exists(out("refused")));  // refused before anything is written
}

// A bias goes along; a tensor that no loader reads might change answers all the same.
TEST_F(ConvertTest, PartsOfAModuleThatNothingReadsAreRefused) {
  const auto original = Checkpoint::open_directory(kGolden + "gptq_sym");
  const std::string from = out("from"), module = "model.layers.0.self_attn.q_proj";
  const std::vector<float> values(64);
  fs::copy(kGolden + "gptq_sym", from);
  for (const char* suffix : {".bias", ".k_scale", ".pre_quant_scale", ".bias_extra"}) {
    SCOPED_TRACE(suffix);
    std::vector<TensorToWrite> tensors;
    for (const StoredTensor& t : original->tensors()) {
      if (t.name != module + suffix) tensors.push_back({t.name, t.dtype, t.shape, t.bytes});
    }
    tensors.push_back({module + suffix, DType::f32, {64}, std::as_bytes(std::span(values))});
    write_safetensors(from + "/model.safetensors", tensors);
    const std::string to = fmt::format("to{}", suffix);
    const bool bias = std::string_view(suffix) == ".bias";
    EXPECT_EQ(code_of(from, "compressed-tensors", to), bias ? "" : "convert-unsupported");
    if (bias) {
      EXPECT_NE(Checkpoint::open_directory(out(to))->find(module + ".bias"), nullptr);
    } else {
      EXPECT_NE(message_.find(suffix), std::string::npos);
    }
  }
}

TEST_F(ConvertTest, MixedWidthsFitCompressedTensors) {
  convert_dialect(kGolden + "gptq_v2_mixed", dialect("compressed-tensors"), out("mixed"));
  expect_same("gptq_v2_mixed", out("mixed"));
  EXPECT_EQ(Artifact::open(out("mixed"))->config()["quantization_config"]["quant_method"],
            "sinter");  // 3 and 2 bits
}

TEST_F(ConvertTest, SideCarsAreNotCopied) {
  const std::string from = out("from");
  fs::copy(kGolden + "gptq_sym", from);
  write_file_atomically(from + "/quantize_config.json", "{\"bits\": 4}");
  write_file_atomically(from + "/tokenizer.json", "{}");
  convert_dialect(from, dialect("compressed-tensors"), out("to"));
  EXPECT_FALSE(fs::exists(out("to") + "/quantize_config.json"));
  EXPECT_TRUE(fs::exists(out("to") + "/tokenizer.json"));
}

TEST_F(ConvertTest, GoesOnAfterAKill) {
  std::atomic<bool> stop = true;
  const std::string from = kGolden + "awq", to = out("to");
  try {
    convert_dialect(from, dialect("gptq"), to, {.stop = &stop});
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::interrupted);
  }
  EXPECT_TRUE(fs::exists(to + "/" + kJournalName));
  EXPECT_EQ(code_of(from, "compressed-tensors", "to"), "output-differs");
  EXPECT_GT(convert_dialect(from, dialect("gptq"), to).shards_made, 0);
  EXPECT_EQ(convert_dialect(from, dialect("gptq"), to).shards_made, 0);  // and again: it is done
  fs::create_directories(out("foreign"));
  write_file_atomically(out("foreign") + "/notes.txt", "mine");
  EXPECT_EQ(code_of(from, "gptq", "foreign"), "output-foreign");
}

}  // namespace
}  // namespace sinter
