// Methods that look at inputs, on the bundled model: what they promise, by definitions in double
// and by what must not change a byte.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "artifact/artifact.h"
#include "artifact/dialect.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/scratch_directory.h"
#include "compress/compress.h"
#include "compress/fold.h"
#include "compress/matrix_grid.h"
#include "compress/random_tokens.h"
#include "compress/round.h"
#include "model/model.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;
const std::string kPebble = std::string(SINTER_SOURCE_DIR) + "/models/pebble";

Recipe recipe(const std::string& steps) {
  return parse_recipe("name: test\nsteps:\n" + steps, "test.yaml");
}

class Calibrated : public testing::Test {
 protected:
  void SetUp() override { set_progress_mode(ProgressMode::none); }
  std::string out(const std::string& name) const { return dir_ / name; }
  Manifest run(const std::string& steps, const std::string& name, int threads = 2,
               const char* dialect = "compressed-tensors") const {
    return compress(kPebble, recipe(steps), out(name),
                    {.calibration = &calibration_,
                     .dialect = &stored_dialect(dialect),
                     .threads = threads,
                     .preflight = false})
        .manifest;
  }
  std::string code_of(const std::string& steps, const std::string& name, const char* dialect) {
    try {
      run(steps, name, 1, dialect);
      return "";
    } catch (const Error& e) {
      message_ = e.what();
      return e.code();
    }
  }

  Calibration calibration_ = random_tokens();
  const ScratchDirectory scratch_{"sinter-calibrated"};
  const fs::path dir_ = scratch_.path();
  std::string message_;
};

double total_output_error(const Manifest& m) {
  double sum = 0;
  for (const ManifestTensor& t : m.tensors) sum += std::max(t.output_error, 0.0);
  return sum;
}

void expect_same_files(const fs::path& a, const fs::path& b) {
  for (const auto& entry : fs::recursive_directory_iterator(a)) {
    if (!entry.is_regular_file()) continue;
    const fs::path name = entry.path().lexically_relative(a);
    ASSERT_TRUE(fs::exists(b / name)) << name;
    EXPECT_TRUE(read_file(entry.path()) == read_file(b / name)) << name;
  }
  const auto entries = [](const fs::path& p) {
    return std::distance(fs::recursive_directory_iterator(p), {});
  };
  EXPECT_EQ(entries(a), entries(b));
}

TEST_F(Calibrated, OutputsAreNearerThanByRoundingToNearest) {
  const std::string words = "{num_bits: 3, group_size: 64, observer: inputs}\n";
  const Manifest rtn = run("  - rtn: " + words, "rtn");
  const Manifest gptq = run("  - gptq: " + words, "gptq");
  EXPECT_GT(total_output_error(rtn), 0);
  EXPECT_LT(total_output_error(gptq), 0.8 * total_output_error(rtn));
  EXPECT_EQ(gptq.corpus.tokens, 235);
  EXPECT_EQ(gptq.corpus.sequences, 5);
  EXPECT_FALSE(fs::exists(out("gptq") + "/calibration.scratch"));
}

TEST_F(Calibrated, ThreadsChangeNothing) {
  const std::string steps = "  - awq: {grid: 4}\n  - gptq: {scheme: W4A16_ASYM, group_size: 64}\n";
  run(steps, "one", 1);
  run(steps, "four", 4);
  expect_same_files(out("one"), out("four"));
}

// What one layer hands on to the next lies on disk alone: killed after every shard in turn.
class Killed : public Calibrated,
               public testing::WithParamInterface<std::pair<const char*, const char*>> {};

