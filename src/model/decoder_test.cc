// Logits against transformers in float32 (tests/golden/model), and law 1: a token's logits are the
// same bits whatever the chunks, the neighbours and the threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "model/arch/decoder_config.h"
#include "model/model.h"

namespace sinter {
namespace {

const std::string kGolden = std::string(SINTER_SOURCE_DIR) + "/tests/golden/model";

std::vector<std::string> golden_models() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Logits of all rows, the prompt cut into `chunk`s.
std::vector<float> logits_in_chunks(Decoder& model, const std::vector<Token>& tokens,
                                    int32_t chunk) {
  PageTable table(model.pages());
  std::vector<float> all;
  const auto n = static_cast<int32_t>(tokens.size());
  for (int32_t at = 0; at < n; at += chunk) {
    Batch batch;
    for (int32_t i = at; i < std::min(n, at + chunk); ++i) {
      batch.logit_rows.push_back(static_cast<int32_t>(batch.tokens.size()));
      batch.tokens.push_back(tokens[static_cast<size_t>(i)]);
    }
    batch.spans.push_back({.table = &table,
                           .first_row = 0,
                           .n_rows = static_cast<int32_t>(batch.tokens.size()),
                           .first_position = at});
    const MatView logits = model.forward(batch);
    all.insert(all.end(), logits.at, logits.at + logits.rows * logits.cols);
  }
  return all;
}

struct Golden {
  std::vector<Token> tokens;
  std::vector<float> logits;
};

Golden read_golden(const std::string& name) {
  const auto file = Checkpoint::open_file(kGolden + "/" + name + "/expected.safetensors");
  const StoredTensor* tokens = file->find("tokens");
  const StoredTensor* logits = file->find("logits");
  Golden g;
  g.tokens.resize(static_cast<size_t>(tokens->elements()));
  std::memcpy(g.tokens.data(), tokens->bytes.data(), tokens->bytes.size());
  g.logits.resize(static_cast<size_t>(logits->elements()));
  std::memcpy(g.logits.data(), logits->bytes.data(), logits->bytes.size());
  return g;
}

TEST(Decoder, LogitsMatchTransformers) {
  const std::vector<std::string> names = golden_models();
  ASSERT_GE(names.size(), 11u);
  for (const IsaSupport& isa : cpu_isas()) {
    if (!isa.supported) continue;
    const auto backend = make_cpu_backend(2, isa.name);
    for (const std::string& name : names) {
      Decoder model(Artifact::open(kGolden + "/" + name), *backend, {.kv_bytes = 1 << 20});
      const Golden golden = read_golden(name);
      const std::vector<float> logits = logits_in_chunks(model, golden.tokens, 1 << 20);
      ASSERT_EQ(logits.size(), golden.logits.size());
      double worst = 0, size = 0;
      for (size_t i = 0; i < logits.size(); ++i) {
        worst = std::max(worst, std::abs(static_cast<double>(logits[i]) -
                                         static_cast<double>(golden.logits[i])));
        size = std::max(size, std::abs(static_cast<double>(golden.logits[i])));
      }
      EXPECT_LT(worst / size, 1e-4) << name << " on " << isa.name;
    }
  }
}

TEST(Decoder, ATokensLogitsAreTheSameBitsInAnyChunksAndThreads) {
  for (const std::string& name : golden_models()) {
    const Golden golden = read_golden(name);
    std::vector<float> want;
    for (const int threads : {1, 2, 3}) {
      const auto backend = make_cpu_backend(threads, "");
      Decoder model(Artifact::open(kGolden + "/" + name), *backend, {.kv_bytes = 1 << 20});
      for (const int32_t chunk : {40, 1, 2, 7, 33}) {
        const std::vector<float> logits = logits_in_chunks(model, golden.tokens, chunk);
        if (want.empty()) want = logits;
        ASSERT_EQ(std::memcmp(logits.data(), want.data(), want.size() * sizeof(float)), 0)
            << name << " threads " << threads << " chunk " << chunk;
      }
    }
  }
}

TEST(Decoder, ASequenceIsTheSameBitsBesideOthers) {
  const auto backend = make_cpu_backend(2, "");
  Decoder model(Artifact::open(kGolden + "/qwen3"), *backend, {.kv_bytes = 1 << 22});
  const Golden golden = read_golden("qwen3");
  const std::vector<float> alone = logits_in_chunks(model, golden.tokens, 40);
  std::vector<PageTable> tables;
  for (int i = 0; i < 3; ++i) tables.emplace_back(model.pages());
  Batch batch;
  const auto add = [&](PageTable& table, std::span<const Token> tokens, bool wanted) {
    batch.spans.push_back({.table = &table,
                           .first_row = static_cast<int32_t>(batch.tokens.size()),
                           .n_rows = static_cast<int32_t>(tokens.size()),
                           .first_position = 0});
    for (const Token t : tokens) {
      if (wanted) batch.logit_rows.push_back(static_cast<int32_t>(batch.tokens.size()));
      batch.tokens.push_back(t);
    }
  };
  add(tables[0], std::vector<Token>(17, 5), false);
  add(tables[1], golden.tokens, true);
  add(tables[2], std::vector<Token>(3, 9), false);
  const MatView together = model.forward(batch);
  ASSERT_EQ(std::memcmp(together.at, alone.data(), alone.size() * sizeof(float)), 0);
}

TEST(Decoder, TheTapSeesEveryLinear) {
  const auto backend = make_cpu_backend(1, "");
  Decoder model(Artifact::open(kGolden + "/llama"), *backend, {.kv_bytes = 1 << 20});
  std::vector<std::string> seen;
  model.set_tap([&](std::string_view module, MatView x) {
    seen.emplace_back(module);
    EXPECT_EQ(x.rows, module == "lm_head" ? 1 : 2);
  });
  PageTable table(model.pages());
  model.forward({.tokens = {1, 2},
                 .spans = {{.table = &table, .first_row = 0, .n_rows = 2, .first_position = 0}},
                 .logit_rows = {1}});
  ASSERT_EQ(seen.size(), 15u);
  EXPECT_EQ(seen.front(), "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(seen.back(), "lm_head");
}

ModelConfig config_of(const std::string& changes) {
  Json json = read_json_file(kGolden + "/llama/config.json");
  json.merge_patch(parse_json(changes, "test"));
  const JsonFields fields(json, "config.json");
  return architecture_of(fields).config(fields);
}

TEST(ModelConfig, RefusesWhatItDoesNotCompute) {
  for (const char* changes :
       {R"({"architectures":["GPT2LMHeadModel"]})", R"({"architectures":null})",
        R"({"hidden_act":"gelu"})", R"({"num_hidden_layers":0})", R"({"num_hidden_layers":-3})",
        R"({"num_hidden_layers":1e300})", R"({"hidden_size":"32"})", R"({"vocab_size":null})",
        R"({"num_key_value_heads":3})", R"({"head_dim":7})", R"({"rms_norm_eps":0})",
        R"({"rope_parameters":{"rope_type":"longrope"}})",
        R"({"rope_parameters":{"rope_type":"linear"}})",
        R"({"rope_parameters":{"rope_type":"linear","factor":0}})",
        R"({"rope_parameters":{"partial_rotary_factor":0.5}})"}) {
    EXPECT_THROW(config_of(changes), Error) << changes;
  }
  EXPECT_EQ(config_of("{}").n_layers, 2);
}

// Bytes of a real config.json are flipped, cut and spliced, and its numbers replaced by hostile
// ones: only Error may come out, and what is accepted must be a shape that could be loaded.
TEST(ModelConfig, SurvivesHostileConfigs) {
  std::vector<std::string> sources;
  for (const std::string& name : golden_models()) {
    sources.push_back(read_file(kGolden + "/" + name + "/config.json"));
  }
  const std::vector<std::string> numbers = {"0",   "-1",   "1e308", "-9223372036854775808",
                                            "NaN", "0.5",  "null",  "18446744073709551615",
                                            "[]",  "\"\"", "true",  "99999999999999999999"};
  int accepted = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    std::string text = sources[random_bits(2, i, 0) % sources.size()];
    const size_t at = random_bits(2, i, 1) % text.size();
    switch (random_bits(2, i, 2) % 4) {
      case 0:
        text[at] = static_cast<char>(random_bits(2, i, 3));
        break;
      case 1:
        text.resize(at);
        break;
      case 2:
        text.replace(at, random_bits(2, i, 3) % 40, sources[0].substr(at / 2, 30));
        break;
      default:
        if (const size_t colon = text.find(": ", at); colon != std::string::npos) {
          const size_t end = text.find_first_of(",\n", colon);
          text.replace(colon + 2, end - colon - 2, numbers[random_bits(2, i, 3) % numbers.size()]);
        }
    }
    try {
      const Json json = parse_json(text, "config.json");
      const JsonFields fields(json, "config.json");
      const ModelConfig c = architecture_of(fields).config(fields);
      EXPECT_GT(c.parameters(), 0);
      EXPECT_EQ(c.sliding_window.size(), static_cast<size_t>(c.n_layers));
      EXPECT_EQ(c.rope.inv_freq.size(), static_cast<size_t>(c.head_dim / 2));
      ++accepted;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(accepted, 100);
}

// Worked in formats.md from the published configurations (float64).
TEST(Rope, PublishedScalings) {
  const Json llama3 = parse_json(
      R"({"rope_theta":500000,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,
      "high_freq_factor":4,"original_max_position_embeddings":8192}})",
      "test");
  const JsonFields fields(llama3, "config.json");
  const auto check = [](float got, double want) { EXPECT_NEAR(got / want, 1, 1e-6); };
  const std::vector<float> f = read_rope(fields, 128, 131072).inv_freq;
  check(f[28], 0.003211445994752591);
  check(f[29], 0.002166570763503359);
  check(f[30], 0.0013718935677611381);
  check(f[36], 7.78465527393245e-05);
}

}  // namespace
}  // namespace sinter
