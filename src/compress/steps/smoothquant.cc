// SmoothQuant (Xiao et al., arXiv 2211.10438): moves the outliers of activations into weights, so
// that both fit eight bits.
//
//   s_j = max|x_j|^alpha / max_i|w_ij|^(1 - alpha);   x_j / s_j in the norm before, w_ij s_j behind
//
// Only inputs behind a norm: q, k, v and gate, up. `alpha: search` tries each of kAlphas and keeps
// that with the least error of the outputs, weights and inputs rounded as their scheme says.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "backend/matmul.h"
#include "base/error.h"
#include "compress/block_error.h"
#include "compress/fold.h"
#include "compress/steps.h"
#include "compress/yaml_tree.h"

namespace sinter {
namespace {

constexpr std::array kAlphas = {0.5f, 0.55f, 0.6f, 0.65f, 0.7f, 0.75f, 0.8f, 0.85f, 0.9f};
constexpr float kLeast = 1e-5f;  // of maxima and scales, as published

class SmoothQuant : public TransformStep {
 public:
  explicit SmoothQuant(float alpha) : alpha_(alpha) {}
  const char* method() const override { return "smoothquant"; }
  bool needs_gram(LayerInput) const override { return false; }
  int64_t scratch_bytes(const LayerWalk& walk) const override {
    return alpha_ > 0 ? 0 : BlockError::bytes(walk, LayerInput::ffn, false);
  }

  void apply(const LayerToTransform& job) const override {
    for (const LayerInput input : {LayerInput::attn, LayerInput::ffn}) {
      const auto readers = readers_of(input);
      if (std::none_of(readers.begin(), readers.end(),
                       [&](LayerLinear l) { return job.target(l).step != nullptr; })) {
        continue;
      }
      const std::vector<float> weight_peaks = column_peaks(job, readers);
      std::vector<float> s = scales(job, input, weight_peaks, alpha_ > 0 ? alpha_ : kAlphas[0]);
      if (alpha_ == 0) s = search(job, input, weight_peaks);
      fold(job, input, s);
    }
  }

 private:
  static std::vector<float> column_peaks(const LayerToTransform& job,
                                         std::span<const LayerLinear> readers) {
    std::vector<float> peaks(static_cast<size_t>(job.layer.weight(readers[0]).cols()), kLeast);
    for (const LayerLinear l : readers) {
      const Matrix& w = job.layer.weight(l);
      for (int64_t r = 0; r < w.rows(); ++r) {
        const auto row = w.row(r);
        for (size_t j = 0; j < row.size(); ++j) peaks[j] = std::max(peaks[j], std::abs(row[j]));
      }
    }
    return peaks;
  }

  static std::vector<float> scales(const LayerToTransform& job, LayerInput input,
                                   std::span<const float> weight_peaks, float alpha) {
    const InputStatistics& x = job.statistics(input);
    std::vector<float> s(weight_peaks.size());
    for (size_t j = 0; j < s.size(); ++j) {
      const float peak = std::max(x.peak[j], kLeast);
      s[j] = std::max(std::pow(peak, alpha) / std::pow(weight_peaks[j], 1 - alpha), kLeast);
    }
    return s;
  }

  static std::vector<float> search(const LayerToTransform& job, LayerInput input,
                                   std::span<const float> weight_peaks) {
    BlockError error(job, input);
    std::vector<float> best;
    double least = std::numeric_limits<double>::infinity();
    for (const float alpha : kAlphas) {
      std::vector<float> s = scales(job, input, weight_peaks, alpha);
      const double e = error.of(s);
      if (!(e < least)) continue;
      least = e;
      best = std::move(s);
    }
    if (best.empty()) {
      job.notes.push_back({to_string(input), "not smoothed", "no alpha gives a finite error"});
      best.assign(weight_peaks.size(), 1.0f);
    }
    return best;
  }

  float alpha_;  // 0 = searched
};

}  // namespace

Step read_smoothquant(const YamlNode& node, const std::string& where) {
  constexpr std::array<std::string_view, 1> kKeys = {"alpha"};
  const YamlFields fields(node, where, kKeys);
  const bool searched = fields.has("alpha") && fields.at("alpha").text == "search";
  const double alpha = searched ? 0 : fields.number("alpha", 0.5, 0.01, 1);
  return {.transform = std::make_shared<SmoothQuant>(static_cast<float>(alpha)), .round = nullptr};
}

}  // namespace sinter
