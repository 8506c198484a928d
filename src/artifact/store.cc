#include "artifact/store.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "artifact/dialect_fields.h"
#include "artifact/layouts.h"
#include "base/error.h"
#include "format/scale.h"

namespace sinter {
namespace {

std::byte* resized(OwnedTensor& t, int64_t bytes) {
  t.bytes.assign(static_cast<size_t>(bytes), std::byte{0});
  return t.bytes.data();
}

// Rows of codes in whole int32 words: only 8-bit rows can end inside one.
OwnedTensor packed_codes(const std::string& module, const Weight& w, int bits) {
  const int64_t stored_words = words(w.cols, bits), row_bytes = w.row_bytes();
  OwnedTensor t{module + ".weight_packed", DType::i32, {w.rows, stored_words}, {}};
  std::byte* at = resized(t, w.rows * stored_words * 4);
  for (int64_t r = 0; r < w.rows; ++r) {
    std::memcpy(at + r * stored_words * 4, w.row_codes(r), static_cast<size_t>(row_bytes));
  }
  return t;
}

OwnedTensor signed_codes(const std::string& module, const Weight& w) {
  OwnedTensor t{module + ".weight", DType::i8, {w.rows, w.cols}, {}};
  std::byte* at = resized(t, w.rows * w.cols);
  for (int64_t i = 0; i < w.rows * w.cols; ++i) at[i] = std::byte(w.codes[i] ^ 0x80);
  return t;
}

OwnedTensor scales(const std::string& module, const Weight& w, int64_t n_groups) {
  const int64_t row_bytes = n_groups * traits(w.format.scale).bytes;
  OwnedTensor t{module + ".weight_scale", w.format.scale, {w.rows, n_groups}, {}};
  std::byte* at = resized(t, w.rows * row_bytes);
  for (int64_t r = 0; r < w.rows; ++r) {
    std::memcpy(at + r * row_bytes, w.row_params(r), static_cast<size_t>(row_bytes));
  }
  return t;
}

// Zero points run down the rows: field r of the column of group g.
OwnedTensor packed_zeros(const std::string& module, const Weight& w, int64_t n_groups, int bits) {
  const int64_t column_words = words(w.rows, bits);
  OwnedTensor t{module + ".weight_zero_point", DType::i32, {column_words, n_groups}, {}};
  std::byte* at = resized(t, column_words * n_groups * 4);
  const int64_t zeros_at = n_groups * traits(w.format.scale).bytes;
  for (int64_t g = 0; g < n_groups; ++g) {
    std::vector<uint8_t> column(static_cast<size_t>(4 * column_words));
    for (int64_t r = 0; r < w.rows; ++r) {
      add_field(column.data(), r, bits, w.row_params(r)[zeros_at + g]);
    }
    for (int64_t word = 0; word < column_words; ++word) {
      std::memcpy(at + 4 * (word * n_groups + g), column.data() + 4 * word, 4);
    }
  }
  return t;
}

std::vector<OwnedTensor> store_words(const QuantisedModule& m, const Weight& w) {
  const auto bits = static_cast<int>(w.format.codec->bits);
  const int64_t n_groups = w.format.n_groups(w.cols);
  std::vector<OwnedTensor> out;
  out.push_back(packed_codes(m.name, w, bits));
  if (w.format.codec->has_zero_point) out.push_back(packed_zeros(m.name, w, n_groups, bits));
  OwnedTensor shape{m.name + ".weight_shape", DType::i64, {2}, {}};
  const int64_t rows_cols[2] = {w.rows, w.cols};
  std::memcpy(resized(shape, sizeof rows_cols), rows_cols, sizeof rows_cols);
  out.push_back(std::move(shape));
  out.push_back(scales(m.name, w, n_groups));
  return out;
}

std::vector<OwnedTensor> store_bytes(const QuantisedModule& m, const Weight& w) {
  SINTER_CHECK(w.format.codec->bits == 8 && !w.format.codec->has_zero_point);
  return {signed_codes(m.name, w), scales(m.name, w, w.format.n_groups(w.cols))};
}

// Codes as they are, a row after the other.
OwnedTensor plain_codes(const std::string& name, DType dtype, const Weight& w) {
  OwnedTensor t{name, dtype, {w.rows, w.row_bytes()}, {}};
  const int64_t bytes = w.rows * w.row_bytes();
  std::memcpy(resized(t, bytes), w.codes, static_cast<size_t>(bytes));
  return t;
}

// The scales that rows share, from the first row of each block of them; the others must have the
// same. [n_row_blocks, n_column_blocks], where a block of columns is `n` groups or what is left.
OwnedTensor shared_scales(const std::string& name, const Weight& w, int64_t block_rows, int64_t n) {
  const int64_t n_groups = w.format.n_groups(w.cols), scale_bytes = traits(w.format.scale).bytes;
  const int64_t row_blocks = (w.rows + block_rows - 1) / block_rows,
                blocks = (n_groups + n - 1) / n;
  OwnedTensor t{name, w.format.scale, {row_blocks, blocks}, {}};
  std::byte* at = resized(t, row_blocks * blocks * scale_bytes);
  for (int64_t r = 0; r < w.rows; ++r) {
    for (int64_t g = 0; g < n_groups; ++g) {
      std::byte* to = at + (r / block_rows * blocks + g / n) * scale_bytes;
      const uint8_t* from = w.row_params(r) + g * scale_bytes;
      if (r % block_rows == 0 && g % n == 0)
        std::memcpy(to, from, static_cast<size_t>(scale_bytes));
      SINTER_CHECK(std::memcmp(to, from, static_cast<size_t>(scale_bytes)) == 0);
    }
  }
  return t;
}

std::vector<OwnedTensor> store_float8(const QuantisedModule& m, const Weight& w) {
  const std::string name = m.name + ".weight_scale";
  const int64_t group = scale_columns(w.format, w.cols);
  const int64_t per_block =
      m.scheme.block_rows == 0 ? 1 : std::max<int64_t>(1, m.scheme.group / group);
  OwnedTensor found = shared_scales(name, w, rows_of_scale(m.scheme, w.rows), per_block);
  if (m.scheme.per_tensor) found.shape = {1};
  return {plain_codes(m.name + ".weight", DType::f8_e4m3, w), std::move(found)};
}

// What each row's parameters begin with.
OwnedTensor block_scales(const std::string& module, DType dtype, const Weight& w, int64_t block) {
  const int64_t n_blocks = w.cols / block;
  OwnedTensor t{module + ".weight_scale", dtype, {w.rows, n_blocks}, {}};
  std::byte* at = resized(t, w.rows * n_blocks);
  for (int64_t r = 0; r < w.rows; ++r) {
    std::memcpy(at + r * n_blocks, w.row_params(r), static_cast<size_t>(n_blocks));
  }
  return t;
}

std::vector<OwnedTensor> store_nvfp4(const QuantisedModule& m, const Weight& w) {
  constexpr int64_t kBlock = 16;
  const int64_t n_blocks = w.cols / kBlock;
  OwnedTensor matrix{m.name + ".weight_global_scale", DType::f32, {1}, {}};
  std::byte* at = resized(matrix, sizeof(float));
  std::memcpy(at, w.row_params(0) + n_blocks, sizeof(float));
  for (int64_t r = 1; r < w.rows; ++r) {
    SINTER_CHECK(std::memcmp(at, w.row_params(r) + n_blocks, sizeof(float)) == 0);
  }
  return {plain_codes(m.name + ".weight_packed", DType::u8, w),
          block_scales(m.name, DType::f8_e4m3, w, kBlock), std::move(matrix)};
}

std::vector<OwnedTensor> store_mxfp4(const QuantisedModule& m, const Weight& w) {
  return {plain_codes(m.name + ".weight_packed", DType::u8, w),
          block_scales(m.name, DType::u8, w, 32)};
}

// The one list of what compressed-tensors calls the layouts that are written, and of their kinds of
// codes. Integers are packed where inputs stay as they are, else bytes.
struct LayoutWriter {
  Number number;
  Layout layout;
  const char* format;
  const char* type;
  const char* scale_type;  // where loaders look at it; null = left out
  std::vector<OwnedTensor> (*store)(const QuantisedModule& m, const Weight& w);
};
constexpr std::array kWriters = {
    LayoutWriter{Number::integer, Layout::packed, "pack-quantized", "int", nullptr, store_words},
    LayoutWriter{Number::integer, Layout::bytes, "int-quantized", "int", nullptr, store_bytes},
    LayoutWriter{Number::e4m3, Layout::float8, "float-quantized", "float", nullptr, store_float8},
    LayoutWriter{Number::nvfp4_div, Layout::nvfp4, "nvfp4-pack-quantized", "float", nullptr,
                 store_nvfp4},
    LayoutWriter{Number::mxfp4, Layout::mxfp4, "mxfp4-pack-quantized", "float", "torch.uint8",
                 store_mxfp4},
};

const LayoutWriter& writer_of(const Scheme& scheme) {
  const bool bytes = scheme.activation != ActivationMode::exact;
  for (const LayoutWriter& w : kWriters) {
    if (w.number == scheme.number &&
        (w.number != Number::integer || (w.layout == Layout::bytes) == bytes)) {
      return w;
    }
  }
  check_failed(__FILE__, __LINE__, "no recipe names such a scheme");
}

const char* strategy_of(const Scheme& s) {
  if (s.per_tensor) return "tensor";
  if (s.block_rows > 0) return "block";
  if (s.number == Number::nvfp4_div) return "tensor_group";
  return s.group > 0 ? "group" : "channel";
}

Json weight_args(const Scheme& scheme) {
  const LayoutWriter& writer = writer_of(scheme);
  Json args = {{"num_bits", scheme.bits},       {"type", writer.type},
               {"symmetric", scheme.symmetric}, {"strategy", strategy_of(scheme)},
               {"group_size", nullptr},         {"dynamic", false}};
  if (scheme.block_rows > 0) {
    args["block_structure"] = {scheme.block_rows, scheme.group};
  } else if (scheme.group > 0) {
    args["group_size"] = scheme.group;
  }
  if (writer.scale_type != nullptr) args["scale_dtype"] = writer.scale_type;
  return args;
}

Json args_of_eight_bits(std::string_view type, std::string_view strategy, bool dynamic) {
  return {{"num_bits", 8},
          {"type", type},
          {"symmetric", true},
          {"strategy", strategy},
          {"dynamic", dynamic}};
}

Json activation_args(const Scheme& scheme) {
  for (const InputWords& w : input_words()) {
    if (w.mode != scheme.activation) continue;
    Json args = args_of_eight_bits(w.type, w.strategy, w.dynamic);
    if (w.group > 0) args["group_size"] = w.group;
    return args;
  }
  return nullptr;
}

OwnedTensor one_number(std::string name, float value) {
  OwnedTensor t{std::move(name), DType::f32, {1}, {}};
  std::memcpy(resized(t, sizeof value), &value, sizeof value);
  return t;
}

std::string packed_problem(const StorePlan& plan) {
  for (const QuantisedModule& m : plan.modules) {
    if (m.column_order) {
      return fmt::format(
          "{} has its columns in another order than their groups (desc_act), which "
          "compressed-tensors no longer reads",
          m.name);
    }
  }
  return "";
}

Json packed_config(const StorePlan& plan) {
  return quantization_config(plan.modules, plan.dense, plan.kv);
}

constexpr std::array kStoredDialects = {
    StoredDialect{"awq", "AutoAWQ: 4 bits, one group size, F16 scales", awq_problem, store_awq,
                  awq_config, true},
    StoredDialect{"gptq", "AutoGPTQ, GPTQModel: one width and group size, F16 scales", gptq_problem,
                  store_gptq, gptq_config, true},
    StoredDialect{"compressed-tensors", "what transformers and vLLM read; every scheme",
                  packed_problem, store_quantized, packed_config, false},
};

}  // namespace

std::span<const StoredDialect> stored_dialects() { return kStoredDialects; }

uint8_t zero_point(const Weight& w, int64_t r, int64_t g) {
  const Codec& codec = *w.format.codec;
  if (!codec.has_zero_point) return static_cast<uint8_t>(1u << (static_cast<int>(codec.bits) - 1));
  return w.row_params(r)[w.format.n_groups(w.cols) * traits(w.format.scale).bytes + g];
}

bool is_half(DType dtype, const uint8_t* scale) {
  const float x = load_scale(dtype, scale);
  return f16_to_f32(f32_to_f16(x)) == x;
}

OwnedTensor half_scales(const std::string& name, const Weight& w) {
  const int64_t n_groups = w.format.n_groups(w.cols);
  OwnedTensor t{name, DType::f16, {n_groups, w.rows}, {}};
  std::byte* at = resized(t, n_groups * w.rows * 2);
  const int64_t scale_bytes = traits(w.format.scale).bytes;
  for (int64_t r = 0; r < w.rows; ++r) {
    for (int64_t g = 0; g < n_groups; ++g) {
      const uint8_t* scale = w.row_params(r) + g * scale_bytes;
      SINTER_CHECK(is_half(w.format.scale, scale));
      const uint16_t half = f32_to_f16(load_scale(w.format.scale, scale));
      std::memcpy(at + (g * w.rows + r) * 2, &half, sizeof half);
    }
  }
  return t;
}

const StoredDialect& default_dialect() { return kStoredDialects.back(); }

const StoredDialect& stored_dialect(std::string_view name) {
  std::vector<std::string_view> names;
  for (const StoredDialect& d : kStoredDialects) {
    if (d.name == name) return d;
    names.push_back(d.name);
  }
  fail(
      Fault::bad_input, "dialect-name",
      "expected a dialect, one of {}, found \"{}\"; a GGUF file is made from a directory in one of "
      "these: sinter convert DIRECTORY -o OUT.gguf",
      fmt::join(names, ", "), name.substr(0, 60));
}

std::string beyond_integers(const StorePlan& plan, std::string_view dialect) {
  for (const QuantisedModule& m : plan.modules) {
    if (m.scheme.number == Number::integer && m.scheme.activation == ActivationMode::exact)
      continue;
    return fmt::format("{} is {}; {} has integer weights only, and inputs as they are", m.name,
                       scheme_name(m.scheme), dialect);
  }
  return plan.kv ? fmt::format("keys and values are quantised; {} cannot say that", dialect) : "";
}

Layout layout_of(const Scheme& scheme) { return writer_of(scheme).layout; }

std::vector<OwnedTensor> store_quantized(const QuantisedModule& module, const Weight& weight) {
  std::vector<OwnedTensor> out = writer_of(module.scheme).store(module, weight);
  if (has_input_scale(module.scheme)) {
    SINTER_CHECK(std::isfinite(module.input_scale) && module.input_scale > 0);
    out.push_back(one_number(module.name + ".input_scale", module.input_scale));
  }
  return out;
}

std::vector<OwnedTensor> store_kv_scales(const std::string& attention, float k_scale,
                                         float v_scale) {
  for (const float scale : {k_scale, v_scale}) SINTER_CHECK(std::isfinite(scale) && scale > 0);
  return {one_number(attention + ".k_scale", k_scale), one_number(attention + ".v_scale", v_scale)};
}

Json quantization_config(const std::vector<QuantisedModule>& modules,
                         const std::vector<std::string>& dense, std::optional<Number> kv) {
  std::vector<Scheme> schemes;
  bool narrow = false, has_embedding = false;
  for (const QuantisedModule& m : modules) {
    if (std::find(schemes.begin(), schemes.end(), m.scheme) == schemes.end()) {
      schemes.push_back(m.scheme);
    }
    narrow = narrow || m.scheme.bits < 4;
    has_embedding = has_embedding || module_class(m.name) != "Linear";
  }
  const bool by_name = schemes.size() > 1 || has_embedding;
  bool mixed = false;
  for (const Scheme& s : schemes) mixed = mixed || layout_of(s) != layout_of(schemes.front());
  Json groups = Json::object();
  for (size_t i = 0; i < schemes.size(); ++i) {
    const Scheme& scheme = schemes[i];
    Json targets = Json::array();
    for (const QuantisedModule& m : modules) {
      if (by_name && m.scheme == scheme) targets.push_back(m.name);
    }
    if (!by_name) targets.push_back("Linear");
    Json group = {{"targets", targets},
                  {"weights", weight_args(scheme)},
                  {"input_activations", activation_args(scheme)},
                  {"output_activations", nullptr}};
    if (mixed) group["format"] = writer_of(scheme).format;
    groups[fmt::format("group_{}", i)] = group;
  }
  Json config = {{"quant_method", narrow ? "sinter" : "compressed-tensors"}};
  if (narrow) config["version"] = "1";
  config["format"] =
      mixed || schemes.empty() ? "mixed-precision" : writer_of(schemes.front()).format;
  config["quantization_status"] = "compressed";
  config["config_groups"] = groups;
  config["ignore"] = dense;
  if (kv) {
    config["kv_cache_scheme"] =
        args_of_eight_bits(*kv == Number::e4m3 ? "float" : "int", "tensor", false);
  }
  return config;
}

}  // namespace sinter
