// How the range of a group of weights is chosen: by its peak, or shrunk to where an error is least.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "format/format.h"
#include "tensor/view.h"

namespace sinter {

enum class Observer : uint8_t {
  minmax,  // the peak
  mse,     // least squared error of the weights
  norm,    // least sum of |error|^2.4: GPTQ's own, to which large errors count more
  inputs,  // least squared error of the group's part of the output, over the calibration tokens:
           // AWQ's clip search, with the inputs' Gram matrix in place of a sample of them
};

// Throws Error(bad_input, "recipe-field").
Observer observer_named(const std::string& name, const std::string& place);

// What is tried, from the widest; the first best wins.
std::span<const float> shrinks();
// The error of each group of a row that became `back`, as the observer counts it. errors:
// [n_groups]; gram: see fit_by.
void group_errors(Observer observer, std::span<const float> w, std::span<const float> back,
                  MatView gram, std::span<double> errors);

// Chooses the parameters of a row. `gram`: for Observer::inputs, the groups' blocks on the diagonal
// of the inputs' Gram matrix, one under another, [cols, columns of a group]; columns whose inputs
// are all zero count for nothing. `codes` is scratch of a row.
void fit_by(Observer observer, const Format& format, std::span<const float> w, const Fit& fit,
            MatView gram, uint8_t* params, uint8_t* codes);

}  // namespace sinter
