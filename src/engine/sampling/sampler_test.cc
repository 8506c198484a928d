// What edits logits, what is refused, what constraints do, and that the order is only sorted as far
// as anybody looks but comes out as if all of it were.
#include "engine/sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "engine/sampling/processors.h"

namespace sinter {
namespace {

template <typename F>
std::string code_of(const F& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.code();
  }
  return "";
}

// The logits after one processor.
std::vector<float> edited(const Processor& processor, const SamplingParams& p,
                          const SamplingContext& context, std::vector<float> row,
                          const char* preset = "seed") {
  SamplingScratch scratch;
  if (processor.active(p, context)) {
    processor.edit(row, {p, context, SamplerChain::preset(preset).rules(), scratch});
  }
  return row;
}

TEST(Processors, PenaltiesCountWhatEachStackCounts) {
  const std::vector<Token> tokens = {0, 1, 1, 2, 1, 2};  // 3 of the prompt, 3 generated
  const SamplingContext context = {.tokens = tokens, .prompt_tokens = 3};
  const std::vector<float> row = {2, -2, 4, 1};
  const SamplingParams repetition{.repetition_penalty = 2};
  EXPECT_EQ(edited(kRepetitionPenalty, repetition, context, row),
            (std::vector<float>{1, -4, 2, 1}));
  const SamplingParams frequency{.frequency_penalty = 0.5f};
  EXPECT_EQ(edited(kFrequencyPenalty, frequency, context, row),
            (std::vector<float>{2, -2.5f, 3, 1}));
  EXPECT_EQ(edited(kFrequencyPenalty, frequency, context, row, "llamacpp"),
            (std::vector<float>{1.5f, -3.5f, 3, 1}));
  const SamplingParams presence{.presence_penalty = 0.5f};
  EXPECT_EQ(edited(kPresencePenalty, presence, context, row),
            (std::vector<float>{2, -2.5f, 3.5f, 1}));

  std::vector<Token> many(100, 3);  // llama.cpp looks at the last 64
  many[35] = 0, many[36] = 1;
  const std::vector<float> windowed =
      edited(kRepetitionPenalty, repetition, {.tokens = many}, row, "llamacpp");
  EXPECT_EQ(windowed, (std::vector<float>{2, -4, 4, 0.5f}));
}

TEST(Processors, BadWordsAreSequences) {
  const SamplingParams p{.bad_words = {{0}, {5, 1}, {4, 5, 2}, {5, 5, 3}}};
  const std::vector<Token> tokens = {4, 5};
  const float x = kBanned;
  EXPECT_EQ(edited(kBadWords, p, {.tokens = tokens, .prompt_tokens = 1}, {1, 1, 1, 1}),
            (std::vector<float>{x, x, x, 1}));
  // vLLM does not see a word that began in the prompt.
  EXPECT_EQ(edited(kBadWords, p, {.tokens = tokens, .prompt_tokens = 1}, {1, 1, 1, 1}, "vllm"),
            (std::vector<float>{x, x, 1, 1}));
}

TEST(Processors, NoNgramTwice) {
  const std::vector<Token> tokens = {0, 1, 2, 0, 1, 3, 0, 1};
  const float x = kBanned;
  EXPECT_EQ(edited(kNoRepeatNgram, {.no_repeat_ngram = 3}, {.tokens = tokens}, {1, 1, 1, 1}),
            (std::vector<float>{1, 1, x, x}));
  EXPECT_EQ(edited(kNoRepeatNgram, {.no_repeat_ngram = 1}, {.tokens = tokens}, {1, 1, 1, 1}),
            (std::vector<float>{x, x, x, x}));
  EXPECT_EQ(edited(kNoRepeatNgram, {.no_repeat_ngram = 9}, {.tokens = tokens}, {1, 1, 1, 1}),
            (std::vector<float>{1, 1, 1, 1}));
}

// The slow definition: for each earlier place, how many tokens before it equal the last ones.
std::vector<float> dry_defined(const SamplingParams& p, std::span<const Token> tokens,
                               std::vector<float> row) {
  const auto breaks = [&](Token t) {
    return std::find(p.dry_breakers.begin(), p.dry_breakers.end(), t) != p.dry_breakers.end();
  };
  std::vector<size_t> longest(row.size());
  for (size_t at = 0; at < tokens.size(); ++at) {
    size_t n = 0;
    while (n < at && tokens[at - 1 - n] == tokens[tokens.size() - 1 - n] &&
           !breaks(tokens[at - 1 - n])) {
      ++n;
    }
    const auto next = static_cast<size_t>(tokens[at]);
    longest[next] = std::max(longest[next], n);
  }
  for (size_t t = 0; t < row.size(); ++t) {
    const auto allowed = static_cast<size_t>(p.dry_allowed_length);
    if (longest[t] < allowed || breaks(static_cast<Token>(t))) continue;
    row[t] -= p.dry_multiplier * std::pow(p.dry_base, static_cast<float>(longest[t] - allowed));
  }
  return row;
}

TEST(Processors, DryTaxesWhatProlongsARepetition) {
  // llama.cpp's own example: a b c c b c y a b c taxes c by 3, b by 1 and y by 2 tokens.
  const std::vector<Token> example = {0, 1, 2, 2, 1, 2, 3, 0, 1, 2};
  const SamplingParams one{.dry_multiplier = 1, .dry_base = 2, .dry_allowed_length = 1};
  EXPECT_EQ(edited(kDry, one, {.tokens = example}, {0, 0, 0, 0}),
            (std::vector<float>{0, -1, -4, -2}));
  for (uint64_t seed = 0; seed < 300; ++seed) {
    std::vector<Token> tokens;
    for (uint64_t i = 0; i < 2 + seed % 60; ++i) {
      tokens.push_back(static_cast<Token>(random_bits(seed, 0, i) % (2 + seed % 3)));
    }
    SamplingParams p{.dry_multiplier = 0.75f,
                     .dry_allowed_length = static_cast<int32_t>(1 + seed % 3)};
    if (seed % 2 == 0) p.dry_breakers = {1};
    const std::vector<float> row(6, 1);
    ASSERT_EQ(edited(kDry, p, {.tokens = tokens}, row), dry_defined(p, tokens, row)) << seed;
    p.dry_window = 9;
    const auto window = std::span(tokens).last(std::min<size_t>(9, tokens.size()));
    ASSERT_EQ(edited(kDry, p, {.tokens = tokens}, row), dry_defined(p, window, row)) << seed;
  }
}

TEST(Sampler, ALeastNumberOfTokens) {
  const std::vector<float> row = {0, 1, 5};
  const std::vector<Token> stop = {2}, tokens = {0, 0, 1};
  const SamplingParams p{.min_tokens = 2};
  EXPECT_EQ(Sampler().sample(row, p, {.tokens = tokens, .prompt_tokens = 2, .stop = stop}), 1);
  EXPECT_EQ(Sampler().sample(row, p, {.tokens = tokens, .prompt_tokens = 1, .stop = stop}), 2);
}

TEST(Sampler, PenaltiesNeverBreakRequiredStructure) {
  const std::vector<float> row = {0, 1, 5, -9};
  const std::vector<Token> stop = {2, 3}, tokens = {3, 3, 3};
  SamplingParams p{.repetition_penalty = 50, .bad_words = {{3}}, .min_tokens = 9};
  const std::vector<uint64_t> one = {0b1000}, end = {0b1100}, two = {0b1001}, none = {0};
  const auto sample = [&](std::span<const uint64_t> allowed) {
    return Sampler().sample(
        row, p, {.tokens = tokens, .prompt_tokens = 3, .stop = stop, .allowed = allowed});
  };
  EXPECT_EQ(sample(one), 3);  // banned three times over, and the only token that may come
  EXPECT_EQ(sample(two), 0);
  EXPECT_EQ(sample(end), 2);  // min_tokens gives way where only the end is left
  EXPECT_EQ(code_of([&] { sample(none); }), "sampling-nothing-left");
  p.temperature = 1;
  EXPECT_EQ(sample(one), 3);
  p.bad_words = {{0}, {3}};
  EXPECT_EQ(code_of([&] { sample(two); }), "sampling-nothing-left");
  // A mask shorter than the row: what has no bit is not allowed.
  const std::vector<float> wide(200, 1);
  EXPECT_EQ(Sampler().sample(wide, {}, {.allowed = two}), 0);
}

TEST(Sampler, AllPresetsObeyTheConstraint) {
  const std::vector<uint64_t> odd = {0xAAAAAAAAAAAAAAAA, 0xAAAAAAAAAAAAAAAA};
  for (const std::string& name : SamplerChain::preset_names()) {
    SamplingParams p{.temperature = 2, .top_k = 20, .logit_bias = {{4, 90}}};
    p.chain = SamplerChain::preset(name);
    Sampler s;
    std::vector<float> row(128);
    for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(random_uniform(1, 1, i));
    for (uint32_t choice = 0; choice < 300; ++choice) {
      ASSERT_EQ(s.sample(row, p, {.choice = choice, .allowed = odd}) % 2, 1) << name;
    }
  }
}

TEST(Sampler, NeverNotANumber) {
  for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
    for (const size_t at : {0u, 1u, 200u, 999u}) {
      std::vector<float> row(1000, 1);
      row[at] = bad;
      for (const SamplingParams& p : {SamplingParams{}, SamplingParams{.temperature = 1},
                                      SamplingParams{.logit_bias = {{3, kBanned}}}}) {
        EXPECT_EQ(code_of([&] { Sampler().sample(row, p, {}); }), "logits-not-finite");
      }
    }
  }
  const SamplingParams all_banned{.logit_bias = {{0, kBanned}, {1, kBanned}}};
  EXPECT_EQ(code_of([&] {
              Sampler().sample(std::vector<float>{1, 2}, all_banned, {});
            }),
            "sampling-nothing-left");
}

