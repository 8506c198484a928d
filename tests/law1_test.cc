// Law 1, end to end with real weights: an answer depends on the request alone. The same tokens and
// the same bits of logits, alone and in batches, with 1, 2 or 3 threads, for any prefill chunk.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>

#include "base/digest.h"
#include "base/random.h"
#include "engine/engine.h"

namespace sinter {
namespace {

struct Setting {
  int threads;
  EngineLimits limits;
};

// Of each request: its tokens, and a digest over the bits of every row of logits, prompt included.
struct Trace {
  std::vector<Token> tokens;
  std::string logits;
  bool operator==(const Trace&) const = default;
};

std::vector<Trace> run(const std::string& model_dir, const std::string& isa,
                       const Setting& setting) {
  const auto backend = make_cpu_backend(setting.threads, isa);
  Decoder model(Artifact::open(model_dir), *backend, 64 << 20);
  Engine engine(model, setting.limits);
  constexpr size_t kRequests = 12;
  std::vector<Trace> traces(kRequests);
  std::vector<Sha256> digests(kRequests);
  const auto vocab = static_cast<uint64_t>(model.config().vocab);
  for (size_t i = 0; i < kRequests; ++i) {
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

void expect_law1(const std::string& model_dir) {
  const std::vector<Setting> settings = {
      {1, {1, 64, 64}},  {2, {1, 64, 64}}, {1, {12, 512, 512}}, {2, {12, 512, 512}},
      {3, {12, 64, 64}}, {2, {5, 11, 1}},  {2, {4, 16, 3}},     {1, {7, 40, 33}},
  };
  for (const IsaSupport& isa : cpu_isas()) {
    if (!isa.supported) continue;
    const std::vector<Trace> want = run(model_dir, isa.name, settings.front());
    for (const Setting& s : settings) {
      ASSERT_EQ(run(model_dir, isa.name, s), want)
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

TEST(Law1, TheBundledModel) {
  const std::string pebble = std::string(SINTER_SOURCE_DIR) + "/models/pebble";
  if (!std::filesystem::exists(pebble + "/model.safetensors")) GTEST_SKIP() << pebble;
  expect_law1(pebble);
}

}  // namespace
}  // namespace sinter
