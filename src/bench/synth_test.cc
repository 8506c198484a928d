#include "bench/synth.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "artifact/artifact.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/scratch_directory.h"
#include "model/arch/shapes.h"
#include "text/chat.h"

namespace sinter {
namespace {

ModelConfig decoder_config(const Json& config) {
  const JsonFields fields(config, "config.json");
  return architecture_of(fields).config(fields);
}

SynthResult tiny(const std::string& out, const SynthOptions& options) {
  set_progress_mode(ProgressMode::none);
  return synth_directory(config_of(shape_named("tiny")), options, out);
}

// The counts are those of the models' cards; the configuration must come to the same.
TEST(Shapes, HaveAsManyParametersAsPublished) {
  for (const Shape& s : shapes()) {
    const Json config = config_of(s);
    EXPECT_EQ(decoder_config(config).parameters(), s.parameters) << s.name;
    SynthOptions bf16;
    const JsonFields fields(config, s.name);
    int64_t weights = 0;
    for (const SynthTensor& t :
         synth_tensors(decoder_config(config), architecture_of(fields).names, bf16)) {
      weights += std::max<int64_t>(t.rows, 1) * t.cols;
    }
    EXPECT_EQ(weights, s.parameters) << s.name;
  }
  EXPECT_THROW(shape_named("gpt-2"), Error);
  EXPECT_EQ(decoder_config(config_of(shape_named("tiny"), 1)).n_layers, 1);
}

TEST(Synth, DrawsANormalDistribution) {
  ThreadPool pool(2);
  const SynthTensor t{"x", 64, 1001, false, format_named("f32")};
  const SynthBytes bytes = synth_bytes(t, 1, pool);
  ASSERT_EQ(bytes.codes.size(), 64u * 1001 * 4);
  std::vector<float> w(64 * 1001);
  std::memcpy(w.data(), bytes.codes.data(), bytes.codes.size());
  double sum = 0, squares = 0, fourths = 0, neighbours = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    const double x = static_cast<double>(w[i]) / 0.02;
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
    if (i > 0) neighbours += x * static_cast<double>(w[i - 1]) / 0.02;
  }
  const auto n = static_cast<double>(w.size());  // 64064: five standard errors each
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(fourths / n, 3, 5 * std::sqrt(96 / n));
  EXPECT_NEAR(neighbours / n, 0, 5 / std::sqrt(n));
}

TEST(Synth, DependsOnSeedAndNameAlone) {
  ThreadPool one(1), three(3);
  const SynthTensor t{"model.layers.0.mlp.up_proj", 300, 512, false, format_named("i4_group:64")};
  const SynthBytes a = synth_bytes(t, 1, one);
  EXPECT_EQ(a.codes, synth_bytes(t, 1, three).codes);
  EXPECT_EQ(a.params, synth_bytes(t, 1, three).params);
  EXPECT_NE(a.codes, synth_bytes(t, 2, one).codes);
  SynthTensor other = t;
  other.name = "model.layers.1.mlp.up_proj";
  EXPECT_NE(a.codes, synth_bytes(other, 1, one).codes);
}

// What is on disk is what the codec makes of the draws, in every dialect that is written.
TEST(Synth, DirectoriesHoldWhatWasDrawn) {
  ThreadPool pool(2);
  for (const char* format :
       {"bf16", "f16", "f32", "i8_row", "W8A8", "i4_group:128", "u4_group:64", "i3_group:64"}) {
    const ScratchDirectory scratch("sinter-synth");
    const std::string out = scratch.path();
    const std::string path = out + "/model";
    SynthOptions options;
    options.format = format;
    const SynthResult made = tiny(path, options);
    EXPECT_EQ(made.parameters, shape_named("tiny").parameters);
    const auto artifact = Artifact::open(path);
    for (const SynthTensor& t :
         synth_tensors(decoder_config(artifact->config()), ModuleNames{}, options)) {
      const SynthBytes bytes = synth_bytes(t, options.seed, pool);
      if (t.rows == 0) {
        EXPECT_EQ(artifact->vector(t.name, t.cols), std::vector<float>(t.cols, 1.0f)) << t.name;
        continue;
      }
      const Weight drawn{.format = t.format,
                         .rows = t.rows,
                         .cols = t.cols,
                         .codes = bytes.codes.data(),
                         .params = bytes.params.data()};
      const Weight read = artifact->matrix(t.name, t.rows, t.cols);
      EXPECT_EQ(to_string(read.format), to_string(t.format)) << t.name;
      EXPECT_EQ(artifact->activation(t.name).mode, t.activation) << t.name;
      std::vector<float> a(static_cast<size_t>(t.cols)), b(a.size());
      for (int64_t r = 0; r < t.rows; ++r) {
        drawn.format.codec->unpack_row(drawn.format, drawn.row_codes(r), drawn.row_params(r), a);
        read.format.codec->unpack_row(read.format, read.row_codes(r), read.row_params(r), b);
        ASSERT_EQ(a, b) << format << " " << t.name << " row " << r;
      }
    }
  }
}

TEST(Synth, TiedHeadsAndBiasesAreStored) {
  const ScratchDirectory scratch("sinter-synth");
  const std::string out = scratch.path();
  const std::string path = out + "/model";
  set_progress_mode(ProgressMode::none);
  Json config = config_of(shape_named("qwen2.5-0.5b"), 1);
  config["vocab_size"] = 512;
  SynthOptions options;
  options.format = "i4_group:128";
  options.head = "i8_row";
  synth_directory(config, options, path);
  const auto artifact = Artifact::open(path);
  EXPECT_EQ(to_string(artifact->matrix("model.embed_tokens", 512, 896).format), "i8_row");
  EXPECT_EQ(to_string(artifact->matrix("model.layers.0.mlp.up_proj", 4864, 896).format),
            "i4_group:128");
  EXPECT_EQ(artifact->vector("model.layers.0.self_attn.q_proj.bias", 896).size(), 896u);
}

// The same draws as in a directory: GGUF's bf16 rows are a directory's, and its tokenizer works.
TEST(Synth, GgufHoldsTheSameDraws) {
  const ScratchDirectory scratch("sinter-synth");
  const std::string out = scratch.path();
  SynthOptions options;
  tiny(out + "/model", options);
  const Json config = config_of(shape_named("tiny"));
  synth_gguf(config, options, out + "/bf16.gguf");
  options.format = "q4_k";
  options.head = "q6_k";
  synth_gguf(config, options, out + "/q4.gguf");
  const auto a = Artifact::open(out + "/model"), b = Artifact::open(out + "/bf16.gguf"),
             q = Artifact::open(out + "/q4.gguf");
  for (const auto& [module, rows] : {std::pair<std::string, int64_t>{"model.embed_tokens", 1024},
                                     {"lm_head", 1024},
                                     {"model.layers.1.self_attn.v_proj", 128},
                                     {"model.layers.0.mlp.gate_proj", 512}}) {
    const Weight x = a->matrix(module, rows, 256), y = b->matrix(module, rows, 256);
    ASSERT_EQ(std::memcmp(x.codes, y.codes, static_cast<size_t>(rows * 512)), 0) << module;
    EXPECT_EQ(to_string(q->matrix(module, rows, 256).format),
              module == "lm_head" ? "q6_k" : "q4_k");
  }
  EXPECT_TRUE(b->text_file("tokenizer.json").has_value());
  EXPECT_THROW(synth_gguf(config, options, out + "/q4.gguf"), Error);  // it is there
  options.format = "i4_group:64";
  EXPECT_THROW(synth_gguf(config, options, out + "/i4.gguf"), Error);
  EXPECT_FALSE(std::filesystem::exists(out + "/i4.gguf"));
}

TEST(Synth, RefusesWhatItCannotWrite) {
  const ScratchDirectory scratch("sinter-synth");
  const std::string out = scratch.path();
  SynthOptions options;
  const auto code = [&](const std::string& path) -> std::string {
    try {
      tiny(path, options);
      return "";
    } catch (const Error& e) {
      return e.code();
    }
  };
  write_file_atomically(out + "/mine.txt", "mine");
  EXPECT_EQ(code(out), "output-foreign");
  EXPECT_EQ(read_file(out + "/mine.txt"), "mine");
  options.format = "i4_group:100";
  EXPECT_EQ(code(out + "/a"), "format-columns");
  options.format = "nonsense";
  EXPECT_EQ(code(out + "/a"), "format-unknown");
  options.format = "i5";
  EXPECT_EQ(code(out + "/a"), "format-unknown");
}

// A vocabulary without room for the bytes: an error before anything is written.
TEST(Synth, RefusesAVocabularyThatIsTooSmall) {
  set_progress_mode(ProgressMode::none);
  const ScratchDirectory scratch("sinter-synth");
  const std::string out = scratch.path();
  Json config = config_of(shape_named("tiny"), 1);
  for (const int64_t vocab : {260, 259}) {
    config["vocab_size"] = vocab;
    for (const std::string name : {"/d", "/f.gguf"}) {
      const std::string path = fmt::format("{}{}{}", out, vocab, name);
      std::string code;
      try {
        name == "/d" ? synth_directory(config, {}, path) : synth_gguf(config, {}, path).made;
      } catch (const Error& e) {
        code = e.code();
      }
      EXPECT_EQ(code, vocab == 260 ? "" : "config-value") << path;
      EXPECT_EQ(std::filesystem::exists(path), vocab == 260);
    }
  }
}

TEST(Synth, NamesWhatDirectoriesHold) {
  const std::string names = fmt::format("{}", fmt::join(directory_formats(), " "));
  for (const char* name : {"bf16", "i8_row", "i4_group:N", "u2_group:N"}) {
    EXPECT_NE(names.find(name), std::string::npos) << names;
  }
  for (const char* name : {"q8_0", "mxfp4", "f8_row"}) {
    EXPECT_EQ(names.find(name), std::string::npos) << names;
  }
}

TEST(Synth, TokenizerReadsAnyText) {
  const ScratchDirectory scratch("sinter-synth");
  const std::string out = scratch.path();
  write_file_atomically(out + "/tokenizer.json", synth_tokenizer(1000).dump());
  const auto tokenizer = Tokenizer::load(out + "/tokenizer.json");
  EXPECT_EQ(tokenizer->vocab_size(), 1000);
  const std::string text = "The other thing, ünïcödé 漢字 🎉\n<|unused 300|>";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  EXPECT_EQ(tokenizer->encode("th").size(), 1u);
}

}  // namespace
}  // namespace sinter
