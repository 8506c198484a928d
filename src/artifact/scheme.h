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
  bool per_tensor = false;  // one scale for the whole matrix; group is 0
  int32_t block_rows = 0;   // rows that share the scales of their groups ("block"); 0 = none do
  bool operator==(const Scheme&) const = default;
};

struct Preset {
  std::string_view name;
  Scheme scheme;
};

// W8A16, FP8_DYNAMIC ... as compressed-tensors names them, and ours: FP8A16, W8A8_STATIC, 3 and 2
// bits.
std::span<const Preset> presets();
const Scheme* preset_named(std::string_view name);  // null = no such preset

// "W4A16", "W4A16_ASYM", "W8A8", "FP8", "FP8A16", "NVFP4A16": without the group.
std::string scheme_name(const Scheme& scheme);
// The codec with its group, and scales stored as `scale`.
Format format_of(const Scheme& scheme, DType scale);
// The same for a matrix of `cols` columns: where a last block of columns is short, groups are of
// the largest size that divides both kinds.
Format format_of(const Scheme& scheme, DType scale, int64_t cols);
// How many of a matrix's `rows` share their scales: 1, block_rows, or all.
int64_t rows_of_scale(const Scheme& scheme, int64_t rows);
// Whether inputs have a scale that calibration measures.
bool has_input_scale(const Scheme& scheme);
// That scale, to the last level of the codes; `peak`: the largest |x| of all tokens.
float input_scale(const Scheme& scheme, float peak);

// How keys and values are kept as 8-bit codes of a kind (integer or e4m3), one scale for each.
struct KvCodes {
  ActivationMode mode;
  std::string_view name;
};
KvCodes kv_codes(Number kind);

// What is wrong with a combination ("expected ..., found ..."), or "" if Sinter writes it.
std::string scheme_problem(const Scheme& scheme);

}  // namespace sinter
