// What the loaders of layouts share. Each layout is one function; quantized.cc has the list.
#pragma once

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "artifact/quantized.h"

namespace sinter {

inline const uint8_t* bytes_of(const StoredTensor& t) {
  return reinterpret_cast<const uint8_t*>(t.bytes.data());
}

inline int64_t words(int64_t codes, int64_t bits) { return (codes * bits + 31) / 32; }

// Field i of a stream of little-endian int32 words, low bits first (a stream of bytes, then).
inline uint8_t field(const uint8_t* stream, int64_t i, int bits) {
  const int64_t bit = i * bits;
  uint32_t two = stream[bit / 8];
  if (bit % 8 + bits > 8) two |= uint32_t{stream[bit / 8 + 1]} << 8;
  return static_cast<uint8_t>((two >> (bit % 8)) & ((1u << bits) - 1));
}

// Adds a value to field i of a stream that is zero there.
inline void add_field(uint8_t* stream, int64_t i, int bits, uint8_t value) {
  const int64_t bit = i * bits;
  const uint32_t two = uint32_t{value} << (bit % 8);
  stream[bit / 8] = static_cast<uint8_t>(stream[bit / 8] | two);
  if (bit % 8 + bits > 8) {
    stream[bit / 8 + 1] = static_cast<uint8_t>(stream[bit / 8 + 1] | two >> 8);
  }
}

// One module being loaded: its tensors, and how its errors begin.
struct Source {
  const Checkpoint& checkpoint;
  const std::string& where;
  const std::string& module;
  const QuantGroup& group;
  int64_t rows, cols;

  const StoredTensor* find(const char* suffix) const { return checkpoint.find(module + suffix); }
  // Throw Error(not_found, "tensor-not-found"), Error(corrupt, "tensor-shape").
  const StoredTensor& need(const char* suffix) const;
  const StoredTensor& need(const char* suffix, DType dtype,
                           const std::vector<int64_t>& shape) const;
  // Throws Error(corrupt, "quantized-corrupt").
  [[noreturn]] void fail_corrupt(const StoredTensor& t, const std::string& problem) const;
};

// Scales of a plain element type, all finite. Throws Error(unsupported, "tensor-type"),
// Error(corrupt, "quantized-corrupt").
void check_scales(const Source& s, const StoredTensor& scales);
// The one number of a tensor. Throws Error(corrupt, "quantized-corrupt") unless it is positive and
// finite.
float positive_scalar(const Source& s, const StoredTensor& t);

// out.params: for each row n_groups scales as scale_at(row, group) points to them, then zero
// points [rows, n_groups] if there are any.
template <typename ScaleAt>
void set_params(LoadedWeight& out, int64_t n_groups, const std::vector<uint8_t>& zeros,
                ScaleAt scale_at) {
  const auto scale_bytes = static_cast<size_t>(traits(out.weight.format.scale).bytes);
  out.params.resize(static_cast<size_t>(out.weight.rows * out.weight.param_bytes()));
  uint8_t* at = out.params.data();
  for (int64_t r = 0; r < out.weight.rows; ++r) {
    for (int64_t g = 0; g < n_groups; ++g, at += scale_bytes) {
      std::memcpy(at, scale_at(r, g), scale_bytes);
    }
    if (zeros.empty()) continue;
    std::memcpy(at, zeros.data() + r * n_groups, static_cast<size_t>(n_groups));
    at += n_groups;
  }
  out.weight.params = out.params.data();
}

// The group of every column, as an index tensor has it: if that is not simply column / group,
// columns are stored group by group from now on, and out.weight.column_order says which is which.
// Throws Error(corrupt, "quantized-corrupt") unless every group has its number of columns.
void order_columns(const Source& s, const StoredTensor& index, LoadedWeight& out);

// Fill everything of `out` but its rows and columns. s.rows and s.cols are positive.
void load_packed(const Source& s, LoadedWeight& out);    // quantized.cc
void load_bytes(const Source& s, LoadedWeight& out);     // quantized.cc
void load_float8(const Source& s, LoadedWeight& out);    // fp8.cc
void load_nvfp4(const Source& s, LoadedWeight& out);     // fp4.cc
void load_mxfp4(const Source& s, LoadedWeight& out);     // fp4.cc
void load_modelopt(const Source& s, LoadedWeight& out);  // fp4.cc
void load_awq(const Source& s, LoadedWeight& out);       // awq.cc
void load_gptq(const Source& s, LoadedWeight& out);      // gptq.cc

// The format of integer weights, scales stored as `scale`. Throws Error(unsupported,
// "dialect-unsupported") if the columns do not fill whole groups and words of it.
Format integer_format(const Source& s, DType scale);

}  // namespace sinter