TEST_P(Killed, EveryKillLeavesTheSameBytes) {
  const auto& [dialect, steps] = GetParam();
  run(steps, "whole", 2, dialect);
  const std::string journal = out("parts") + "/compress.journal";
  const auto lines = [&] {
    if (!fs::exists(journal)) return int64_t{0};
    const std::string text = read_file(journal);
    return static_cast<int64_t>(std::count(text.begin(), text.end(), '\n'));
  };
  int kills = 0;
  for (int64_t shards = 1; shards <= 5; ++shards) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {  // nothing may run on into the test from here
      try {
        run(steps, "parts", 1, dialect);
      } catch (...) {
        ::_exit(3);
      }
      ::_exit(0);
    }
    int status = 0;
    pid_t ended = 0;
    while (ended == 0 && lines() < shards + 1) {
      ::usleep(500);
      ended = ::waitpid(child, &status, WNOHANG);
    }
    if (ended == 0) {
      ::kill(child, SIGKILL);
      ended = ::waitpid(child, &status, 0);
    }
    ASSERT_EQ(ended, child);
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    ASSERT_TRUE(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << status;
    kills += killed && fs::exists(journal) ? 1 : 0;
  }
  EXPECT_GE(kills, 3);
  run(steps, "parts", 2, dialect);
  expect_same_files(out("whole"), out("parts"));
}
INSTANTIATE_TEST_SUITE_P(Dialects, Killed,
                         testing::Values(std::pair("compressed-tensors",
                                                   "  - smoothquant: {alpha: 0.7}\n"
                                                   "  - gptq: {scheme: W8A8, observer: mse}\n"),
                                         std::pair("gptq",
                                                   "  - gptq: {scheme: W4A16, group_size: 64}\n")));

// The codes and scales that were chosen are those that a reader of the dialect gets.
TEST_F(Calibrated, DialectsHoldWhatWasRounded) {
  const std::pair<const char*, const char*> cases[] = {
      {"gptq", "  - gptq: {scheme: W4A16, group_size: 32}\n"},
      {"gptq", "  - rtn: {num_bits: 3, group_size: 64, symmetric: false}\n"},
      {"awq", "  - awq: {grid: 2}\n  - rtn: {scheme: W4A16_ASYM, group_size: 64}\n"},
  };
  int i = 0;
  for (const auto& [dialect, steps] : cases) {
    SCOPED_TRACE(steps);
    const std::string name = std::to_string(i++);
    const Manifest m = run(steps, name, 2, dialect);
    EXPECT_EQ(read_manifest(out(name)).dialect, dialect);
    const auto a = Artifact::open(out(name));
    EXPECT_EQ(read_dialect(a->config(), out(name)).method, dialect);
    int rounded = 0;
    for (const ManifestTensor& t : m.tensors) {
      if (t.method != "gptq" && t.method != "rtn") continue;
      ++rounded;
      const Weight w = a->matrix(t.name, t.rows, t.cols);
      Sha256 digest;
      digest.add(std::as_bytes(std::span(w.codes, static_cast<size_t>(w.rows * w.row_bytes()))));
      digest.add(std::as_bytes(std::span(w.params, static_cast<size_t>(w.rows * w.param_bytes()))));
      EXPECT_EQ(digest.hex(), t.sha256) << t.name;
      EXPECT_EQ(to_string(w.format), t.format);
    }
    EXPECT_EQ(rounded, 35);
  }
}

TEST_F(Calibrated, WhatADialectCannotSayIsRefusedAtOnce) {
  const std::string gptq4 = "  - gptq: {scheme: W4A16, group_size: 64}\n";
  const std::string mixed =
      "  - gptq: {scheme: W4A16, group_size: 64, overrides: [{match: '*.down_proj', scheme: "
      "W8A16}]}\n";
  EXPECT_EQ(code_of("  - rtn: {scheme: W8A16}\n", "x", "awq"), "compress-dialect");
  EXPECT_NE(message_.find("8 bits"), std::string::npos);
  EXPECT_NE(message_.find("compressed-tensors"), std::string::npos);
  for (const char* dialect : {"awq", "gptq"}) {
    SCOPED_TRACE(dialect);
    EXPECT_EQ(code_of(mixed, "x", dialect), "compress-dialect");
    EXPECT_EQ(code_of("  - rtn: {scheme: W8A8_STATIC}\n", "x", dialect), "compress-dialect");
    EXPECT_EQ(code_of("  - gptq: {scheme: NVFP4A16}\n", "x", dialect), "compress-dialect");
  }
  EXPECT_FALSE(fs::exists(out("x")));
  EXPECT_EQ(code_of(gptq4, "x", "gptq"), "");
  EXPECT_EQ(code_of(gptq4, "x", "gptq"), "");  // finished: nothing to do
  EXPECT_EQ(code_of(gptq4, "x", "awq"), "output-differs");
  EXPECT_NE(message_.find("another dialect"), std::string::npos);
}

