#include "compress/shard_maker.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "compress/calibrated_layer.h"
#include "compress/round.h"

namespace sinter {
namespace {

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
    const StageTimer timer(content.seconds, t.target.step->method());
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

}  // namespace

void require_finite_weights(const Artifact& base, const PlannedShard& shard,
                            const StoredDialect& dialect, ThreadPool& threads) {
  const float most = dialect.half_scales ? kLargestHalf : kLargestWeight;
  for (const PlannedTensor& t : shard.tensors) {
    if (t.target.step == nullptr) continue;
    require_finite(*t.source, base.directory(), threads, most);
    base.checkpoint().forget(*t.source);
  }
}

ShardMaker::ShardMaker(const Artifact& base, const Recipe& recipe, const StoredDialect& dialect,
                       const Calibration* calibration, std::string scratch, ThreadPool& threads)
    : base_(base),
      recipe_(recipe),
      dialect_(dialect),
      calibration_(calibration),
      scratch_(std::move(scratch)),
      threads_(threads) {}

ShardMaker::~ShardMaker() = default;

ShardContent ShardMaker::make(const PlannedShard& shard, const ShardRecord* before) {
  if (calibration_ == nullptr || shard.layer < 0) {
    return make_shard(base_, shard, dialect_, threads_);
  }
  prepare(static_cast<int32_t>(shard.layer), before);
  ShardContent content = LayerCompressor(base_, recipe_, dialect_, *walk_).run(shard);
  next_ = static_cast<int32_t>(shard.layer) + 1;
  return content;
}

void ShardMaker::remove_scratch() const {
  if (calibration_ != nullptr) std::filesystem::remove_all(scratch_);
}

// Sees to it that the walk stands before this layer.
void ShardMaker::prepare(int32_t layer, const ShardRecord* before) {
  if (walk_ == nullptr) {
    walk_ =
        std::make_unique<LayerWalk>(base_, *calibration_, scratch_, Precision::bfloat16, threads_);
    if (layer == 0) {
      walk_->start();
    } else if (!walk_->resume(layer, before->next_inputs)) {
      fail(Fault::corrupt, "calibration-scratch",
           "{}: what earlier layers handed on to layer {} is gone or damaged, so this compression "
           "cannot be continued; remove the directory and begin again",
           scratch_, layer);
    }
  } else {
    SINTER_CHECK(layer == next_);
  }
  if (layer > 0) walk_->remove_inputs(layer - 1);
}

}  // namespace sinter
