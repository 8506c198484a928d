// The other direction of dialect.h and quantized.h: a Weight as the tensors of the dialect, and the
// quantization_config that tells every loader about them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "artifact/dialect.h"
#include "artifact/safetensors.h"
#include "base/json.h"
#include "format/format.h"

namespace sinter {

// How weights of this scheme are laid out: packed, or bytes where activations are int8 too.
Layout layout_of(const Scheme& scheme);

// A tensor that owns its bytes.
struct OwnedTensor {
  std::string name;
  DType dtype = DType::u8;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
  TensorToWrite to_write() const { return {name, dtype, shape, bytes}; }
};

// `weight`, of an integer codec, as the tensors of `module`.
std::vector<OwnedTensor> store_quantized(const std::string& module, const Weight& weight,
                                         Layout layout);

struct QuantisedModule {
  std::string name;
  Scheme scheme;
};

// quantization_config for these modules; `dense` are the linears that stay as they were. One
// scheme: targets ["Linear"] and an ignore list; several, or an embedding: every module by name,
// since loaders disagree about which of two matching groups wins. 3 and 2 bits make it Sinter's
// dialect.
Json quantization_config(const std::vector<QuantisedModule>& modules,
                         const std::vector<std::string>& dense);

}  // namespace sinter
