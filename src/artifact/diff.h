// Two artifacts compared, tensor by tensor, whatever formats and dialects they are in: what is the
// same, what changed and how far, and what else decides answers. Memory is one matrix of each.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "artifact/artifact.h"
#include "base/threads.h"

namespace sinter {

enum class Difference : uint8_t {
  none,    // the same format, codes and parameters
  format,  // the same values, stored otherwise
  values,  // other values, or other rounding of the inputs
  shape,   // nothing to compare
  only_a,
  only_b,
};
inline constexpr std::array kDifferences = {Difference::none,   Difference::format,
                                            Difference::values, Difference::shape,
                                            Difference::only_a, Difference::only_b};
const char* to_string(Difference difference);

struct TensorDiff {
  std::string name;  // of a matrix its module, without ".weight"
  Difference difference = Difference::none;
  std::string format_a, format_b;  // as to_string(Format); "" where there is none
  std::string inputs_a, inputs_b;  // what its inputs go through: "exact", "fp8_tensor x 0.01"
  // Of B against A, in double; NaN where they cannot be had (other shapes, tensors of integers).
  double relative_error = 0;  // |B - A| / |A|, Frobenius norms
  double max_error = 0;
  double cosine = 1;
};

// A field that differs; "" where one side lacks it.
struct FieldDiff {
  std::string field, a, b;
};

struct ArtifactDiff {
  std::string scheme_a, scheme_b;
  int64_t bytes_a = 0, bytes_b = 0;  // of tensors
  std::vector<TensorDiff> tensors;   // the worst first, then by name
  double relative_error = 0;         // over all tensors that can be compared
  std::vector<FieldDiff> config;     // JSON pointers; quantization_config is the scheme's business
  std::vector<FieldDiff> files;      // digests of other files that decide answers
  std::vector<FieldDiff> manifest;   // what each was made from

  int64_t count(Difference difference) const;
  // Whether both give the same answers: the same values, inputs, config and text files, in whatever
  // format, made from whatever.
  bool same() const;
};

// `step(done, total)` is called after each tensor, and may throw to stop. Throws what reading the
// artifacts throws. A and B must have been opened with the same `weights_only`.
ArtifactDiff diff_artifacts(const Artifact& a, const Artifact& b, bool weights_only,
                            ThreadPool& threads,
                            const std::function<void(int64_t done, int64_t total)>& step = nullptr);

Json to_json(const ArtifactDiff& diff);

}  // namespace sinter
