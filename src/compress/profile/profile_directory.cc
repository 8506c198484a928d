#include "compress/profile/profile_directory.h"

#include <filesystem>

#include "base/digest.h"
#include "base/error.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;
constexpr const char* kJournal = "profile.journal";

void require_same(const std::string& path, const ProfileKey& found, const ProfileKey& expected) {
  const std::string what = difference(found, expected);
  if (what.empty()) return;
  fail(Fault::incompatible, "output-differs",
       "{}: this directory holds a profile {}; give it what it was begun with, or choose another "
       "directory",
       path, what);
}

}  // namespace

ProfileDirectory::ProfileDirectory(const std::string& path, const ProfileKey& key) : path_(path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path)) {
    fail(Fault::io, "file-io", "{}: cannot create this directory: {}", path,
         error ? error.message() : "something else is there");
  }
  lock_ = std::make_unique<DirectoryLock>(path);
  const bool has_journal = fs::exists(file(kJournal));
  if (!has_journal && fs::exists(file(kProfileName))) {
    Profile profile = read_profile(path);
    require_same(path, profile.key, key);
    for (const ProfiledLayer& layer : profile.layers) {
      if (is_whole(layer)) continue;
      fail(Fault::corrupt, "output-damaged",
           "{}/{}: expected the file that profile.json names, found another or none; profile into "
           "another directory",
           path, layer.file);
    }
    finished_ = std::move(profile);
    return;
  }
  if (!has_journal && fs::directory_iterator(path) != fs::directory_iterator()) {
    fail(Fault::bad_input, "output-foreign",
         "{}: expected an empty or new directory, found files that no profile of sinter's put "
         "there; choose another, or empty it yourself",
         path);
  }
  if (has_journal) {
    read_journal(key);
    remove_temporaries(path);
  }
  journal_ = std::make_unique<LineJournal>(file(kJournal));
  if (fs::file_size(file(kJournal)) == 0) {
    journal_->append(to_line({{"journal", 1}, {"key", to_json(key)}}));
  }
}

bool ProfileDirectory::is_whole(const ProfiledLayer& layer) const {
  const std::string shard = file(layer.file.c_str());
  return fs::is_regular_file(shard) && sha256_file(shard) == layer.sha256;
}

void ProfileDirectory::read_journal(const ProfileKey& key) {
  const std::string where = file(kJournal), text = read_file(where);
  size_t line = 1;
  for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos;
       at = end + 1, ++line) {
    const std::string place = fmt::format("{}: line {}", where, line);
    const Json json = parse_json(std::string_view(text).substr(at, end - at), place);
    const JsonFields fields(json, place);
    if (line == 1) {
      require_same(path_, profile_key_from(fields.at("key"), place), key);
      continue;
    }
    JournalledLayer found{.layer = profiled_layer_from(json, place),
                          .next_inputs = fields.string("next_inputs")};
    const auto i = static_cast<size_t>(found.layer.layer);
    // A layer whose file was damaged has been made again, and so have those after it.
    if (i < layers_.size()) layers_.resize(i);
    if (i == layers_.size() && is_whole(found.layer)) layers_.push_back(std::move(found));
  }
}

void ProfileDirectory::add(JournalledLayer layer) {
  Json line = to_json(layer.layer);
  line["next_inputs"] = layer.next_inputs;
  journal_->append(to_line(line));
  layers_.push_back(std::move(layer));
}

void ProfileDirectory::finish(const Profile& profile) {
  write_file_atomically(
      file(kProfileName),
      to_json(profile).dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  fs::remove_all(scratch());
  journal_.reset();
  fs::remove(file(kJournal));
}

}  // namespace sinter
