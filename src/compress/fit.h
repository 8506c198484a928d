// What the rows of a matrix share in some formats, found before any row is fitted: one scale a
// matrix, one a block of rows, NVFP4's scale over its block scales. Every method that rounds asks
// here, so that each meets every format.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "artifact/scheme.h"
#include "base/threads.h"
#include "compress/observer.h"
#include "format/format.h"
#include "tensor/view.h"

namespace sinter {

// Writes row r of a matrix to w: [cols]. Called from several threads.
using RowSource = std::function<void(int64_t r, std::span<float> w)>;
RowSource rows_of(const MatView& w);

// What the rows of one matrix share.
struct SharedFit {
  float matrix_peak = 0;     // Fit::matrix_peak; 0 = the codec has none
  int64_t rows = 1;          // that share a row of `peaks`
  int64_t n_groups = 0;      // of a row
  int64_t groups = 1;        // neighbours that share a peak: a block's columns may be several
  std::vector<float> peaks;  // [ceil(n_rows / rows), n_groups]; empty: each row has its own
  Fit of_row(int64_t r) const;
};

// The largest magnitude of a matrix, NaN left out.
float peak_of(int64_t n_rows, int64_t cols, const RowSource& source, ThreadPool& threads);

// `matrix_peak`: the largest magnitude of all matrices that share a scale with this one (q, k and v
// of a layer); 0 = of this one. `gram` is for Observer::inputs. Reads every row once, and once a
// shrink where the observer searches scales that rows share.
SharedFit share_fit(int64_t n_rows, int64_t cols, const RowSource& source, const Scheme& scheme,
                    const Format& format, Observer observer, MatView gram, float matrix_peak,
                    ThreadPool& threads);

// The parameters of a row that shares `fit` (SharedFit::of_row): shared groups are fitted already,
// the others by the observer, as fit_by has it.
void fit_row(Observer observer, const Format& format, std::span<const float> w, const Fit& fit,
             MatView gram, uint8_t* params, uint8_t* codes);

}  // namespace sinter
