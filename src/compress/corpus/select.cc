#include "compress/corpus/select.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <queue>

#include "base/error.h"
#include "base/random.h"

namespace sinter {
namespace {

constexpr double kTokenWeight = 2;  // of the vocabulary, where a dimension has 1

// F and what it is made of, for one selection that grows.
class Objective {
 public:
  Objective(const std::vector<SampleCoverage>& samples, int64_t budget)
      : samples_(samples), cells_(samples.size()) {
    std::map<std::pair<size_t, std::string>, size_t> ids;
    std::vector<double> tokens;
    std::vector<size_t> dimension;
    for (size_t i = 0; i < samples.size(); ++i) {
      for (const Cell& cell : samples[i].cells) {
        if (!kDimensions[cell.dimension].stratified) continue;
        const auto [it, fresh] = ids.try_emplace({cell.dimension, cell.name}, ids.size());
        if (fresh) {
          tokens.push_back(0);
          dimension.push_back(cell.dimension);
        }
        tokens[it->second] += static_cast<double>(samples[i].n_tokens);
        cells_[i].push_back(it->second);
      }
      for (const Token t : samples[i].tokens) {
        if (static_cast<size_t>(t) >= seen_.size())
          seen_.resize(static_cast<size_t>(t) + 1, kUnknown);
        seen_[static_cast<size_t>(t)] = 0;
      }
    }
    std::array<double, kDimensions.size()> sum{};
    for (size_t f = 0; f < tokens.size(); ++f) sum[dimension[f]] += std::sqrt(tokens[f]);
    for (size_t f = 0; f < tokens.size(); ++f) {
      scale_.push_back(
          std::sqrt(std::sqrt(tokens[f]) / sum[dimension[f]] / static_cast<double>(budget)));
    }
    mass_.resize(tokens.size());
    const auto known = std::count_if(seen_.begin(), seen_.end(), [](uint8_t n) { return n == 0; });
    token_weight_ = known == 0 ? 0 : kTokenWeight / static_cast<double>(known);
  }

  double gain(size_t i) const {
    const auto n = static_cast<double>(samples_[i].n_tokens);
    double sum = 0;
    for (const size_t f : cells_[i]) {
      sum += scale_[f] * (std::sqrt(mass_[f] + n) - std::sqrt(mass_[f]));
    }
    double fresh = 0;
    for (const Token t : samples_[i].tokens) {
      fresh += std::ldexp(1.0, -1 - seen_[static_cast<size_t>(t)]);
    }
    return sum + token_weight_ * fresh;
  }

  void add(size_t i) {
    value_ += gain(i);
    for (const size_t f : cells_[i]) mass_[f] += static_cast<double>(samples_[i].n_tokens);
    for (const Token t : samples_[i].tokens) {
      uint8_t& n = seen_[static_cast<size_t>(t)];
      n = std::min<uint8_t>(n + 1, 60);
    }
  }

  double value() const { return value_; }

 private:
  static constexpr uint8_t kUnknown = 255;  // a token that the traces do not have
  const std::vector<SampleCoverage>& samples_;
  std::vector<std::vector<size_t>> cells_;  // of each sample
  std::vector<double> scale_, mass_;        // of each cell
  std::vector<uint8_t> seen_;               // by token: in how many of the selected samples
  double token_weight_ = 0, value_ = 0;
};

struct Candidate {
  double priority;
  uint64_t tie;
  size_t sample;
  size_t round;  // in which the priority was right
  bool operator<(const Candidate& o) const {
    return priority != o.priority ? priority < o.priority : tie < o.tie;
  }
};

Selection greedy(const std::vector<SampleCoverage>& samples, const std::vector<uint64_t>& keys,
                 int64_t budget, uint64_t seed, bool by_cost) {
  Objective objective(samples, budget);
  const auto priority = [&](size_t i) {
    return objective.gain(i) / (by_cost ? static_cast<double>(samples[i].n_tokens) : 1.0);
  };
  std::priority_queue<Candidate> queue;
  for (size_t i = 0; i < samples.size(); ++i) {
    queue.push({priority(i), random_bits(seed, 4, keys[i]), i, 0});
  }
  Selection s;
  while (!queue.empty()) {
    Candidate best = queue.top();
    queue.pop();
    // What does not fit now never will.
    if (s.n_tokens + samples[best.sample].n_tokens > budget) continue;
    if (best.round != s.samples.size()) {
      best.priority = priority(best.sample);
      best.round = s.samples.size();
      queue.push(best);
      continue;
    }
    objective.add(best.sample);
    s.samples.push_back(best.sample);
    s.n_tokens += samples[best.sample].n_tokens;
  }
  s.value = objective.value();
  std::sort(s.samples.begin(), s.samples.end());
  return s;
}

double random_value(const std::vector<SampleCoverage>& samples, const std::vector<uint64_t>& keys,
                    int64_t budget, uint64_t seed) {
  std::vector<size_t> order(samples.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(random_bits(seed, 5, keys[a]), a) <
           std::pair(random_bits(seed, 5, keys[b]), b);
  });
  Objective objective(samples, budget);
  int64_t used = 0;
  for (const size_t i : order) {
    if (used + samples[i].n_tokens > budget) continue;
    used += samples[i].n_tokens;
    objective.add(i);
  }
  return objective.value();
}

}  // namespace

Selection select_samples(const std::vector<SampleCoverage>& samples,
                         const std::vector<uint64_t>& keys, int64_t budget, uint64_t seed) {
  SINTER_CHECK(keys.size() == samples.size() && budget > 0);
  const auto total =
      std::accumulate(samples.begin(), samples.end(), int64_t{0},
                      [](int64_t sum, const SampleCoverage& s) { return sum + s.n_tokens; });
  Selection best = greedy(samples, keys, budget, seed, true);
  if (total > budget) {
    Selection other = greedy(samples, keys, budget, seed, false);
    if (other.value > best.value) best = std::move(other);
  }
  best.random = random_value(samples, keys, budget, seed);
  return best;
}

}  // namespace sinter
