// The other direction of dialect.h and quantized.h: a Weight as the tensors of the dialect, and the
// quantization_config that tells every loader about them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/dialect.h"
#include "artifact/safetensors.h"
#include "base/json.h"
#include "format/format.h"

namespace sinter {

// A tensor that owns its bytes.
struct OwnedTensor {
  std::string name;
  DType dtype = DType::u8;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
  TensorToWrite to_write() const { return {name, dtype, shape, bytes}; }
};

// A module to be written, and what its tensors and quantization_config must know.
struct QuantisedModule {
  std::string name;
  Scheme scheme;
  int64_t rows = 0, cols = 0;
  bool column_order = false;
  float input_scale = 0;  // of static inputs: value = code * scale
};

// How compressed-tensors lays weights of this scheme out.
Layout layout_of(const Scheme& scheme);

// `weight`, rounded to module.scheme, as compressed-tensors' tensors of the module.
std::vector<OwnedTensor> store_quantized(const QuantisedModule& module, const Weight& weight);

// One scale for the keys and one for the values of a layer, as tensors of its attention module
// ("model.layers.0.self_attn"): value = code * scale.
std::vector<OwnedTensor> store_kv_scales(const std::string& attention, float k_scale,
                                         float v_scale);

// quantization_config for these modules; `dense` are the linears that stay as they were. One
// scheme: targets ["Linear"] and an ignore list; several, or an embedding: every module by name,
// since loaders disagree about which of two matching groups wins. 3 and 2 bits make it Sinter's
// dialect. `kv`: keys and values are 8-bit codes of this kind (e4m3 or integer).
Json quantization_config(const std::vector<QuantisedModule>& modules,
                         const std::vector<std::string>& dense, std::optional<Number> kv = {});

// A whole checkpoint to be written in another dialect: at least one module, and the linears that
// stay dense.
struct StorePlan {
  std::vector<QuantisedModule> modules;
  std::vector<std::string> dense;
  std::optional<Number> kv = {};
};

// The dialects that can be written, by converting or at once: what a dialect cannot represent of a
// plan ("" = nothing), a module's tensors, and the quantization_config.
struct StoredDialect {
  const char* name;     // for people and flags
  const char* meaning;  // one line for --help
  std::string (*problem)(const StorePlan& plan);
  std::vector<OwnedTensor> (*store)(const QuantisedModule& module, const Weight& weight);
  Json (*config)(const StorePlan& plan);
  bool half_scales;  // F16 is the only type of scale
};
std::span<const StoredDialect> stored_dialects();
// The one that has room for everything that can be written: compressed-tensors.
const StoredDialect& default_dialect();
// Throws Error(bad_input, "dialect-name").
const StoredDialect& stored_dialect(std::string_view name);
// What a dialect cannot store of a scheme that is not integers whose inputs stay as they are, or of
// keys and values; "" = nothing of that in the plan. For dialects of such integers only.
std::string beyond_integers(const StorePlan& plan, std::string_view dialect);

std::string awq_problem(const StorePlan& plan);  // awq.cc
std::vector<OwnedTensor> store_awq(const QuantisedModule& module, const Weight& weight);
Json awq_config(const StorePlan& plan);
std::string gptq_problem(const StorePlan& plan);  // gptq.cc
std::vector<OwnedTensor> store_gptq(const QuantisedModule& module, const Weight& weight);
Json gptq_config(const StorePlan& plan);

// The zero point of row r, group g: the codec's own, or the middle code.
uint8_t zero_point(const Weight& weight, int64_t r, int64_t g);
// Whether a scale of type `dtype` is a half, bit for bit in value.
bool is_half(DType dtype, const uint8_t* scale);
// All scales as F16 [n_groups, rows]; they must be halves.
OwnedTensor half_scales(const std::string& name, const Weight& weight);

}  // namespace sinter