TEST(Sampler, TheSameTokenWhateverWasSampledBefore) {
  std::vector<std::vector<float>> rows(6);
  for (size_t r = 0; r < rows.size(); ++r) {
    rows[r].resize(100 + 700 * r);
    for (size_t i = 0; i < rows[r].size(); ++i) {
      rows[r][i] = static_cast<float>(8 * random_uniform(r, 0, i));
    }
  }
  const std::vector<Token> tokens = {1, 5, 5, 7};
  const auto one = [&](Sampler& s, size_t i) {
    SamplingParams p{.temperature = 1.5f, .top_p = 0.9f, .seed = i, .frequency_penalty = 1};
    if (i % 3 == 0) p.top_k = 40;
    return s.sample(rows[i % rows.size()], p, {.tokens = tokens, .prompt_tokens = 1});
  };
  Sampler shared;
  for (size_t i = 0; i < 200; ++i) {
    Sampler fresh;
    ASSERT_EQ(one(shared, i), one(fresh, i));
  }
}

// Orders and sums, beside a full sort: rows with ties, long tails, one value, everything in one
// block.
TEST(Candidates, ComeAsIfAllWereSorted) {
  for (uint64_t shape = 0; shape < 6; ++shape) {
    for (const size_t n : {1u, 127u, 129u, 5000u, 40000u}) {
      std::vector<float> row(n);
      for (size_t i = 0; i < n; ++i) {
        const double u = random_uniform(shape, 9, i);
        row[i] = static_cast<float>(shape == 0   ? 3.0
                                    : shape == 1 ? std::floor(u * 7)
                                    : shape == 2 ? static_cast<double>(i)
                                    : shape == 3 ? -static_cast<double>(i) / 100
                                    : shape == 4 ? std::log(u + 1e-9)
                                                 : (i / 128 == 3 ? 50 + u : u));
      }
      std::vector<Candidate> want(n);
      for (size_t i = 0; i < n; ++i) want[i] = {row[i], static_cast<Token>(i)};
      std::stable_sort(want.begin(), want.end(),
                       [](const Candidate& a, const Candidate& b) { return a.value > b.value; });
      Candidates c;
      c.reset(row, false);
      ASSERT_EQ(c.size(), n);
      ASSERT_EQ(c.best(), want[0].token);
      double total = 0, energy = 0;
      for (const float x : row) {
        const double d = static_cast<double>(x) - static_cast<double>(want[0].value);
        total += std::exp(d);
        energy += std::exp(d) * d;
      }
      EXPECT_NEAR(c.total(), total, 1e-9 * total);
      EXPECT_NEAR(c.entropy(), std::log(total) - energy / total, 1e-9);
      for (size_t i = 0; i < n; i += 1 + i / 3) ASSERT_EQ(c[i].token, want[i].token) << shape << n;
      for (size_t i = 0; i < n; ++i) ASSERT_EQ(c[i].token, want[i].token) << shape << " " << n;
    }
  }
}

