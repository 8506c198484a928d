// Makes a profile: one pass over the model, layer by layer, with one layer and its statistics in
// memory.
#pragma once

#include <atomic>
#include <string>

#include "artifact/artifact.h"
#include "base/threads.h"
#include "compress/profile/profile.h"

namespace sinter {

struct ProfileOptions {
  const Calibration* calibration = nullptr;
  CalibrationLimits limits;  // by which it was read
  std::string directory;     // to write to
  int64_t rounded_tokens = 4096;
  bool gram = false;
  const std::atomic<bool>* stop = nullptr;  // finish the layer, then Fault::interrupted
};

struct ProfileResult {
  Profile profile;
  int64_t layers_kept = 0, layers_made = 0;
};

// Continues what a killed run left, to the same bytes; does nothing where the same profile is there
// already. Throws what ProfileDirectory and LayerWalk throw; Error(corrupt, "weight-not-finite"),
// Error(exhausted, "preflight-memory" | "preflight-disk"), Error(interrupted).
ProfileResult make_profile(const Artifact& base, const ProfileOptions& options,
                           ThreadPool& threads);

}  // namespace sinter
