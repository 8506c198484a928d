// Number formats of stored weights. A Format is a value: a codec and its group. A Codec is all that
// the rest of the program may ask of a format; a method (RTN, GPTQ) chooses parameters and values,
// a codec only says what is representable and packs it, so every method meets every format here.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tensor/dtype.h"

namespace sinter {

struct Codec;

struct Format {
  const Codec* codec = nullptr;
  int32_t group = 0;          // columns that share parameters; 0 = the whole row
  DType scale = DType::bf16;  // how a scale is stored: bf16, f16 or f32; bf16 where !has_groups
  int64_t n_groups(int64_t cols) const { return group == 0 ? 1 : cols / group; }
  bool operator==(const Format&) const = default;
};

// "bf16", "i4_group:64", "i8_row", "u4_group:128/f16" (scale dtype printed if it is not bf16).
std::string to_string(const Format& format);
Format format_named(std::string_view name);  // throws Error(bad_input, "format-unknown")

// What a grid codec's codes mean: value = scale[g] * level(q) - offset[g], g = column / group. This
// is what kernels repack from; unpack_row stays the definition, which may round differently (by an
// ulp).
struct Grid {
  enum class Levels : uint8_t { linear, table, e4m3 };  // e4m3: the code is the float
  Levels levels = Levels::linear;
  int32_t bits = 0;               // of a code: 2, 3, 4, 5, 6 or 8
  int32_t bias = 0;               // linear: level = q - bias
  const int8_t* table = nullptr;  // table: [2^bits] levels
  bool has_offset = false;
  int32_t group = 0;  // columns of one scale; 0 = Format::group, and if that is 0 the whole row
  // Columns that share a second scale, 0 = there is none: scale[g] is then super_scale[column /
  // super] * sub-scale (and offset alike), where a sub-scale fits a byte (an integer, or an E4M3).
  // More than the row = one.
  int32_t super = 0;
};

// Where a row's grid goes. The spans not meant (no offset, no second level) are empty.
struct GridRow {
  std::span<uint8_t> codes;                    // [cols]
  std::span<float> scale, offset;              // [cols / group]; of two levels, the sub-scales,
                                               // which may be negative
  std::span<float> super_scale, super_offset;  // [ceil(cols / super)]
};

// How a row's parameters are chosen. What rows share, a row cannot know: whoever rounds a whole
// matrix says the peaks (largest magnitudes) of all that share.
struct Fit {
  float shrink = 1;                           // < 1 clips a group's peak (AWQ's, MSE's search)
  std::span<const float> group_shrinks = {};  // [n_scales]: of each group; empty = `shrink`
  float matrix_peak = 0;                      // where the codec has_matrix_scale; 0 = this row's
  std::span<const float> group_peaks = {};    // [n_scales]; empty = this row's own. Not of codecs
                                              // with zero points
  // What the scale of group g, of these weights, must reach.
  float peak(size_t g, std::span<const float> group) const {
    float peak = 0;
    if (!group_peaks.empty()) {
      peak = group_peaks[g];
    } else {
      for (const float x : group) peak = std::max(peak, std::abs(x));
    }
    return peak * shrink_of(g);
  }
  float shrink_of(size_t g) const { return group_shrinks.empty() ? shrink : group_shrinks[g]; }
};

// How a row of weights is coded. Integer codecs store row parameters as: one scale per group
// (Format::scale), then, for codecs with zero points, one uint8 zero point per group.
struct Codec {
  const char* name;  // its identity, in files and in kernel tables
  double bits;       // of one code
  bool is_plain;     // an element type (f32, f16, bf16): no parameters, nothing to fit
  bool has_zero_point;
  bool has_matrix_scale = false;  // a row's parameters repeat a scale of the whole matrix
  // Requires cols % col_multiple == 0. Byte counts are of one row.
  int64_t (*col_multiple)(const Format&);
  int64_t (*row_bytes)(const Format&, int64_t cols);
  int64_t (*param_bytes)(const Format&, int64_t cols);
  // The default grid for a row. Groups are fitted each alone.
  void (*fit_row)(const Format&, std::span<const float> w, const Fit& fit, uint8_t* params);
  void (*pack_row)(const Format&, std::span<const float> w, const uint8_t* params, uint8_t* codes);
  void (*unpack_row)(const Format&, const uint8_t* codes, const uint8_t* params,
                     std::span<float> w);
  // Null for a plain codec, or one that is no grid: it runs by unpack_row alone, slowly.
  const Grid* grid;
  void (*grid_row)(const Format&, const uint8_t* codes, const uint8_t* params, const GridRow& row);
};

// Whether Format::group and Format::scale mean anything: not for plain codecs and fixed blocks.
bool has_groups(const Codec& codec);

// Columns of one scale: the codec's own block, the format's group, or the whole row.
int64_t scale_columns(const Format& format, int64_t cols);

// The one list of codecs.
std::span<const Codec* const> codecs();

// The plain codec of an element type (f32, f16, bf16); null for every other dtype.
const Codec* plain_codec(DType dtype);

// Throws Error(bad_input, "format-columns") naming `tensor` if a row of `cols` weights does not
// fill whole groups and whole 32-bit words of this format.
void require_columns(const Format& format, int64_t cols, std::string_view tensor);

// A stored matrix [rows, cols], not owned. Row r's codes are at codes + r * row_bytes.
struct Weight {
  Format format;
  int64_t rows = 0;
  int64_t cols = 0;
  const uint8_t* codes = nullptr;   // any alignment
  const uint8_t* params = nullptr;  // null for plain codecs
  // [cols], or null (almost always): stored column j is the matrix's column column_order[j]. Of
  // GPTQ's activation ordering, whose groups are of columns far apart: stored, a group is together,
  // so that whoever multiplies gathers the input, x[column_order[j]].
  const int32_t* column_order = nullptr;
  int64_t row_bytes() const { return format.codec->row_bytes(format, cols); }
  int64_t param_bytes() const { return format.codec->param_bytes(format, cols); }
  const uint8_t* row_codes(int64_t r) const { return codes + r * row_bytes(); }
  const uint8_t* row_params(int64_t r) const {
    return params == nullptr ? nullptr : params + r * param_bytes();
  }
  int64_t bytes() const { return rows * (row_bytes() + param_bytes()); }
};

// Row `row` as the matrix has it: columns in their own order. w: [cols].
void unpack_row(const Weight& weight, int64_t row, std::span<float> w);

// What happens to a linear's input before the product.
enum class ActivationMode : uint8_t {
  exact,        // float32 as it is
  int8,         // the user's choice: int8, one scale per group of columns, computed at run time
  int8_token,   // W8A8: int8, one scale per token, computed at run time
  int8_tensor,  // W8A8: int8 with Activation::scale
  fp8_token,    // FP8 E4M3, one scale per token, computed at run time
  fp8_tensor,   // FP8 E4M3 with Activation::scale
  fp8_group,    // FP8 E4M3, one scale per 128 columns, computed at run time
};

struct Activation {
  ActivationMode mode = ActivationMode::exact;
  float scale = 0;  // of the static modes: value = code * scale
  bool operator==(const Activation&) const = default;
};

const char* to_string(ActivationMode mode);  // "exact", "int8" ...

}  // namespace sinter
