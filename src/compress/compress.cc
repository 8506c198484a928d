#include "compress/compress.h"

#include <filesystem>

#include "base/error.h"
#include "compress/calibrated_layer.h"
#include "compress/plan.h"
#include "compress/round.h"
#include "compress/shards.h"

namespace sinter {
namespace {

constexpr float kLargestHalf = 65504;
constexpr const char* kScratchName = "calibration.scratch";

// What a matrix shares a scale with, where its format has one of the whole matrix.
float fused_peak(const PlannedShard& shard, const PlannedTensor& tensor, ThreadPool& threads) {
  if (!tensor.target.format.codec->has_matrix_scale) return 0;
  float peak = 0;
  for (const PlannedTensor* t : fused_with(shard, tensor)) {
    const StoredTensor& s = *t->source;
    if (t->target.step != nullptr) {
      peak = std::max(peak, peak_of(s.shape[0], s.shape[1], rows_of(s), threads));
    }
  }
  return peak;
}

// A shard by steps that need no inputs. Its rounded tensors are all of memory that it needs.
ShardContent make_shard(const Artifact& base, const PlannedShard& shard,
                        const StoredDialect& dialect, ThreadPool& threads) {
  ShardContent content;
  for (const PlannedTensor& t : shard.tensors) {
    if (t.target.step == nullptr) {
      content.keep(*t.source, t.name);
      continue;
    }
    const RoundedMatrix m =
        round_stored(*t.source, t.target, fused_peak(shard, t, threads), threads);
    content.record.tensors.push_back({.name = t.module,
                                      .format = to_string(t.target.format),
                                      .rows = m.rows,
                                      .cols = m.cols,
                                      .relative_error = m.relative_error,
                                      .max_error = m.max_error,
                                      .sha256 = m.sha256(),
                                      .method = t.target.step->method()});
    content.add(dialect.store(
        {.name = t.module, .scheme = t.target.scheme, .rows = m.rows, .cols = m.cols}, m.weight()));
    base.checkpoint().forget(*t.source);
  }
  return content;
}

// Layers one after another, their inputs handed on by the walk.
class CalibratedRun {
 public:
  CalibratedRun(const Artifact& base, const Recipe& recipe, const StoredDialect& dialect,
                const Calibration& calibration, const std::string& directory, ThreadPool& threads)
      : base_(base),
        recipe_(recipe),
        dialect_(dialect),
        calibration_(calibration),
        scratch_(directory + "/" + kScratchName),
        threads_(threads) {}

  ShardContent make(const PlannedShard& shard, const ShardRecord* before) {
    prepare(static_cast<int32_t>(shard.layer), before);
    ShardContent content = LayerCompressor(base_, recipe_, dialect_, *walk_).run(shard);
    next_ = static_cast<int32_t>(shard.layer) + 1;
    return content;
  }

  void remove_scratch() const { std::filesystem::remove_all(scratch_); }

 private:
  // Sees to it that the walk stands before this layer.
  void prepare(int32_t layer, const ShardRecord* before) {
    if (walk_ == nullptr) {
      walk_ = std::make_unique<LayerWalk>(base_, calibration_, scratch_, threads_);
      if (layer == 0) {
        walk_->start();
      } else if (!walk_->resume(layer, before->next_inputs)) {
        fail(
            Fault::corrupt, "calibration-scratch",
            "{}: what earlier layers handed on to layer {} is gone or damaged, so this compression "
            "cannot be continued; remove the directory and begin again",
            scratch_, layer);
      }
    } else {
      SINTER_CHECK(layer == next_);
    }
    if (layer > 0) walk_->remove_inputs(layer - 1);
  }

  const Artifact& base_;
  const Recipe& recipe_;
  const StoredDialect& dialect_;
  const Calibration& calibration_;
  std::string scratch_;
  ThreadPool& threads_;
  std::unique_ptr<LayerWalk> walk_;
  int32_t next_ = 0;
};

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
  const CompressPlan plan = plan_compression(*base, recipe, dialect);
  ThreadPool threads(options.threads);
  // Before the first layer, not at the last: no hour lost to a damaged checkpoint.
  for (const PlannedShard& shard : plan.shards) {
    for (const PlannedTensor& t : shard.tensors) {
      if (t.target.step == nullptr) continue;
      require_finite(*t.source, base->directory(), threads,
                     dialect.half_scales ? kLargestHalf : kLargestWeight);
      base->checkpoint().forget(*t.source);
    }
  }
  std::unique_ptr<CalibratedRun> calibrated;
  if (recipe.needs_calibration()) {
    if (options.calibration == nullptr) {
      fail(Fault::bad_input, "calibration-missing",
           "recipe \"{}\" looks at what the model computes, so it needs tokens to run: name a "
           "corpus or a file with --calibration (`sinter corpus build` makes one)",
           recipe.name);
    }
    calibrated = std::make_unique<CalibratedRun>(*base, recipe, dialect, *options.calibration,
                                                 out_dir, threads);
  }
  ShardWork work;
  work.verb = "compress";
  work.recipe = recipe.text;
  work.recipe_digest = recipe.digest;
  work.make = [&](size_t i, const ShardRecord* before) {
    const PlannedShard& shard = plan.shards[i];
    return calibrated != nullptr && shard.layer >= 0 ? calibrated->make(shard, before)
                                                     : make_shard(*base, shard, dialect, threads);
  };
  work.label = [&](size_t i, const ShardRecord& record) {
    return fmt::format("{}, {}", plan.shards[i].label, worst_error(record));
  };
  work.dialect = dialect.name;
  work.quantization_config = dialect.config(plan.stored);
  if (calibrated != nullptr) {
    const Calibration& c = *options.calibration;
    work.corpus = {.name = c.name,
                   .digest = c.digest,
                   .tokens = c.n_tokens,
                   .sequences = static_cast<int64_t>(c.sequences.size())};
  }
  work.files.reserve(plan.shards.size());
  for (const PlannedShard& shard : plan.shards) work.files.push_back(shard.file);
  CompressResult result = write_shards(*base, out_dir, options, work);
  if (calibrated != nullptr) calibrated->remove_scratch();
  return result;
}

}  // namespace sinter
