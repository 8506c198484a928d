// What a compression will take, said before it begins: memory by counting what its stages hold,
// disk by the plan, time by making one shard of the plan with few of the tokens.
#pragma once

#include <string>
#include <vector>

#include "compress/shard_maker.h"

namespace sinter {

// What there is room for.
struct Room {
  int64_t memory = 0, disk = 0;  // bytes
};
// Memory: what the system says is available and the process already has, at most what its control
// group may use, at most `most` (0 = as much as there is). Disk: of the directory's file system.
Room free_room(const std::string& directory, int64_t most);
int64_t resident_bytes();  // of this process, now
// What matrix products take at most, and what the heap keeps.
int64_t product_bytes(const ThreadPool& threads);

struct PreflightJob {
  const Artifact& base;
  const Recipe& recipe;
  const StoredDialect& dialect;
  const Calibration* calibration;  // or null
  std::span<const PlannedShard> shards;
  std::span<const size_t> left;  // of them to be made
  std::string directory;         // that is written to
  int64_t check_bytes = 0;       // that the quick check adds; 0 = there will be none
  bool check_required = false;   // else it gives way where there is no room for it alone
};

// Without the times. Throws what opening the model throws.
Preflight count_needs(const PreflightJob& job, const Room& room, ThreadPool& threads);
// `model` and `directory` are for the message. Throws Error(exhausted, "preflight-memory" |
// "preflight-disk") with the remedy.
void require_room(const Preflight& needs, const Room& room, const std::string& model,
                  const std::string& directory);
// Fills in the times.
void time_stages(const PreflightJob& job, ThreadPool& threads, Preflight& needs);

}  // namespace sinter
