// What a compression ends with: a short look at whether the compressed model still answers as the
// dense one does. It can find damage; it can never show that there is none: that is the gate's.
//
// Items are run in a stratified order, and tokens are those that the dense model itself writes: its
// answers to the items, or, without a suite, text that it makes up, of which the mean divergence
// per token estimates that of whole texts without bias. No calibration token is ever looked at.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "app/loaded_model.h"
#include "compress/running_bytes.h"
#include "gate/item.h"

namespace sinter {

struct QuickCheckOptions {
  std::optional<Suite> suite;
  size_t items = 64;    // of the suite, at most
  double seconds = 60;  // no work is begun that would probably end later; 0 = no limit
  uint64_t seed = 1;
  EngineOptions engine = {};
  const std::atomic<bool>* stop = nullptr;
};

// Both models' directories. Returns the manifest's "quick_check": "outcome" is "nothing found",
// "damage found" or "not run", "reasons" says why, "settings" what was asked for. But for a check
// that ran out of time, the same on every machine. Throws Error(interrupted, "interrupted");
// whatever else goes wrong is an outcome.
Json quick_check(const std::string& dense, const std::string& compressed,
                 const QuickCheckOptions& options);

// How much of both models runs at once.
RunShape check_shape(const std::string& dense, const QuickCheckOptions& options);

// What quick_check() returns, of one that there is no memory for.
Json check_without_room(const QuickCheckOptions& options, int64_t bytes);
// Whether a manifest's quick_check is the one that these options ask for.
bool is_checked(const Json& check, const QuickCheckOptions& options);

// A few lines for a person.
std::string check_text(const Json& check);

}  // namespace sinter
