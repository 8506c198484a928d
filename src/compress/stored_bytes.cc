#include "compress/stored_bytes.h"

#include <fmt/format.h>

#include <numeric>

namespace sinter {
namespace {

int64_t sum(const std::vector<OwnedTensor>& tensors) {
  return std::accumulate(tensors.begin(), tensors.end(), int64_t{0}, [](int64_t n, const auto& t) {
    return n + static_cast<int64_t>(t.bytes.size());
  });
}

}  // namespace

int64_t StoredBytes::of(const PlannedTensor& t) {
  if (t.target.step == nullptr) return static_cast<int64_t>(t.source->bytes.size());
  const std::string key = fmt::format("{} {} {} {}", to_string(t.target.format), t.source->shape[0],
                                      t.source->shape[1], has_input_scale(t.target.scheme));
  const auto known = known_.find(key);
  return known != known_.end() ? known->second : known_[key] = measure(t);
}

int64_t StoredBytes::kv_scales() { return sum(store_kv_scales("", 1, 1)); }

// What is stored of a matrix depends on its shape alone, so one of ones will do.
int64_t StoredBytes::measure(const PlannedTensor& t) const {
  const int64_t rows = t.source->shape[0], cols = t.source->shape[1];
  const Format& format = t.target.format;
  const Codec& codec = *format.codec;
  const std::vector<float> ones(static_cast<size_t>(cols), 1.0f);
  std::vector<uint8_t> params(static_cast<size_t>(codec.param_bytes(format, cols)));
  std::vector<uint8_t> codes(static_cast<size_t>(codec.row_bytes(format, cols)));
  codec.fit_row(format, ones, {}, params.data());
  codec.pack_row(format, ones, params.data(), codes.data());
  std::vector<uint8_t> all_params, all_codes;
  for (int64_t r = 0; r < rows; ++r) {
    all_params.insert(all_params.end(), params.begin(), params.end());
    all_codes.insert(all_codes.end(), codes.begin(), codes.end());
  }
  const Weight weight{.format = format,
                      .rows = rows,
                      .cols = cols,
                      .codes = all_codes.data(),
                      .params = all_params.data()};
  return sum(dialect_.store({.name = t.module,
                             .scheme = t.target.scheme,
                             .rows = rows,
                             .cols = cols,
                             .input_scale = has_input_scale(t.target.scheme) ? 1.0f : 0.0f},
                            weight));
}

}  // namespace sinter
