// A format for each group of matrices, within a budget: by what was measured of each alone, and
// then measured together, beside the best single format that fits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "compress/allocate.h"
#include "compress/sensitivity_pass.h"

namespace sinter {

// What a budget allows, in whole bytes.
struct ByteLimit {
  int64_t groups = 0;  // of the groups that have a choice
  int64_t fixed = 0;   // what else counts towards the budget's amount
};
// `read_bytes_per_second` is for a budget in tokens/s that does not say it. Throws Error(exhausted,
// "budget-too-small") naming the least that is possible, Error(bad_input, "budget-bandwidth").
ByteLimit byte_limit(const MeasurementPlan& plan, const Budget& budget,
                     double read_bytes_per_second);

// Divergence and flips in one number, in nats.
double objective(const MeasuredOption& option, double flips);

// The options as the optimiser takes them: an objective for its bytes.
std::vector<std::vector<AllocationOption>> priced_options(const Sensitivity& sensitivity,
                                                          double flips);

// One format for all groups.
struct UniformChoice {
  int32_t format = 0;
  int64_t bytes = 0;
  double predicted = 0;  // sum of its groups' objectives
};
// Every format, in the budget's order.
std::vector<UniformChoice> uniform_choices(const Sensitivity& sensitivity, double flips);

struct FormatChoice {
  ByteLimit limit;
  Allocation mixed;                      // predicted: the sum of objectives
  std::optional<UniformChoice> uniform;  // the best that fits
  // Measured together, on the tokens that the sensitivities were.
  MeasuredOption mixed_together, uniform_together;
  bool uniform_is_better = false;  // or as good: then it is taken
  std::vector<int32_t> choice;     // what is taken
};

// Solves, then measures both.
FormatChoice choose_formats(const Artifact& base, const MeasurementPlan& plan,
                            const Sensitivity& sensitivity, const Budget& budget, ByteLimit limit,
                            const MeasuringOptions& options, ThreadPool& threads);

// For the manifest and for --json.
Json to_json(const FormatChoice& choice, const MeasurementPlan& plan,
             const Sensitivity& sensitivity, const Budget& budget);
// For people, of that JSON: some lines.
std::string describe_choice(const Json& choice);

}  // namespace sinter
