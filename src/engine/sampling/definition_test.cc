// The sampler beside the definitions, worked out the slow way: every token's logit in double, a
// full sort, sums over everything. And beside transformers' processors, value by value.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/random.h"
#include "engine/sampling/processors.h"
#include "engine/sampling/sampler.h"

namespace sinter {
namespace {

using Distribution = std::map<Token, double>;

// What the sampler's last call drew from.
Distribution left_of(Sampler& sampler) {
  Distribution out;
  for (size_t i = 0; i < sampler.n_left(); ++i) {
    const Candidate c = sampler.left(i);
    out[c.token] = std::exp(sampler.log_probability(c.value));
  }
  return out;
}

void normalise(Distribution& d) {
  double sum = 0;
  for (const auto& [token, p] : d) sum += p;
  for (auto& [token, p] : d) p /= sum;
}

// Most likely first, ties by id.
std::vector<std::pair<double, Token>> ranked(const Distribution& d) {
  std::vector<std::pair<double, Token>> order;
  for (const auto& [token, p] : d) order.emplace_back(-p, token);
  std::sort(order.begin(), order.end());
  for (auto& [p, token] : order) p = -p;
  return order;
}

// Definitions of the filters, on probabilities; each keeps what `kept` says.
Distribution only(const Distribution& d, const std::vector<Token>& kept) {
  Distribution out;
  for (const Token t : kept) out[t] = d.at(t);
  normalise(out);
  return out;
}
Distribution top_k(const Distribution& d, size_t k, bool ties) {
  const auto order = ranked(d);
  std::vector<Token> kept;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i < k || (ties && order[i].first == order[k - 1].first)) kept.push_back(order[i].second);
  }
  return only(d, kept);
}
Distribution top_p(const Distribution& d, double mass) {
  std::vector<Token> kept;
  double sum = 0;
  for (const auto& [p, token] : ranked(d)) {
    if (!kept.empty() && sum >= mass) break;
    kept.push_back(token);
    sum += p;
  }
  return only(d, kept);
}
Distribution min_p(const Distribution& d, double least) {
  const double top = ranked(d).front().first;
  std::vector<Token> kept;
  for (const auto& [token, p] : d) {
    if (p >= least * top) kept.push_back(token);
  }
  return only(d, kept);
}
Distribution typical(const Distribution& d, double mass) {
  double entropy = 0;
  for (const auto& [token, p] : d) entropy -= p * std::log(p);
  std::vector<std::pair<double, Token>> order;
  for (const auto& [token, p] : d) order.emplace_back(std::abs(-std::log(p) - entropy), token);
  std::sort(order.begin(), order.end());
  std::vector<Token> kept;
  double sum = 0;
  for (const auto& [distance, token] : order) {
    if (!kept.empty() && sum >= mass) break;
    kept.push_back(token);
    sum += d.at(token);
  }
  return only(d, kept);
}
Distribution heat(const Distribution& d, double temperature) {
  Distribution out = d;
  for (auto& [token, p] : out) p = std::pow(p, 1 / temperature);
  normalise(out);
  return out;
}
Distribution top_n_sigma(const Distribution& d, double n) {
  double mean = 0, square = 0, top = -1e300;
  for (const auto& [token, p] : d) mean += std::log(p) / static_cast<double>(d.size());
  for (const auto& [token, p] : d) {
    square += std::pow(std::log(p) - mean, 2) / static_cast<double>(d.size());
    top = std::max(top, std::log(p));
  }
  std::vector<Token> kept;
  for (const auto& [token, p] : d) {
    if (std::log(p) >= top - n * std::sqrt(square)) kept.push_back(token);
  }
  return only(d, kept);
}
Distribution xtc(const Distribution& d, double threshold) {
  const auto order = ranked(d);
  size_t n = 0;
  while (n < order.size() && order[n].first >= threshold) ++n;
  std::vector<Token> kept;
  for (size_t i = n > 1 ? n - 1 : 0; i < order.size(); ++i) kept.push_back(order[i].second);
  return only(d, kept);
}
Distribution softmax(std::span<const float> logits) {
  Distribution out;
  for (size_t i = 0; i < logits.size(); ++i) {
    out[static_cast<Token>(i)] = std::exp(static_cast<double>(logits[i]));
  }
  normalise(out);
  return out;
}

// One definition for each preset: its order, spelled out.
Distribution defined(const std::string& preset, std::span<const float> logits,
                     const SamplingParams& p) {
  const auto k = p.top_k > 0 ? static_cast<size_t>(p.top_k) : logits.size();
  const auto mass = static_cast<double>(p.top_p), least = static_cast<double>(p.min_p);
  const auto t = static_cast<double>(p.temperature), common = static_cast<double>(p.typical_p);
  const auto sigma = static_cast<double>(p.top_n_sigma);
  const auto is_typical = [&](const Distribution& d) {
    return common < 1 ? typical(d, common) : d;
  };
  const auto is_sigma = [&](const Distribution& d) {
    return sigma > 0 ? top_n_sigma(d, sigma) : d;
  };
  const auto is_xtc = [&](const Distribution& d) {
    return p.xtc_probability > 0 ? xtc(d, static_cast<double>(p.xtc_threshold)) : d;
  };
  Distribution d = softmax(logits);
  if (preset == "seed") {
    d = is_sigma(heat(d, t));
    return is_xtc(is_typical(min_p(top_p(top_k(d, k, false), mass), least)));
  }
  if (preset == "vllm") return top_p(top_k(min_p(heat(d, t), least), k, true), mass);
  if (preset == "hf") {
    return is_typical(min_p(top_p(top_k(heat(d, t), k, true), mass), least));
  }
  d = is_typical(top_k(is_sigma(d), k, false));
  return heat(is_xtc(min_p(top_p(d, mass), least)), t);
}

