// Compression from directory to directory, on little random models: what is written, what is left
// alone, what is refused, and that neither threads nor SIGKILL change a byte.
#include "compress/compress.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "artifact/artifact.h"
#include "base/build.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/scratch_directory.h"
#include "compress/output.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

struct ModelShape {
  int n_layers = 2;
  int64_t d_model = 64, d_ff = 128, vocab = 96;
  DType dtype = DType::bf16;
  bool tied = true;
  bool one_file = true;
};

std::string random_tensor(const std::string& name, int64_t n, DType dtype) {
  const Format f{.codec = plain_codec(dtype)};
  std::vector<float> w(static_cast<size_t>(n));
  const uint64_t seed = std::hash<std::string>{}(name);
  for (size_t i = 0; i < w.size(); ++i) {
    w[i] = static_cast<float>((random_uniform(seed, 0, i) + random_uniform(seed, 1, i) - 1) * 0.1);
  }
  std::string bytes(static_cast<size_t>(f.codec->row_bytes(f, n)), '\0');
  f.codec->pack_row(f, w, nullptr, reinterpret_cast<uint8_t*>(bytes.data()));
  return bytes;
}

// Every file below a directory and its bytes.
std::map<std::string, std::string> contents(const fs::path& dir) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (entry.is_regular_file()) files[fs::relative(entry.path(), dir)] = read_file(entry.path());
  }
  return files;
}

std::vector<float> dequantised(const Weight& w) {
  std::vector<float> out(static_cast<size_t>(w.rows * w.cols));
  for (int64_t r = 0; r < w.rows; ++r) {
    w.format.codec->unpack_row(
        w.format, w.row_codes(r), w.row_params(r),
        std::span(out).subspan(static_cast<size_t>(r * w.cols), static_cast<size_t>(w.cols)));
  }
  return out;
}

Recipe recipe(const std::string& words) {
  return parse_recipe("name: test\nsteps:\n  - rtn: {" + words + "}\n", "test.yaml");
}

class Compress : public testing::Test {
 protected:
  void SetUp() override { set_progress_mode(ProgressMode::none); }

