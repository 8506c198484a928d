#include "compress/compress.h"

#include "base/digest.h"
#include "compress/plan.h"
#include "compress/round.h"
#include "compress/shards.h"

namespace sinter {
namespace {

// Rounds, writes and describes one shard. Its rounded tensors are all of memory that it needs.
ShardRecord make_shard(const Artifact& base, const PlannedShard& shard,
                       const std::string& directory, ThreadPool& threads) {
  std::vector<OwnedTensor> owned;
  std::vector<TensorToWrite> tensors;
  ShardRecord record{.file = shard.file, .sha256 = "", .tensors = {}};
  for (const PlannedTensor& t : shard.tensors) {
    if (t.step == nullptr) {
      record.tensors.push_back(copied_tensor(*t.source, t.name));
      tensors.push_back({t.name, t.source->dtype, t.source->shape, t.source->bytes});
      continue;
    }
    const RoundedMatrix m = round_matrix(*t.source, base.directory(), *t.step, t.format, threads);
    record.tensors.push_back({.name = t.module,
                              .format = to_string(t.format),
                              .rows = m.weight.rows,
                              .cols = m.weight.cols,
                              .relative_error = m.relative_error,
                              .max_error = m.max_error,
                              .sha256 = m.sha256});
    for (OwnedTensor& o : store_quantized({t.module, t.scheme}, m.weight)) {
      owned.push_back(std::move(o));
    }
    base.checkpoint().forget(*t.source);
  }
  for (const OwnedTensor& t : owned) tensors.push_back(t.to_write());
  const std::string path = directory + "/" + shard.file;
  write_safetensors(path, tensors);
  for (const PlannedTensor& t : shard.tensors) base.checkpoint().forget(*t.source);
  record.sha256 = sha256_file(path);
  return record;
}

double worst_error(const ShardRecord& record) {
  double worst = 0;
  for (const ManifestTensor& t : record.tensors) worst = std::max(worst, t.relative_error);
  return worst;
}

}  // namespace

CompressResult compress(const std::string& model_dir, const Recipe& recipe,
                        const std::string& out_dir, const CompressOptions& options) {
  const auto base = Artifact::open(model_dir);
  refuse_nested(model_dir, out_dir);
  const CompressPlan plan = plan_compression(*base, recipe);
  ThreadPool threads(options.threads);
  ShardWork work{
      .verb = "compress",
      .recipe = recipe.text,
      .recipe_digest = recipe.digest,
      .files = {},
      .make = [&](size_t i) { return make_shard(*base, plan.shards[i], out_dir, threads); },
      .label =
          [&](size_t i, const ShardRecord& record) {
            return fmt::format("{}, worst relative error {:.4f}", plan.shards[i].label,
                               worst_error(record));
          },
      .quantization_config = quantization_config(plan.rounded, plan.dense),
      .prove = nullptr};
  work.files.reserve(plan.shards.size());
  for (const PlannedShard& shard : plan.shards) work.files.push_back(shard.file);
  return write_shards(*base, out_dir, options, work);
}

}  // namespace sinter
