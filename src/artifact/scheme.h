// How a linear's weights are quantised, in the field's words (W4A16, group size, symmetric), and
// the one list of presets. What codec that is, and what a loader must write about it, follow from
// it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "format/format.h"

namespace sinter {

constexpr int32_t kMaxGroup = 1 << 20;  // columns

// What a code is: an integer, or a small float with its own kind of scales (format/float*.cc).
enum class Number : uint8_t { integer, e4m3, mxfp4, nvfp4, nvfp4_div };

struct Scheme {
  int bits = 8;           // 8, 4, 3 or 2
  bool symmetric = true;  // else with zero points
  int32_t group = 0;      // columns that share a scale; 0 = one scale per row ("channel")
  ActivationMode activation = ActivationMode::exact;
  Number number = Number::integer;
  bool operator==(const Scheme&) const = default;
};

struct Preset {
  std::string_view name;
  Scheme scheme;
};

// W8A16, W4A16 ... as compressed-tensors names them, and ours for 3 and 2 bits.
std::span<const Preset> presets();
const Scheme* preset_named(std::string_view name);  // null = no such preset

// "W4A16", "W4A16_ASYM", "W8A8", "FP8", "FP8A16", "NVFP4A16": without the group.
std::string scheme_name(const Scheme& scheme);
// The codec with its group, and scales stored as `scale`.
Format format_of(const Scheme& scheme, DType scale);

// What is wrong with a combination ("expected ..., found ..."), or "" if Sinter has it.
std::string scheme_problem(const Scheme& scheme);

}  // namespace sinter
