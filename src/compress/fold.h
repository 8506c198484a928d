// Moving a scale from one linear's input into what produces it: x_j / s_j in front, w_ij s_j
// behind, and the layer computes what it did. What SmoothQuant and AWQ have in common.
#pragma once

#include <span>

#include "compress/steps.h"

namespace sinter {

// Divides the producer of `input` by s [input_size], multiplies its readers' columns, and scales
// the statistics. A norm's gains are stored in few bits: they are rounded here, and the readers get
// the scale that the rounded gains really have, so nothing is lost. Scales must be positive; of
// channels whose gain is zero, or overflows, s becomes 1.
void fold(const LayerToTransform& job, LayerInput input, std::span<float> s);

// Of o, where query heads share a head of v: gives every channel the geometric mean of those that
// share its producer. Elsewhere nothing.
void share_scales(const LayerToTransform& job, LayerInput input, std::span<float> s);

}  // namespace sinter
