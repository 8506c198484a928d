// Float32 products in AMX's tiles of bfloat16. A float is split in two, x = high + low within 2^-16
// |x|, and A B = Ah Bh + Ah Bl + Al Bh, summed in float32; or it is rounded, and A B = Ah Bh.
//
// A packed strip is 32 rows of A, or columns of B. Each 32 of k are tiles of 1 KiB: the high parts
// of its first and of its second 16 vectors, then their low parts, if there are any. A tile is 16 x
// 16 pairs of neighbours along k: A's has a vector a row, B's a vector a column.
#include <immintrin.h>

#include "backend/cpu/kernels.h"
#include "backend/cpu/product_kernels.h"

namespace sinter::cpu {
namespace {

#define SINTER_MATRIX 1
// Each needs the one before.
// clang-format off
#include "backend/cpu/avx512/lanes.h"
#include "backend/cpu/product_tiles.h"
// clang-format on

constexpr int64_t kWidth = 32;  // of a strip: two tiles
constexpr int64_t kStepK = 32;  // of a tile
constexpr int64_t kTileBytes = 1024;
constexpr int64_t kLow = 2 * kTileBytes;  // from high parts to low ones, and size of both

__mmask16 first(int64_t n) {
  return static_cast<__mmask16>(n <= 0 ? 0 : n >= 16 ? 0xFFFF : (1 << n) - 1);
}

// 16 floats as bits of bfloat16, in 16 x 32 bits.
struct Split {
  __m512i high, low;
};

Split split(__m512 x) {
  // The largest that rounds to a finite bfloat16: so infinities, and what rounds to one, leave the
  // rest to the low part, and both parts' products are what the float's would be. A NaN is the
  // second operand, and stays.
  const __m512 most = _mm512_castsi512_ps(_mm512_set1_epi32(0x7F7F0000));
  const __m512 least = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(0xFF7F0000)));
  const __m512 bounded = _mm512_max_ps(least, _mm512_min_ps(most, x));
  const auto bits = [](__m512 v) {
    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
  };
  const __m512i high = bits(bounded);
  const __m512 rest = _mm512_sub_ps(x, _mm512_castsi512_ps(_mm512_slli_epi32(high, 16)));
  return {high, bits(rest)};
}

// Neighbours along k as pairs: `even` in the low half.
__m512i pairs(__m512i even, __m512i odd) {
  return _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
}

void transpose(__m512i (&v)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {  // 1 x 1
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {  // 2 x 2
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 16; i += 8) {  // 4 x 4, of quarters 0 2 and 1 3
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      t[i + j] = _mm512_shuffle_i32x4(v[i + j], v[i + j + 4], 0x88);
      t[i + j + 4] = _mm512_shuffle_i32x4(v[i + j], v[i + j + 4], 0xDD);
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) {
    v[j] = _mm512_shuffle_i32x4(t[j], t[j + 8], 0x88);
    v[j + 8] = _mm512_shuffle_i32x4(t[j], t[j + 8], 0xDD);
  }
}

// Nearest, as pairs: `even` in the low half.
__m512i rounded_pairs(__m512 even, __m512 odd) {
  const auto bits = [](__m512 v) {
    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
  };
  return pairs(bits(even), bits(odd));
}

// kColumns: each vector a column of the tile. Of the floats at `at`, n_i vectors and n_k of k.
// Returns bits that are all zero if no float has a low part, or none is kept (!kSplit).
template <bool kColumns, bool kAlongK, bool kSplit>
__m512i pack_tile(const float* at, int64_t stride, int64_t n_i, int64_t n_k, uint8_t* to) {
  __m512i high[16], low[kSplit ? 16 : 1], wide = _mm512_setzero_si512();
  if constexpr (kAlongK) {
    // All even k of a vector, then all odd ones.
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const __mmask16 mask[2] = {first(n_k), first(n_k - 16)};
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const bool there = i < n_i;
      _mm_prefetch(at + i * stride + 4 * kStepK, _MM_HINT_T0);
      _mm_prefetch(at + i * stride + 4 * kStepK + 16, _MM_HINT_T0);
      const __m512 a = _mm512_maskz_loadu_ps(there ? mask[0] : __mmask16{0}, at + i * stride);
      const __m512 b = _mm512_maskz_loadu_ps(there ? mask[1] : __mmask16{0}, at + i * stride + 16);
      if constexpr (kSplit) {
        const Split e = split(_mm512_permutex2var_ps(a, even, b));
        const Split o = split(_mm512_permutex2var_ps(a, odd, b));
        high[i] = pairs(e.high, o.high);
        low[i] = pairs(e.low, o.low);
      } else {  // neighbours already
        high[i] = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a));
      }
    }
  } else {
    const __mmask16 mask = first(n_i);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const auto row = [&](int64_t k) {
        _mm_prefetch(at + (k + 2 * kStepK) * stride, _MM_HINT_T0);
        return _mm512_maskz_loadu_ps(k < n_k ? mask : __mmask16{0}, at + k * stride);
      };
      if constexpr (kSplit) {
        const Split e = split(row(2 * i)), o = split(row(2 * i + 1));
        high[i] = pairs(e.high, o.high);
        low[i] = pairs(e.low, o.low);
      } else {
        high[i] = rounded_pairs(row(2 * i), row(2 * i + 1));
      }
    }
  }
  if constexpr (kColumns == kAlongK) transpose(high);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) _mm512_store_si512(to + 64 * i, high[i]);
  if constexpr (kSplit) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) wide = _mm512_or_si512(wide, low[i]);
    if constexpr (kColumns == kAlongK) transpose(low);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) _mm512_store_si512(to + kLow + 64 * i, low[i]);
  }
  return wide;
}

