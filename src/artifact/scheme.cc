#include "artifact/scheme.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"

namespace sinter {
namespace {

constexpr std::array kPresets = {
    Preset{"W8A16", {.bits = 8}},
    Preset{"W8A8", {.bits = 8, .activation = ActivationMode::int8_token}},
    Preset{"INT8", {.bits = 8, .activation = ActivationMode::int8_token}},
    Preset{"W8A8_STATIC", {.bits = 8, .activation = ActivationMode::int8_tensor}},
    Preset{"W4A16", {.bits = 4, .group = 128}},
    Preset{"W4A16_ASYM", {.bits = 4, .symmetric = false, .group = 128}},
    Preset{"W3A16", {.bits = 3, .group = 64}},
    Preset{"W3A16_ASYM", {.bits = 3, .symmetric = false, .group = 64}},
    Preset{"W2A16", {.bits = 2, .group = 32}},
    Preset{"W2A16_ASYM", {.bits = 2, .symmetric = false, .group = 32}},
    Preset{"FP8",
           {.activation = ActivationMode::fp8_tensor, .number = Number::e4m3, .per_tensor = true}},
    Preset{"FP8_DYNAMIC", {.activation = ActivationMode::fp8_token, .number = Number::e4m3}},
    Preset{"FP8_BLOCK",
           {.group = 128,
            .activation = ActivationMode::fp8_group,
            .number = Number::e4m3,
            .block_rows = 128}},
    Preset{"FP8A16", {.number = Number::e4m3}},
    Preset{"MXFP4A16", {.bits = 4, .group = 32, .number = Number::mxfp4}},
    Preset{"NVFP4A16", {.bits = 4, .group = 16, .number = Number::nvfp4_div}},
};

// What the floats are called, their codecs with and without a group, and what they fix.
struct NumberNames {
  Number number;
  std::string_view scheme, whole_row, grouped;
  int bits;
  int32_t group;  // 0 = any
};
constexpr std::array kNumbers = {
    NumberNames{Number::e4m3, "FP8", "f8_row", "f8_group", 8, 0},
    NumberNames{Number::mxfp4, "MXFP4", "mxfp4", "mxfp4", 4, 32},
    NumberNames{Number::nvfp4, "NVFP4", "nvfp4", "nvfp4", 4, 16},
    NumberNames{Number::nvfp4_div, "NVFP4", "nvfp4_div", "nvfp4_div", 4, 16},
};

// Null for integers.
const NumberNames* float_names(Number number) {
  for (const NumberNames& n : kNumbers) {
    if (n.number == number) return &n;
  }
  return nullptr;
}

}  // namespace

std::span<const Preset> presets() { return kPresets; }

const Scheme* preset_named(std::string_view name) {
  for (const Preset& p : kPresets) {
    if (p.name == name) return &p.scheme;
  }
  return nullptr;
}

std::string scheme_name(const Scheme& scheme) {
  const bool exact = scheme.activation == ActivationMode::exact;
  if (const NumberNames* names = float_names(scheme.number)) {
    return fmt::format("{}{}", names->scheme, exact ? "A16" : "");
  }
  return fmt::format("W{}A{}{}", scheme.bits, exact ? 16 : 8, scheme.symmetric ? "" : "_ASYM");
}

Format format_of(const Scheme& scheme, DType scale) {
  if (const NumberNames* names = float_names(scheme.number)) {
    Format format = format_named(scheme.group == 0 ? names->whole_row : names->grouped);
    if (!has_groups(*format.codec)) return format;
    format.group = scheme.group;
    format.scale = scale;
    return format;
  }
  Format format =
      format_named(scheme.bits == 8 && scheme.symmetric && scheme.group == 0
                       ? "i8_row"
                       : fmt::format("{}{}_group", scheme.symmetric ? 'i' : 'u', scheme.bits));
  format.group = scheme.group;
  format.scale = scale;
  return format;
}

Format format_of(const Scheme& scheme, DType scale, int64_t cols) {
  Format format = format_of(scheme, scale);
  if (scheme.block_rows == 0 || cols % scheme.group == 0) return format;
  format.group = static_cast<int32_t>(cols < scheme.group ? cols : std::gcd(cols, scheme.group));
  return format;
}

int64_t rows_of_scale(const Scheme& scheme, int64_t rows) {
  return scheme.per_tensor ? rows : std::max(scheme.block_rows, 1);
}

bool has_input_scale(const Scheme& scheme) {
  return scheme.activation == ActivationMode::int8_tensor ||
         scheme.activation == ActivationMode::fp8_tensor;
}

float input_scale(const Scheme& scheme, float peak) {
  const float last = scheme.activation == ActivationMode::int8_tensor ? 127 : 448;
  return peak > 0 ? peak / last : 1;
}

KvCodes kv_codes(Number kind) {
  SINTER_CHECK(kind == Number::integer || kind == Number::e4m3);
  return kind == Number::integer ? KvCodes{ActivationMode::int8_tensor, "int8"}
                                 : KvCodes{ActivationMode::fp8_tensor, "fp8"};
}

namespace {

// Of floats.
std::string float_problem(const Scheme& scheme, const NumberNames& names) {
  if (scheme.bits != names.bits) {
    return fmt::format("num_bits: expected {} for {}, found {}", names.bits, names.scheme,
                       scheme.bits);
  }
  if (!scheme.symmetric) return fmt::format("symmetric: {} has no zero points", names.scheme);
  if (names.group > 0 && scheme.group != names.group) {
    return fmt::format("group_size: expected {} for {}, found {}", names.group, names.scheme,
                       scheme.group);
  }
  const ActivationMode inputs = scheme.activation;
  if (inputs == ActivationMode::exact) return "";
  if (scheme.number != Number::e4m3) {
    return fmt::format("{}: inputs stay as they are in this version", names.scheme);
  }
  const bool blocks = scheme.block_rows > 0;
  if (blocks != (inputs == ActivationMode::fp8_group) || (!blocks && scheme.group > 0)) {
    return "FP8 inputs: expected weights with one scale (strategy: tensor) or one per channel, or "
           "FP8_BLOCK as it is; for others use FP8A16";
  }
  return "";
}

}  // namespace

std::string scheme_problem(const Scheme& scheme) {
  if (const NumberNames* names = float_names(scheme.number)) return float_problem(scheme, *names);
  if (scheme.per_tensor || scheme.block_rows > 0) {
    return "strategy: tensor and block are of FP8";
  }
  if (scheme.bits != 8 && scheme.bits != 4 && scheme.bits != 3 && scheme.bits != 2) {
    return fmt::format("num_bits: expected 8, 4, 3 or 2, found {}", scheme.bits);
  }
  if (scheme.group < 0 || scheme.group > kMaxGroup) {
    return fmt::format("group_size: expected 1 to {}, found {}", kMaxGroup, scheme.group);
  }
  if (scheme.activation != ActivationMode::exact &&
      (scheme.bits != 8 || !scheme.symmetric || scheme.group != 0)) {
    return "int8 activations: expected 8-bit symmetric weights with one scale per channel (W8A8)";
  }
  return "";
}

}  // namespace sinter
