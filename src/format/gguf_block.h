// What the codecs of GGUF's block formats share. A row is whole blocks, each with its own scales,
// so there are no row parameters: a codec's codes are the blocks as they lie in the file. A block
// says what it means as a grid (format.h), and unpacking follows from that.
//
// Layouts and meaning are ggml's (formats of llama.cpp); how blocks are chosen is ours, but where
// ggml's choice is a closed formula (Q8_0, Q4_0, Q4_1, Q5_0) the bytes are the same.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "format/format.h"

namespace sinter {

inline float load_half(const uint8_t* at) {
  uint16_t stored;
  std::memcpy(&stored, at, sizeof stored);
  return f16_to_f32(stored);
}

// Stores x as a finite half and returns what was stored.
inline float store_half(float x, uint8_t* at) {
  constexpr float kMax = 65504;
  const uint16_t stored = std::isnan(x) ? uint16_t{0} : f32_to_f16(std::clamp(x, -kMax, kMax));
  std::memcpy(at, &stored, sizeof stored);
  return f16_to_f32(stored);
}

// 1 / d, or 0 where that is no number to multiply with.
inline float reciprocal(float d) {
  const float inverse = 1 / d;
  return std::isfinite(inverse) ? inverse : 0;
}

// Truncates x to an integer in [0, top]; NaN gives 0.
inline uint8_t truncated_code(float x, int top) {
  if (!(x > 0)) return 0;
  return static_cast<uint8_t>(std::min(x, static_cast<float>(top)));
}

// A block's grid: codes and scales of kCols columns. Unused parts keep their zeros.
template <int cols, int groups>
struct BlockGrid {
  std::array<uint8_t, cols> codes{};
  std::array<float, groups> scale{}, offset{};
  float super_scale = 1, super_offset = 1;
};

// Block has: kName, kBits, kCols, kBytes, kGrid, Values = BlockGrid<...>, and
//   static void pack(const float* w, uint8_t* block);
//   static void read(const uint8_t* block, Values& values);
template <typename Block>
struct BlockCodec {
  using Values = typename Block::Values;
  static constexpr Grid kGrid = Block::kGrid;
  static constexpr int64_t kGroups = Block::kCols / kGrid.group;

  static float level(uint8_t code) {
    if constexpr (kGrid.levels == Grid::Levels::table) return kGrid.table[code];
    return static_cast<float>(code - kGrid.bias);
  }

  static void pack_row(const Format&, std::span<const float> w, const uint8_t*, uint8_t* codes) {
    for (size_t at = 0; at < w.size(); at += Block::kCols, codes += Block::kBytes) {
      Block::pack(w.data() + at, codes);
    }
  }

  static void unpack_row(const Format&, const uint8_t* codes, const uint8_t*, std::span<float> w) {
    for (size_t at = 0; at < w.size(); at += Block::kCols, codes += Block::kBytes) {
      Values v;
      Block::read(codes, v);
      for (size_t i = 0; i < Block::kCols; ++i) {
        const size_t g = i / static_cast<size_t>(kGrid.group);
        float x = v.scale[g] * level(v.codes[i]);
        if constexpr (kGrid.super > 0) x = v.super_scale * v.scale[g] * level(v.codes[i]);
        if constexpr (kGrid.has_offset) {
          x -= kGrid.super > 0 ? v.super_offset * v.offset[g] : v.offset[g];
        }
        w[at + i] = x;
      }
    }
  }

  static void grid_row(const Format&, const uint8_t* codes, const uint8_t*, const GridRow& row) {
    const auto n_blocks = row.codes.size() / Block::kCols;
    for (size_t b = 0; b < n_blocks; ++b, codes += Block::kBytes) {
      Values v;
      Block::read(codes, v);
      std::copy(v.codes.begin(), v.codes.end(), row.codes.data() + b * Block::kCols);
      std::copy(v.scale.begin(), v.scale.end(), row.scale.data() + b * kGroups);
      if constexpr (kGrid.super > 0) row.super_scale[b] = v.super_scale;
      if constexpr (!kGrid.has_offset) continue;
      std::copy(v.offset.begin(), v.offset.end(), row.offset.data() + b * kGroups);
      if constexpr (kGrid.super > 0) row.super_offset[b] = v.super_offset;
    }
  }