  std::string put(const std::string& name, const std::string& text) {
    const fs::path path = dir_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::string make_model(const ModelShape& s, const std::string& name = "base") {
    std::map<std::string, std::pair<std::vector<int64_t>, std::string>> tensors;
    const auto add = [&](const std::string& tensor, std::vector<int64_t> shape) {
      int64_t n = 1;
      for (const int64_t x : shape) n *= x;
      tensors[tensor] = {shape, random_tensor(tensor, n, s.dtype)};
    };
    add("model.embed_tokens.weight", {s.vocab, s.d_model});
    add("model.norm.weight", {s.d_model});
    if (!s.tied) add("lm_head.weight", {s.vocab, s.d_model});
    for (int i = 0; i < s.n_layers; ++i) {
      const std::string layer = fmt::format("model.layers.{}.", i);
      add(layer + "input_layernorm.weight", {s.d_model});
      for (const char* p : {"q", "k", "v", "o"}) {
        add(layer + "self_attn." + p + "_proj.weight", {s.d_model, s.d_model});
      }
      add(layer + "self_attn.q_proj.bias", {s.d_model});
      add(layer + "mlp.gate_proj.weight", {s.d_ff, s.d_model});
      add(layer + "mlp.up_proj.weight", {s.d_ff, s.d_model});
      add(layer + "mlp.down_proj.weight", {s.d_model, s.d_ff});
    }
    std::vector<TensorToWrite> write;
    for (const auto& [tensor, t] : tensors) {
      write.push_back(
          {tensor, s.dtype, t.first, std::as_bytes(std::span(t.second.data(), t.second.size()))});
    }
    fs::create_directories(dir_ / name);
    write_safetensors(dir_ / name / "model.safetensors", write);
    put(name + "/config.json", fmt::format(R"({{"model_type":"llama","rms_norm_eps":1e-06,)"
                                           R"("tie_word_embeddings":{}}})",
                                           s.tied));
    put(name + "/tokenizer.json", "{ \"odd\":  1 }\n");
    put(name + "/additional_chat_templates/tool.jinja", "{{ x }}");
    put(name + "/pytorch_model.bin", "stale weights");
    put(name + "/.hidden", "x");
    return dir_ / name;
  }

  std::string out(const std::string& name = "out") const { return dir_ / name; }

  std::string code_of(const std::string& model, const Recipe& r, const std::string& to,
                      CompressOptions options = {.threads = 1}) {
    try {
      compress(model, r, to, options);
      return "";
    } catch (const Error& e) {
      message_ = e.what();
      return e.code();
    }
  }

  const ScratchDirectory scratch_{"sinter-compress"};
  const fs::path dir_ = scratch_.path();
  std::string message_;
};

TEST_F(Compress, WritesAnArtifactThatOpens) {
  const std::string base = make_model({.tied = false});
  const CompressResult r =
      compress(base, recipe("scheme: W4A16, group_size: 32"), out(), {.threads = 2});
  const auto before = Artifact::open(base), after = Artifact::open(out());
  EXPECT_EQ(after->scheme(), "compressed-tensors W4A16 (i4_group:32)");
  const std::string q = "model.layers.1.self_attn.q_proj";
  const std::vector<float> w = dequantised(before->matrix(q, 64, 64)),
                           x = dequantised(after->matrix(q, 64, 64));
  // Against the definition, in double: scale = bf16(peak / 7.5), codes to the nearest even.
  for (size_t g = 0; g < w.size(); g += 32) {
    double peak = 0;
    for (size_t i = g; i < g + 32; ++i) peak = std::max(peak, std::abs(double{w[i]}));
    const double scale = bf16_to_f32(f32_to_bf16(static_cast<float>(peak / 7.5)));
    for (size_t i = g; i < g + 32; ++i) {
      const double code = std::clamp(std::nearbyint(w[i] / scale), -8.0, 7.0);
      ASSERT_FLOAT_EQ(x[i], static_cast<float>(code * scale)) << i;
    }
  }
  // What was not rounded is there bit for bit.
  for (const char* name :
       {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight",
        "model.layers.0.self_attn.q_proj.bias", "model.layers.1.input_layernorm.weight"}) {
    const StoredTensor *a = before->checkpoint().find(name), *b = after->checkpoint().find(name);
    ASSERT_NE(b, nullptr) << name;
    EXPECT_TRUE(std::equal(a->bytes.begin(), a->bytes.end(), b->bytes.begin(), b->bytes.end()))
        << name;
  }
  EXPECT_EQ(after->checkpoint().files().size(), 3u);  // two layers, and the rest
  EXPECT_LT(r.bytes_after, r.bytes_before / 2 + 96 * 64 * 4);
  EXPECT_EQ(r.shards_made, 3);
  // Other files byte for byte; weights in other formats and hidden files left out, and named. The
  // weights that were rounded are there.
  const auto files = contents(out());
  EXPECT_EQ(files.at("tokenizer.json"), "{ \"odd\":  1 }\n");
  EXPECT_EQ(files.at("additional_chat_templates/tool.jinja"), "{{ x }}");
  EXPECT_EQ(r.not_copied, (std::vector<std::string>{".hidden", "pytorch_model.bin"}));
  EXPECT_FALSE(files.contains("compress.journal"));
  // config.json: the base's keys and values, and one more.
  Json config = after->config();
  config.erase("quantization_config");
  EXPECT_EQ(config, before->config());
  EXPECT_EQ(after->config()["quantization_config"]["ignore"], Json::array({"lm_head"}));
}

TEST_F(Compress, ManifestIsEvidence) {
  const std::string base = make_model({});
  const Recipe rec = recipe("scheme: W3A16, group_size: 32");
  compress(base, rec, out(), {.threads = 1});
  const Manifest m = read_manifest(out());
  const auto before = Artifact::open(base), after = Artifact::open(out());
  EXPECT_EQ(m.digest, after->digest());
  EXPECT_EQ(m.base_digest, before->digest());
  EXPECT_EQ(m.recipe, rec.text);
  EXPECT_EQ(m.recipe_digest, sha256_hex(rec.text));
  int rounded = 0;
  for (const ManifestTensor& t : m.tensors) {
    if (t.format != "i3_group:32") continue;
    ++rounded;
    const Weight weight = after->matrix(t.name, t.rows, t.cols);
    const std::vector<float> w = dequantised(before->matrix(t.name, t.rows, t.cols)),
                             x = dequantised(weight);
    double squared = 0, reference = 0, largest = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      const double d = double{x[i]} - double{w[i]};
      squared += d * d;
      reference += double{w[i]} * double{w[i]};
      largest = std::max(largest, std::abs(d));
    }
    EXPECT_NEAR(t.relative_error, std::sqrt(squared / reference), 1e-12);
    EXPECT_EQ(t.max_error, largest);
    Sha256 digest;
    digest.add(
        std::as_bytes(std::span(weight.codes, static_cast<size_t>(t.rows * weight.row_bytes()))));
    digest.add(std::as_bytes(
        std::span(weight.params, static_cast<size_t>(t.rows * weight.param_bytes()))));
    EXPECT_EQ(t.sha256, digest.hex());
  }
  EXPECT_EQ(rounded, 14);
  EXPECT_EQ(m.tensors.size(), before->checkpoint().tensors().size());
}