TEST(Candidates, ExpIsExp) {
  for (double x = -699; x <= 0; x += 0.00917) {
    ASSERT_NEAR(exp_of(x) / std::exp(x), 1, 4e-16) << x;
  }
  EXPECT_EQ(exp_of(0), 1);
  EXPECT_EQ(exp_of(-1e300), 0);
  EXPECT_EQ(exp_of(-INFINITY), 0);
}

TEST(Chain, OrdersAreData) {
  const SamplerChain chain = SamplerChain::parse("repetition_penalty,top_p,temperature");
  EXPECT_EQ(chain.text(), "repetition_penalty,constraint,top_p,temperature");
  EXPECT_EQ(SamplerChain::parse("vllm").text(), SamplerChain::preset("vllm").text());
  const auto refused = [](const char* text) { return code_of([&] { SamplerChain::parse(text); }); };
  EXPECT_EQ(refused("top_q"), "sampler-name");
  EXPECT_EQ(refused(""), "sampler-name");
  EXPECT_EQ(refused("top_p,"), "sampler-name");
  EXPECT_EQ(refused("top_p,top_p"), "sampler-order");
  EXPECT_EQ(refused("top_p,logit_bias"), "sampler-order");
  for (const Processor* p : all_processors()) {
    EXPECT_TRUE(SamplerChain::preset("seed").has(*p)) << p->name;
    EXPECT_NE(p->edit == nullptr, p->narrow == nullptr) << p->name;
  }
}

