// Measures what a budget chooses by: one pass over the model with every group in every format, and
// one with whole choices.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/threads.h"
#include "compress/calibration.h"
#include "compress/measurement_plan.h"

namespace sinter {

// Whole sequences, evenly spread, for scoring; the others are for statistics.
struct CalibrationSplit {
  Calibration statistics, scored;
};
// `tokens`: to be scored; at most half of all.
CalibrationSplit split_calibration(const Calibration& all, int64_t tokens);

struct MeasuringOptions {
  const Calibration* calibration = nullptr;
  std::string directory;  // for the journal and what lies on disk meanwhile; must exist
  const std::atomic<bool>* stop = nullptr;  // finish the layer, then Fault::interrupted
};

// The plan's sensitivity, measured. Continues what a killed run left in the directory, to the same
// result. The journal stays there: remove_measuring() when the result is saved. Throws what
// calibration throws, Error(interrupted), Error(incompatible, "sensitivity-differs").
Sensitivity measure_sensitivity(const Artifact& base, const MeasurementPlan& plan,
                                const MeasuringOptions& options, ThreadPool& threads);

// What whole choices do, an option for each group: all of their groups rounded at once, on the same
// tokens.
std::vector<MeasuredOption> measure_together(const Artifact& base, const MeasurementPlan& plan,
                                             const std::vector<std::vector<int32_t>>& choices,
                                             const MeasuringOptions& options, ThreadPool& threads);

// What a run that did not finish leaves there.
bool has_measuring(const std::string& directory);
void remove_measuring(const std::string& directory);

}  // namespace sinter
