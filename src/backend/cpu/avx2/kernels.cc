// AVX2, FMA and F16C. Sums run in 8 lanes; a tail is loaded through a mask, so lane l always holds
// the terms k = l mod 8, however long the row is.
#include "backend/cpu/kernels.h"

#include <immintrin.h>

namespace sinter::cpu {
namespace {

bool supported() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

alignas(32) const int32_t kMasks[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

inline __m256i tail_mask(int64_t n) {  // n in 0..8
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMasks + 8 - n));
}

// Lanes are added pairwise: 8 -> 4 -> 2 -> 1.
inline float sum_lanes(__m256 v) {
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  b = _mm_add_ss(b, _mm_movehdup_ps(b));
  return _mm_cvtss_f32(b);
}

template <int R, int M>
void dot_block(const float* w, const float* x, int64_t x_stride, int64_t k, float* y,
               int64_t y_stride) {
  __m256 acc[M][R];
  for (int m = 0; m < M; ++m) {
    for (int r = 0; r < R; ++r) acc[m][r] = _mm256_setzero_ps();
  }
  int64_t i = 0;
  for (; i + 8 <= k; i += 8) {
    __m256 wv[R];
    for (int r = 0; r < R; ++r) wv[r] = _mm256_loadu_ps(w + r * k + i);
    for (int m = 0; m < M; ++m) {
      const __m256 xv = _mm256_loadu_ps(x + m * x_stride + i);
      for (int r = 0; r < R; ++r) acc[m][r] = _mm256_fmadd_ps(wv[r], xv, acc[m][r]);
    }
  }
  if (i < k) {
    const __m256i mask = tail_mask(k - i);
    __m256 wv[R];
    for (int r = 0; r < R; ++r) wv[r] = _mm256_maskload_ps(w + r * k + i, mask);
    for (int m = 0; m < M; ++m) {
      const __m256 xv = _mm256_maskload_ps(x + m * x_stride + i, mask);
      for (int r = 0; r < R; ++r) acc[m][r] = _mm256_fmadd_ps(wv[r], xv, acc[m][r]);
    }
  }
  for (int m = 0; m < M; ++m) {
    for (int r = 0; r < R; ++r) y[m * y_stride + r] = sum_lanes(acc[m][r]);
  }
}

// 8 rows by one input for decoding; 4 rows by 2 inputs (8 of 16 registers) for prompts.
void dot_tile(const float* w, int n_rows, const float* x, int64_t x_stride, int64_t n_x, int64_t k,
              float* y, int64_t y_stride) {
  int64_t m = 0;
  if (n_rows == 8) {
    for (; m + 2 <= n_x; m += 2) {
      dot_block<4, 2>(w, x + m * x_stride, x_stride, k, y + m * y_stride, y_stride);
      dot_block<4, 2>(w + 4 * k, x + m * x_stride, x_stride, k, y + m * y_stride + 4, y_stride);
    }
    for (; m < n_x; ++m) {
      dot_block<8, 1>(w, x + m * x_stride, x_stride, k, y + m * y_stride, y_stride);
    }
    return;
  }
  for (int r = 0; r < n_rows; ++r) {
    for (m = 0; m < n_x; ++m) {
      dot_block<1, 1>(w + r * k, x + m * x_stride, x_stride, k, y + m * y_stride + r, y_stride);
    }
  }
}

float dot(const float* a, const float* b, int64_t n) {
  float y = 0;
  dot_block<1, 1>(a, b, 0, n, &y, 0);
  return y;
}

int32_t dot_i8(const uint8_t* w, const int8_t* x, int64_t k) {
  const __m256i offset = _mm256_set1_epi16(128);
  __m256i acc = _mm256_setzero_si256();
  int64_t i = 0;
  for (; i + 16 <= k; i += 16) {
    const __m256i wv = _mm256_sub_epi16(
        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w + i))), offset);
    const __m256i xv =
        _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i)));
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(wv, xv));
  }
  int32_t lanes[8];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), acc);
  int32_t sum = 0;
  for (const int32_t lane : lanes) sum += lane;
  for (; i < k; ++i) sum += (w[i] - 128) * x[i];
  return sum;
}

void add_rows(const float* weights, const float* rows, int64_t n_rows, int64_t n, float* y) {
  for (int64_t i = 0; i < n; i += 8) {
    const __m256i mask = tail_mask(n - i >= 8 ? 8 : n - i);
    __m256 acc = _mm256_maskload_ps(y + i, mask);
    for (int64_t r = 0; r < n_rows; ++r) {
      acc = _mm256_fmadd_ps(_mm256_set1_ps(weights[r]), _mm256_maskload_ps(rows + r * n + i, mask),
                            acc);
    }
    _mm256_maskstore_ps(y + i, mask, acc);
  }
}

// exp(x) = 2^k exp(r), |r| <= ln 2 / 2: k by rounding, r with ln 2 in two parts, exp(r) by its
// Taylor polynomial of degree 7 (truncation 5e-9); 2^k in two factors, so that subnormal results
// come out.
inline __m256 exp_lanes(__m256 x) {
  const __m256 k = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)),
                                   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(k, _mm256_set1_ps(0.693359375f), x);
  r = _mm256_fnmadd_ps(k, _mm256_set1_ps(-2.12194440e-4f), r);
  __m256 p = _mm256_set1_ps(1.0f / 5040);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  const __m256i whole = _mm256_cvtps_epi32(k);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const auto power = [&](__m256i e) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, bias), 23));
  };
  return _mm256_mul_ps(_mm256_mul_ps(p, power(half)), power(_mm256_sub_epi32(whole, half)));
}

