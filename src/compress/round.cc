#include "compress/round.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/digest.h"
#include "base/error.h"
#include "tensor/matrix.h"

namespace sinter {
namespace {

constexpr int64_t kGrainRows = 4;

void add_error(std::span<const float> was, std::span<const float> is, RoundingError& sum) {
  for (size_t j = 0; j < was.size(); ++j) {
    const double d = double{is[j]} - double{was[j]};
    sum.squared += d * d;
    sum.reference += double{was[j]} * double{was[j]};
    sum.largest = std::max(sum.largest, std::abs(d));
  }
}

RoundingError total(std::span<const RoundingError> rows) {
  RoundingError sum;
  for (const RoundingError& row : rows) {
    sum.squared += row.squared;
    sum.reference += row.reference;
    sum.largest = std::max(sum.largest, row.largest);
  }
  return sum;
}

// The [group, group] blocks on a matrix's diagonal, one under another.
Matrix diagonal_blocks(MatView m, int64_t group) {
  Matrix blocks(m.rows, group);
  for (int64_t i = 0; i < m.rows; ++i) {
    std::copy_n(m.at + i * m.stride + i / group * group, group, blocks.row(i).data());
  }
  return blocks;
}

}  // namespace

std::string RoundedMatrix::sha256() const {
  Sha256 digest;
  digest.add(std::as_bytes(std::span(codes))).add(std::as_bytes(std::span(params)));
  return digest.hex();
}

double RoundingError::relative() const {
  return reference > 0 ? std::sqrt(squared / reference) : 0;
}

RoundingError rounding_error(MatView original, MatView rounded, ThreadPool& threads) {
  std::vector<RoundingError> rows(static_cast<size_t>(original.rows));
  threads.run(original.rows, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      add_error(original.row(r), rounded.row(r), rows[static_cast<size_t>(r)]);
    }
  });
  return total(rows);
}

void fit_matrix(Observer observer, MatView gram, ThreadPool& threads, RoundJob& job) {
  const Codec& codec = *job.format.codec;
  const int64_t group = scale_columns(job.format, job.w.cols);
  Matrix blocks;
  if (observer == Observer::inputs && group < job.w.cols) {
    blocks = diagonal_blocks(gram, group);
    gram = std::as_const(blocks).view();
  }
  const SharedFit shared = share_fit(job.w.rows, job.w.cols, rows_of(job.w), job.scheme, job.format,
                                     observer, gram, job.matrix_peak, threads);
  const int64_t param_bytes = codec.param_bytes(job.format, job.w.cols);
  job.params.assign(static_cast<size_t>(job.w.rows * param_bytes), 0);
  threads.run(job.w.rows, kGrainRows, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> codes(static_cast<size_t>(codec.row_bytes(job.format, job.w.cols)));
    for (int64_t r = begin; r < end; ++r) {
      fit_row(observer, job.format, job.w.row(r), shared.of_row(r), gram,
              job.params.data() + r * param_bytes, codes.data());
    }
  });
}

void pack_matrix(MatView values, ThreadPool& threads, RoundJob& job) {
  const Codec& codec = *job.format.codec;
  const int64_t row_bytes = codec.row_bytes(job.format, values.cols);
  const int64_t param_bytes = codec.param_bytes(job.format, values.cols);
  job.codes.assign(static_cast<size_t>(values.rows * row_bytes), 0);
  threads.run(values.rows, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      codec.pack_row(job.format, values.row(r), job.params.data() + r * param_bytes,
                     job.codes.data() + r * row_bytes);
    }
  });
}

void unpack_matrix(const RoundJob& job, ThreadPool& threads, MatMut out) {
  const Codec& codec = *job.format.codec;
  const int64_t row_bytes = codec.row_bytes(job.format, out.cols);
  const int64_t param_bytes = codec.param_bytes(job.format, out.cols);
  threads.run(out.rows, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      codec.unpack_row(job.format, job.codes.data() + r * row_bytes,
                       job.params.data() + r * param_bytes, out.row(r));
    }
  });
}

RowSource rows_of(const StoredTensor& source) {
  const Codec& plain = *plain_codec(source.dtype);
  return [&source, &plain](int64_t r, std::span<float> w) {
    const Format dense{.codec = &plain};
    const int64_t bytes = plain.row_bytes(dense, static_cast<int64_t>(w.size()));
    plain.unpack_row(dense, reinterpret_cast<const uint8_t*>(source.bytes.data()) + r * bytes,
                     nullptr, w);
  };
}

void require_finite(const StoredTensor& source, const std::string& where, ThreadPool& threads,
                    float largest) {
  const int64_t rows = source.shape[0], cols = source.shape[1];
  const RowSource row = rows_of(source);
  std::atomic<int64_t> first_bad{INT64_MAX};  // element
  threads.run(rows, kGrainRows, [&](int64_t begin, int64_t end) {
    std::vector<float> w(static_cast<size_t>(cols));
    for (int64_t r = begin; r < end; ++r) {
      row(r, w);
      // NaN compares false.
      const auto bad =
          std::find_if_not(w.begin(), w.end(), [&](float x) { return std::abs(x) <= largest; });
      if (bad == w.end()) continue;
      const int64_t at = r * cols + (bad - w.begin());
      int64_t seen = first_bad.load();
      while (at < seen && !first_bad.compare_exchange_weak(seen, at)) {
      }
      return;
    }
  });
  if (const int64_t bad = first_bad.load(); bad != INT64_MAX) {
    fail(Fault::corrupt, "weight-not-finite",
         "{}: tensor \"{}\": the weight at row {}, column {} is not a usable number (NaN, infinity "
         "or beyond {:g}); the checkpoint is damaged{}",
         where, source.name, bad / cols, bad % cols, largest,
         largest < kLargestWeight ? ", or needs a dialect whose scales are no halves" : "");
  }
}

RoundedMatrix round_stored(const StoredTensor& source, const RoundTarget& target, float matrix_peak,
                           ThreadPool& threads) {
  const Format& format = target.format;
  const Codec& codec = *format.codec;
  const Observer observer = target.step->words().observer;
  SINTER_CHECK(observer != Observer::inputs);
  RoundedMatrix out{.format = format,
                    .rows = source.shape[0],
                    .cols = source.shape[1],
                    .codes = {},
                    .params = {}};
  const RowSource row = rows_of(source);
  const SharedFit shared =
      share_fit(out.rows, out.cols, row, target.scheme, format, observer, {}, matrix_peak, threads);
  const int64_t row_bytes = codec.row_bytes(format, out.cols);
  const int64_t param_bytes = codec.param_bytes(format, out.cols);
  out.codes.resize(static_cast<size_t>(out.rows * row_bytes));
  out.params.resize(static_cast<size_t>(out.rows * param_bytes));
  std::vector<RoundingError> errors(static_cast<size_t>(out.rows));
  threads.run(out.rows, kGrainRows, [&](int64_t begin, int64_t end) {
    std::vector<float> w(static_cast<size_t>(out.cols)), back(w.size());
    for (int64_t r = begin; r < end; ++r) {
      row(r, w);
      uint8_t* params = out.params.data() + r * param_bytes;
      uint8_t* codes = out.codes.data() + r * row_bytes;
      fit_row(observer, format, w, shared.of_row(r), {}, params, codes);
      codec.pack_row(format, w, params, codes);
      codec.unpack_row(format, codes, params, back);
      add_error(w, back, errors[static_cast<size_t>(r)]);
    }
  });
  const RoundingError error = total(errors);
  out.relative_error = error.relative();
  out.max_error = error.largest;
  return out;
}

}  // namespace sinter