TEST_F(Compress, EveryPresetRoundTripsAndOrdersByBits) {
  const std::string base = make_model({.n_layers = 1, .d_model = 128, .d_ff = 128, .vocab = 8});
  std::map<std::string, double> error;
  for (const Preset& p : presets()) {
    if (has_input_scale(p.scheme)) continue;  // calibrated_test.cc has those
    const std::string name(p.name);
    const CompressResult r = compress(base, recipe("scheme: " + name), out(name), {.threads = 1});
    EXPECT_EQ(r.predicted.output, r.bytes_after) << name;
    const auto a = Artifact::open(out(name));
    EXPECT_EQ(a->activation("model.layers.0.mlp.up_proj").mode, p.scheme.activation);
    const Weight w = a->matrix("model.layers.0.mlp.down_proj", 128, 128);
    EXPECT_EQ(w.format, format_of(p.scheme, DType::bf16));
    for (const ManifestTensor& t : r.manifest.tensors)
      error[name] = std::max(error[name], t.relative_error);
    const std::string mse = name + "-mse";
    const CompressResult best =
        compress(base, recipe("observer: mse, scheme: " + name), out(mse), {.threads = 1});
    for (size_t i = 0; i < r.manifest.tensors.size(); ++i) {
      EXPECT_LE(best.manifest.tensors[i].relative_error, r.manifest.tensors[i].relative_error)
          << name;
    }
  }
  EXPECT_LT(error["W8A16"], 0.01);
  EXPECT_LT(error["W8A16"], error["W4A16"]);
  EXPECT_LT(error["W4A16"], error["W3A16"]);
  EXPECT_LT(error["W3A16"], error["W2A16"]);
  EXPECT_LT(error["W2A16"], 0.6);
}

TEST_F(Compress, MixedPrecisionNamesModules) {
  const std::string base = make_model({});
  compress(
      base,
      recipe("scheme: W4A16, group_size: 32, overrides: [{match: '*.down_proj', scheme: W8A8}]"),
      out(), {.threads = 1});
  const auto a = Artifact::open(out());
  EXPECT_EQ(a->config()["quantization_config"]["format"], "mixed-precision");
  EXPECT_EQ(a->activation("model.layers.0.mlp.down_proj").mode, ActivationMode::int8_token);
  EXPECT_EQ(a->activation("model.layers.0.mlp.up_proj").mode, ActivationMode::exact);
  EXPECT_EQ(to_string(a->matrix("model.layers.0.mlp.down_proj", 64, 128).format), "i8_row");
  EXPECT_EQ(to_string(a->matrix("model.layers.0.mlp.up_proj", 128, 64).format), "i4_group:32");
}

TEST_F(Compress, EmbeddingsOnlyWhenTargeted) {
  const std::string base = make_model({});
  compress(base, recipe("scheme: W8A16, targets: [Linear, Embedding]"), out(), {.threads = 1});
  EXPECT_EQ(to_string(Artifact::open(out())->matrix("model.embed_tokens", 96, 64).format),
            "i8_row");
}

TEST_F(Compress, ThreadsChangeNothing) {
  const std::string base = make_model({.dtype = DType::f16});
  const Recipe r = recipe("scheme: W4A16_ASYM, group_size: 32, observer: mse");
  compress(base, r, out("one"), {.threads = 1});
  compress(base, r, out("four"), {.threads = 4});
  EXPECT_EQ(contents(out("one")), contents(out("four")));
}