TEST(Params, WhatCannotBeHonouredIsRefused) {
  const auto refused = [](SamplingParams p, const char* preset = "seed") {
    p.chain = SamplerChain::preset(preset);
    return code_of([&] { check(p, 50); });
  };
  EXPECT_EQ(refused({}), "");
  for (const SamplingParams& p : std::vector<SamplingParams>{{.temperature = -1},
                                                             {.temperature = std::nanf("")},
                                                             {.top_k = -1},
                                                             {.top_p = 0},
                                                             {.min_p = 1},
                                                             {.repetition_penalty = 0},
                                                             {.frequency_penalty = 101},
                                                             {.typical_p = 0},
                                                             {.top_n_sigma = -1},
                                                             {.xtc_probability = 2},
                                                             {.dry_base = 0.5f},
                                                             {.dry_allowed_length = 0},
                                                             {.logit_bias = {{1, 200}}},
                                                             {.bad_words = {{}}},
                                                             {.min_tokens = -1}}) {
    EXPECT_EQ(refused(p), "sampling-range") << to_line(to_json(p));
  }
  EXPECT_EQ(refused({.logit_bias = {{50, 1}}}), "token-range");
  EXPECT_EQ(refused({.bad_words = {{1, -1}}}), "token-range");
  EXPECT_EQ(refused({.dry_breakers = {3, 2}}), "sampling-range");
  EXPECT_EQ(refused({.logit_bias = {{5, 1}, {5, 2}}}), "sampling-conflict");
  EXPECT_EQ(refused({.xtc_probability = 0.5f}), "sampling-conflict");  // greedy
  EXPECT_EQ(refused({.typical_p = 0.5f}), "sampling-conflict");
  EXPECT_EQ(refused({.temperature = 1, .typical_p = 0.5f}), "");
  EXPECT_EQ(refused({.temperature = 1, .typical_p = 0.5f}, "vllm"), "sampling-conflict");
  EXPECT_EQ(refused({.frequency_penalty = 1}, "hf"), "sampling-conflict");
  EXPECT_EQ(refused({.frequency_penalty = 1}, "vllm"), "");
  EXPECT_EQ(refused({.min_tokens = 1}, "llamacpp"), "sampling-conflict");
}

TEST(Params, DescribeWhatActs) {
  EXPECT_EQ(describe({.top_k = 3, .presence_penalty = 1}),
            "sampler seed: presence_penalty, the most likely token");
  SamplingParams p{.temperature = 0.5f, .top_k = 3, .min_p = 0.1f};
  p.chain = SamplerChain::preset("vllm");
  EXPECT_EQ(describe(p), "sampler vllm: temperature, min_p, top_k, one draw");
}

TEST(Params, SurviveJson) {
  SamplingParams p{.temperature = 0.7f,
                   .top_k = 3,
                   .top_p = 0.95f,
                   .min_p = 0.01f,
                   .seed = ~uint64_t{0},
                   .dry_breakers = {3},
                   .logit_bias = {{1, -2.5f}, {2, kBanned}},
                   .bad_words = {{1, 2}, {3}},
                   .min_tokens = 4};
  p.chain = SamplerChain::preset("llamacpp");
  const Json json = to_json(p);
  EXPECT_NE(to_line(json).find("\"top_p\":0.95"), std::string::npos);
  const SamplingParams again = sampling_params(parse_json(to_line(json), "test"), "test");
  EXPECT_EQ(to_json(again), json);
  EXPECT_EQ(again.seed, p.seed);
  EXPECT_EQ(again.top_p, p.top_p);
  EXPECT_EQ(again.logit_bias, p.logit_bias);
  const auto code = [](const char* text) {
    return code_of([&] { sampling_params(parse_json(text, "t"), "t"); });
  };
  EXPECT_EQ(code(R"({"top_q": 1})"), "sampling-field");
  EXPECT_EQ(code(R"({"top_k": 1.5})"), "json-field");
  EXPECT_EQ(code(R"({"top_k": 9999999999})"), "json-field");
  EXPECT_EQ(code(R"({"seed": -1})"), "json-field");
  EXPECT_EQ(code(R"({"bad_words": [[1], 2]})"), "json-field");
  EXPECT_EQ(code(R"({"logit_bias": {"1": 2}})"), "json-field");
  Json other = json;
  other["sampler"]["rules"]["penalty_window"] = 65;
  EXPECT_EQ(code(to_line(other).c_str()), "sampler-changed");
}

}  // namespace
}  // namespace sinter
