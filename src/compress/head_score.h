// How far the distributions over the next token are from the dense model's, from hidden states
// after the last layer. What is in memory: the head in float32 and the logits of a few tokens.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "artifact/artifact.h"
#include "backend/backend.h"
#include "base/threads.h"
#include "compress/row_file.h"
#include "model/config.h"
#include "tensor/matrix.h"

namespace sinter {

// A token is sure if the dense model gives its first choice at least this probability: then
// another first choice is a change of mind, not of a tie.
inline constexpr double kSure = 0.5;
// What stands for a divergence that is no number, or larger (nats).
inline constexpr double kMostDivergence = 1000;

struct Divergence {
  double kl = 0;      // mean over tokens of KL(dense || other), nats
  int64_t sure = 0;   // tokens
  int64_t flips = 0;  // sure tokens whose first choice is another
  double flip_rate() const {
    return sure > 0 ? static_cast<double>(flips) / static_cast<double>(sure) : 0;
  }
};

class HeadScore {
 public:
  HeadScore(const Artifact& artifact, const ModelConfig& config, const ModuleNames& names,
            ThreadPool& threads);
  // Of memory that one takes at most.
  static int64_t bytes(const Artifact& artifact, const ModelConfig& config,
                       const ModuleNames& names);
  // Of the first `rows` rows of each file against those of `dense`.
  std::vector<Divergence> of(const RowFile& dense, std::span<const std::unique_ptr<RowFile>> others,
                             int64_t rows);

 private:
  void logits(const RowFile& hidden, int64_t first, MatMut out);

  ThreadPool& threads_;
  std::unique_ptr<Backend> backend_;
  float eps_;
  std::vector<float> final_norm_;
  Matrix head_;  // [vocab, d_model]
  Matrix x_, normed_;
};

}  // namespace sinter