TEST_F(Compress, RefusesRecipesThatDoNotFitTheModel) {
  const std::string base = make_model({});
  EXPECT_EQ(code_of(base, recipe("scheme: W4A16"), out()), "format-columns");  // 128 > 64 columns
  EXPECT_NE(message_.find("model.layers.0"), std::string::npos);
  EXPECT_EQ(code_of(base, recipe("scheme: W8A16, ignore: [lm_haed]"), out()),
            "recipe-idle-pattern");
  EXPECT_EQ(code_of(base, recipe("scheme: W8A16, targets: [mlp]"), out()), "recipe-idle-pattern");
  EXPECT_EQ(code_of(base,
                    recipe("scheme: W8A16, ignore: ['*_proj', lm_head], overrides: [{match: "
                           "'*.q_proj', scheme: W8A16}]"),
                    out()),
            "recipe-idle-pattern");  // the override decides nothing: all is ignored
  EXPECT_EQ(code_of(base, recipe("scheme: W8A16, ignore: ['*_proj']"), out()),
            "recipe-rounds-nothing");
  const std::string split = "scheme: W8A16, overrides: [{match: '*.v_proj', group_size: 32}]";
  EXPECT_EQ(code_of(base, recipe(split), out()), "recipe-splits-fused");
  EXPECT_NE(message_.find("allow_split"), std::string::npos);
  EXPECT_EQ(code_of(base, recipe("scheme: W8A16, ignore: ['*.gate_proj']"), out()),
            "recipe-splits-fused");
  EXPECT_FALSE(fs::exists(out()));  // all of it found before a byte was written
  EXPECT_EQ(code_of(base, recipe(split + ", allow_split: true"), out()), "");
  EXPECT_EQ(code_of(out(), recipe("scheme: W8A16"), out("again")), "compress-not-dense");
  // Also where only a side-car file says so.
  EXPECT_EQ(code_of(SINTER_SOURCE_DIR "/tests/golden/artifact/modelopt_fp8",
                    recipe("scheme: W8A16"), out("again")),
            "compress-not-dense");
  const Recipe two = parse_recipe("steps: [{rtn: {scheme: W8A16}}, {rtn: {scheme: W8A16}}]", "r");
  EXPECT_EQ(code_of(base, two, out("two")), "recipe-conflict");
}

