#include "compress/fit.h"

#include <algorithm>
#include <limits>

namespace sinter {
namespace {

constexpr int64_t kGrainRows = 4;

// One row's buffers.
struct Scratch {
  std::vector<float> w, back;
  std::vector<uint8_t> params, codes;
  Scratch(const Format& format, int64_t cols)
      : w(static_cast<size_t>(cols)),
        back(w.size()),
        params(static_cast<size_t>(format.codec->param_bytes(format, cols))),
        codes(static_cast<size_t>(format.codec->row_bytes(format, cols))) {}
};

// Where in SharedFit::peaks what row r, group g share is gathered: at the first group that does.
size_t cell(const SharedFit& shared, int64_t r, size_t g) {
  const auto n_groups = static_cast<size_t>(shared.n_groups);
  const auto groups = static_cast<size_t>(shared.groups);
  return static_cast<size_t>(r / shared.rows) * n_groups + g / groups * groups;
}

// Gives what the first group of each block has to its neighbours.
void spread(const SharedFit& shared, std::vector<float>& peaks) {
  for (size_t i = 0; i < peaks.size(); ++i) {
    const auto g = static_cast<int64_t>(i) % shared.n_groups;
    peaks[i] = peaks[i - static_cast<size_t>(g % shared.groups)];
  }
}

// The peaks of groups over the rows that share them.
std::vector<float> shared_peaks(int64_t n_rows, int64_t cols, const RowSource& source,
                                const SharedFit& shared, ThreadPool& threads) {
  const auto n_groups = static_cast<size_t>(shared.n_groups);
  const size_t group = static_cast<size_t>(cols) / n_groups;
  std::vector<float> own(static_cast<size_t>(n_rows) * n_groups);  // [n_rows, n_groups]
  threads.run(n_rows, kGrainRows, [&](int64_t begin, int64_t end) {
    std::vector<float> w(static_cast<size_t>(cols));
    for (int64_t r = begin; r < end; ++r) {
      source(r, w);
      for (size_t g = 0; g < n_groups; ++g) {
        own[static_cast<size_t>(r) * n_groups + g] =
            Fit{}.peak(g, std::span<const float>(w).subspan(g * group, group));
      }
    }
  });
  std::vector<float> peaks(static_cast<size_t>((n_rows + shared.rows - 1) / shared.rows) *
                           n_groups);
  for (int64_t r = 0; r < n_rows; ++r) {
    for (size_t g = 0; g < n_groups; ++g) {
      float& peak = peaks[cell(shared, r, g)];
      peak = std::max(peak, own[static_cast<size_t>(r) * n_groups + g]);
    }
  }
  spread(shared, peaks);
  return peaks;
}

// Shrinks each shared peak to where the error of all rows that share it is least.
void search_shared(int64_t n_rows, int64_t cols, const RowSource& source, const Format& format,
                   Observer observer, MatView gram, SharedFit& shared, ThreadPool& threads) {
  const auto n_groups = static_cast<size_t>(shared.n_groups);
  std::vector<double> errors(static_cast<size_t>(n_rows) * n_groups);
  std::vector<double> least(shared.peaks.size(), std::numeric_limits<double>::infinity());
  std::vector<float> best = shared.peaks;
  for (const float shrink : shrinks()) {
    threads.run(n_rows, kGrainRows, [&](int64_t begin, int64_t end) {
      Scratch s(format, cols);
      for (int64_t r = begin; r < end; ++r) {
        source(r, s.w);
        Fit fit = shared.of_row(r);
        fit.shrink = shrink;
        format.codec->fit_row(format, s.w, fit, s.params.data());
        format.codec->pack_row(format, s.w, s.params.data(), s.codes.data());
        format.codec->unpack_row(format, s.codes.data(), s.params.data(), s.back);
        group_errors(observer, s.w, s.back, gram,
                     std::span(errors).subspan(static_cast<size_t>(r) * n_groups, n_groups));
      }
    });
    std::vector<double> sums(shared.peaks.size());  // in row order, whoever summed a row
    for (int64_t r = 0; r < n_rows; ++r) {
      for (size_t g = 0; g < n_groups; ++g) {
        sums[cell(shared, r, g)] += errors[static_cast<size_t>(r) * n_groups + g];
      }
    }
    for (size_t i = 0; i < sums.size(); ++i) {
      if (sums[i] >= least[i]) continue;
      least[i] = sums[i];
      best[i] = shared.peaks[i] * shrink;
    }
  }
  spread(shared, best);
  shared.peaks = std::move(best);
}

}  // namespace

RowSource rows_of(const MatView& w) {
  return [w](int64_t r, std::span<float> out) {
    std::copy_n(w.row(r).begin(), out.size(), out.begin());
  };
}

Fit SharedFit::of_row(int64_t r) const {
  Fit fit{.matrix_peak = matrix_peak};
  if (!peaks.empty()) {
    fit.group_peaks = std::span(peaks).subspan(static_cast<size_t>(r / rows * n_groups),
                                               static_cast<size_t>(n_groups));
  }
  return fit;
}

float peak_of(int64_t n_rows, int64_t cols, const RowSource& source, ThreadPool& threads) {
  const SharedFit whole{.rows = n_rows, .n_groups = 1, .peaks = {}};
  return shared_peaks(n_rows, cols, source, whole, threads)[0];
}

SharedFit share_fit(int64_t n_rows, int64_t cols, const RowSource& source, const Scheme& scheme,
                    const Format& format, Observer observer, MatView gram, float matrix_peak,
                    ThreadPool& threads) {
  SharedFit shared{.rows = rows_of_scale(scheme, n_rows),
                   .n_groups = cols / scale_columns(format, cols),
                   .peaks = {}};
  if (format.codec->has_matrix_scale) {
    shared.matrix_peak = matrix_peak > 0 ? matrix_peak : peak_of(n_rows, cols, source, threads);
  }
  if (shared.rows == 1 && !scheme.per_tensor) return shared;
  if (scheme.block_rows > 0) {
    shared.groups = std::max<int64_t>(1, scheme.group / scale_columns(format, cols));
  }
  shared.peaks = shared_peaks(n_rows, cols, source, shared, threads);
  if (observer != Observer::minmax) {
    search_shared(n_rows, cols, source, format, observer, gram, shared, threads);
  }
  return shared;
}

void fit_row(Observer observer, const Format& format, std::span<const float> w, const Fit& fit,
             MatView gram, uint8_t* params, uint8_t* codes) {
  const bool shared = !fit.group_peaks.empty();
  fit_by(shared ? Observer::minmax : observer, format, w, fit, gram, params, codes);
}

}  // namespace sinter
