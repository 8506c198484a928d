// Rounds one matrix to a format, row by row over threads, and measures what that did. A row is
// rounded alone, and errors are summed in row order, so the thread count changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "artifact/safetensors.h"
#include "base/threads.h"
#include "compress/steps.h"

namespace sinter {

struct RoundedMatrix {
  Weight weight;  // points into codes and params
  std::vector<uint8_t> codes, params;
  double relative_error = 0;  // Frobenius norm of the error over that of the weights
  double max_error = 0;
  std::string sha256;  // of codes, then params
};

// `source` is a dense matrix. Throws Error(corrupt, "weight-not-finite") naming the place of a NaN,
// an infinity, or a number that no scale can reach.
RoundedMatrix round_matrix(const StoredTensor& source, const std::string& where, const Step& step,
                           const Format& format, ThreadPool& threads);

}  // namespace sinter
