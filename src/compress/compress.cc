#include "compress/compress.h"

#include "base/build.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/progress.h"
#include "compress/output.h"
#include "compress/plan.h"
#include "compress/round.h"

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
    for (OwnedTensor& o : store_quantized(t.module, m.weight, layout_of(t.scheme))) {
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
  CompressResult result;
  result.bytes_before = tensor_bytes(base->checkpoint());
  const OutputIdentity identity{recipe.digest, base->digest(), build_name()};
  OutputDirectory out(out_dir, identity, options.resume);
  if (out.finished()) {
    result.manifest = *out.finished();
    result.shards_kept = static_cast<int64_t>(plan.shards.size());
    result.bytes_after = tensor_bytes(*Checkpoint::open_directory(out_dir));
    return result;
  }
  ThreadPool threads(options.threads);
  Progress progress("compress", static_cast<int64_t>(plan.shards.size()), "shards");
  std::vector<ManifestTensor> tensors;
  for (const PlannedShard& shard : plan.shards) {
    const ShardRecord* record = out.done(shard.file);
    if (record != nullptr) {
      ++result.shards_kept;
    } else {
      if (options.stop != nullptr && options.stop->load()) {
        fail(Fault::interrupted, "interrupted",
             "{}: stopped after {} of {} shards; the same command goes on from there", out_dir,
             result.shards_kept + result.shards_made, plan.shards.size());
      }
      out.record(make_shard(*base, shard, out_dir, threads));
      record = out.done(shard.file);
      ++result.shards_made;
    }
    tensors.insert(tensors.end(), record->tensors.begin(), record->tensors.end());
    progress.advance(
        1, fmt::format("{}, worst relative error {:.4f}", shard.label, worst_error(*record)));
  }
  result.not_copied = copy_other_files(model_dir, out_dir);
  Json config = base->config();
  config["quantization_config"] = quantization_config(plan.rounded, plan.dense);
  write_file_atomically(out_dir + "/config.json",
                        config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  std::vector<std::string> files;
  files.reserve(plan.shards.size());
  for (const PlannedShard& shard : plan.shards) files.push_back(shard.file);
  result.bytes_after = write_index(out_dir, files);
  result.manifest = {.schema = 1,
                     .digest = Artifact::open(out_dir)->digest(),
                     .base_digest = identity.base_digest,
                     .base_scheme = base->scheme(),
                     .recipe = recipe.text,
                     .recipe_digest = recipe.digest,
                     .build = identity.build,
                     .tensors = std::move(tensors)};
  write_manifest(out_dir, result.manifest);
  out.finish();
  return result;
}

}  // namespace sinter
