// Microseconds that a token's sampling takes, for a vocabulary of 128K. sampler_bench [VOCAB
// [ROUNDS]]: the median and the best of so many rounds, each over 16 rows of made-up logits.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/sampling/sampler.h"

using namespace sinter;

namespace {

// Normal logits, as trained models have them, and a few tokens that stand out.
std::vector<float> make_row(uint64_t seed, size_t vocab) {
  std::vector<float> row(vocab);
  for (size_t i = 0; i < vocab; ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - random_uniform(seed, 0, i)));
    row[i] = static_cast<float>(2.5 * radius * std::cos(6.283185307 * random_uniform(seed, 1, i)));
  }
  for (uint64_t i = 0; i < 12; ++i) {
    row[random_bits(seed, 2, i) % vocab] = static_cast<float>(9 + 8 * random_uniform(seed, 3, i));
  }
  return row;
}

struct Case {
  const char* name;
  SamplingParams params;
  bool constrained = false;
};

}  // namespace

int main(int argc, char** argv) {
  const auto vocab = static_cast<size_t>(argc > 1 ? std::atoi(argv[1]) : 128256);
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 50;
  constexpr size_t kRows = 16;
  std::vector<std::vector<float>> rows;
  for (size_t r = 0; r < kRows; ++r) rows.push_back(make_row(r, vocab));
  std::vector<Token> history(2000);
  for (size_t i = 0; i < history.size(); ++i) {
    history[i] = static_cast<Token>(random_bits(7, 7, i) % (i % 2 == 0 ? 300 : vocab));
  }
  std::vector<uint64_t> mask((vocab + 63) / 64);
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = i % 8 == 0 ? 0 : random_bits(3, 3, i);

  const SamplingParams filters{.temperature = 0.8f, .top_k = 50, .top_p = 0.95f, .min_p = 0.05f};
  SamplingParams vllm = filters, llamacpp = filters, taxed = filters, nucleus = filters;
  vllm.chain = SamplerChain::preset("vllm");
  llamacpp.chain = SamplerChain::preset("llamacpp");
  taxed.repetition_penalty = 1.1f;
  taxed.frequency_penalty = taxed.presence_penalty = 0.2f;
  nucleus.top_k = 0;
  SamplingParams dry = taxed;
  dry.dry_multiplier = 0.8f;
  const std::vector<Case> cases = {
      {"greedy", {}},
      {"top-k 50, top-p, min-p", filters},
      {"the same, preset vllm", vllm},
      {"the same, preset llamacpp", llamacpp},
      {"the same, with a grammar's mask", filters, true},
      {"and three penalties, 2000 tokens before", taxed},
      {"and DRY", dry},
      {"top-p and min-p alone", nucleus},
      {"temperature alone", {.temperature = 1}},
      {"typical", {.temperature = 1, .typical_p = 0.9f}},
      {"top-n-sigma", {.temperature = 1, .top_n_sigma = 1}},
  };
  fmt::print("{:<44} {:>9} {:>9}   us per token, vocabulary {}\n", "", "median", "best", vocab);
  for (const Case& c : cases) {
    Sampler sampler;
    std::vector<double> times;
    SamplingContext context{.tokens = history, .prompt_tokens = 1000};
    if (c.constrained) context.allowed = mask;
    for (int round = 0; round <= rounds; ++round) {  // the first warms up
      const auto start = std::chrono::steady_clock::now();
      for (size_t r = 0; r < kRows; ++r) {
        context.choice = static_cast<uint32_t>(round);
        sampler.sample(rows[r], c.params, context);
      }
      const std::chrono::duration<double, std::micro> d = std::chrono::steady_clock::now() - start;
      if (round > 0) times.push_back(d.count() / kRows);
    }
    std::sort(times.begin(), times.end());
    fmt::print("{:<44} {:9.1f} {:9.1f}\n", c.name, times[times.size() / 2], times.front());
  }
  return 0;
}
