#include "compress/output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "artifact/dialect.h"
#include "base/digest.h"
#include "base/error.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 11> kWeightSuffixes = {
    ".safetensors", ".bin",  ".pt",      ".pth",       ".gguf",      ".onnx",
    ".h5",          ".ckpt", ".msgpack", ".onnx_data", ".index.json"};
constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr std::array<std::string_view, 3> kOwnFiles = {kManifestName, kJournalName,
                                                       "sensitivity.json"};
constexpr int kMaxDepth = 16;  // of directories copied

// "x.tmp.123": what write_file_atomically had not finished when it was killed.
bool is_temporary(const std::string& name) {
  const size_t at = name.rfind(".tmp.");
  return at != std::string::npos && at + 5 < name.size() &&
         name.find_first_not_of("0123456789", at + 5) == std::string::npos;
}

Json to_json(const ShardRecord& shard) {
  Json tensors = Json::array();
  for (const ManifestTensor& t : shard.tensors) tensors.push_back(to_json(t));
  Json notes = Json::array();
  for (const ManifestNote& n : shard.notes) notes.push_back(to_json(n));
  return {{"shard", shard.file},
          {"sha256", shard.sha256},
          {"tensors", tensors},
          {"notes", notes},
          {"next_inputs", shard.next_inputs}};
}

ShardRecord shard_record(const Json& json, const std::string& where) {
  const JsonFields fields(json, where);
  ShardRecord shard{.file = fields.string("shard"),
                    .sha256 = fields.string("sha256"),
                    .tensors = {},
                    .notes = {},
                    .next_inputs = fields.string("next_inputs")};
  for (const Json& t : fields.at("tensors")) shard.tensors.push_back(manifest_tensor(t, where));
  for (const Json& n : fields.at("notes")) shard.notes.push_back(manifest_note(n, where));
  return shard;
}

Json to_json(const OutputIdentity& i) {
  return {{"journal", 1},     {"recipe", i.recipe_digest}, {"base", i.base_digest},
          {"build", i.build}, {"corpus", i.corpus_digest}, {"dialect", i.dialect}};
}

[[noreturn]] void fail_differs(const std::string& path, const OutputIdentity& found,
                               const OutputIdentity& expected) {
  const char* what = found.recipe_digest != expected.recipe_digest   ? "another recipe"
                     : found.base_digest != expected.base_digest     ? "another checkpoint"
                     : found.corpus_digest != expected.corpus_digest ? "other calibration tokens"
                     : found.dialect != expected.dialect             ? "another dialect"
                                                                     : "another build of sinter";
  fail(
      Fault::incompatible, "output-differs",
      "{}: this directory holds a compression with {}; continue it with what it was begun with, or "
      "choose another directory",
      path, what);
}

// By its name.
bool holds_weights(const std::string& name) {
  return std::any_of(kWeightSuffixes.begin(), kWeightSuffixes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

struct Copying {
  std::set<std::string> made_anew;  // of the topmost directory: what the output has instead
  std::vector<std::string> left_out;

  void directory(const fs::path& from, const fs::path& to, const std::string& below, int depth) {
    std::vector<fs::directory_entry> entries(fs::directory_iterator(from), {});
    std::sort(entries.begin(), entries.end());
    for (const fs::directory_entry& entry : entries) {
      const std::string name = entry.path().filename();
      if (below.empty() && made_anew.contains(name)) continue;
      const auto is_among = [&](const auto& names) {
        return std::find(names.begin(), names.end(), name) != names.end();
      };
      const bool own = below.empty() && (is_among(kOwnFiles) || is_among(side_car_files()));
      const bool wanted =
          !name.starts_with('.') && !own && depth <= kMaxDepth && !holds_weights(name);
      if (wanted && entry.is_directory() && !entry.is_symlink()) {
        fs::create_directories(to / name);
        directory(entry.path(), to / name, below + name + "/", depth + 1);
      } else if (wanted && entry.is_regular_file()) {  // or a link to one, as in a cache
        write_file_atomically(to / name, read_file(entry.path()));
      } else {
        left_out.push_back(below + name);
      }
    }
  }
};

}  // namespace

void remove_temporaries(const std::string& path) {
  std::vector<fs::path> stale;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file() && is_temporary(entry.path().filename()))
      stale.push_back(entry.path());
  }
  for (const fs::path& p : stale) fs::remove(p);
}

DirectoryLock::DirectoryLock(const std::string& path)
    : fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
  if (fd_ >= 0) ::close(fd_);
  fail(Fault::bad_input, "output-busy",
       "{}: another process is writing into this directory; wait for it, or choose another",
       path);
}

DirectoryLock::~DirectoryLock() { ::close(fd_); }

OutputDirectory::OutputDirectory(const std::string& path, const OutputIdentity& identity,
                                 bool resume)
    : path_(path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path)) {
    fail(Fault::io, "file-io", "{}: cannot create this directory: {}", path,
         error ? error.message() : "something else is there");
  }
  lock_ = std::make_unique<DirectoryLock>(path);
  const bool has_journal = fs::exists(path + "/" + kJournalName);
  const bool has_manifest = fs::exists(path + "/" + kManifestName);
  refuse_foreign(path);
  if ((has_journal || has_manifest) && !resume) {
    fail(Fault::bad_input, "output-resumable",
         "{}: holds an earlier compression, and continuing it was not asked for; resume it, or "
         "choose "
         "another directory",
         path);
  }
  if (has_manifest && !has_journal) {
    check_finished(identity);
    return;
  }
  if (has_journal) {
    read_journal(identity);
    remove_temporaries(path);
  }
  const bool begun = has_journal && fs::file_size(path + "/" + kJournalName) > 0;
  journal_ = std::make_unique<LineJournal>(path + "/" + kJournalName);
  if (!begun || fs::file_size(path + "/" + kJournalName) == 0) {
    journal_->append(to_line(to_json(identity)));
  }
}

