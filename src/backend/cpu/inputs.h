// A linear's inputs, made ready for the panels: gathered, padded, rounded as the weight's
// activation mode says.
#pragma once

#include <vector>

#include "backend/cpu/kernels.h"
#include "base/threads.h"
#include "format/format.h"
#include "tensor/view.h"

namespace sinter::cpu {

class Inputs {
 public:
  // Fills job's n, x or codes, block, n_blocks, x_scale, x_bias, x_sum for `weight`,
  // whose panels job.weight are. `column_order`: see Weight. Valid until the next call.
  void prepare(const Kernels& kernels, ThreadPool& threads, Activation activation,
               const int32_t* column_order, int64_t cols, MatView x, PanelJob& job);
  // The inputs as float32 rows of `cols` (padded to `stride`), rounded if the mode rounds.
  MatView as_floats(const Kernels& kernels, ThreadPool& threads, Activation activation,
                    const int32_t* column_order, int64_t cols, int64_t stride, MatView x);

 private:
  std::vector<float> floats_, tiles_, scales_, sums_;
  std::vector<int8_t> codes_, code_tiles_;
  std::vector<int32_t> biases_;
};

// Whether this mode multiplies integers, where the weight's codes are integers too.
bool is_int8(ActivationMode mode);

}  // namespace sinter::cpu
