// The steps a recipe is made of, and the one list of methods. A step is of one of two kinds:
// transform (weights change, the function stays) or round (a format and values on its grid).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/manifest.h"
#include "artifact/scheme.h"
#include "compress/layer_walk.h"
#include "compress/observer.h"
#include "compress/round_words.h"
#include "format/format.h"

namespace sinter {

struct YamlNode;

class RoundStep;

// What a linear of a layer will be rounded to; without a step it stays as it is.
struct RoundTarget {
  const RoundStep* step = nullptr;
  Scheme scheme;
  Format format;
};

// A layer with its statistics, for transforms.
struct LayerToTransform {
  CalibratedLayer& layer;
  LayerWalk& walk;
  std::span<InputStatistics> inputs;     // one a LayerInput
  std::span<const RoundTarget> targets;  // one a LayerLinear
  std::span<const DType> norm_types;     // one a LayerInput: how the gains before it are stored
  std::vector<ManifestNote>& notes;
  const RoundTarget& target(LayerLinear l) const { return targets[static_cast<size_t>(l)]; }
  InputStatistics& statistics(LayerInput i) const { return inputs[static_cast<size_t>(i)]; }
};

class TransformStep {
 public:
  virtual ~TransformStep() = default;
  virtual const char* method() const = 0;
  virtual bool needs_gram(LayerInput input) const = 0;
  // Bytes of memory that apply() takes at most, beside the layer and its statistics.
  virtual int64_t scratch_bytes(const LayerWalk& walk) const = 0;
  virtual void apply(const LayerToTransform& job) const = 0;
};

// A matrix to be rounded, and what became of it.
struct RoundJob {
  std::string module;
  Scheme scheme;
  Format format;
  MatView w;              // [out, in]
  float matrix_peak = 0;  // largest |w| of all matrices that share a scale with it
  // Results.
  std::vector<uint8_t> codes, params;  // as Weight has them
  double damp = 0;                     // GPTQ's
};

class RoundStep {
 public:
  explicit RoundStep(RoundWords words) : words_(std::move(words)) {}
  virtual ~RoundStep() = default;
  const RoundWords& words() const { return words_; }

  // The name of the method, as the manifest has it.
  virtual const char* method() const = 0;
  // What is wrong with rounding rows of so many columns to a format, or "".
  virtual std::string problem(const Format&, int64_t) const { return ""; }
  // Whether round() wants the Gram matrix of the inputs.
  virtual bool needs_gram() const { return words_.observer == Observer::inputs; }
  // Bytes of memory that round() takes at most for a matrix [rows, cols], beside codes, parameters
  // and statistics.
  virtual int64_t scratch_bytes(const Format&, int64_t /*rows*/, int64_t /*cols*/) const {
    return 0;
  }
  // Rounds matrices that read the same input. `inputs` is null without calibration.
  virtual void round(std::span<RoundJob> jobs, const InputStatistics* inputs, ThreadPool& threads,
                     std::vector<ManifestNote>& notes) const = 0;

 private:
  RoundWords words_;
};

// Of a recipe's step, one of the two.
struct Step {
  std::shared_ptr<const TransformStep> transform;
  std::shared_ptr<const RoundStep> round;
};

struct StepMethod {
  std::string_view name;  // in a recipe
  Step (*read)(const YamlNode& node, const std::string& where);
};

std::span<const StepMethod> step_methods();

}  // namespace sinter
