// The dialect of compressed-tensors: config_groups of targets, weights and input_activations, and a
// format that says how weights are stored. Facts: its quant_args.py, quant_scheme.py and the
// compressors (0.20); what older versions wrote is read too.
#include <algorithm>
#include <array>

#include "artifact/dialect_fields.h"

namespace sinter {
namespace {

struct FormatName {
  std::string_view name;
  Number number;
  Layout layout;
};
// The one list of its formats that this version reads, and the codes that each can hold.
constexpr std::array kFormats = {
    FormatName{"pack-quantized", Number::integer, Layout::packed},
    FormatName{"int-quantized", Number::integer, Layout::bytes},
    FormatName{"naive-quantized", Number::integer, Layout::bytes},
    FormatName{"float-quantized", Number::e4m3, Layout::float8},
    FormatName{"naive-quantized", Number::e4m3, Layout::float8},
    FormatName{"mxfp8-quantized", Number::e4m3, Layout::float8},
    FormatName{"nvfp4-pack-quantized", Number::nvfp4_div, Layout::nvfp4},
    FormatName{"mxfp4-pack-quantized", Number::mxfp4, Layout::mxfp4},
};

// The words that weights and input_activations share.
constexpr std::array<std::string_view, 12> kArgKeys = {
    "num_bits", "type",     "symmetric", "strategy",        "group_size",  "block_structure",
    "dynamic",  "actorder", "observer",  "observer_kwargs", "scale_dtype", "zp_dtype"};

struct Args {
  std::string type, strategy;
  int64_t bits = 8, group = 0;
  bool symmetric = true, dynamic = false, local = false;  // local: dynamic under a static scale
};

Args read_args(const JsonFields& fields) {
  refuse_unknown_keys(fields, kArgKeys);
  Args a;
  a.type = fields.string("type", "int");
  a.bits = fields.integer("num_bits", 8);
  a.symmetric = fields.boolean("symmetric", true);
  a.group = fields.integer("group_size", 0);
  if (fields.has("dynamic")) {
    a.local = fields.at("dynamic") == Json("local");
    a.dynamic = !a.local && fields.boolean("dynamic", false);
  }
  a.strategy = fields.string("strategy", a.group > 0   ? "group"
                                         : a.group < 0 ? "channel"
                                                       : "tensor");
  return a;
}

Number number_of(const JsonFields& args, const Args& a) {
  if (a.type == "int") return Number::integer;
  if (a.type == "float" && a.symmetric && a.bits == 8) return Number::e4m3;
  if (a.type == "float" && a.symmetric && a.bits == 4 && a.group == 16) return Number::nvfp4_div;
  if (a.type == "float" && a.symmetric && a.bits == 4 && a.group == 32) return Number::mxfp4;
  unsupported("{}: type \"{}\", {} bits, groups of {}{}", args.where(), a.type.substr(0, 20),
              a.bits, a.group, a.symmetric ? "" : ", asymmetric");
}

void read_order(const JsonFields& args, QuantGroup& group) {
  if (!args.has("actorder")) return;
  const Json& order = args.at("actorder");
  if (order == Json("weight") || order == Json("static") || order == Json(false)) return;
  if (order != Json("group") && order != Json("dynamic") && order != Json(true)) {
    unsupported("{}: actorder {}", args.where(), to_line(order).substr(0, 40));
  }
  group.column_order = true;
}

void read_weights(const JsonFields& args, QuantGroup& group) {
  const Args a = read_args(args);
  group.scheme.number = number_of(args, a);
  group.scheme.bits = static_cast<int>(std::clamp<int64_t>(a.bits, 0, 64));
  group.scheme.symmetric = a.symmetric;
  if (a.dynamic || a.local) {
    unsupported("{}: dynamic: expected false for weights", args.where());
  }
  read_order(args, group);
  if (args.has("block_structure") && a.strategy != "block") {
    unsupported("{}: block_structure is set", args.where());
  }
  const bool is_float = group.scheme.number != Number::integer;
  if (a.strategy == "group" || (is_float && a.strategy == "tensor_group")) {
    group.scheme.group = group_columns(args, a.group);
  } else if (a.strategy == "tensor") {
    group.scheme.per_tensor = true;
  } else if (a.strategy == "block" && group.scheme.number == Number::e4m3) {
    if (!args.has("block_structure")) unsupported("{}: block_structure is missing", args.where());
    read_block(args, "block_structure", group);
  } else if (a.strategy != "channel") {
    unsupported("{}: strategy \"{}\"", args.where(), a.strategy);
  }
}

constexpr std::array kInputs = {
    InputWords{"int", "token", true, 0, ActivationMode::int8_token},
    InputWords{"int", "tensor", false, 0, ActivationMode::int8_tensor},
    InputWords{"float", "token", true, 0, ActivationMode::fp8_token},
    InputWords{"float", "tensor", false, 0, ActivationMode::fp8_tensor},
    InputWords{"float", "group", true, 128, ActivationMode::fp8_group},
};

void read_activations(const JsonFields& args, bool weights_only, Dialect& dialect,
                      QuantGroup& group) {
  const Args a = read_args(args);
  for (const InputWords& i : kInputs) {
    if (a.bits == 8 && a.symmetric && !a.local && a.type == i.type && a.strategy == i.strategy &&
        a.dynamic == i.dynamic && (i.group == 0 || a.group == i.group)) {
      group.scheme.activation = i.mode;
      return;
    }
  }
  leave_out(dialect, weights_only,
            fmt::format("{}: inputs of {} bits ({}, {}, {}{})", args.where(), a.bits,
                        a.type.substr(0, 20), a.strategy.substr(0, 20),
                        a.local     ? "dynamic under a static scale"
                        : a.dynamic ? "dynamic"
                                    : "static",
                        a.symmetric ? "" : ", asymmetric"));
}

void read_kv(const JsonFields& fields, bool weights_only, Dialect& dialect) {
  constexpr const char* kKey = "kv_cache_scheme";
  if (!fields.has(kKey) || fields.at(kKey).empty()) return;
  const Args a = read_args(fields.object(kKey));
  const bool known = a.type == "int" || a.type == "float";
  if (known && a.bits == 8 && a.symmetric && a.strategy == "tensor" && !a.dynamic && !a.local) {
    dialect.kv = a.type == "int" ? Number::integer : Number::e4m3;
    return;
  }
  leave_out(
      dialect, weights_only,
      fmt::format("{}: {}: {}", fields.where(), kKey, to_line(fields.at(kKey)).substr(0, 120)));
}

// As compressed-tensors infers it where a group does not say.
std::string_view inferred_format(const Scheme& s) {
  for (const FormatName& f : kFormats) {
    if (f.number != s.number) continue;
    if (s.number != Number::integer) return f.name;
    if ((f.layout == Layout::packed) == (s.activation == ActivationMode::exact)) return f.name;
  }
  return "";
}

void read_layout(const std::string& format, const std::string& where, QuantGroup& group) {
  Scheme weights = group.scheme;  // what inputs go with them is the backend's business, and one
  weights.activation = ActivationMode::exact;  // scale of integers is read, if not written
  weights.per_tensor = false;
  if (weights.number == Number::integer) {
    if (const std::string problem = scheme_problem(weights); !problem.empty()) {
      unsupported("{}: {}", where, problem);
    }
  }
  for (const FormatName& f : kFormats) {
    if (f.name != format || f.number != weights.number) continue;
    group.layout = f.layout;
    group.power_of_two_scale = format == "mxfp8-quantized";
    if (group.power_of_two_scale && (weights.group != 32 || group.scheme.block_rows > 0)) {
      unsupported("{}: mxfp8-quantized: expected groups of 32 columns", where);
    }
    return;
  }
  unsupported("{}: format \"{}\" for {} weights of {} bits", where, format.substr(0, 60),
              weights.number == Number::integer ? "integer" : "float", weights.bits);
}

QuantGroup read_group(const JsonFields& groups, const std::string& name, const std::string& format,
                      bool weights_only, Dialect& dialect) {
  QuantGroup group;
  group.name = name;
  const std::string where = groups.where() + "/" + name;
  std::string own_format = format;
  if (groups.at(name.c_str()).is_array()) {  // {"W4A16": [targets]}
    const Scheme* preset = preset_named(name);
    if (preset == nullptr) unsupported("{}: no preset of this name", where);
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
    if (fields.has("input_activations")) {
      read_activations(fields.object("input_activations"), weights_only, dialect, group);
    }
    if (fields.has("output_activations")) {
      leave_out(dialect, weights_only, where + ": output_activations are set");
    }
    own_format = fields.string("format", format);
  }
  if (own_format.empty() || own_format == "mixed-precision") {
    own_format = inferred_format(group.scheme);
  }
  read_layout(own_format, where, group);
  return group;
}

}  // namespace

std::span<const InputWords> input_words() { return kInputs; }

Dialect read_compressed_tensors(const DialectSource& source) {
  const JsonFields& fields = source.fields;
  Dialect dialect;
  if (const std::string version = fields.string("version", "1");
      source.method == "sinter" && version != "1") {
    unsupported("{}: version \"{}\" of Sinter's own dialect", fields.where(),
                version.substr(0, 20));
  }
  constexpr std::array<std::string_view, 9> kKeys = {"quant_method",
                                                     "version",
                                                     "format",
                                                     "quantization_status",
                                                     "global_compression_ratio",
                                                     "config_groups",
                                                     "ignore",
                                                     "kv_cache_scheme",
                                                     "sparsity_config"};
  refuse_unknown_keys(fields, kKeys);
  if (fields.has("sparsity_config") && !fields.at("sparsity_config").empty() &&
      fields.object("sparsity_config").string("format", "dense") != "dense") {
    unsupported("{}: sparsity_config", fields.where());
  }
  read_kv(fields, source.weights_only, dialect);
  if (const std::string status = fields.string("quantization_status", "compressed");
      status != "compressed") {
    unsupported("{}: quantization_status \"{}\"", fields.where(), status.substr(0, 40));
  }
  const std::string format = fields.string("format", "");
  dialect.ignore = read_patterns(fields, "ignore");
  const JsonFields groups = fields.object("config_groups");
  for (const auto& [name, value] : groups.json().items()) {
    dialect.groups.push_back(read_group(groups, name, format, source.weights_only, dialect));
  }
  return dialect;
}

}  // namespace sinter
