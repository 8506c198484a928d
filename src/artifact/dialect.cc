#include "artifact/dialect.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "artifact/dialect_fields.h"
#include "base/file.h"

namespace sinter {
namespace {

struct Reader {
  std::string_view method;
  Dialect (*read)(const DialectSource& source);
};
// The one list of dialects.
constexpr std::array kReaders = {
    Reader{"compressed-tensors", read_compressed_tensors},
    Reader{"sinter", read_compressed_tensors},
    Reader{"awq", read_awq},
    Reader{"gptq", read_gptq},
    Reader{"fp8", read_fp8},
    Reader{"modelopt", read_modelopt},
};

// Files that stand for a quantization_config, and the dialect of one that does not name it.
struct SideCar {
  const char* file;
  const char* method;
};
constexpr std::array kSideCars = {SideCar{"hf_quant_config.json", "modelopt"},
                                  SideCar{"quantize_config.json", "gptq"},
                                  SideCar{"quant_config.json", "awq"}};
constexpr std::array<const char*, kSideCars.size()> kSideCarFiles = {
    kSideCars[0].file, kSideCars[1].file, kSideCars[2].file};

// What other programs call their dialects, for a message that says more than "unknown".
std::string described(const JsonFields& fields, const std::string& method) {
  struct Known {
    std::string_view method, meaning;
  };
  constexpr std::array kKnown = {
      Known{"mxfp4", "gpt-oss MXFP4, whose weights are a mixture of experts"},
      Known{"bitsandbytes", "bitsandbytes"},
      Known{"auto-round", "AutoRound"},
      Known{"hqq", "HQQ"},
      Known{"exl2", "ExLlamaV2"},
      Known{"quark", "AMD Quark"},
      Known{"torchao", "torchao"},
      Known{"fbgemm_fp8", "FBGEMM FP8"}};
  for (const Known& k : kKnown) {
    if (k.method == method)
      return fmt::format("{}: quant_method \"{}\" ({})", fields.where(), method, k.meaning);
  }
  return fmt::format("{}: quant_method \"{}\"", fields.where(), method.substr(0, 60));
}

bool is_empty(const Json& value) {
  return value.is_null() || ((value.is_object() || value.is_array()) && value.empty());
}

Dialect read(const JsonFields& fields, const std::string& method, bool weights_only) {
  for (const Reader& r : kReaders) {
    if (r.method != method) continue;
    Dialect dialect = r.read({fields, method, weights_only});
    dialect.method = method;
    if (weights_only) {
      if (dialect.kv) dialect.left_out = "kv_cache_scheme";
      dialect.kv.reset();
      for (QuantGroup& g : dialect.groups) {
        if (g.scheme.activation == ActivationMode::exact) continue;
        if (dialect.left_out.empty()) dialect.left_out = to_string(g.scheme.activation);
        g.scheme.activation = ActivationMode::exact;
      }
    }
    return dialect;
  }
  unsupported("{}", described(fields, method));
}

}  // namespace

void fail_dialect(const std::string& what) {
  std::vector<std::string_view> methods;
  methods.reserve(kReaders.size());
  for (const Reader& r : kReaders) methods.push_back(r.method);
  fail(Fault::unsupported, "dialect-unsupported",
       "{}. This version reads dense checkpoints, and of {} what docs/formats.md says; a later "
       "version may read more. Use the dense checkpoint, and compress it with `sinter compress`",
       what, fmt::join(methods, ", "));
}

void refuse_unknown_keys(const JsonFields& fields, std::span<const std::string_view> known) {
  for (const auto& [key, value] : fields.json().items()) {
    if (is_empty(value) || std::find(known.begin(), known.end(), key) != known.end()) continue;
    unsupported("{}: {}: this version does not know what this asks for", fields.where(), key);
  }
}

std::vector<NamePattern> read_patterns(const JsonFields& fields, const char* key,
                                       NamePattern::Globs globs) {
  std::vector<NamePattern> patterns;
  if (!fields.has(key)) return patterns;
  const std::string where = fmt::format("{}/{}", fields.where(), key);
  const Json& list = fields.at(key);
  if (!list.is_array()) fail(Fault::bad_input, "json-field", "{}: expected a list of names", where);
  for (const Json& name : list) {
    if (!name.is_string()) fail(Fault::bad_input, "json-field", "{}: expected only strings", where);
    patterns.emplace_back(name.get<std::string>(), globs, where);
  }
  return patterns;
}

int32_t group_columns(const JsonFields& fields, int64_t size) {
  if (size < 1 || size > kMaxGroup) {
    fail(Fault::bad_input, "json-field", "{}: group_size: expected 1 to {} columns, found {}",
         fields.where(), kMaxGroup, size);
  }
  return static_cast<int32_t>(size);
}

void read_block(const JsonFields& fields, const char* key, QuantGroup& group) {
  const Json& block = fields.at(key);
  const auto is_size = [](const Json& x) {
    return x.is_number_integer() && x.get<int64_t>() >= 1 && x.get<int64_t>() <= kMaxGroup;
  };
  if (block == Json("128x128")) {
    group.scheme.block_rows = group.scheme.group = 128;
  } else if (block.is_array() && block.size() == 2 && is_size(block[0]) && is_size(block[1])) {
    group.scheme.block_rows = block[0].get<int32_t>();
    group.scheme.group = block[1].get<int32_t>();
  } else {
    fail(Fault::bad_input, "json-field", "{}: {}: expected [rows, columns]", fields.where(), key);
  }
}

void leave_out(Dialect& dialect, bool weights_only, const std::string& what) {
  if (!weights_only) {
    unsupported(
        "{}: this version does not compute that; --weights-only (as of `sinter run`) takes the "
        "weights alone",
        what);
  }
  if (dialect.left_out.empty()) dialect.left_out = what;
}

std::vector<NamePattern> all_linears() { return {{"Linear", NamePattern::Globs::no, "targets"}}; }

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

std::span<const char* const> side_car_files() { return kSideCarFiles; }

Dialect read_dialect(const Json& config, const std::string& directory, bool weights_only) {
  const JsonFields root(config, directory + "/config.json");
  if (root.has("quantization_config")) {
    const JsonFields fields = root.object("quantization_config");
    return read(fields, fields.string("quant_method", ""), weights_only);
  }
  if (root.has("compression_config")) {  // its old name
    return read(root.object("compression_config"), "compressed-tensors", weights_only);
  }
  for (const SideCar& car : kSideCars) {
    const std::string path = directory + "/" + car.file;
    if (!std::filesystem::exists(path)) continue;
    const Json json = read_json_file(path);
    const JsonFields fields(json, path);
    return read(fields, fields.string("quant_method", car.method), weights_only);
  }
  return {};
}

}  // namespace sinter
