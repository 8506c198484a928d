#include "artifact/scheme.h"

#include <array>

#include "base/error.h"

namespace sinter {
namespace {

constexpr int32_t kMaxGroup = 1 << 20;

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

}  // namespace

std::span<const Preset> presets() { return kPresets; }

const Scheme* preset_named(std::string_view name) {
  for (const Preset& p : kPresets) {
    if (p.name == name) return &p.scheme;
  }
  return nullptr;
}

std::string scheme_name(const Scheme& scheme) {
  return fmt::format("W{}A{}{}", scheme.bits, scheme.activation == ActivationMode::exact ? 16 : 8,
                     scheme.symmetric ? "" : "_ASYM");
}

Format format_of(const Scheme& scheme, DType scale) {
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
