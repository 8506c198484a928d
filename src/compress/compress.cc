#include "compress/compress.h"

#include "base/error.h"
#include "compress/plan.h"
#include "compress/preflight.h"
#include "compress/round.h"
#include "compress/shard_maker.h"
#include "compress/shards.h"
#include "compress/spend_budget.h"

namespace sinter {
namespace {

constexpr const char* kScratchName = "calibration.scratch";

// The error that says most: of outputs where it is known, else of weights.
std::string worst_error(const ShardRecord& record) {
  double weights = 0, outputs = -1;
  for (const ManifestTensor& t : record.tensors) {
    weights = std::max(weights, t.relative_error);
    outputs = std::max(outputs, t.output_error);
  }
  if (outputs >= 0) return fmt::format("worst relative error of outputs {:.4f}", outputs);
  return fmt::format("worst relative error {:.4f}", weights);
}

}  // namespace

CompressResult compress(const std::string& model_dir, const Recipe& recipe,
                        const std::string& out_dir, const CompressOptions& options) {
  const auto base = Artifact::open(model_dir);
  refuse_nested(model_dir, out_dir);
  const StoredDialect& dialect = options.dialect != nullptr ? *options.dialect : default_dialect();
  CompressPlan plan = plan_compression(*base, recipe, dialect);
  ThreadPool threads(options.threads);
  if (recipe.needs_calibration() && options.calibration == nullptr) {
    fail(Fault::bad_input, "calibration-missing",
         "recipe \"{}\" looks at what the model computes, so it needs tokens to run: name a "
         "corpus or a file with --calibration (`sinter corpus build` makes one)",
         recipe.name);
  }
  const Calibration* const calibration = recipe.needs_calibration() ? options.calibration : nullptr;
  ShardMaker maker(*base, recipe, dialect, calibration, out_dir + "/" + kScratchName, threads);
  Preflight predicted, measuring;
  double measuring_seconds = 0;
  ShardWork work;
  if (recipe.budget) {
    SpentBudget spent = spend_budget(*base, recipe, plan, dialect, out_dir, options, threads);
    plan = plan_compression(*base, spent.recipe, dialect);
    work.budget = std::move(spent.record);
    measuring = std::move(spent.predicted);
    measuring_seconds = spent.seconds;
  }
  const int64_t check_bytes =
      options.check == nullptr ? 0 : running_bytes(*base, plan, *options.check);
  work.verb = "compress";
  work.recipe = recipe.text;
  work.recipe_digest = recipe.digest;
  work.make = [&](size_t i, const ShardRecord* before) {
    return maker.make(plan.shards[i], before);
  };
  work.before_first = [&](std::span<const size_t> left) {
    // At the first layer, not at the last: no hour lost to a damaged checkpoint. Spending a budget
    // began with it.
    for (const size_t i : left) {
      if (recipe.budget) break;
      require_finite_weights(*base, plan.shards[i], dialect, threads);
    }
    if (!options.preflight) return;
    const PreflightJob job{.base = *base,
                           .recipe = recipe,
                           .dialect = dialect,
                           .calibration = calibration,
                           .shards = plan.shards,
                           .left = left,
                           .directory = out_dir,
                           .check_bytes = check_bytes,
                           .check_required = options.check_required};
    const Room room = free_room(out_dir, options.memory_limit);
    predicted = count_needs(job, room, threads);
    require_room(predicted, room, model_dir, out_dir);
    time_stages(job, threads, predicted);
    if (options.announce) options.announce(predicted);
  };
  work.label = [&](size_t i, const ShardRecord& record) {
    return fmt::format("{}, {}", plan.shards[i].label, worst_error(record));
  };
  work.dialect = dialect.name;
  work.quantization_config = dialect.config(plan.stored);
  if (calibration != nullptr) {
    work.corpus = {.name = calibration->name,
                   .digest = calibration->digest,
                   .tokens = calibration->n_tokens,
                   .sequences = static_cast<int64_t>(calibration->sequences.size())};
  }
  work.files.reserve(plan.shards.size());
  for (const PlannedShard& shard : plan.shards) work.files.push_back(shard.file);
  CompressResult result = write_shards(*base, out_dir, options, work);
  result.predicted = std::move(predicted);
  if (measuring_seconds > 0) {
    result.predicted.add_before(measuring);
    result.seconds[kMeasureStage] = measuring_seconds;
  }
  result.check_bytes = check_bytes;
  maker.remove_scratch();
  return result;
}

}  // namespace sinter
