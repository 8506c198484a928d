// A layer by steps that look at its inputs: transformed, then rounded part by part as the tokens
// pass, then written.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "artifact/store.h"
#include "compress/layer_walk.h"
#include "compress/output.h"
#include "compress/plan.h"
#include "compress/recipe.h"

namespace sinter {

class LayerCompressor {
 public:
  LayerCompressor(const Artifact& base, const Recipe& recipe, LayerWalk& walk)
      : base_(base), recipe_(recipe), walk_(walk) {}

  // Layer shard.layer, whose inputs are the walk's current ones; afterwards those are the next
  // layer's, except after the last. Returns the tensors to be written in place of the planned ones,
  // and what the journal says of them.
  struct Result {
    std::vector<OwnedTensor> tensors;
    ShardRecord record;  // its file and digest are the caller's to fill in
  };
  Result run(const PlannedShard& shard);

 private:
  struct Work;
  void transform(Work& work) const;
  void round(Work& work, LayerInput input, const InputStatistics* statistics) const;
  Result store(const Work& work, const PlannedShard& shard) const;

  const Artifact& base_;
  const Recipe& recipe_;
  LayerWalk& walk_;
};

}  // namespace sinter
