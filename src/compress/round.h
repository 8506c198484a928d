// From weights to codes and parameters, and what that did. Rows are rounded each alone but for
// scales that they share (fit.h), and sums are taken in row order, so the thread count changes
// nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "artifact/safetensors.h"
#include "base/threads.h"
#include "compress/fit.h"
#include "compress/steps.h"

namespace sinter {

// Chooses job.params. `gram`, [cols, cols], is of the inputs, for Observer::inputs.
void fit_matrix(Observer observer, MatView gram, ThreadPool& threads, RoundJob& job);
// job.codes: the nearest to `values` on the grid of job.params.
void pack_matrix(MatView values, ThreadPool& threads, RoundJob& job);
// What the codes stand for.
void unpack_matrix(const RoundJob& job, ThreadPool& threads, MatMut out);

inline constexpr float kLargestWeight = 0x1p100f;  // beyond this it is damage: squares overflow
inline constexpr float kLargestHalf = 65504;       // and beyond this no F16 scale reaches

struct RoundedMatrix {
  Format format;
  int64_t rows = 0, cols = 0;
  std::vector<uint8_t> codes, params;
  double relative_error = 0;  // Frobenius norm of the error over that of the weights
  double max_error = 0;
  Weight weight() const {
    return {.format = format,
            .rows = rows,
            .cols = cols,
            .codes = codes.data(),
            .params = params.data()};
  }
  std::string sha256() const;  // of codes, then params
};

// A dense matrix of a checkpoint, row by row, to the nearest points of the grids that the target's
// observer (which must not look at inputs) chooses. It must be finite (require_finite).
RoundedMatrix round_stored(const StoredTensor& source, const RoundTarget& target, float matrix_peak,
                           ThreadPool& threads);

// The rows of a dense matrix of a checkpoint.
RowSource rows_of(const StoredTensor& source);

// Throws Error(corrupt, "weight-not-finite") naming the place of a NaN, an infinity, or a number
// of a magnitude beyond `largest`.
void require_finite(const StoredTensor& source, const std::string& where, ThreadPool& threads,
                    float largest = kLargestWeight);

// How far `rounded` is from `original`, added up in row order.
struct RoundingError {
  double squared = 0, reference = 0, largest = 0;
  double relative() const;
};
RoundingError rounding_error(MatView original, MatView rounded, ThreadPool& threads);

}  // namespace sinter
