// What rounding each group of matrices to each format of a budget would do to the model: measured,
// one group and one format at a time, on everything else dense. The job of EXL2's measurement and
// of ModelOpt's AutoQuantize.
//
// A group is what engines run as one matrix (q, k and v; gate and up; o; down), so what is chosen
// by these figures never splits one. Weights are rounded as the recipe's step rounds them, by
// statistics of some calibration tokens; the divergence is measured on others.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace sinter {

inline constexpr const char* kSensitivityName = "sensitivity.json";

struct MeasuredOption {
  int64_t bytes = 0;        // as it is stored, scales, zero points and all
  double kl = 0;            // mean of KL(dense || this), nats a token
  double flip_rate = 0;     // of sure tokens (head_score.h), how many have another first choice
  double output_error = 0;  // of the group's own outputs, relative
};

struct MatrixGroup {
  int32_t layer = 0;
  std::string input;                 // to_string(LayerInput) of what its matrices read
  std::vector<std::string> modules;  // in the order in which they run
  int64_t weights = 0;
  std::vector<MeasuredOption> options;  // one a format
};

struct Sensitivity {
  std::string base_digest, corpus_digest, build;
  std::string measured;  // Budget::measured
  int64_t statistics_tokens = 0, scored_tokens = 0, sure_tokens = 0;
  std::vector<std::string> formats;  // Budget::schemes, as format names
  std::vector<MatrixGroup> groups;   // in order of layers and inputs
};

Json to_json(const MeasuredOption& option);
Json to_json(const MatrixGroup& group);
MatrixGroup matrix_group_from(const Json& json, const std::string& where);
Json to_json(const Sensitivity& sensitivity);
// Throws Error(bad_input | corrupt, "json-..." | "sensitivity-corrupt").
Sensitivity sensitivity_from(const Json& json, const std::string& where);
// Throws Error(incompatible, "sensitivity-differs") if they are not measurements of the same.
void require_same_measurement(const Sensitivity& found, const Sensitivity& expected,
                              const std::string& where);

}  // namespace sinter
