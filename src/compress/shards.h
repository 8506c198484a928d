// From a checkpoint to a directory, shard by shard: what `compress` and `convert` have in common.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "artifact/artifact.h"
#include "artifact/store.h"
#include "compress/compress.h"
#include "compress/output.h"
#include "compress/stages.h"

namespace sinter {

// The tensors of a shard, until they are written.
struct ShardContent {
  std::vector<OwnedTensor> made;
  std::vector<TensorToWrite> tensors;     // of `made` too, and of the checkpoint's map
  std::vector<const StoredTensor*> kept;  // of the checkpoint
  ShardRecord record;                     // without a file and a digest
  StageSeconds seconds = {};
  void add(std::vector<OwnedTensor> some);
  // As it is in the checkpoint; in the manifest, too.
  void keep(const StoredTensor& tensor, const std::string& name);
};

struct ShardWork {
  const char* verb = "";              // of the progress line
  std::string recipe, recipe_digest;  // for the manifest
  std::string dialect;                // a stored_dialect()
  ManifestCorpus corpus = {};
  Json budget = {};                // for the manifest
  std::vector<std::string> files;  // the shards' names
  // Called once before the first of them that is to be made; what it throws ends the work, and
  // leaves no trace where none was there. May be null.
  std::function<void(std::span<const size_t> left)> before_first;
  // `before` is the record of the shard before it; null of the first.
  std::function<ShardContent(size_t shard, const ShardRecord* before)> make;
  std::function<std::string(size_t shard, const ShardRecord&)> label;  // for people
  Json quantization_config;
  std::function<Json()> prove;  // what the manifest says of the finished weights; or null
};

// Writes content.record too, all but next_inputs.
void write_shard(const Artifact& base, const std::string& directory, const std::string& file,
                 ShardContent& content);

// Continues what `out_dir` holds, if that is the same work. Throws as compress().
CompressResult write_shards(const Artifact& base, const std::string& out_dir,
                            const CompressOptions& options, const ShardWork& work);

}  // namespace sinter
