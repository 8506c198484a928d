// Which samples to keep under a budget of tokens.
//
// Maximised is F(S), monotone and submodular. For each stratified dimension d with cells f, the
// cell's tokens m_f(S) and the budget B, it has
//   sum_f sqrt(q_f m_f(S) / B),   q_f = sqrt(p_f) / sum sqrt(p),
// p_f the cell's share of the traces' tokens: largest, 1, where every cell has its share q_f of the
// budget, which lifts rare cells (one of 1 % beside one of 99 % gets 9 %). To that comes, for the
// vocabulary, kTokenWeight times the mean over the traces' tokens of 1 - 2^-(samples that have it).
//
// By lazy greedy (Minoux 1978), once by gain a token and once by gain; the better of the two has at
// least (1 - 1/e) / 2 of the best F there is (Leskovec et al. 2007, CELF).
#pragma once

#include <cstdint>
#include <vector>

#include "compress/corpus/coverage.h"

namespace sinter {

struct Selection {
  std::vector<size_t> samples;  // ascending
  int64_t n_tokens = 0;
  double value = 0;   // F
  double random = 0;  // F of a selection drawn at random from the same seed, for comparison
};

// The seed decides between equal gains, and nothing else does: not the order in memory.
// `keys`: a number of each sample's own, by its content.
Selection select_samples(const std::vector<SampleCoverage>& samples,
                         const std::vector<uint64_t>& keys, int64_t budget, uint64_t seed);

}  // namespace sinter