// What it needs is said before it begins; what does not fit is refused, and leaves nothing.
TEST_F(Calibrated, NeedsAreCountedFirst) {
  const std::string steps = "  - awq: {grid: 2}\n  - gptq: {scheme: W4A16_ASYM, group_size: 64}\n";
  Preflight announced;
  CompressOptions options{.calibration = &calibration_, .threads = 2, .memory_limit = 1 << 20};
  options.announce = [&](const Preflight& p) { announced = p; };
  try {
    compress(kPebble, recipe(steps), out("out"), options);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "preflight-memory");
    EXPECT_EQ(e.fault(), Fault::exhausted);
  }
  EXPECT_TRUE(fs::is_empty(out("out")));
  EXPECT_EQ(announced.memory, 0);
  options.memory_limit = 0;
  const CompressResult r =
      compress(kPebble, recipe("  - rtn: {scheme: W8A16}\n"), out("out"), options);
  EXPECT_EQ(r.predicted.scratch, 0);
  const CompressResult c = compress(kPebble, recipe(steps), out("calibrated"), options);
  EXPECT_EQ(announced.memory, c.predicted.memory);
  for (const CompressResult* made : {&r, &c}) EXPECT_EQ(made->predicted.output, made->bytes_after);
  for (const char* stage : {"tokens", "awq", "gptq", "write"}) {
    EXPECT_GT(c.predicted.seconds.at(stage), 0) << stage;
    EXPECT_GT(c.predicted.bytes.at(stage), 0) << stage;
    EXPECT_GT(c.seconds.at(stage), 0) << stage;
  }
}

TEST_F(Calibrated, OtherTokensAreRefused) {
  const std::string steps = "  - gptq: {scheme: W4A16, group_size: 64}\n";
  run(steps, "out");
  calibration_.digest = "of others";
  try {
    run(steps, "out");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), std::string("output-differs"));
    EXPECT_NE(std::string(e.what()).find("other calibration tokens"), std::string::npos);
  }
  try {
    compress(kPebble, recipe(steps), out("none"), {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), std::string("calibration-missing"));
  }
}

TEST_F(Calibrated, StaticInputsHaveTheScaleOfTheirPeak) {
  for (const char* scheme : {"FP8", "W8A8_STATIC"}) {
    run(fmt::format("  - rtn: {{scheme: {}}}\n", scheme), scheme);
    const auto a = Artifact::open(out(scheme));
    const Activation q = a->activation("model.layers.1.self_attn.q_proj");
    const Activation down = a->activation("model.layers.1.mlp.down_proj");
    EXPECT_GT(q.scale, 0);
    EXPECT_NE(q.scale, down.scale);
    EXPECT_EQ(q.scale, a->activation("model.layers.1.self_attn.k_proj").scale);
  }
}

