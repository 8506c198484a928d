// The flags that name the tokens a model is calibrated on, for every command that takes them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "compress/calibration.h"

namespace sinter {

struct CalibrationFlags {
  std::string path;
  CalibrationLimits limits{.max_tokens = 0, .sequence_tokens = 2048};

  void add_to(CLI::App& app);
  Calibration read(const std::string& model) const;
};

}  // namespace sinter
