// The quantization_config of config.json, read: which modules are quantised, how, and how their
// tensors are laid out. Dialects: compressed-tensors (integer weights) and Sinter's own, which is
// the same schema for widths that others do not load. docs/formats.md specifies both.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "artifact/name_pattern.h"
#include "artifact/scheme.h"
#include "base/json.h"

namespace sinter {

enum class Layout : uint8_t {
  packed,  // <module>.weight_packed: int32 words of codes + 2^(bits-1), .weight_shape,
           // .weight_scale
  bytes,   // <module>.weight: int8 codes, .weight_scale
};

struct QuantGroup {
  std::string name;
  std::vector<NamePattern> targets;
  Scheme scheme;
  bool per_tensor = false;  // one scale for the whole matrix (scheme.group is 0)
  Layout layout = Layout::packed;
};

struct Dialect {
  std::string method;  // "" = a dense checkpoint; else quant_method
  std::vector<QuantGroup> groups;
  std::vector<NamePattern> ignore;

  // The group that quantises a linear or embedding, or null. By exact name, else by regular
  // expression, else by class ("Linear", "Embedding"); the first group that matches wins.
  const QuantGroup* group_of(std::string_view module) const;
};

// "Embedding" for a module whose last name part says so (embed_tokens), else "Linear".
std::string_view module_class(std::string_view module);

// `directory` is asked for side-car files of other dialects. Throws Error(unsupported,
// "dialect-unsupported") saying what it is and what to do, or Error(bad_input, "json-field").
Dialect read_dialect(const Json& config, const std::string& directory);

}  // namespace sinter
