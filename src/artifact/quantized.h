// Quantised tensors of a checkpoint as a Weight. Codes and scales stay on disk where the layout is
// ours already; what is not (signed bytes, packed zero points) is converted into owned memory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "artifact/dialect.h"
#include "artifact/safetensors.h"
#include "format/format.h"

namespace sinter {

struct LoadedWeight {
  Weight weight;
  std::vector<uint8_t> codes, params;  // empty where the weight points into the checkpoint
};

// Module `module` of `checkpoint` as `group` says it is stored. `where` (the directory) begins
// every message. Throws Error(not_found, "tensor-not-found"), Error(corrupt, "quantized-corrupt" |
// "tensor-shape"), Error(unsupported, "dialect-unsupported" | "tensor-type").
LoadedWeight load_quantized(const Checkpoint& checkpoint, const std::string& where,
                            const std::string& module, const QuantGroup& group, int64_t rows,
                            int64_t cols);

}  // namespace sinter