TEST_F(Compress, RefusesWeightsThatAreNotNumbers) {
  for (const float bad : {NAN, INFINITY, -INFINITY, 1e38f}) {
    const std::string base = make_model({.dtype = DType::f32}, fmt::format("bad{}", bad));
    const auto a = Artifact::open(base);
    const StoredTensor* t = a->checkpoint().find("model.layers.1.mlp.up_proj.weight");
    const auto offset = t->bytes.data() - a->checkpoint().files()[0]->bytes().data();
    std::fstream file(base + "/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset + 4 * (64 * 5 + 7));
    file.write(reinterpret_cast<const char*>(&bad), 4);
    file.close();
    EXPECT_EQ(
        code_of(base, recipe("scheme: W8A16"), out(fmt::format("out{}", bad)), {.threads = 2}),
        "weight-not-finite");
    EXPECT_NE(message_.find("model.layers.1.mlp.up_proj.weight\": the weight at row 5, column 7"),
              std::string::npos)
        << message_;
  }
}

TEST_F(Compress, LeavesForeignDirectoriesAlone) {
  const std::string base = make_model({});
  const Recipe r = recipe("scheme: W8A16");
  put("foreign/thesis.tex", "precious");
  EXPECT_EQ(code_of(base, r, out("foreign")), "output-foreign");
  EXPECT_EQ(contents(out("foreign")).size(), 1u);
  EXPECT_EQ(code_of(base, r, base), "output-foreign");
  EXPECT_EQ(code_of(base, r, base + "/inside"), "output-foreign");
  fs::create_directories(out("empty"));
  EXPECT_EQ(code_of(base, r, out("empty")), "");
  // Again: it is finished, and stays as it is. Another recipe, or damage: refused.
  const auto before = contents(out("empty"));
  EXPECT_EQ(compress(base, r, out("empty"), {.threads = 1}).shards_made, 0);
  EXPECT_EQ(contents(out("empty")), before);
  EXPECT_EQ(code_of(base, r, out("empty"), {.threads = 1, .resume = false}), "output-resumable");
  EXPECT_EQ(code_of(base, recipe("scheme: W8A8"), out("empty")), "output-differs");
  put("empty/tokenizer.json", "{}");
  EXPECT_EQ(code_of(base, r, out("empty")), "output-damaged");
}

TEST_F(Compress, StopsBetweenLayersAndGoesOn) {
  const std::string base = make_model({});
  const Recipe r = recipe("scheme: W8A16");
  const std::atomic<bool> stop{true};
  EXPECT_EQ(code_of(base, r, out(), {.threads = 1, .stop = &stop}), "interrupted");
  EXPECT_TRUE(fs::exists(out() + "/compress.journal"));
  EXPECT_EQ(code_of(base, r, out(), {.threads = 1, .resume = false}), "output-resumable");
  EXPECT_EQ(code_of(base, recipe("scheme: W8A8"), out()), "output-differs");
  put("base/generation_config.json", "{}");  // the base changed under it
  EXPECT_EQ(code_of(base, r, out()), "output-differs");
  fs::remove(base + "/generation_config.json");
  EXPECT_EQ(code_of(base, r, out()), "");
}

TEST_F(Compress, AShardThatWasDamagedIsMadeAgain) {
  const std::string base = make_model({});
  const Recipe r = recipe("scheme: W8A16");
  compress(base, r, out("whole"), {.threads = 1});
  const std::string shard = "model-00001-of-00003.safetensors";
  {  // a run that made one shard, which then lost a byte
    OutputDirectory begun(
        out(), {r.digest, Artifact::open(base)->digest(), build_name(), "", default_dialect().name},
        true);
    const std::string bytes = read_file(out("whole") + "/" + shard);
    put("out/" + shard, bytes.substr(1));
    begun.record({.file = shard, .sha256 = sha256_hex(bytes), .tensors = {}});
  }
  EXPECT_EQ(compress(base, r, out(), {.threads = 1}).shards_made, 3);
  EXPECT_EQ(contents(out()), contents(out("whole")));
}

// A child is killed at a random moment, again and again, until a run gets through.
TEST_F(Compress, SigkillAnywhereLeavesTheSameBytes) {
  const std::string base = make_model({.n_layers = 5});
  const Recipe r = recipe("scheme: W4A16, group_size: 32, observer: mse");
  compress(base, r, out("whole"), {.threads = 1});
  const auto expected = contents(out("whole"));
  // The window of random moments follows the machine: shorter when a child got through unhurt,
  // longer when it was killed before it began.
  double window_us = 20'000;
  int killed_midway = 0;
  for (uint64_t round = 0; round < 60 && killed_midway < 8; ++round) {
    const std::string to = out(fmt::format("killed{}", round));
    for (uint64_t attempt = 0; attempt < 3; ++attempt) {
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        try {
          compress(base, r, to, {.threads = 1});
        } catch (...) {
          ::_exit(3);
        }
        ::_exit(0);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(
          static_cast<int64_t>(random_uniform(round, 7, attempt) * window_us)));
      ::kill(child, SIGKILL);
      int status = 0;
      ::waitpid(child, &status, 0);
      ASSERT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << "a resumed run failed";
      if (WIFEXITED(status)) {
        window_us *= 0.7;
        break;
      }
      if (fs::exists(to + "/compress.journal")) {
        ++killed_midway;
      } else {
        window_us *= 1.2;
      }
    }
    compress(base, r, to, {.threads = 1});
    ASSERT_EQ(contents(to), expected);
  }
  EXPECT_GE(killed_midway, 3);
}

TEST_F(Compress, TwoProcessesDoNotShareADirectory) {
  const std::string base = make_model({});
  const Recipe r = recipe("scheme: W8A16");
  const std::atomic<bool> stop{true};
  EXPECT_EQ(code_of(base, r, out(), {.threads = 1, .stop = &stop}), "interrupted");
  const pid_t child = ::fork();
  if (child == 0) {
    ::execlp("flock", "flock", out().c_str(), "sleep", "20", nullptr);
    ::_exit(127);
  }
  std::string code;
  for (int i = 0; i < 200 && code != "output-busy"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    code = code_of(base, r, out(), {.threads = 1, .stop = &stop});
  }
  EXPECT_EQ(code, "output-busy");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

// A trained model, stored in float32 with its table under the head's name.
TEST_F(Compress, TinyStories) {
  const char* shared = std::getenv("SINTER_SHARED");
  const std::string base =
      std::string(shared != nullptr ? shared : SINTER_SOURCE_DIR "/../shared") +
      "/data/weights/tinystories-656k";
  if (!fs::exists(base)) GTEST_SKIP() << "missing: " << base;
  compress(base, recipe("scheme: W4A16"), out(), {.threads = 2});
  const auto a = Artifact::open(out());
  EXPECT_EQ(a->scheme(), "compressed-tensors W4A16 (i4_group:128/f32)");
  EXPECT_TRUE(a->has_tensor("model.embed_tokens.weight"));
  EXPECT_FALSE(a->has_tensor("lm_head.weight"));
}

}  // namespace
}  // namespace sinter
