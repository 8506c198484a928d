// The dialect of NVIDIA's ModelOpt: quant_algo in config.json or in hf_quant_config.json. Facts:
// its torch/export (0.47): convert_hf_config.py, quant_utils.py.
//
//   FP8                        M.weight F8_E4M3, M.weight_scale and M.input_scale: one each
//   FP8_PER_CHANNEL_PER_TOKEN  M.weight_scale [N], inputs dynamic
//   NVFP4, W4A16_NVFP4         layout modelopt (fp4.cc); NVFP4's inputs are NVFP4, too
#include <array>

#include "artifact/dialect_fields.h"

namespace sinter {
namespace {

struct Algorithm {
  std::string_view name;
  Scheme scheme;
  Layout layout;
  const char* inputs;  // what this version cannot do to them; "" = nothing
};
// The one list of its algorithms that this version reads.
constexpr std::array kAlgorithms = {
    Algorithm{
        "FP8",
        {.activation = ActivationMode::fp8_tensor, .number = Number::e4m3, .per_tensor = true},
        Layout::float8,
        ""},
    Algorithm{"FP8_PER_CHANNEL_PER_TOKEN",
              {.activation = ActivationMode::fp8_token, .number = Number::e4m3},
              Layout::float8,
              ""},
    Algorithm{"NVFP4",
              {.bits = 4, .group = 16, .number = Number::nvfp4},
              Layout::modelopt,
              "inputs in NVFP4"},
    Algorithm{
        "W4A16_NVFP4", {.bits = 4, .group = 16, .number = Number::nvfp4}, Layout::modelopt, ""},
};

QuantGroup group_of(const DialectSource& source, const JsonFields& fields, const std::string& name,
                    Dialect& dialect) {
  for (const Algorithm& a : kAlgorithms) {
    if (a.name != name) continue;
    if (a.scheme.group > 0 && fields.integer("group_size", a.scheme.group) != a.scheme.group) {
      unsupported("{}: groups of {} with {}", fields.where(), fields.integer("group_size"), name);
    }
    if (*a.inputs != '\0') {
      leave_out(dialect, source.weights_only,
                fmt::format("{}: quant_algo \"{}\": {}", fields.where(), name, a.inputs));
    }
    QuantGroup group{.name = name, .targets = {}, .scheme = a.scheme};
    group.layout = a.layout;
    return group;
  }
  unsupported("{}: quant_algo \"{}\"", fields.where(), name.substr(0, 60));
}

// MIXED_PRECISION: {"quantized_layers": {module: {"quant_algo": ...}}}.
void read_layers(const DialectSource& source, const JsonFields& fields, Dialect& dialect) {
  const JsonFields layers = fields.object("quantized_layers");
  for (const auto& [module, value] : layers.json().items()) {
    const JsonFields layer = layers.object(module.c_str());
    const std::string name = layer.string("quant_algo");
    QuantGroup* same = nullptr;
    for (QuantGroup& g : dialect.groups) {
      if (g.name == name) same = &g;
    }
    if (same == nullptr) {
      dialect.groups.push_back(group_of(source, layer, name, dialect));
      same = &dialect.groups.back();
    }
    same->targets.emplace_back(module, NamePattern::Globs::no, layer.where());
  }
}

}  // namespace

Dialect read_modelopt(const DialectSource& source) {
  // The side-car has everything one level down; config.json's mirror has not.
  const JsonFields fields =
      source.fields.has("quantization") ? source.fields.object("quantization") : source.fields;
  constexpr std::array<std::string_view, 13> kKeys = {
      "quant_method",    "quant_algo",       "kv_cache_quant_algo", "group_size",
      "exclude_modules", "ignore",           "config_groups",       "producer",
      "version",         "quantized_layers", "kv_cache_scheme",     "has_zero_point",
      "pre_quant_scale"};
  refuse_unknown_keys(fields, kKeys);
  for (const char* key : {"has_zero_point", "pre_quant_scale"}) {
    if (fields.boolean(key, false)) unsupported("{}: {}", fields.where(), key);
  }
  Dialect dialect;
  dialect.by_presence = true;
  for (const char* key : {"kv_cache_quant_algo", "kv_cache_scheme"}) {
    if (!fields.has(key) || fields.at(key).empty() || fields.at(key) == Json("none")) continue;
    leave_out(
        dialect, source.weights_only,
        fmt::format("{}: {}: {}", fields.where(), key, to_line(fields.at(key)).substr(0, 80)));
  }
  for (const char* key : {"exclude_modules", "ignore"}) {
    for (NamePattern& p : read_patterns(fields, key, NamePattern::Globs::yes)) {
      dialect.ignore.push_back(std::move(p));
    }
  }
  const std::string name = fields.string("quant_algo");
  if (name == "MIXED_PRECISION") {
    read_layers(source, fields, dialect);
    return dialect;
  }
  QuantGroup group = group_of(source, fields, name, dialect);
  group.targets = all_linears();
  dialect.groups.push_back(std::move(group));
  return dialect;
}

}  // namespace sinter
