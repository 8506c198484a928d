// The steps a recipe is made of, and the one list of methods. A step is of one of three kinds:
// transform (weights change, the function stays), mask (weights become zero), round (a format and
// values on its grid). So far there are methods that round, and need no calibration.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/scheme.h"
#include "format/format.h"

namespace sinter {

struct YamlNode;

enum class StepKind : uint8_t { transform, mask, round };

class Step {
 public:
  virtual ~Step() = default;
  virtual StepKind kind() const = 0;
  // The scheme that this step gives a module; null leaves it to the other steps, or dense.
  virtual const Scheme* scheme_of(std::string_view module) const = 0;
  // Patterns of the recipe that say nothing about any of these modules: probably misspelt.
  virtual std::vector<std::string> idle_patterns(std::span<const std::string> modules) const = 0;
  // Whether q/k/v, or gate/up, of a layer may get different schemes.
  virtual bool allows_split() const = 0;
  // What is wrong with rounding rows of `cols` weights to `format`, or "".
  virtual std::string problem(const Format& format, int64_t cols) const = 0;
  // Chooses parameters and codes of one row. Called from several threads.
  virtual void round_row(const Format& format, std::span<const float> w, uint8_t* params,
                         uint8_t* codes) const = 0;
};

struct StepMethod {
  std::string_view name;  // in a recipe
  StepKind kind;
  std::shared_ptr<const Step> (*read)(const YamlNode& node, const std::string& where);
};

std::span<const StepMethod> step_methods();

}  // namespace sinter
