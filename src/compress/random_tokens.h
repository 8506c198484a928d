// For tests: calibration tokens of the bundled model's vocabulary, in sequences of unequal length,
// so that batching has something to get wrong.
#pragma once

#include <initializer_list>

#include "base/random.h"
#include "compress/calibration.h"

namespace sinter {

inline Calibration random_tokens(std::initializer_list<int32_t> lengths = {40, 1, 97, 64, 33}) {
  Calibration c{.sequences = {}, .n_tokens = 0, .name = "random", .digest = "of random"};
  for (const int32_t n : lengths) {
    auto& s = c.sequences.emplace_back();
    for (int32_t i = 0; i < n; ++i) {
      s.push_back(
          static_cast<Token>(random_bits(1, c.sequences.size(), static_cast<uint64_t>(i)) % 1024));
    }
    c.n_tokens += n;
  }
  return c;
}

}  // namespace sinter
