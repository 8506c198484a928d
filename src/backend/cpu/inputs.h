// A linear's inputs, made ready for the panels: gathered, padded, rounded as the weight's
// activation mode says.
#pragma once

#include <vector>

#include "backend/cpu/kernels.h"
#include "base/threads.h"
#include "format/format.h"
#include "tensor/view.h"

namespace sinter::cpu {

// What a weight wants of its inputs: weights whose forms are equal share them.
struct InputForm {
  Activation activation;
  const int32_t* column_order;  // see Weight
  int64_t cols, columns, block;
  int32_t bias;
  bool integers, needs_sums;
  bool operator==(const InputForm&) const = default;
};
InputForm input_form(const Kernels& kernels, Activation activation, const int32_t* column_order,
                     int64_t cols, const Panels& weight);

class Inputs {
 public:
  // Fills all of job but weight, y, y_stride and scratch. Valid until the next call.
  void prepare(const Kernels& kernels, ThreadPool& threads, const InputForm& form, MatView x,
               PanelJob& job);
  // The inputs as float32 rows of `cols` (padded to `stride`), rounded if the mode rounds.
  MatView as_floats(const Kernels& kernels, ThreadPool& threads, Activation activation,
                    const int32_t* column_order, int64_t cols, int64_t stride, MatView x);

 private:
  void round(const Kernels& kernels, ThreadPool& threads, const InputForm& form, MatView rows,
             PanelJob& job);

  std::vector<float> floats_, tiles_, scales_, sums_;
  std::vector<int8_t> codes_, code_tiles_;
  std::vector<int32_t> biases_;
};

// Whether this mode multiplies integers, where the weight's codes are integers too.
bool is_int8(ActivationMode mode);

}  // namespace sinter::cpu
