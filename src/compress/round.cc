#include "compress/round.h"

#include <atomic>
#include <cmath>

#include "base/digest.h"
#include "base/error.h"

namespace sinter {
namespace {

constexpr float kLargest = 0x1p100f;  // beyond this a weight is damage, and squares overflow

struct RowError {
  double squared = 0, reference = 0, largest = 0;
};

}  // namespace

RoundedMatrix round_matrix(const StoredTensor& source, const std::string& where, const Step& step,
                           const Format& format, ThreadPool& threads) {
  const Codec& plain = *plain_codec(source.dtype);
  const Format dense{.codec = &plain};
  const int64_t rows = source.shape[0], cols = source.shape[1];
  const int64_t source_bytes = plain.row_bytes(dense, cols);
  const int64_t row_bytes = format.codec->row_bytes(format, cols);
  const int64_t param_bytes = format.codec->param_bytes(format, cols);
  RoundedMatrix out;
  out.codes.resize(static_cast<size_t>(rows * row_bytes));
  out.params.resize(static_cast<size_t>(rows * param_bytes));
  std::vector<RowError> errors(static_cast<size_t>(rows));
  std::atomic<int64_t> first_bad{INT64_MAX};  // element
  threads.run(rows, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> w(static_cast<size_t>(cols)), back(w.size());
    for (int64_t r = begin; r < end; ++r) {
      plain.unpack_row(dense,
                       reinterpret_cast<const uint8_t*>(source.bytes.data()) + r * source_bytes,
                       nullptr, w);
      for (int64_t c = 0; c < cols; ++c) {
        if (std::abs(w[static_cast<size_t>(c)]) <= kLargest) continue;  // NaN compares false
        int64_t seen = first_bad.load();
        while (r * cols + c < seen && !first_bad.compare_exchange_weak(seen, r * cols + c)) {
        }
        return;
      }
      uint8_t* params = out.params.data() + r * param_bytes;
      uint8_t* codes = out.codes.data() + r * row_bytes;
      step.round_row(format, w, params, codes);
      format.codec->unpack_row(format, codes, params, back);
      RowError& e = errors[static_cast<size_t>(r)];
      for (size_t c = 0; c < w.size(); ++c) {
        const double d = double{back[c]} - double{w[c]};
        e.squared += d * d;
        e.reference += double{w[c]} * double{w[c]};
        e.largest = std::max(e.largest, std::abs(d));
      }
    }
  });
  if (const int64_t bad = first_bad.load(); bad != INT64_MAX) {
    fail(Fault::corrupt, "weight-not-finite",
         "{}: tensor \"{}\": the weight at row {}, column {} is not a usable number (NaN, infinity "
         "or "
         "beyond 2^100); the checkpoint is damaged",
         where, source.name, bad / cols, bad % cols);
  }
  RowError sum;
  for (const RowError& e : errors) {
    sum.squared += e.squared;
    sum.reference += e.reference;
    sum.largest = std::max(sum.largest, e.largest);
  }
  out.relative_error = sum.reference > 0 ? std::sqrt(sum.squared / sum.reference) : 0;
  out.max_error = sum.largest;
  out.weight = {.format = format,
                .rows = rows,
                .cols = cols,
                .codes = out.codes.data(),
                .params = out.params.data()};
  Sha256 digest;
  digest.add(std::as_bytes(std::span(out.codes))).add(std::as_bytes(std::span(out.params)));
  out.sha256 = digest.hex();
  return out;
}

}  // namespace sinter
