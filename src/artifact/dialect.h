// The quantization_config of config.json (or a side-car file), read: which modules are quantised,
// how, and how their tensors are laid out. Each dialect is a file: compressed_tensors.cc (also
// Sinter's own, which is the same schema for widths that others do not load), awq.cc, gptq.cc,
// fp8.cc, modelopt.cc. docs/formats.md specifies them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/name_pattern.h"
#include "artifact/scheme.h"
#include "base/json.h"

namespace sinter {

// How the tensors of a module are stored. quantized.cc has the list of what that means.
enum class Layout : uint8_t {
  packed,    // <module>.weight_packed: int32 words of codes + 2^(bits-1), .weight_shape,
             // .weight_scale
  bytes,     // <module>.weight: int8 codes, .weight_scale
  float8,    // <module>.weight: E4M3, .weight_scale or .weight_scale_inv
  nvfp4,     // <module>.weight_packed, .weight_scale, .weight_global_scale
  mxfp4,     // <module>.weight_packed, .weight_scale
  modelopt,  // NVFP4 as <module>.weight, .weight_scale, .weight_scale_2
  awq,       // <module>.qweight [in, out / 8], .qzeros, .scales
  gptq,      // <module>.qweight [in * bits / 32, out], .qzeros, .scales, .g_idx
};

struct QuantGroup {
  std::string name;
  std::vector<NamePattern> targets;
  Scheme scheme;
  Layout layout = Layout::packed;
  bool zeros_less_one = false;      // gptq: qzeros holds the zero point - 1
  bool zeros_may_borrow = false;    // ... and where that is -1, borrowed from the next field
  bool column_order = false;        // groups are of columns that g_idx names
  bool power_of_two_scale = false;  // float8: scales are E8M0 bytes
};

struct Dialect {
  std::string method;  // "" = a dense checkpoint; else quant_method
  std::vector<QuantGroup> groups;
  std::vector<NamePattern> ignore;
  // A module that a group names is quantised only if the checkpoint stores it so: dialects whose
  // lists of exceptions are matched loosely, each program in its own way.
  bool by_presence = false;
  // Keys and values are kept as 8-bit codes of this kind (e4m3 or integer), each under one scale a
  // layer that the checkpoint has.
  std::optional<Number> kv;
  // What the checkpoint asks for and was left out because weights_only said so; "" = nothing.
  std::string left_out;

  // The group that quantises a linear or embedding, or null. By exact name, else by regular
  // expression, else by class ("Linear", "Embedding"); the first group that matches wins.
  const QuantGroup* group_of(std::string_view module) const;
};

// "Embedding" for a module whose last name part says so (embed_tokens), else "Linear".
std::string_view module_class(std::string_view module);

// Files beside config.json by which some tools say that, and how, a checkpoint is quantised.
std::span<const char* const> side_car_files();

// `directory` is asked for side-car files. With `weights_only`, what cannot be done to inputs and
// to keys and values is left out instead of refused, and inputs stay as they are. Throws
// Error(unsupported, "dialect-unsupported") saying what it is and what to do, or Error(bad_input,
// "json-field").
Dialect read_dialect(const Json& config, const std::string& directory, bool weights_only = false);

}  // namespace sinter