void OutputDirectory::read_journal(const OutputIdentity& identity) {
  const std::string where = path_ + "/" + kJournalName;
  const std::string text = read_file(where);
  size_t line = 1;
  for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos;
       at = end + 1, ++line) {
    const std::string place = fmt::format("{}: line {}", where, line);
    const Json json = parse_json(std::string_view(text).substr(at, end - at), place);
    if (line == 1) {
      const JsonFields fields(json, place);
      const OutputIdentity found{fields.string("recipe"), fields.string("base"),
                                 fields.string("build"), fields.string("corpus"),
                                 fields.string("dialect")};
      if (found != identity) fail_differs(path_, found, identity);
      continue;
    }
    ShardRecord shard = shard_record(json, place);
    const std::string file = path_ + "/" + shard.file;
    if (shard.file.find('/') == std::string::npos && fs::is_regular_file(file) &&
        sha256_file(file) == shard.sha256) {
      done_[shard.file] = std::move(shard);
    }
  }
}

void OutputDirectory::check_finished(const OutputIdentity& identity) {
  Manifest manifest = read_manifest(path_);
  const OutputIdentity found{manifest.recipe_digest, manifest.base_digest, manifest.build,
                             manifest.corpus.digest, manifest.dialect};
  if (found != identity) fail_differs(path_, found, identity);
  if (Artifact::open(path_)->digest() != manifest.digest) {
    fail(Fault::corrupt, "output-damaged",
         "{}: this compression was finished, but its files are no longer those that manifest.json "
         "names; compress into another directory",
         path_);
  }
  finished_ = std::move(manifest);
}

const ShardRecord* OutputDirectory::done(const std::string& file) const {
  const auto at = done_.find(file);
  return at == done_.end() ? nullptr : &at->second;
}

void OutputDirectory::record(const ShardRecord& shard) {
  journal_->append(to_line(to_json(shard)));
  done_[shard.file] = shard;
}

void OutputDirectory::finish() {
  journal_.reset();
  fs::remove(path_ + "/" + kJournalName);
}

void refuse_foreign(const std::string& path) {
  for (const char* own : {kJournalName, kManifestName}) {
    if (fs::exists(path + "/" + own)) return;
  }
  for (const auto& entry : fs::directory_iterator(path)) {
    // What a budget is spent by, before the first shard.
    if (entry.path().filename().string().starts_with("sensitivity.")) continue;
    fail(Fault::bad_input, "output-foreign",
         "{}: expected an empty or new directory, found files that no compression of sinter's put "
         "there; choose another, or empty it yourself",
         path);
  }
}

void refuse_nested(const std::string& model_dir, const std::string& out_dir) {
  const fs::path base = fs::weakly_canonical(model_dir), out = fs::weakly_canonical(out_dir);
  const auto [b, o] = std::mismatch(base.begin(), base.end(), out.begin(), out.end());
  if (b == base.end()) {
    fail(Fault::bad_input, "output-foreign",
         "{}: the output would lie inside the checkpoint {}; choose a directory beside it", out_dir,
         model_dir);
  }
}

ManifestTensor copied_tensor(const StoredTensor& t, const std::string& name) {
  Sha256 digest;
  digest.add(t.bytes);
  const bool matrix = t.shape.size() == 2;
  const Codec* codec = plain_codec(t.dtype);
  return {.name = name,
          .format = codec != nullptr ? codec->name : std::string(traits(t.dtype).name),
          .rows = matrix ? t.shape[0] : 1,
          .cols = matrix ? t.shape[1] : t.elements(),
          .relative_error = 0,
          .max_error = 0,
          .sha256 = digest.hex()};
}

int64_t tensor_bytes(const Checkpoint& checkpoint) {
  int64_t total = 0;
  for (const StoredTensor& t : checkpoint.tensors()) total += static_cast<int64_t>(t.bytes.size());
  return total;
}

int64_t write_index(const std::string& directory, std::span<const std::string> shards) {
  std::map<std::string, std::string> shard_of;
  int64_t total = 0;
  for (const std::string& file : shards) {
    const auto checkpoint = Checkpoint::open_file(fmt::format("{}/{}", directory, file));
    for (const StoredTensor& t : checkpoint->tensors()) shard_of[t.name] = file;
    total += tensor_bytes(*checkpoint);
  }
  // Not an ordered Json: it looks a key up in linear time, and there is one a tensor.
  JsonMap index;
  index["metadata"]["total_size"] = total;
  index["weight_map"] = shard_of;
  write_file_atomically(fmt::format("{}/{}", directory, kIndexName), index.dump(2) + "\n");
  return total;
}

std::string shard_name(size_t i, size_t n) {
  return fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, n);
}

std::vector<std::string> copy_other_files(const Artifact& base, const std::string& to) {
  Copying copying{.made_anew = {"config.json", kIndexName}, .left_out = {}};
  for (const auto& file : base.checkpoint().files()) {
    copying.made_anew.insert(fs::path(file->path()).filename());
  }
  copying.directory(base.directory(), to, "", 0);
  return copying.left_out;
}

}  // namespace sinter