// A token whose embedding is no number reaches nothing that is kept, and is not passed over.
TEST_F(Calibrated, ActivationsThatAreNoNumbersAreNoted) {
  const fs::path model = dir_ / "model";
  fs::create_directories(model);
  for (const char* file : {"config.json", "tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(kPebble + "/" + file, model / file);
  }
  std::string bytes = read_file(kPebble + "/model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const Json tensors = parse_json(std::string_view(bytes).substr(8, header), "header");
  const Json& table = tensors["model.embed_tokens.weight"];
  const auto row = table["shape"][1].get<size_t>() * 2;
  const size_t at = 8 + header + table["data_offsets"][0].get<size_t>() +
                    static_cast<size_t>(calibration_.sequences[2][50]) * row;
  bytes[at] = '\x80';  // bfloat16: an infinity
  bytes[at + 1] = '\x7f';
  write_file_atomically(model / "model.safetensors", bytes);
  for (const char* steps : {"  - gptq: {scheme: W4A16, group_size: 64}\n",
                            "  - awq: {grid: 2}\n  - rtn: {scheme: W4A16, group_size: 64}\n",
                            "  - smoothquant: {alpha: search}\n  - rtn: {scheme: W8A8}\n"}) {
    const std::string name = sha256_hex(steps);
    const Manifest m =
        compress(model, recipe(steps), out(name), {.calibration = &calibration_}).manifest;
    const bool noted = std::any_of(m.notes.begin(), m.notes.end(), [](const ManifestNote& n) {
      return n.what.find("activations set to zero") != std::string::npos;
    });
    EXPECT_TRUE(noted) << steps;
    for (const ManifestTensor& t : m.tensors) {
      EXPECT_TRUE(std::isfinite(t.relative_error) && t.relative_error < 0.5) << steps << t.name;
    }
  }
}

// Keys as caches hold them: by the definition of RoPE in double, from the inputs that a tap sees.
TEST_F(Calibrated, KeysAndValuesHaveTheScaleOfTheirPeak) {
  const std::pair<const char*, double> cases[] = {{"FP8", 448}, {"INT8", 127}};
  for (const auto& [scheme, last] : cases) {
    SCOPED_TRACE(scheme);
    const Recipe r = parse_recipe(
        fmt::format("steps:\n  - rtn: {{scheme: W8A16}}\nkv_cache: {{scheme: {}}}\n", scheme),
        "test.yaml");
    const CompressResult made =
        compress(kPebble, r, out(scheme), {.calibration = &calibration_, .threads = 2});
    EXPECT_EQ(made.predicted.output, made.bytes_after);
    const auto a = Artifact::open(out(scheme));
    const auto backend = make_cpu_backend(1, "");
    Decoder decoder(Artifact::open(out(scheme), {.weights_only = true}), *backend, {});
    const std::string attention = "model.layers.0.self_attn";
    const Weight wk = a->matrix(attention + ".k_proj", 128, 256);
    const Weight wv = a->matrix(attention + ".v_proj", 128, 256);
    double k_peak = 0, v_peak = 0;
    const auto product = [](const Weight& w, int64_t row, std::span<const float> x) {
      std::vector<float> values(static_cast<size_t>(w.cols));
      unpack_row(w, row, values);
      double sum = 0;
      for (size_t j = 0; j < values.size(); ++j) sum += double{values[j]} * double{x[j]};
      return sum;
    };
    decoder.set_tap([&](std::string_view module, MatView x) {
      if (module != attention + ".k_proj") return;
      for (int64_t t = 0; t < x.rows; ++t) {
        for (int64_t row = 0; row < 128; ++row) {
          v_peak = std::max(v_peak, std::abs(product(wv, row, x.row(t))));
          const int64_t i = row % 64;
          if (i >= 32) continue;
          const double angle =
              static_cast<double>(t) * std::pow(10000.0, -2.0 * static_cast<double>(i) / 64);
          const double p = product(wk, row, x.row(t)), q = product(wk, row + 32, x.row(t));
          k_peak = std::max({k_peak, std::abs(p * std::cos(angle) - q * std::sin(angle)),
                             std::abs(q * std::cos(angle) + p * std::sin(angle))});
        }
      }
    });
    for (const auto& sequence : calibration_.sequences) {
      PageTable table(decoder.pages());
      Batch batch;
      batch.tokens = sequence;
      batch.spans.push_back({.table = &table, .n_rows = static_cast<int32_t>(sequence.size())});
      batch.logit_rows = {0};
      decoder.forward(batch);
    }
    const KvRounding found = a->kv_rounding(attention);
    // Calibration's products are those of bfloat16 factors.
    EXPECT_NEAR(found.keys.scale, k_peak / last, 0x1p-8 * k_peak / last);
    EXPECT_NEAR(found.values.scale, v_peak / last, 0x1p-8 * v_peak / last);
    EXPECT_NE(a->scheme().find("keys and values"), std::string::npos);
    EXPECT_EQ(code_of("  - rtn: {scheme: W4A16, group_size: 64}\nkv_cache: {scheme: FP8}\n",
                      "refused", "gptq"),
              "compress-dialect");
  }
}

// Whatever is folded, the layer computes what it did, though the norms' gains are bfloat16.
TEST_F(Calibrated, FoldingKeepsTheFunction) {
  const auto base = Artifact::open(kPebble);
  ThreadPool threads(2);
  LayerWalk walk(*base, calibration_, out("scratch"), Precision::float32, threads);
  walk.start();
  CalibratedLayer layer = walk.load(0);
  const LayerWalk::Probe before = walk.probe(layer);
  Matrix attention(before.attn.rows(), before.attn.cols()), mlp = attention;
  walk.attention_block(layer, before.attn.view(), attention.view());
  walk.mlp_block(layer, before.ffn.view(), mlp.view());

  std::vector<InputStatistics> inputs;
  for (const LayerInput i : kLayerInputs) inputs.emplace_back(walk.input_size(i), false);
  std::array<RoundTarget, kLayerLinears.size()> targets;
  std::array<DType, kLayerInputs.size()> types;
  types.fill(DType::bf16);
  std::vector<ManifestNote> notes;
  const LayerToTransform job{layer, walk, inputs, targets, types, notes};
  for (const LayerInput i : kLayerInputs) {
    std::vector<float> s(static_cast<size_t>(walk.input_size(i)));
    for (size_t j = 0; j < s.size(); ++j) {
      s[j] = static_cast<float>(std::exp2(6 * random_uniform(2, static_cast<uint64_t>(i), j) - 3));
    }
    share_scales(job, i, s);
    fold(job, i, s);
  }
  const LayerWalk::Probe after = walk.probe(layer);
  Matrix attention2 = attention, mlp2 = mlp;
  walk.attention_block(layer, after.attn.view(), attention2.view());
  walk.mlp_block(layer, after.ffn.view(), mlp2.view());
  EXPECT_GT(rounding_error(before.attn.view(), after.attn.view(), threads).relative(), 0.1);
  EXPECT_LT(rounding_error(attention.view(), attention2.view(), threads).relative(), 1e-4);
  EXPECT_LT(rounding_error(mlp.view(), mlp2.view(), threads).relative(), 1e-4);
}

TEST(MatrixGrid, IsTheCodecsOwn) {
  ThreadPool threads(1);
  int seen = 0;
  for (const Codec* codec : codecs()) {
    const Format format{.codec = codec, .group = has_groups(*codec) ? 64 : 0};
    const std::string name = to_string(format);
    const int64_t cols = 512;
    // GGUF's blocks keep scales among their codes: there is nothing to read before they are packed.
    if (codec->grid == nullptr || codec->param_bytes(format, cols) == 0) continue;
    ++seen;
    ASSERT_EQ(cols % codec->col_multiple(format), 0) << name;
    std::vector<float> w(static_cast<size_t>(cols)), back(w.size());
    for (size_t j = 0; j < w.size(); ++j) {
      w[j] = static_cast<float>(random_uniform(3, 0, j) - 0.4);
    }
    std::vector<uint8_t> params(static_cast<size_t>(format.codec->param_bytes(format, cols)));
    std::vector<uint8_t> codes(static_cast<size_t>(format.codec->row_bytes(format, cols)));
    format.codec->fit_row(format, w, {}, params.data());
    format.codec->pack_row(format, w, params.data(), codes.data());
    format.codec->unpack_row(format, codes.data(), params.data(), back);
    const MatrixGrid grid(format, 1, cols, params.data(), threads);
    for (size_t j = 0; j < w.size(); ++j) {
      EXPECT_NEAR(grid.nearest(w[j], 0, static_cast<int64_t>(j)), back[j], 1e-6 * std::abs(back[j]))
          << name << " " << j;
    }
  }
  EXPECT_GE(seen, 7);
}

}  // namespace
}  // namespace sinter
