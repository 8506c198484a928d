// The loop with a scripted model: milliseconds, no weights. Law 1 with real weights is in
// tests/law1_test.cc.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/error.h"
#include "base/random.h"
#include "model/logits.h"

namespace sinter {
namespace {

// Logits are a hash of the token and its position, so that a wrong row or position shows.
class FakeModel final : public Model {
 public:
  explicit FakeModel(int64_t max_pages) : pool_({.n_kv_heads = 1, .head_dim = 1}, 1, max_pages) {
    config_.vocab = 50;
    config_.max_tokens = 1000;
  }
  const ModelConfig& config() const override { return config_; }
  PagePool& pages() override { return pool_; }
  MatView forward(const Batch& batch) override {
    largest_batch = std::max(largest_batch, batch.tokens.size());
    most_sequences = std::max(most_sequences, batch.spans.size());
    std::vector<int32_t> positions(batch.tokens.size());
    for (const BatchSpan& s : batch.spans) {
      EXPECT_EQ(s.table->n_tokens(), s.first_position);
      s.table->extend(s.n_rows);
      for (int32_t i = 0; i < s.n_rows; ++i) {
        positions[static_cast<size_t>(s.first_row + i)] = s.first_position + i;
      }
    }
    logits_.assign(batch.logit_rows.size() * 50, 0);
    for (size_t i = 0; i < batch.logit_rows.size(); ++i) {
      const auto row = static_cast<size_t>(batch.logit_rows[i]);
      for (size_t v = 0; v < 50; ++v) {
        logits_[i * 50 + v] =
            static_cast<float>(4 * random_uniform(static_cast<uint64_t>(batch.tokens[row]),
                                                  static_cast<uint64_t>(positions[row]), v));
      }
      if (poison_token >= 0 && batch.tokens[row] == poison_token) logits_[i * 50] = std::nanf("");
    }
    return {logits_.data(), static_cast<int64_t>(batch.logit_rows.size()), 50, 50};
  }

  size_t largest_batch = 0, most_sequences = 0;
  Token poison_token = -1;

