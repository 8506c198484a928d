// The directory a compression writes to. A journal of finished shards makes SIGKILL harmless: the
// same command goes on where it was, and the bytes are those of an uninterrupted run. Whatever is
// not plainly ours is left alone, with an error.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "artifact/artifact.h"
#include "artifact/manifest.h"
#include "artifact/safetensors.h"
#include "base/file.h"

namespace sinter {

inline constexpr const char* kJournalName = "compress.journal";

// What must be equal for a compression to be continued.
struct OutputIdentity {
  std::string recipe_digest, base_digest, build;
  std::string corpus_digest = {};  // "" without calibration
  std::string dialect = {};        // a stored_dialect()
  bool operator==(const OutputIdentity&) const = default;
};

struct ShardRecord {
  std::string file;
  std::string sha256;
  std::vector<ManifestTensor> tensors;
  std::vector<ManifestNote> notes = {};
  std::string next_inputs = {};  // digest of what calibration handed on to the next layer, or ""
};

// An exclusive lock on a directory, held until destroyed (or until the process dies).
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& path);  // throws Error(bad_input, "output-busy")
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int fd_ = -1;
};

class OutputDirectory {
 public:
  // Creates, or continues if `resume`. Throws Error(bad_input,
  // "output-foreign" | "output-resumable" | "output-busy"), Error(incompatible, "output-differs").
  OutputDirectory(const std::string& path, const OutputIdentity& identity, bool resume);
  const std::string& path() const { return path_; }
  // The manifest, if the same compression was finished here before (its weights are checked).
  const std::optional<Manifest>& finished() const { return finished_; }
  // The record of a shard that is complete on disk, its digest checked; null = to be made.
  const ShardRecord* done(const std::string& file) const;
  void record(const ShardRecord& shard);
  void finish();  // removes the journal

 private:
  void read_journal(const OutputIdentity& identity);
  void check_finished(const OutputIdentity& identity);

  std::string path_;
  std::unique_ptr<DirectoryLock> lock_;
  std::map<std::string, ShardRecord> done_;
  std::optional<Manifest> finished_;
  std::unique_ptr<LineJournal> journal_;
};

// Removes, in this directory and those below, what writers had not finished when they were killed.
void remove_temporaries(const std::string& path);

// Throws Error(bad_input, "output-foreign") if a directory holds files that no compression put
// there.
void refuse_foreign(const std::string& path);

// Files are copied from the checkpoint, so the output must not lie inside it. Throws
// Error(bad_input, "output-foreign").
void refuse_nested(const std::string& model_dir, const std::string& out_dir);

// Copies every file of `base`'s directory that holds no weights to `to`, byte for byte, with
// sub-directories. Returns what is not in `to` in any form: weights in other formats, hidden files,
// manifests and side-car files of quantisation dialects.
std::vector<std::string> copy_other_files(const Artifact& base, const std::string& to);

// What the manifest says of a tensor that is copied under this name.
ManifestTensor copied_tensor(const StoredTensor& tensor, const std::string& name);

int64_t tensor_bytes(const Checkpoint& checkpoint);
// Writes the index {tensor: shard} of these shards, as they are on disk. Returns the bytes of all
// tensors.
int64_t write_index(const std::string& directory, std::span<const std::string> shards);
// "model-00001-of-00003.safetensors", i from 0.
std::string shard_name(size_t i, size_t n);

}  // namespace sinter
