// Compresses a checkpoint by a recipe: layer by layer, one output shard a layer, so that peak
// memory is about one layer and a kill loses at most one. The result depends on the checkpoint, the
// recipe, the calibration tokens and the build alone, never on threads or on how often it was
// interrupted.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "artifact/manifest.h"
#include "artifact/store.h"
#include "compress/calibration.h"
#include "compress/recipe.h"
#include "compress/running_bytes.h"
#include "compress/stages.h"

namespace sinter {

struct CompressOptions {
  const Calibration* calibration = nullptr;  // ignored where the recipe needs none
  const StoredDialect* dialect = nullptr;    // that is written; null = default_dialect()
  int threads = 0;                           // 0 = one per core
  bool resume = true;                // continue what OUT holds, if it is the same compression
  std::string sensitivity = {};      // of a recipe with a budget: a measurement made before, a file
  double read_bytes_per_second = 0;  // of a budget in tokens/s: of this machine; 0 = unknown
  bool preflight = true;             // count and time before the first shard (preflight.h)
  int64_t memory_limit = 0;          // bytes that the process may take; 0 = what is free
  const RunShape* check = nullptr;   // how the result will run beside the base, if it will
  bool check_required = false;       // refuse to begin where memory will not do for that
  std::function<void(const Preflight&)> announce = nullptr;  // called before the first shard
  const std::atomic<bool>* stop = nullptr;  // when true: finish the layer, then Fault::interrupted
};

struct CompressResult {
  Manifest manifest;
  int64_t bytes_before = 0;  // of tensors
  int64_t bytes_after = 0;
  int64_t shards_made = 0;              // by this run
  int64_t shards_kept = 0;              // found finished
  Preflight predicted;                  // by this run; of the shards that it then made
  StageSeconds seconds;                 // what they took
  int64_t check_bytes = 0;              // that CompressOptions::check would add
  std::vector<std::string> not_copied;  // files left out by this run (copy_other_files)
};

// Throws what
// planning (plan.h), rounding (round.h), the walk (layer_walk.h) and the output directory
// (output.h) throw, Error(bad_input, "calibration-missing") and Error(interrupted, "interrupted").
CompressResult compress(const std::string& model_dir, const Recipe& recipe,
                        const std::string& out_dir, const CompressOptions& options = {});

}  // namespace sinter
