#include "compress/shards.h"

#include "base/build.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/progress.h"

namespace sinter {

void write_shard(const Artifact& base, const std::string& directory, const std::string& file,
                 ShardContent& content) {
  const StageTimer timer(content.seconds, kWriteStage);
  const std::string path = directory + "/" + file;
  write_safetensors(path, content.tensors);
  for (const StoredTensor* t : content.kept) base.checkpoint().forget(*t);
  content.record.file = file;
  content.record.sha256 = sha256_file(path);
}

void ShardContent::add(std::vector<OwnedTensor> some) {
  for (OwnedTensor& t : some) {
    tensors.push_back(made.emplace_back(std::move(t)).to_write());
  }
}

void ShardContent::keep(const StoredTensor& tensor, const std::string& name) {
  kept.push_back(&tensor);
  tensors.push_back({name, tensor.dtype, tensor.shape, tensor.bytes});
  record.tensors.push_back(copied_tensor(tensor, name));
}

CompressResult write_shards(const Artifact& base, const std::string& out_dir,
                            const CompressOptions& options, const ShardWork& work) {
  CompressResult result;
  result.bytes_before = tensor_bytes(base.checkpoint());
  const OutputIdentity identity{work.recipe_digest, base.digest(), build_name(), work.corpus.digest,
                                work.dialect};
  OutputDirectory out(out_dir, identity, options.resume);
  if (out.finished()) {
    result.manifest = *out.finished();
    result.shards_kept = static_cast<int64_t>(work.files.size());
    result.bytes_after = tensor_bytes(*Checkpoint::open_directory(out_dir));
    return result;
  }
  std::vector<size_t> left;
  for (size_t i = 0; i < work.files.size(); ++i) {
    if (out.done(work.files[i]) == nullptr) left.push_back(i);
  }
  if (work.before_first) {
    try {
      work.before_first(left);
    } catch (...) {
      if (left.size() == work.files.size()) out.finish();
      throw;
    }
  }
  Progress progress(work.verb, static_cast<int64_t>(work.files.size()), "shards");
  std::vector<ManifestTensor> tensors;
  std::vector<ManifestNote> notes;
  const ShardRecord* before = nullptr;
  for (size_t i = 0; i < work.files.size(); ++i) {
    const ShardRecord* record = out.done(work.files[i]);
    if (record != nullptr) {
      ++result.shards_kept;
    } else {
      if (options.stop != nullptr && options.stop->load()) {
        fail(Fault::interrupted, "interrupted",
             "{}: stopped after {} of {} shards; the same command goes on from there", out_dir, i,
             work.files.size());
      }
      ShardContent content = work.make(i, before);
      write_shard(base, out_dir, work.files[i], content);
      for (const auto& [stage, s] : content.seconds) result.seconds[stage] += s;
      out.record(content.record);
      record = out.done(work.files[i]);
      ++result.shards_made;
    }
    tensors.insert(tensors.end(), record->tensors.begin(), record->tensors.end());
    notes.insert(notes.end(), record->notes.begin(), record->notes.end());
    before = record;
    progress.advance(1, work.label(i, *record));
  }
  result.not_copied = copy_other_files(base, out_dir);
  Json config = base.config();
  config.erase("compression_config");  // the old name of what follows
  config["quantization_config"] = work.quantization_config;
  write_file_atomically(out_dir + "/config.json",
                        config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  result.bytes_after = write_index(out_dir, work.files);
  result.manifest = {.schema = 1,
                     .digest = Artifact::open(out_dir)->digest(),
                     .base_digest = identity.base_digest,
                     .base_scheme = base.scheme(),
                     .tokenizer_digest = tokenizer_digest(base),
                     .template_digest = template_digest(base),
                     .recipe = work.recipe,
                     .recipe_digest = identity.recipe_digest,
                     .build = identity.build,
                     .dialect = identity.dialect,
                     .corpus = work.corpus,
                     .budget = work.budget,
                     .tensors = std::move(tensors),
                     .notes = std::move(notes),
                     .proof = work.prove ? work.prove() : Json(),
                     .verified = "unverified"};
  write_manifest(out_dir, result.manifest);
  out.finish();
  return result;
}

}  // namespace sinter
