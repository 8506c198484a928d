// Quantised tensors of a checkpoint as a Weight. Codes and scales stay on disk where the layout is
// ours already; what is not (signed bytes, packed zero points, transposed matrices) is converted
// into owned memory.
#pragma once

#include <array>
#include <span>
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
  std::vector<int32_t> column_order;   // of Weight::column_order; usually empty
};

// The tensor that shows that a module is stored in this layout, and the one of its scales.
struct LayoutTensors {
  const char* codes;
  DType dtype;
  const char* scales;
};
const LayoutTensors& tensors_of(Layout layout);
// What the name of a matrix's tensor of codes can end in, dense ones' ".weight" included.
std::span<const char* const> code_suffixes();
// Whether loading a module of this layout reads its tensor of this suffix (".weight_scale").
bool reads_tensor(Layout layout, std::string_view suffix);
// Whether the checkpoint stores `module` as `group` says.
bool is_stored(const Checkpoint& checkpoint, std::string_view module, const QuantGroup& group);

// The element type of a module's scales; bf16 where they have none of their own.
DType scale_type(const Checkpoint& checkpoint, std::string_view module, const QuantGroup& group);

// [rows, columns] of a module as its tensors have them, to be checked by loading it. Throws
// Error(corrupt, "tensor-shape"), Error(not_found, "tensor-not-found").
std::array<int64_t, 2> stored_shape(const Checkpoint& checkpoint, const std::string& where,
                                    const std::string& module, const QuantGroup& group);

// Module `module` of `checkpoint` as `group` says it is stored. `where` (the directory) begins
// every message. Throws Error(not_found, "tensor-not-found"), Error(corrupt, "quantized-corrupt" |
// "tensor-shape"), Error(unsupported, "dialect-unsupported" | "tensor-type").
LoadedWeight load_quantized(const Checkpoint& checkpoint, const std::string& where,
                            const std::string& module, const QuantGroup& group, int64_t rows,
                            int64_t cols);

// The static scale of a module's inputs. Throws as load_quantized.
float load_input_scale(const Checkpoint& checkpoint, const std::string& where,
                       const std::string& module, const QuantGroup& group);

}  // namespace sinter
