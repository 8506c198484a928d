// Weights as the CPU's kernels like them: panels of 16 rows, one row a lane, columns in order down
// the panel. A sum therefore runs along its own row's columns, in a lane of its own, and nothing
// ever adds across lanes: law 1 by construction.
//
// A panel is cut into units of 32 columns. In a unit, vector v of a kind holds for each row:
//   b8        four codes, columns 4v .. 4v+3                                        (8 vectors)
//   b4        eight codes; byte c: columns 8v+c (low nibble) and 8v+4+c (high)      (4 vectors)
//   b2        sixteen codes; byte c, bits 2i: column 16v+4i+c                       (2 vectors)
//   b3, b5    b2 or b4, then one vector of top bits; byte c, bit i: column 4i+c   (2+1, 4+1)
//   b6        b4, then two vectors of top bits laid out as b2                           (4+2)
//   e4m3      one byte a row, [column][row]; f16, f32 alike           (32 x 16, 32 and 64 bytes)
//   bf16      two columns a row, 2v (low half) and 2v+1                              (16 vectors)
// Columns are padded to whole units with inputs of zero, rows to four
// whole panels.
//
// Plain structs only: files of one instruction set include this.
#pragma once

#include <stdint.h>

namespace sinter::cpu {

inline constexpr int64_t kPanelRows = 16;
inline constexpr int64_t kUnitColumns = 32;
inline constexpr int64_t kHalfUnit = 16;
// Panels are made, and shared out to threads, in fours: what the widest kernel takes at once.
inline constexpr int64_t kPanelGrain = 4;

inline constexpr int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

enum class CodeKind : uint8_t { b2, b3, b4, b4_table, b5, b6, b8, e4m3, bf16, f16, f32 };
inline constexpr int kCodeKinds = 11;

// How a factor of a group is stored: 16 of them, one a row, beside each other.
enum class FactorKind : uint8_t { none, f32, f16, bf16, e8m0, e4m3, i8 };
inline constexpr int64_t factor_bytes(FactorKind kind) {
  constexpr int64_t kBytes[] = {0, 4, 2, 2, 1, 1, 1};
  return kBytes[static_cast<int>(kind)];
}

// Factors [panels][per_panel][16]. The group of block b is b / blocks.
struct Factors {
  const uint8_t* at = nullptr;
  FactorKind kind = FactorKind::none;
  int64_t per_panel = 0;
  int64_t blocks = 1;
};

// What lies in memory, not owned. A block is the run of columns that is summed from zero, then
// scaled and added: y = fma(scale, sum over the block, y), blocks in order, then y -= offset * (sum
// of the block's inputs).
struct Panels {
  CodeKind kind = CodeKind::f32;
  int64_t rows = 0;
  int64_t n_panels = 0;
  int64_t columns = 0;  // padded to units
  int64_t block = 0;    // columns: 16, or a multiple of 32
  int64_t panel_bytes = 0;
  const uint8_t* codes = nullptr;
  int32_t bias = 0;                   // level = code - bias
  int8_t table[16] = {};              // b4_table: levels
  Factors scale, super_scale;         // none: 1
  Factors offset, super_offset;       // none: no offset
  bool offset_is_zero_point = false;  // offset = scale * `offset`
};

// Panels times inputs. Inputs are float32 (exact), or int8 codes with a scale per block. They lie
// in tiles, so that a kernel walks one pointer: a tile of T inputs that begins with input i begins
// at i * columns, and holds for each step of columns (1, or 4 for int8) its T inputs beside each
// other. Tiles are as wide as tile_width() says.
struct PanelJob {
  const Panels* weight;
  int64_t n;            // inputs
  const float* x;       // exact; columns padded with zeros to whole units
  const int8_t* codes;  // or int8
  int64_t block;        // columns; the weight's, or all of them for an int8 sum over a whole row
  int64_t n_blocks;
  const float* x_scale;   // [n_blocks, n]: int8 only
  const int32_t* x_bias;  // [n_blocks, n]: -bias * sum of the codes; int8 only
  const float* x_sum;     // [n_blocks, n]: sum of the inputs; only where the weight has offsets
  float* y;               // [n, y_stride]
  int64_t y_stride;
  uint8_t* scratch;  // of this thread: panel_scratch_bytes(n, columns), aligned to 64
};

// Columns of an unpacked copy (exact: 64 bytes each for 16 rows; int8: 16).
inline constexpr int64_t kExactChunk = 128;
inline constexpr int64_t kInt8Chunk = 512;
inline constexpr int64_t kMostTilePanels = 2;

// How inputs are split into tiles: the widest that an instruction set has while many are left, then
// fours, then single ones. Few inputs, up to `few`, share one pass over packed codes instead.
struct TileWidths {
  int64_t widest;
  int64_t few;
};
inline int64_t tile_width(const TileWidths& t, int64_t n, int64_t first) {
  const int64_t left = n - first;
  if (n <= t.few) return left >= t.few ? t.few : 1;
  return left >= t.widest ? t.widest : left >= 4 && t.widest > 4 ? 4 : 1;
}

inline int64_t panel_scratch_bytes(int64_t n, int64_t columns) {
  const int64_t exact = kMostTilePanels * kExactChunk * 64;
  const int64_t int8 = kMostTilePanels * 16 * (columns > kInt8Chunk ? columns : kInt8Chunk);
  return (exact > int8 ? exact : int8) + n * kMostTilePanels * 64;
}

}  // namespace sinter::cpu
