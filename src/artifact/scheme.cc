#include "artifact/scheme.h"

#include <array>

#include "base/error.h"

namespace sinter {
namespace {

constexpr std::array kPresets = {
    Preset{"W8A16", {.bits = 8}},
    Preset{"W8A8", {.bits = 8, .activation = ActivationMode::int8_token}},
    Preset{"INT8", {.bits = 8, .activation = ActivationMode::int8_token}},
    Preset{"W4A16", {.bits = 4, .group = 128}},
    Preset{"W4A16_ASYM", {.bits = 4, .symmetric = false, .group = 128}},
    Preset{"W3A16", {.bits = 3, .group = 64}},
    Preset{"W3A16_ASYM", {.bits = 3, .symmetric = false, .group = 64}},
    Preset{"W2A16", {.bits = 2, .group = 32}},
    Preset{"W2A16_ASYM", {.bits = 2, .symmetric = false, .group = 32}},
};

// What the floats are called, and their codecs with and without a group.
struct NumberNames {
  Number number;
  std::string_view scheme, whole_row, grouped;
};
constexpr std::array kNumbers = {
    NumberNames{Number::e4m3, "FP8", "f8_row", "f8_group"},
    NumberNames{Number::mxfp4, "MXFP4", "mxfp4", "mxfp4"},
    NumberNames{Number::nvfp4, "NVFP4", "nvfp4", "nvfp4"},
    NumberNames{Number::nvfp4_div, "NVFP4", "nvfp4_div", "nvfp4_div"},
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

std::string scheme_problem(const Scheme& scheme) {
  if (scheme.bits != 8 && scheme.bits != 4 && scheme.bits != 3 && scheme.bits != 2) {
    return fmt::format("num_bits: expected 8, 4, 3 or 2, found {}", scheme.bits);
  }
  if (scheme.group < 0 || scheme.group > kMaxGroup) {
    return fmt::format("group_size: expected 1 to {}, found {}", kMaxGroup, scheme.group);
  }
  if (scheme.activation == ActivationMode::int8_token &&
      (scheme.bits != 8 || !scheme.symmetric || scheme.group != 0)) {
    return "int8 activations: expected 8-bit symmetric weights with one scale per channel (W8A8)";
  }
  return "";
}

}  // namespace sinter
