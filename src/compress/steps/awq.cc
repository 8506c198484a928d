// AWQ (Lin et al., arXiv 2306.00978): scales input channels up before rounding, the more the larger
// their activations, by the exponent that costs the block's output least.
//
//   s = x^r / w^(1 - r)  ("duo"), or x^r;   s /= sqrt(max s * min s);   W' = Q(W s) / s
//   x: mean |x_j| of the inputs; w: mean over rows of |w_ij| / the peak of its group
//
// q, k, v are judged by the output of the attention and gate, up by that of the MLP, over a probe
// of the calibration tokens; o and down by their own outputs, over all of them (their Gram matrix).
// Clipping, AWQ's second half, belongs to rounding: `observer: inputs`.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "compress/block_error.h"
#include "compress/fold.h"
#include "compress/steps.h"
#include "compress/yaml_tree.h"

namespace sinter {
namespace {

constexpr float kLeast = 1e-4f;  // of scales, and of weights in a denominator, as published

struct Words {
  int64_t grid = 20;
  bool duo = true, plain = true;
};

class Awq : public TransformStep {
 public:
  explicit Awq(Words words) : words_(words) {}

  const char* method() const override { return "awq"; }
  int64_t scratch_bytes(const LayerWalk& walk) const override {
    return std::max(BlockError::bytes(walk, LayerInput::ffn, false),
                    BlockError::bytes(walk, LayerInput::down, true));
  }

  bool needs_gram(LayerInput input) const override {
    return input == LayerInput::o || input == LayerInput::down;
  }

  void apply(const LayerToTransform& job) const override {
    for (const LayerInput input : kLayerInputs) {
      const auto readers = readers_of(input);
      if (std::none_of(readers.begin(), readers.end(),
                       [&](LayerLinear l) { return job.target(l).step != nullptr; })) {
        continue;
      }
      std::vector<float> s = search(job, input);
      if (!s.empty()) fold(job, input, s);
    }
  }

 private:
  // Mean over all readers' rows of |w| / the largest |w| of its group.
  static std::vector<float> weight_means(const LayerToTransform& job, LayerInput input) {
    const auto k = static_cast<size_t>(job.walk.input_size(input));
    std::vector<double> sums(k);
    int64_t rows = 0;
    for (const LayerLinear l : readers_of(input)) {
      const Matrix& w = job.layer.weight(l);
      const Format& format = job.target(l).format;
      const auto group = static_cast<size_t>(
          job.target(l).step == nullptr ? w.cols() : scale_columns(format, w.cols()));
      for (int64_t r = 0; r < w.rows(); ++r) {
        const auto row = w.row(r);
        for (size_t g = 0; g < k; g += group) {
          float peak = 0;
          for (size_t j = g; j < g + group; ++j) peak = std::max(peak, std::abs(row[j]));
          if (peak == 0) continue;
          for (size_t j = g; j < g + group; ++j) sums[j] += double{std::abs(row[j]) / peak};
        }
      }
      rows += w.rows();
    }
    std::vector<float> means(k);
    for (size_t j = 0; j < k; ++j) {
      means[j] = static_cast<float>(sums[j] / static_cast<double>(rows));
    }
    return means;
  }

  // Nothing, where leaving the layer as it is costs least.
  std::vector<float> search(const LayerToTransform& job, LayerInput input) const {
    const std::vector<float> w = weight_means(job, input);
    const InputStatistics& x = job.statistics(input);
    BlockError error(job, input);
    std::vector<float> best;
    const std::vector<float> ones(w.size(), 1.0f);
    double least = error.of(ones);
    if (!std::isfinite(least)) least = std::numeric_limits<double>::infinity();
    for (const bool duo : {true, false}) {
      if (duo ? !words_.duo : !words_.plain) continue;
      for (int64_t i = duo ? 0 : 1; i < words_.grid; ++i) {
        const float r = static_cast<float>(i) / static_cast<float>(words_.grid);
        std::vector<float> s(w.size());
        for (size_t j = 0; j < s.size(); ++j) {
          s[j] = std::pow(std::max(x.mean_abs(j), kLeast), r);
          if (duo) s[j] /= std::pow(w[j], 1 - r) + kLeast;
          s[j] = std::max(s[j], kLeast);
        }
        share_scales(job, input, s);
        const auto [low, high] = std::minmax_element(s.begin(), s.end());
        const float middle = std::sqrt(*low * *high);
        for (float& v : s) v /= middle;
        const double e = error.of(s);
        if (!(e < least)) continue;
        least = e;
        best = std::move(s);
      }
    }
    if (!std::isfinite(least)) {
      job.notes.push_back({fmt::format("layer {}: {}", job.layer.index, to_string(input)),
                           "not scaled", "no scale gives a finite error"});
    }
    return best;
  }

  Words words_;
};

}  // namespace

Step read_awq(const YamlNode& node, const std::string& where) {
  constexpr std::array<std::string_view, 2> kKeys = {"grid", "scales"};
  const YamlFields fields(node, where, kKeys);
  Words words;
  if (fields.has("grid")) words.grid = fields.integer("grid");
  if (words.grid < 2 || words.grid > 1000) {
    fail(Fault::bad_input, "recipe-field", "{}: expected 2 to 1000, found {}", fields.place("grid"),
         words.grid);
  }
  const std::string scales = fields.string("scales", "both");
  if (scales != "both" && scales != "duo" && scales != "inputs") {
    fail(Fault::bad_input, "recipe-field", "{}: expected both, duo or inputs, found \"{}\"",
         fields.place("scales"), scales.substr(0, 60));
  }
  words.duo = scales != "inputs";
  words.plain = scales != "duo";
  return {.transform = std::make_shared<Awq>(words), .round = nullptr};
}

}  // namespace sinter
