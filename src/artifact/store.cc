#include "artifact/store.h"

#include <algorithm>
#include <array>
#include <cstring>

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

Json weight_args(const Scheme& scheme) {
  Json args = {
      {"num_bits", scheme.bits},       {"type", "int"},
      {"symmetric", scheme.symmetric}, {"strategy", scheme.group > 0 ? "group" : "channel"},
      {"group_size", nullptr},         {"dynamic", false}};
  if (scheme.group > 0) args["group_size"] = scheme.group;
  return args;
}

Json activation_args(const Scheme& scheme) {
  if (scheme.activation == ActivationMode::exact) return nullptr;
  return {{"num_bits", 8},
          {"type", "int"},
          {"symmetric", true},
          {"strategy", "token"},
          {"dynamic", true}};
}

const char* format_word(Layout layout) {
  return layout == Layout::packed ? "pack-quantized" : "int-quantized";
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

std::vector<OwnedTensor> store_packed(const std::string& module, const Weight& weight) {
  return store_quantized(module, weight, Layout::packed);
}

Json packed_config(const StorePlan& plan) { return quantization_config(plan.modules, plan.dense); }

constexpr std::array kStoredDialects = {
    StoredDialect{"awq", "AutoAWQ, 4 bits, from GPTQ or compressed-tensors", awq_problem, store_awq,
                  awq_config, true},
    StoredDialect{"gptq", "GPTQ, from AWQ or compressed-tensors", gptq_problem, store_gptq,
                  gptq_config, true},
    StoredDialect{"compressed-tensors", "pack-quantized, from AWQ or GPTQ", packed_problem,
                  store_packed, packed_config, false},
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

Layout layout_of(const Scheme& scheme) {
  return scheme.activation == ActivationMode::exact ? Layout::packed : Layout::bytes;
}

std::vector<OwnedTensor> store_quantized(const std::string& module, const Weight& weight,
                                         Layout layout) {
  const Format& f = weight.format;
  const auto bits = static_cast<int>(f.codec->bits);
  const int64_t n_groups = f.n_groups(weight.cols);
  std::vector<OwnedTensor> out;
  if (layout == Layout::bytes) {
    SINTER_CHECK(bits == 8 && !f.codec->has_zero_point);
    out.push_back(signed_codes(module, weight));
  } else {
    out.push_back(packed_codes(module, weight, bits));
    if (f.codec->has_zero_point) out.push_back(packed_zeros(module, weight, n_groups, bits));
    OwnedTensor shape{module + ".weight_shape", DType::i64, {2}, {}};
    const int64_t rows_cols[2] = {weight.rows, weight.cols};
    std::memcpy(resized(shape, sizeof rows_cols), rows_cols, sizeof rows_cols);
    out.push_back(std::move(shape));
  }
  out.push_back(scales(module, weight, n_groups));
  return out;
}

Json quantization_config(const std::vector<QuantisedModule>& modules,
                         const std::vector<std::string>& dense) {
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
    if (mixed) group["format"] = format_word(layout_of(scheme));
    groups[fmt::format("group_{}", i)] = group;
  }
  Json config = {{"quant_method", narrow ? "sinter" : "compressed-tensors"}};
  if (narrow) config["version"] = "1";
  config["format"] =
      mixed || schemes.empty() ? "mixed-precision" : format_word(layout_of(schemes.front()));
  config["quantization_status"] = "compressed";
  config["config_groups"] = groups;
  config["ignore"] = dense;
  return config;
}

}  // namespace sinter