std::vector<float> random_row(uint64_t seed, size_t n, double spread) {
  std::vector<float> row(n);
  for (size_t i = 0; i < n; ++i) {  // roughly normal
    double sum = -3;
    for (uint64_t j = 0; j < 6; ++j) sum += random_uniform(seed, j, i);
    row[i] = static_cast<float>(spread * sum);
  }
  return row;
}

void expect_same(const Distribution& found, const Distribution& want, double tolerance,
                 const std::string& where) {
  ASSERT_EQ(found.size(), want.size()) << where;
  for (const auto& [token, p] : want) {
    ASSERT_TRUE(found.contains(token)) << where << " lost token " << token;
    ASSERT_NEAR(found.at(token), p, tolerance) << where << ", token " << token;
  }
}

TEST(Sampling, EveryPresetIsItsDefinition) {
  Sampler sampler;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const auto pick = [&](uint64_t what, std::initializer_list<double> values) {
      return *(values.begin() + random_bits(seed, 100 + what, 0) % values.size());
    };
    const auto vocab = static_cast<size_t>(pick(0, {7, 40, 300, 3000}));
    const std::vector<float> row = random_row(seed, vocab, pick(1, {0.1, 1, 4}));
    for (const std::string& preset : SamplerChain::preset_names()) {
      SamplingParams p;
      p.chain = SamplerChain::preset(preset);
      p.temperature = static_cast<float>(pick(2, {0.3, 0.8, 1, 2}));
      p.top_k = static_cast<int32_t>(pick(3, {0, 1, 5, 50}));
      p.top_p = static_cast<float>(pick(4, {0.3, 0.9, 0.99, 1}));
      p.min_p = static_cast<float>(pick(5, {0, 0.05, 0.3}));
      if (preset != "vllm") p.typical_p = static_cast<float>(pick(6, {0.2, 0.9, 1}));
      if (preset == "seed" || preset == "llamacpp") {
        p.top_n_sigma = static_cast<float>(pick(7, {0, 0.5, 2}));
        p.xtc_probability = static_cast<float>(pick(8, {0, 1}));
      }
      check(p, static_cast<int32_t>(vocab));
      const std::vector<Token> tokens(seed);
      const Token t = sampler.sample(row, p, {.tokens = tokens, .prompt_tokens = tokens.size()});
      const Distribution want = defined(preset, row, p);
      ASSERT_TRUE(want.contains(t));
      expect_same(left_of(sampler), want, 1e-9, preset + fmt::format(" at seed {}", seed));
    }
  }
}

TEST(Sampling, PresetsKeepDifferentTokens) {
  // p = .5 .3 .15 .05 at temperature 2: .37 .29 .20 .12 (rounded), so order shows.
  const std::vector<float> row = {std::log(.5f), std::log(.3f), std::log(.15f), std::log(.05f)};
  std::map<std::string, size_t> n;
  for (const std::string& preset : SamplerChain::preset_names()) {
    SamplingParams p{.temperature = 2, .top_p = 0.75f};
    p.chain = SamplerChain::preset(preset);
    Sampler s;
    s.sample(row, p, {});
    n[preset] = s.n_left();
  }
  // Temperature first: .37 + .29 < .75, so three; at temperature 1: .5 + .3 >= .75, so two.
  EXPECT_EQ(n,
            (std::map<std::string, size_t>{{"seed", 3}, {"vllm", 3}, {"hf", 3}, {"llamacpp", 2}}));

  // vLLM cuts by min-p before top-p, so top-p has less to share: p = .5 .3 .15 .05, min_p .2 leaves
  // .526 .316 .158, of which the mass .82 is two; without min-p first it is three.
  SamplingParams p{.temperature = 1, .top_p = 0.82f, .min_p = 0.2f};
  Sampler s;
  s.sample(row, p, {});
  EXPECT_EQ(s.n_left(), 3u);
  p.chain = SamplerChain::preset("vllm");
  s.sample(row, p, {});
  EXPECT_EQ(s.n_left(), 2u);
}

