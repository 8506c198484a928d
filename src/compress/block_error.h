// What scaling the input of some linears before they are rounded would cost: the error of the
// outputs, for searches over scales.
#pragma once

#include <span>

#include "compress/steps.h"

namespace sinter {

// tr(D G D^T): the squared error, over all tokens, of outputs whose weights are off by D. [rows, k]
// With bfloat16 it may be off by 2^-9 of what columns add alone: too much where a method played
// them off against each other.
double output_error(MatView difference, MatView gram, Precision precision, ThreadPool& threads);

class BlockError {
 public:
  // Of `input`'s readers. The layer must be let alone meanwhile.
  BlockError(const LayerToTransform& job, LayerInput input);
  // Of memory that one takes at most, judged by Gram matrices or by the probe.
  static int64_t bytes(const LayerWalk& walk, LayerInput input, bool by_gram);
  // Squared error of the block's output with W' = Q(W s) / s for every reader that is rounded, Q by
  // the peaks of groups, and Q(x / s) s for the inputs x where the scheme rounds them. Of o and
  // down with a Gram matrix: of the reader's own output, with exact inputs, over all tokens.
  double of(std::span<const float> s);

 private:
  bool by_gram() const;
  MatView probe_input() const;
  void run_block(MatView x, MatMut out);
  Matrix rounded_inputs(const Scheme& scheme, std::span<const float> s) const;

  const LayerToTransform& job_;
  LayerInput input_;
  LayerWalk::Probe probe_;
  MatView x_;                      // the probe's inputs
  Matrix exact_;                   // outputs as they should be
  Matrix scaled_;                  // scratch
  std::array<Matrix, 3> rounded_;  // of each reader
};

}  // namespace sinter
