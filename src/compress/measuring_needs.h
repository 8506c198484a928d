// What measuring for a budget will take, said before it begins: memory by counting what the pass
// holds (sensitivity_pass.cc), disk by its files, time by trying its parts on one layer.
#pragma once

#include "compress/preflight.h"
#include "compress/sensitivity_pass.h"

namespace sinter {

// Without the time. Throws what opening the model throws.
Preflight count_measuring(const Artifact& base, const MeasurementPlan& plan,
                          const MeasuringOptions& options, ThreadPool& threads);
// Fills in the time.
void time_measuring(const Artifact& base, const MeasurementPlan& plan,
                    const MeasuringOptions& options, ThreadPool& threads, Preflight& needs);

}  // namespace sinter
