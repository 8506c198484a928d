// Law 1, end to end with real weights: an answer depends on the request alone. The same tokens and
// the same bits of logits, alone and in batches, with 1, 2 or 3 threads, for any prefill chunk.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>

#include "base/digest.h"
#include "base/random.h"
#include "compress/compress.h"
#include "engine/engine.h"

namespace sinter {
namespace {

struct Setting {
  int threads;
  EngineLimits limits;
  bool reversed = false;  // order of arrival
};

// Of each request: its tokens, and a digest over the bits of every row of logits, prompt included.
struct Trace {
  std::vector<Token> tokens;
  std::string logits;
  bool operator==(const Trace&) const = default;
};

std::vector<Trace> run(const std::string& model_dir, const std::string& isa, const Setting& setting,
                       const DecoderOptions& options) {
  const auto backend = make_cpu_backend(setting.threads, isa);
  Decoder model(Artifact::open(model_dir), *backend, options);
  Engine engine(model, setting.limits);
  constexpr size_t kRequests = 12;
  std::vector<Trace> traces(kRequests);
  std::vector<Sha256> digests(kRequests);
  const auto vocab = static_cast<uint64_t>(model.config().vocab);
  for (size_t arrival = 0; arrival < kRequests; ++arrival) {
    const size_t i = setting.reversed ? kRequests - 1 - arrival : arrival;
    Request r;
    const size_t n = 1 + i * i % 47;  // across page borders too: pages hold 32 tokens
    for (size_t j = 0; j < n; ++j) {
      r.prompt.push_back(static_cast<Token>(random_bits(5, i, j) % vocab));
    }
    r.max_new_tokens = static_cast<int32_t>(3 + i % 10);
    r.sampling = {.temperature = i % 2 == 0 ? 0 : 0.9f, .top_k = 0, .top_p = 0.95f, .seed = i};
    r.observe_from = 1;
    r.observe = [&digests, i](int32_t position, std::span<const float> row) {
      digests[i].add(std::as_bytes(std::span(&position, 1))).add(std::as_bytes(row));
    };
    engine.add(std::move(r), [&traces, i](Completion c) {
      ASSERT_NE(c.finish, Finish::failed) << c.error;
      traces[i].tokens = std::move(c.tokens);
    });
  }
  engine.run();
  for (size_t i = 0; i < kRequests; ++i) traces[i].logits = digests[i].hex();
  return traces;
}

void expect_law1(const std::string& model_dir, const DecoderOptions& options = {}) {
  const std::vector<Setting> settings = {
      {1, {1, 64, 64}},    {2, {1, 64, 64}},  {1, {12, 512, 512}, true},
      {2, {12, 512, 512}}, {3, {12, 64, 64}}, {2, {5, 11, 1}},
      {4, {4, 16, 3}},     {1, {7, 40, 33}},  {4, {32, 600, 512}, true},
  };
  for (const IsaSupport& isa : cpu_isas()) {
    if (!isa.supported) continue;
    const std::vector<Trace> want = run(model_dir, isa.name, settings.front(), options);
    for (const Setting& s : settings) {
      // The plain path has one tile size, and is slow: a few settings will do.
      if (isa.name == "ref" && s.threads != 2) continue;
      ASSERT_EQ(run(model_dir, isa.name, s, options), want)
          << model_dir << " on " << isa.name << ": threads " << s.threads << ", sequences "
          << s.limits.max_sequences << ", chunk " << s.limits.max_chunk;
    }
  }
}

TEST(Law1, TinyModelsOfEveryArchitecture) {
  const std::string golden = std::string(SINTER_SOURCE_DIR) + "/tests/golden/model";
  for (const char* name : {"llama_f32_biased", "llama_yarn", "mistral_window", "qwen2", "qwen3"}) {
    expect_law1(golden + "/" + name);
  }
}

// The bundled model dense, in 8 and 4 bits, with float32 and int8 inputs, with KV in 16 bits.
class BundledModel : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(pebble_ + "/model.safetensors")) GTEST_SKIP() << pebble_;
  }
  // The model compressed by recipes/NAME.yaml.
  std::string compressed(const std::string& name) {
    const std::string out = testing::TempDir() + "law1-" + name;
    std::filesystem::remove_all(out);
    compress(pebble_, read_recipe(std::string(SINTER_SOURCE_DIR) + "/recipes/" + name + ".yaml"),
             out);
    return out;
  }
  std::string pebble_ = std::string(SINTER_SOURCE_DIR) + "/models/pebble";
};

TEST_F(BundledModel, Bf16) { expect_law1(pebble_); }
TEST_F(BundledModel, Bf16WithKvInBf16) { expect_law1(pebble_, {.kv_dtype = DType::bf16}); }
TEST_F(BundledModel, Int8) {
  expect_law1(compressed("int8"), {.activations = ActivationMode::int8});
}
TEST_F(BundledModel, W8A8) { expect_law1(compressed("w8a8"), {.kv_dtype = DType::f16}); }
TEST_F(BundledModel, Int4Exact) { expect_law1(compressed("int4")); }
TEST_F(BundledModel, Int4WithInt8Inputs) {
  expect_law1(compressed("int4"), {.activations = ActivationMode::int8});
}

}  // namespace
}  // namespace sinter