TEST(Sampling, TiesGoAsEachStackHasThem) {
  const std::vector<float> row = {1, 3, 2, 2, 2, 0};
  const auto left = [&](const char* preset, int32_t k, float mass) {
    SamplingParams p{.temperature = 1, .top_k = k, .top_p = mass};
    p.chain = SamplerChain::preset(preset);
    Sampler s;
    s.sample(row, p, {});
    std::vector<Token> tokens;
    for (const auto& [token, probability] : left_of(s)) tokens.push_back(token);
    return tokens;
  };
  EXPECT_EQ(left("seed", 2, 1), (std::vector<Token>{1, 2}));
  EXPECT_EQ(left("llamacpp", 2, 1), (std::vector<Token>{1, 2}));
  EXPECT_EQ(left("vllm", 2, 1), (std::vector<Token>{1, 2, 3, 4}));
  EXPECT_EQ(left("hf", 2, 1), (std::vector<Token>{1, 2, 3, 4}));
  EXPECT_EQ(left("seed", 0, 0.5f), (std::vector<Token>{1, 2}));
  EXPECT_EQ(left("hf", 0, 0.5f), (std::vector<Token>{1, 2}));
}

// Min-p's own example (arXiv 2407.01082, section 3; Sinter's seed has the same numbers): with a
// base of 0.1 and a most likely token of 0.8 the threshold is 0.08, of 0.2 it is 0.02.
TEST(Sampling, MinPsPublishedExample) {
  const auto kept = [](std::vector<double> p) {
    std::vector<float> row;
    for (const double x : p) row.push_back(static_cast<float>(std::log(x)));
    Sampler s;
    s.sample(row, {.temperature = 1, .min_p = 0.1f}, {});
    return s.n_left();
  };
  EXPECT_EQ(kept({0.8, 0.081, 0.079, 0.04}), 2u);
  EXPECT_EQ(kept({0.2, 0.19, 0.19, 0.19, 0.1, 0.09, 0.021, 0.019}), 7u);
}

TEST(Sampling, DrawsFollowTheDistribution) {
  const std::vector<float> row = random_row(3, 12, 1.5);
  for (const std::string& preset : SamplerChain::preset_names()) {
    SamplingParams p{.temperature = 0.9f, .top_k = 8, .top_p = 0.95f, .min_p = 0.02f, .seed = 77};
    p.chain = SamplerChain::preset(preset);
    Sampler s;
    constexpr int kDraws = 20000;
    std::map<Token, int> counts;
    for (uint32_t choice = 0; choice < kDraws; ++choice) {
      ++counts[s.sample(row, p, {.choice = choice})];
    }
    const Distribution want = defined(preset, row, p);
    double chi2 = 0;
    int seen = 0;
    for (const auto& [token, probability] : want) {
      const double expected = kDraws * probability;
      chi2 += std::pow(counts[token] - expected, 2) / expected;
      seen += counts[token];
    }
    EXPECT_EQ(seen, kDraws);  // nobody outside the support
    EXPECT_LT(chi2, 26);      // at most 8 tokens: 7 degrees of freedom, p = 0.0005
  }
}

TEST(Sampling, XtcStrikesAsOftenAsAsked) {
  const std::vector<float> row = {2, 1.9f, 1.8f, 0};
  Sampler s;
  int struck = 0;
  for (uint32_t choice = 0; choice < 10000; ++choice) {
    const SamplingParams p{.temperature = 1, .seed = 5, .xtc_probability = 0.3f};
    s.sample(row, p, {.choice = choice});
    struck += s.n_left() == 2 ? 1 : 0;
    ASSERT_TRUE(s.n_left() == 2 || s.n_left() == 4);
  }
  EXPECT_NEAR(struck, 3000, 160);  // 3.5 standard deviations
}

TEST(Sampling, GreedyTakesTheLowestIdOfATie) {
  for (const std::string& preset : SamplerChain::preset_names()) {
    SamplingParams p;
    p.chain = SamplerChain::preset(preset);
    EXPECT_EQ(Sampler().sample(std::vector<float>{1, 3, 3, 2}, p, {}), 1);
  }
  std::vector<float> row(5000, -1);
  row[4321] = row[4999] = 0.5f;
  EXPECT_EQ(Sampler().sample(row, {}, {}), 4321);
}

TEST(Sampling, IsWhatTransformersComputes) {
  const Json golden =
      read_json_file(std::string(SINTER_SOURCE_DIR) + "/tests/golden/engine/sampling.json");
  const auto stop = golden["stop"].get<std::vector<Token>>();
  Sampler sampler;
  size_t n = 0;
  for (const Json& c : golden["cases"]) {
    SamplingParams p = sampling_params(c["params"], "golden");
    p.chain = SamplerChain::preset("hf");
    auto tokens = c["prompt"].get<std::vector<Token>>();
    const size_t n_prompt = tokens.size();
    for (const Json& t : c["generated"]) tokens.push_back(t.get<Token>());
    const auto logits = c["logits"].get<std::vector<float>>();
    check(p, static_cast<int32_t>(logits.size()));
    sampler.sample(logits, p, {.tokens = tokens, .prompt_tokens = n_prompt, .stop = stop});
    Distribution want;
    for (const Json& t : c["left"]) want[t[0].get<Token>()] = std::exp(t[1].get<double>());
    expect_same(left_of(sampler), want, 2e-6,
                fmt::format("case {}: {}", n++, to_line(c["params"])));
  }
  EXPECT_GT(n, 60u);
}

}  // namespace
}  // namespace sinter