template <bool kColumns, bool kAlongK, bool kSplit>
bool pack_tiles(const Strip& from, uint8_t* to) {
  __m512i wide = _mm512_setzero_si512();
  for (int64_t k = 0; k < from.k; k += kStepK, to += kSplit ? 2 * kLow : kLow) {
    for (int64_t i = 0; i < 2; ++i) {
      const float* at = from.at + (kAlongK ? 16 * i * from.stride + k : k * from.stride + 16 * i);
      wide = _mm512_or_si512(
          wide, pack_tile<kColumns, kAlongK, kSplit>(at, from.stride, from.width - 16 * i,
                                                     from.k - k, to + i * kTileBytes));
    }
  }
  return _mm512_test_epi32_mask(wide, wide) != 0;
}

template <bool kColumns, bool kSplit>
bool pack_strip(const Strip& from, uint8_t* to) {
  return from.along_k ? pack_tiles<kColumns, true, kSplit>(from, to)
                      : pack_tiles<kColumns, false, kSplit>(from, to);
}

struct alignas(64) TileShapes {  // the layout that LDTILECFG reads
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Tiles 0..3: sums [row half][column half]; 4, 5: A; 6, 7: B. kStepBytes of a packed strip.
template <bool kWideA, bool kWideB, int64_t kStepBytes = 2 * kLow>
void add_steps(const PackedStrips& strips) {
  const uint8_t *a = strips.a, *b = strips.b, *next = strips.next;
  for (int64_t k = strips.k; k > 0; k -= kStepK, a += kStepBytes, b += kStepBytes) {
    for (const uint8_t* end = next + strips.next_bytes; next != end; next += 64) {
      _mm_prefetch(next, _MM_HINT_T1);
    }
    const int64_t row = kWidth - k / kStepK * 2;  // the last 16 steps have two rows each
    if (row >= 0) {
      const float* c = strips.c + row * strips.c_stride;
      _mm_prefetch(c, _MM_HINT_T0);
      _mm_prefetch(c + 16, _MM_HINT_T0);
      _mm_prefetch(c + strips.c_stride, _MM_HINT_T0);
      _mm_prefetch(c + strips.c_stride + 16, _MM_HINT_T0);
    }
    _tile_loadd(4, a, 64);
    _tile_loadd(5, a + kTileBytes, 64);
    if constexpr (kWideB) {
      _tile_loadd(6, b + kLow, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(2, 5, 6);
      _tile_loadd(7, b + kLow + kTileBytes, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(2, 5, 6);
    _tile_loadd(7, b + kTileBytes, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
    if constexpr (kWideA) {
      _tile_loadd(4, a + kLow, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, a + kLow + kTileBytes, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
}

// Tiles stay as they are between the two, and cost the system space when it switches threads.
void enter() {
  static const TileShapes kShapes;
  asm volatile("ldtilecfg %0" : : "m"(kShapes));
}
void leave() { _tile_release(); }

template <bool kSplit>
void multiply_tiles(const PackedStrips& strips, float* sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  if constexpr (!kSplit) {
    add_steps<false, false, kLow>(strips);
  } else if (strips.a_wide) {
    strips.b_wide ? add_steps<true, true>(strips) : add_steps<true, false>(strips);
  } else {
    strips.b_wide ? add_steps<false, true>(strips) : add_steps<false, false>(strips);
  }
  _tile_stored(0, sums, 128);
  _tile_stored(1, sums + 16, 128);
  _tile_stored(2, sums + 16 * kWidth, 128);
  _tile_stored(3, sums + 16 * kWidth + 16, 128);
}

void store_tile(const float* sums, int64_t n_rows, int64_t n_cols, Into into, float* c,
                int64_t stride) {
  store_sums(sums, kWidth, n_rows, n_cols, into, c, stride);
}

template <bool kSplit>
constexpr ProductKernels kProducts = {.rows = kWidth,
                                      .cols = kWidth,
                                      .k_step = kStepK,
                                      .element_bytes = kSplit ? 4 : 2,
                                      .pack_a = pack_strip<false, kSplit>,
                                      .pack_b = pack_strip<true, kSplit>,
                                      .enter = enter,
                                      .leave = leave,
                                      .multiply = multiply_tiles<kSplit>,
                                      .store = store_tile,
                                      .whole = &kAvx512Products,
                                      .rounded = kSplit ? &kAmxRoundedProducts : nullptr};

}  // namespace

const ProductKernels kAmxProducts = kProducts<true>;
const ProductKernels kAmxRoundedProducts = kProducts<false>;

}  // namespace sinter::cpu
