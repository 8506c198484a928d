// The directory a profile is written to: a file of numbers a layer, a journal of the layers that
// are there, and in the end profile.json in its place. SIGKILL at any moment is harmless.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/file.h"
#include "compress/output.h"
#include "compress/profile/profile.h"

namespace sinter {

struct JournalledLayer {
  ProfiledLayer layer;
  std::string next_inputs;  // digest of what it handed on to the next layer, or ""
};

class ProfileDirectory {
 public:
  // Creates, or continues. Throws Error(bad_input, "output-foreign" | "output-busy"),
  // Error(incompatible, "output-differs"), Error(corrupt, "output-damaged" | "profile-corrupt").
  ProfileDirectory(const std::string& path, const ProfileKey& key);
  // The profile, if it was finished before; its files' digests are checked.
  const std::optional<Profile>& finished() const { return finished_; }
  // The first layers, whole and with the digests that the journal names.
  const std::vector<JournalledLayer>& layers() const { return layers_; }
  void add(JournalledLayer layer);
  void finish(const Profile& profile);  // writes it and removes journal and scratch
  std::string scratch() const { return path_ + "/profile.scratch"; }

 private:
  std::string file(const char* name) const { return path_ + "/" + name; }
  bool is_whole(const ProfiledLayer& layer) const;
  void read_journal(const ProfileKey& key);

  std::string path_;
  std::unique_ptr<DirectoryLock> lock_;
  std::optional<Profile> finished_;
  std::vector<JournalledLayer> layers_;
  std::unique_ptr<LineJournal> journal_;
};

}  // namespace sinter