  static constexpr Codec codec() {
    return {
        .name = Block::kName,
        .bits = kGrid.bits,
        .is_plain = false,
        .has_zero_point = false,
        .col_multiple = [](const Format&) -> int64_t { return Block::kCols; },
        .row_bytes = [](const Format&, int64_t cols) -> int64_t {
          return cols / Block::kCols * Block::kBytes;
        },
        .param_bytes = [](const Format&, int64_t) -> int64_t { return 0; },
        .fit_row = [](const Format&, std::span<const float>, const Fit&, uint8_t*) {},
        .pack_row = pack_row,
        .unpack_row = unpack_row,
        .grid = &BlockCodec::kGrid,
        .grid_row = grid_row,
    };
  }
};

// The 16 levels of IQ4_NL and IQ4_XS.
inline constexpr int8_t kNonLinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

// The code whose level is nearest to x; the lower of two that are equally near. NaN gives 0.
inline uint8_t nearest_non_linear(float x) {
  uint8_t code = 0;
  for (int i = 0; i < 15; ++i) {
    const float middle = static_cast<float>(kNonLinear[i] + kNonLinear[i + 1]) / 2;
    code = static_cast<uint8_t>(code + (x > middle ? 1 : 0));
  }
  return code;
}

// Sub-blocks of 32: nibble j of the low halves is element j, of the high halves element j + 16.
inline void pack_nibbles(const uint8_t* q, uint8_t* out) {
  for (int j = 0; j < 16; ++j) out[j] = static_cast<uint8_t>((q[j] & 15) | (q[j + 16] & 15) << 4);
}
inline void unpack_nibbles(const uint8_t* in, uint8_t* q) {
  for (int j = 0; j < 16; ++j) {
    q[j] = in[j] & 15;
    q[j + 16] = in[j] >> 4;
  }
}

// Levels without an offset, and how to find a code: what the searches below ask of a format.
struct Levels6 {
  static constexpr float kLowest = -32, kHighest = 31, kStep = 0.25f;
  static uint8_t nearest(float x) { return truncated_code(x + 32.5f, 63); }
  static float level(uint8_t code) { return static_cast<float>(code) - 32; }
};
struct LevelsNonLinear {
  static constexpr float kLowest = kNonLinear[0], kHighest = kNonLinear[15], kStep = 1.5f;
  static uint8_t nearest(float x) { return nearest_non_linear(x); }
  static float level(uint8_t code) { return static_cast<float>(kNonLinear[code]); }
};

// The scale of n weights by search: candidates put the largest weight on the lowest or the highest
// level and up to 8 steps beside it; each is refitted by least squares to the codes that it gives;
// the one with the least squared error wins.
template <typename Levels>
float fit_scale(const float* w, int n) {
  float largest = 0;
  for (int i = 0; i < n; ++i) {
    if (std::abs(w[i]) > std::abs(largest)) largest = w[i];
  }
  if (largest == 0 || !std::isfinite(largest)) return 0;
  double best_gain = 0;
  float best = largest / Levels::kLowest;
  for (const float peak : {Levels::kLowest, Levels::kHighest}) {
    for (int k = -8; k <= 8; ++k) {
      const float inverse = reciprocal(largest / (peak + Levels::kStep * static_cast<float>(k)));
      double wl = 0, ll = 0;
      for (int i = 0; i < n; ++i) {
        const double l = Levels::level(Levels::nearest(w[i] * inverse));
        wl += static_cast<double>(w[i]) * l;
        ll += l * l;
      }
      // With the scale wl / ll the squared error is that of zeros less wl^2 / ll.
      if (ll > 0 && wl * wl / ll > best_gain) {
        best_gain = wl * wl / ll;
        best = static_cast<float>(wl / ll);
      }
    }
  }
  return best;
}

}  // namespace sinter