 private:
  ModelConfig config_;
  PagePool pool_;
  std::vector<float> logits_;
};

Request request(std::vector<Token> prompt, int32_t n, float temperature = 0) {
  Request r;
  r.prompt = std::move(prompt);
  r.max_new_tokens = n;
  r.sampling.temperature = temperature;
  r.sampling.seed = 3;
  return r;
}

std::vector<Request> many_requests(float temperature) {
  std::vector<Request> requests;
  for (int i = 0; i < 40; ++i) {
    requests.push_back(request(std::vector<Token>(static_cast<size_t>(1 + i * 7 % 90), i % 50),
                               1 + i % 13, temperature));
  }
  return requests;
}

std::vector<std::vector<Token>> answers(const std::vector<Request>& requests, EngineLimits limits,
                                        int64_t pages) {
  FakeModel model(pages);
  Engine engine(model, limits);
  std::vector<std::vector<Token>> out(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    engine.add(requests[i], [&out, i](Completion c) { out[i] = c.tokens; });
  }
  engine.run();
  EXPECT_EQ(model.pages().available(), pages);  // every page came back
  return out;
}

TEST(Engine, AnAnswerDependsOnTheRequestAlone) {
  for (const float temperature : {0.0f, 0.8f}) {
    const auto requests = many_requests(temperature);
    const auto want = answers(requests, {1, 1000, 1000}, 100);
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(static_cast<int32_t>(want[i].size()), requests[i].max_new_tokens);
    }
    EXPECT_EQ(answers(requests, {64, 512, 512}, 1000), want);
    EXPECT_EQ(answers(requests, {8, 16, 3}, 100), want);
    EXPECT_EQ(answers(requests, {40, 40, 1}, 9), want);  // pages for two or three at a time
  }
}

TEST(Engine, RespectsItsLimits) {
  FakeModel model(1000);
  Engine engine(model, {8, 24, 10});
  for (Request& r : many_requests(0)) engine.add(std::move(r), [](const Completion&) {});
  engine.run();
  EXPECT_LE(model.largest_batch, 24u);
  EXPECT_LE(model.most_sequences, 8u);
  EXPECT_GT(model.most_sequences, 3u);
}

TEST(Engine, StopsAtAStopTokenAndKeepsIt) {
  FakeModel model(10);
  Request free = request({1, 2, 3}, 20);
  std::vector<Token> tokens;
  Engine first(model, {});
  first.add(free, [&](Completion c) {
    EXPECT_EQ(c.finish, Finish::length);
    tokens = c.tokens;
  });
  first.run();
  ASSERT_EQ(tokens.size(), 20u);
  free.stop = {tokens[5]};
  const auto at = std::find(tokens.begin(), tokens.end(), tokens[5]) - tokens.begin() + 1;
  Engine second(model, {});
  second.add(free, [&](const Completion& c) {
    EXPECT_EQ(c.finish, Finish::stop);
    EXPECT_EQ(c.tokens, std::vector<Token>(tokens.begin(), tokens.begin() + at));
  });
  second.run();
}

TEST(Engine, ObserversSeeTheRowsThatPredictTheirPositions) {
  FakeModel model(100);
  const std::vector<Token> prompt = {4, 8, 15, 16, 23, 42};
  for (const int32_t chunk : {1, 2, 6}) {
    std::map<int32_t, float> seen;
    Request r = request(prompt, 0);
    r.observe_from = 3;
    r.observe = [&](int32_t position, std::span<const float> row) { seen[position] = row[7]; };
    Engine engine(model, {1, 100, chunk});
    bool finished = false;
    engine.add(std::move(r), [&](const Completion& c) {
      finished = true;
      EXPECT_TRUE(c.tokens.empty());
    });
    engine.run();
    EXPECT_TRUE(finished);
    ASSERT_EQ(seen.size(), 3u);
    for (const auto& [position, value] : seen) {
      const auto before = static_cast<uint64_t>(prompt[static_cast<size_t>(position - 1)]);
      EXPECT_EQ(value, static_cast<float>(
                           4 * random_uniform(before, static_cast<uint64_t>(position - 1), 7)));
    }
  }
}

TEST(Engine, ABadRequestIsRefusedAndTheOthersGoOn) {
  FakeModel model(4);
  Engine engine(model, {});
  const auto refused = [&](Request r) {
    try {
      engine.add(std::move(r), [](const Completion&) {});
    } catch (const Error& e) {
      return e.code();
    }
    return std::string();
  };
  EXPECT_EQ(refused(request({}, 1)), "prompt-empty");
  EXPECT_EQ(refused(request({50}, 1)), "token-range");
  EXPECT_EQ(refused(request({-1}, 1)), "token-range");
  EXPECT_EQ(refused(request({1}, 1000)), "prompt-too-long");
  EXPECT_EQ(refused(request({1}, 200)), "kv-too-small");
  EXPECT_EQ(refused(request({1}, 1, -1)), "sampling-range");
  int done = 0;
  engine.add(request({1}, 3), [&](const Completion&) { ++done; });
  engine.run();
  EXPECT_EQ(done, 1);
}

TEST(Engine, NotANumberFailsItsRequestOnly) {
  FakeModel model(100);
  model.poison_token = 13;
  Engine engine(model, {});
  Finish bad = Finish::none, good = Finish::none;
  engine.add(request({1, 13}, 2), [&](const Completion& c) {
    bad = c.finish;
    EXPECT_NE(c.error.find("NaN"), std::string::npos);
  });
  engine.add(request({1}, 1), [&](const Completion& c) { good = c.finish; });
  engine.run();
  EXPECT_EQ(bad, Finish::failed);
  EXPECT_EQ(good, Finish::length);
}

TEST(Engine, LogProbabilitiesAreOfTheRowsThatPredict) {
  const std::vector<Token> prompt = {4, 8, 15};
  for (const LogprobKind kind : {LogprobKind::raw, LogprobKind::processed}) {
    for (const int32_t chunk : {1, 3}) {
      FakeModel model(100);
      Request r = request(prompt, 2, 0.5f);
      r.sampling.top_k = 4;
      r.logprobs = {.kind = kind, .prompt = true, .top = 6};
      std::map<int32_t, std::vector<float>> rows;
      r.observe_from = 1;
      r.observe = [&](int32_t position, std::span<const float> row) {
        rows[position].assign(row.begin(), row.end());
      };
      Engine engine(model, {1, 100, chunk});
      Completion done;
      engine.add(std::move(r), [&](Completion c) { done = std::move(c); });
      engine.run();
      ASSERT_EQ(done.prompt_logprobs.size(), 2u);
      ASSERT_EQ(done.logprobs.size(), 2u);
      EXPECT_EQ(done.prompt_logprobs[0].chosen.token, 8);
      EXPECT_NEAR(done.prompt_logprobs[0].chosen.logprob, log_probability(rows.at(1), 8), 1e-12);
      EXPECT_NEAR(done.prompt_logprobs[1].chosen.logprob, log_probability(rows.at(2), 15), 1e-12);
      EXPECT_EQ(done.prompt_logprobs[1].top.size(), 6u);
      const PositionLogprobs& first = done.logprobs[0];
      EXPECT_EQ(first.chosen.token, done.tokens[0]);
      double mass = 0;
      for (const TokenLogprob& t : first.top) mass += std::exp(t.logprob);
      if (kind == LogprobKind::raw) {
        EXPECT_NEAR(first.chosen.logprob, log_probability(rows.at(3), first.chosen.token), 1e-12);
        EXPECT_EQ(first.top.size(), 6u);
        EXPECT_EQ(first.top[0].token, first_choice(rows.at(3)));
        EXPECT_LT(mass, 1);
      } else {
        EXPECT_EQ(first.top.size(), 4u);  // what top-k left, and all of it
        EXPECT_NEAR(mass, 1, 1e-12);
      }
      ASSERT_LE(first.rank, 4);
      EXPECT_EQ(first.top[static_cast<size_t>(first.rank - 1)].token, first.chosen.token);
    }
  }
}

TEST(Engine, ChoicesDifferAndTheFirstIsTheAnswerAlone) {
  std::vector<std::vector<Token>> tokens;
  for (const uint32_t choice : {0u, 1u, 2u}) {
    FakeModel model(100);
    Request r = request({1, 2}, 12, 1);
    r.choice = choice;
    Engine engine(model, {});
    engine.add(std::move(r), [&](Completion c) { tokens.push_back(std::move(c.tokens)); });
    engine.run();
  }
  EXPECT_EQ(tokens[0], answers({request({1, 2}, 12, 1)}, {}, 10)[0]);
  EXPECT_NE(tokens[0], tokens[1]);
  EXPECT_NE(tokens[1], tokens[2]);
}

TEST(Engine, EndsWhereTheCallerSays) {
  FakeModel model(100);
  Request r = request({1, 2}, 12);
  int asked = 0;
  r.ends = [&](Token) { return ++asked == 3; };
  Engine engine(model, {});
  engine.add(std::move(r), [&](const Completion& c) {
    EXPECT_EQ(c.finish, Finish::stop);
    EXPECT_EQ(c.tokens.size(), 3u);
  });
  engine.run();
  EXPECT_EQ(asked, 3);
}

TEST(Engine, AnAnswerWithNothingLeftToChooseFailsAlone) {
  FakeModel model(100);
  Request r = request({1, 2}, 60);
  r.sampling.no_repeat_ngram = 1;  // of 50 tokens each once: the 49th has none left
  Engine engine(model, {});
  engine.add(std::move(r), [&](const Completion& c) {
    EXPECT_EQ(c.finish, Finish::failed);
    EXPECT_EQ(c.error_code, "sampling-nothing-left");
    EXPECT_EQ(c.tokens.size(), 48u);
  });
  engine.run();
}

}  // namespace
}  // namespace sinter
