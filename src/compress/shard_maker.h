// Makes the shards of a plan: layers by steps that look at their inputs one after another, all
// others each alone.
#pragma once

#include <memory>
#include <string>

#include "artifact/artifact.h"
#include "artifact/store.h"
#include "compress/calibration.h"
#include "compress/layer_walk.h"
#include "compress/plan.h"
#include "compress/recipe.h"
#include "compress/shards.h"

namespace sinter {

// Throws what require_finite throws, of every matrix that is to be rounded.
void require_finite_weights(const Artifact& base, const PlannedShard& shard,
                            const StoredDialect& dialect, ThreadPool& threads);

class ShardMaker {
 public:
  // `calibration` may be null where the recipe needs none. `scratch` is a directory of this
  // maker's own, where layers leave their outputs to the next.
  ShardMaker(const Artifact& base, const Recipe& recipe, const StoredDialect& dialect,
             const Calibration* calibration, std::string scratch, ThreadPool& threads);
  ~ShardMaker();
  // In order. `before` is the record of the shard before it, of the first null. Throws what the
  // walk throws, and Error(corrupt, "calibration-scratch") where an earlier process' is gone.
  ShardContent make(const PlannedShard& shard, const ShardRecord* before);
  void remove_scratch() const;

 private:
  void prepare(int32_t layer, const ShardRecord* before);

  const Artifact& base_;
  const Recipe& recipe_;
  const StoredDialect& dialect_;
  const Calibration* calibration_;
  std::string scratch_;
  ThreadPool& threads_;
  std::unique_ptr<LayerWalk> walk_;
  int32_t next_ = 0;
};

}  // namespace sinter