void exp_shifted(float shift, float* x, int64_t n) {
  // Beyond these bounds the result is 0 or infinity anyway. min and max return their second operand
  // on NaN, which is x here.
  const __m256 low = _mm256_set1_ps(-150.0f), high = _mm256_set1_ps(150.0f);
  const __m256 shift_v = _mm256_set1_ps(shift);
  for (int64_t i = 0; i < n; i += 8) {
    const __m256i mask = tail_mask(n - i >= 8 ? 8 : n - i);
    __m256 v = _mm256_sub_ps(_mm256_maskload_ps(x + i, mask), shift_v);
    v = _mm256_max_ps(low, _mm256_min_ps(high, v));
    _mm256_maskstore_ps(x + i, mask, exp_lanes(v));
  }
}

void scale(float a, float* y, int64_t n) {
  const __m256 av = _mm256_set1_ps(a);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_mul_ps(av, _mm256_loadu_ps(y + i)));
  if (i < n) {
    const __m256i mask = tail_mask(n - i);
    _mm256_maskstore_ps(y + i, mask, _mm256_mul_ps(av, _mm256_maskload_ps(y + i, mask)));
  }
}

// n <= 16 bytes, zeros after them. A short tail goes by way of the stack: AVX2 has no masked loads
// of bytes, and nothing may be read beyond the row.
inline __m128i load_bytes(const uint8_t* from, int64_t n) {
  if (n == 8) return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  uint8_t block[16] = {};
  if (n < 16) {
    for (int64_t b = 0; b < n; ++b) block[b] = from[b];
    from = block;
  }
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

void unpack_bf16(const uint8_t* codes, int64_t cols, float* out) {
  for (int64_t i = 0; i < cols; i += 8) {
    const int64_t n = cols - i >= 8 ? 8 : cols - i;
    const __m256i wide = _mm256_cvtepu16_epi32(load_bytes(codes + 2 * i, 2 * n));
    _mm256_maskstore_ps(out + i, tail_mask(n), _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
  }
}

void unpack_f16(const uint8_t* codes, int64_t cols, float* out) {
  for (int64_t i = 0; i < cols; i += 8) {
    const int64_t n = cols - i >= 8 ? 8 : cols - i;
    _mm256_maskstore_ps(out + i, tail_mask(n), _mm256_cvtph_ps(load_bytes(codes + 2 * i, 2 * n)));
  }
}

void unpack_8(const UnpackRow& row, float* out) {
  for (int64_t g = 0; g * row.group < row.cols; ++g) {
    const int64_t begin = g * row.group;
    const int64_t end = begin + row.group < row.cols ? begin + row.group : row.cols;
    const __m256 scale_v = _mm256_set1_ps(row.scales[g]);
    const __m256 zero_v = _mm256_set1_ps(row.zeros[g]);
    for (int64_t i = begin; i < end; i += 8) {
      const int64_t n = end - i >= 8 ? 8 : end - i;
      const __m256 q = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load_bytes(row.codes + i, n)));
      _mm256_maskstore_ps(out + i, tail_mask(n), _mm256_mul_ps(_mm256_sub_ps(q, zero_v), scale_v));
    }
  }
}

// Requires group % 2 == 0 (or one group): a byte never spans two groups.
void unpack_4(const UnpackRow& row, float* out) {
  const __m256i nibble = _mm256_set1_epi32(15);
  const __m256i shifts = _mm256_set_epi32(4, 0, 4, 0, 4, 0, 4, 0);
  for (int64_t g = 0; g * row.group < row.cols; ++g) {
    const int64_t begin = g * row.group;
    const int64_t end = begin + row.group < row.cols ? begin + row.group : row.cols;
    const __m256 scale_v = _mm256_set1_ps(row.scales[g]);
    const __m256 zero_v = _mm256_set1_ps(row.zeros[g]);
    for (int64_t i = begin; i < end; i += 8) {
      const int64_t n = end - i >= 8 ? 8 : end - i;
      int32_t four = 0;
      for (int64_t b = 0; b < (n + 1) / 2; ++b) {
        four |= static_cast<int32_t>(row.codes[i / 2 + b]) << (8 * b);
      }
      const __m128i bytes = _mm_cvtsi32_si128(four);
      const __m128i doubled = _mm_unpacklo_epi8(bytes, bytes);
      const __m256i q =
          _mm256_and_si256(_mm256_srlv_epi32(_mm256_cvtepu8_epi32(doubled), shifts), nibble);
      _mm256_maskstore_ps(out + i, tail_mask(n),
                          _mm256_mul_ps(_mm256_sub_ps(_mm256_cvtepi32_ps(q), zero_v), scale_v));
    }
  }
}

}  // namespace

const Kernels kAvx2Kernels = {.name = "avx2",
                              .supported = supported,
                              .dot_tile = dot_tile,
                              .dot_i8 = dot_i8,
                              .dot = dot,
                              .add_rows = add_rows,
                              .exp = exp_shifted,
                              .scale = scale,
                              .unpack_bf16 = unpack_bf16,
                              .unpack_f16 = unpack_f16,
                              .unpack_8 = unpack_8,
                              .unpack_4 = unpack_4};

}  // namespace sinter::cpu
