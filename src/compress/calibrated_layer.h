// A layer by steps that look at its inputs: transformed, then rounded part by part as the tokens
// pass, then written.
#pragma once

#include <optional>

#include "compress/layer_walk.h"
#include "compress/plan.h"
#include "compress/recipe.h"
#include "compress/shards.h"
#include "compress/transform_layer.h"

namespace sinter {

class LayerCompressor {
 public:
  LayerCompressor(const Artifact& base, const Recipe& recipe, const StoredDialect& dialect,
                  LayerWalk& walk)
      : base_(base), recipe_(recipe), dialect_(dialect), walk_(walk) {}

  // Layer shard.layer, whose inputs are the walk's current ones; afterwards those are the next
  // layer's, except after the last.
  ShardContent run(const PlannedShard& shard);
  // Lets the tokens through as run() does, measuring what it measures and changing nothing.
  struct PassSeconds {
    double parts = 0, finish = 0;  // the last layer is not finished
  };
  PassSeconds pass(const PlannedShard& shard) const;
  // Bytes of memory that run() takes at most, by stage.
  StageBytes bytes(const PlannedShard& shard) const;

 private:
  struct Work;
  // The statistics that the readers of an input need, if any.
  std::optional<InputStatistics> wanted(const LayerTargets& targets, LayerInput input) const;
  void round(Work& work, LayerInput input, const InputStatistics* statistics) const;
  void store_kv(const Work& work, ShardContent& content) const;
  ShardContent store(const Work& work, const PlannedShard& shard) const;

  const Artifact& base_;
  const Recipe& recipe_;
  const StoredDialect& dialect_;
  LayerWalk& walk_;
};

}  // namespace sinter
