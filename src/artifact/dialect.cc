// Law 2 rules here: a key or value that would change answers and is not understood is an error.
#include "artifact/dialect.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/error.h"

namespace sinter {
namespace {

struct LayoutName {
  std::string_view name;
  Layout layout;
};
// The one list of compressed-tensors formats that this version reads.
constexpr std::array<LayoutName, 3> kLayouts = {{{"pack-quantized", Layout::packed},
                                                 {"int-quantized", Layout::bytes},
                                                 {"naive-quantized", Layout::bytes}}};

// Side-car files by which other tools say that a checkpoint is quantised.
constexpr std::array kSideCars = {"hf_quant_config.json", "quantize_config.json",
                                  "quant_config.json"};

template <typename... Args>
[[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) {
  fail(Fault::unsupported, "dialect-unsupported",
       "{}. This version reads dense checkpoints, compressed-tensors with integer weights "
       "(pack-quantized, int-quantized, naive-quantized) and its own; a later version reads more. "
       "Use "
       "the dense checkpoint, and compress it with `sinter compress`",
       fmt::format(format, std::forward<Args>(args)...));
}

bool is_empty(const Json& value) {
  return value.is_null() || ((value.is_object() || value.is_array()) && value.empty());
}

void refuse_unknown_keys(const JsonFields& fields, std::span<const std::string_view> known) {
  for (const auto& [key, value] : fields.json().items()) {
    if (is_empty(value) || std::find(known.begin(), known.end(), key) != known.end()) continue;
    unsupported("{}: {}: this version does not know what this asks for", fields.where(), key);
  }
}

std::vector<NamePattern> read_patterns(const JsonFields& fields, const char* key) {
  std::vector<NamePattern> patterns;
  if (!fields.has(key)) return patterns;
  const std::string where = fmt::format("{}/{}", fields.where(), key);
  const Json& list = fields.at(key);
  if (!list.is_array()) fail(Fault::bad_input, "json-field", "{}: expected a list of names", where);
  for (const Json& name : list) {
    if (!name.is_string()) fail(Fault::bad_input, "json-field", "{}: expected only strings", where);
    patterns.emplace_back(name.get<std::string>(), NamePattern::Globs::no, where);
  }
  return patterns;
}

// The words that weights and input_activations share. `dynamic` is checked by the caller.
constexpr std::array<std::string_view, 12> kArgKeys = {
    "num_bits", "type",     "symmetric", "strategy",        "group_size",  "block_structure",
    "dynamic",  "actorder", "observer",  "observer_kwargs", "scale_dtype", "zp_dtype"};

void require_int(const JsonFields& args) {
  refuse_unknown_keys(args, kArgKeys);
  if (const std::string type = args.string("type", "int"); type != "int") {
    unsupported("{}: type: expected \"int\", found \"{}\"", args.where(), type);
  }
  if (args.has("block_structure")) unsupported("{}: block_structure is set", args.where());
}

void read_weights(const JsonFields& args, QuantGroup& group) {
  require_int(args);
  const int64_t bits = args.integer("num_bits", 8);
  group.scheme.bits = static_cast<int>(std::clamp<int64_t>(bits, 0, 64));
  group.scheme.symmetric = args.boolean("symmetric", true);
  if (args.has("dynamic") && args.at("dynamic") != Json(false)) {
    unsupported("{}: dynamic: expected false for weights", args.where());
  }
  if (args.has("actorder")) {
    const Json& order = args.at("actorder");
    if (order != Json("weight") && order != Json("static") && order != Json(false)) {
      unsupported("{}: actorder {} (columns in another order than their groups)", args.where(),
                  to_line(order).substr(0, 40));
    }
  }
  const int64_t size = args.integer("group_size", 0);
  const std::string strategy = args.string("strategy", size > 0   ? "group"
                                                       : size < 0 ? "channel"
                                                                  : "tensor");
  if (strategy == "group") {
    if (size < 1 || size > INT32_MAX) {
      fail(Fault::bad_input, "json-field", "{}: group_size: expected 1 or more columns, found {}",
           args.where(), size);
    }
    group.scheme.group = static_cast<int32_t>(size);
  } else if (strategy == "tensor") {
    group.per_tensor = true;
  } else if (strategy != "channel") {
    unsupported("{}: strategy \"{}\"", args.where(), strategy);
  }
}

void read_activations(const JsonFields& args, QuantGroup& group) {
  require_int(args);
  if (args.integer("num_bits", 8) != 8 || !args.boolean("symmetric", true) ||
      args.string("strategy", "") != "token" || !args.has("dynamic") ||
      args.at("dynamic") != Json(true)) {
    unsupported(
        "{}: expected 8-bit symmetric activations with one dynamic scale per token, found {}",
        args.where(), to_line(args.json()).substr(0, 200));
  }
  group.scheme.activation = ActivationMode::int8_token;
}

Layout layout_named(const std::string& name, const std::string& where) {
  for (const LayoutName& l : kLayouts) {
    if (l.name == name) return l.layout;
  }
  unsupported("{}: format \"{}\"", where, name);
}

void refuse_problem(const QuantGroup& group, const std::string& where) {
  if (const std::string problem = scheme_problem(group.scheme); !problem.empty()) {
    unsupported("{}: {}", where, problem);
  }
  if (group.layout == Layout::bytes && group.scheme.bits != 8) {
    unsupported("{}: {}-bit codes stored as bytes", where, group.scheme.bits);
  }
  if (group.layout == Layout::packed && group.scheme.activation != ActivationMode::exact) {
    unsupported("{}: int8 activations with packed weights", where);
  }
}

QuantGroup read_group(const JsonFields& groups, const std::string& name,
                      const std::string& global_format) {
  QuantGroup group;
  group.name = name;
  const std::string where = groups.where() + "/" + name;
  std::string format = global_format;
  if (const Scheme* preset = preset_named(name);
      preset != nullptr && groups.at(name.c_str()).is_array()) {  // {"W4A16": [targets]}
    group.scheme = *preset;
    group.targets = read_patterns(groups, name.c_str());
  } else {
    const JsonFields fields = groups.object(name.c_str());
    constexpr std::array<std::string_view, 5> kKeys = {"targets", "weights", "input_activations",
                                                       "output_activations", "format"};
    refuse_unknown_keys(fields, kKeys);
    group.targets = read_patterns(fields, "targets");
    if (!fields.has("weights")) unsupported("{}: weights are not quantised", where);
    read_weights(fields.object("weights"), group);
    if (fields.has("input_activations"))
      read_activations(fields.object("input_activations"), group);
    if (fields.has("output_activations")) unsupported("{}: output_activations are set", where);
    format = fields.string("format", global_format);
  }
  if (format.empty() || format == "mixed-precision") {  // as compressed-tensors infers it
    format = group.scheme.activation == ActivationMode::exact ? "pack-quantized" : "int-quantized";
  }
  group.layout = layout_named(format, where);
  refuse_problem(group, where);
  return group;
}

// What other programs call their dialects, for a message that says more than "unknown".
std::string described(const JsonFields& fields, const std::string& method) {
  struct Known {
    std::string_view method, meaning;
  };
  constexpr std::array<Known, 8> kKnown = {{{"awq", "AutoAWQ"},
                                            {"gptq", "GPTQ"},
                                            {"fp8", "Hugging Face FP8"},
                                            {"modelopt", "NVIDIA ModelOpt"},
                                            {"mxfp4", "gpt-oss MXFP4"},
                                            {"bitsandbytes", "bitsandbytes"},
                                            {"auto-round", "AutoRound"},
                                            {"hqq", "HQQ"}}};
  for (const Known& k : kKnown) {
    if (k.method == method)
      return fmt::format("{}: quant_method \"{}\" ({})", fields.where(), method, k.meaning);
  }
  return fmt::format("{}: quant_method \"{}\"", fields.where(), method.substr(0, 60));
}

}  // namespace

std::string_view module_class(std::string_view module) {
  const size_t dot = module.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? module : module.substr(dot + 1);
  return last.starts_with("embed") ? "Embedding" : "Linear";
}

const QuantGroup* Dialect::group_of(std::string_view module) const {
  const std::string_view cls = module_class(module);
  for (const NamePattern& p : ignore) {
    if (p.matches(module) || p.text() == cls) return nullptr;
  }
  const auto first = [&](auto matches) -> const QuantGroup* {
    for (const QuantGroup& g : groups) {
      if (std::any_of(g.targets.begin(), g.targets.end(), matches)) return &g;
    }
    return nullptr;
  };
  if (const auto* g =
          first([&](const NamePattern& p) { return p.is_exact() && p.matches(module); })) {
    return g;
  }
  if (const auto* g =
          first([&](const NamePattern& p) { return !p.is_exact() && p.matches(module); })) {
    return g;
  }
  return first([&](const NamePattern& p) { return p.text() == cls; });
}

Dialect read_dialect(const Json& config, const std::string& directory) {
  const JsonFields root(config, directory + "/config.json");
  Dialect dialect;
  const char* key = root.has("quantization_config")  ? "quantization_config"
                    : root.has("compression_config") ? "compression_config"  // its old name
                                                     : nullptr;
  if (key == nullptr) {
    for (const char* name : kSideCars) {
      if (std::filesystem::exists(directory + "/" + name)) {
        unsupported("{}/{}: a quantised checkpoint that describes itself in this file", directory,
                    name);
      }
    }
    return dialect;
  }
  const JsonFields fields = root.object(key);
  dialect.method = fields.string(
      "quant_method", key == std::string_view("compression_config") ? "compressed-tensors" : "");
  if (dialect.method != "compressed-tensors" && dialect.method != "sinter") {
    unsupported("{}", described(fields, dialect.method));
  }
  if (const std::string version = fields.string("version", "1");
      dialect.method == "sinter" && version != "1") {
    unsupported("{}: version \"{}\" of Sinter's own dialect", fields.where(),
                version.substr(0, 20));
  }
  constexpr std::array<std::string_view, 7> kKeys = {
      "quant_method",  "version", "format", "quantization_status", "global_compression_ratio",
      "config_groups", "ignore"};
  refuse_unknown_keys(fields, kKeys);
  if (const std::string status = fields.string("quantization_status", "compressed");
      status != "compressed") {
    unsupported("{}: quantization_status \"{}\"", fields.where(), status);
  }
  const std::string format = fields.string("format", "");
  dialect.ignore = read_patterns(fields, "ignore");
  const JsonFields groups = fields.object("config_groups");
  for (const auto& [name, value] : groups.json().items()) {
    dialect.groups.push_back(read_group(groups, name, format));
  }
  return dialect;
}

}  // namespace sinter
