// AVX-512 (F, BW, VL, DQ). Sums run in 16 lanes; tails are masked, so lane l always holds the terms
// k = l mod 16, however long the row is.
#include "backend/cpu/kernels.h"

#include <immintrin.h>

namespace sinter::cpu {
namespace {

bool supported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

inline __mmask16 tail_mask(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }

// Lanes are added pairwise: 16 -> 8 -> 4 -> 2 -> 1.
inline float sum_lanes(__m512 v) {
  const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  b = _mm_add_ss(b, _mm_movehdup_ps(b));
  return _mm_cvtss_f32(b);
}

// Four at once, each in the very same tree of additions as sum_lanes: [sum a, sum b, sum c, sum d].
inline __m128 sum_lanes_of_4(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab =
      _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
  const __m512 cd =
      _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xEE));
  __m512 v = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
  v = _mm512_add_ps(v, _mm512_permute_ps(v, 0x4E));
  v = _mm512_add_ps(v, _mm512_permute_ps(v, 0xB1));
  const __m512i firsts = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0);
  return _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, v));
}

template <int R, int M>
void dot_block(const float* w, const float* x, int64_t x_stride, int64_t k, float* y,
               int64_t y_stride) {
  __m512 acc[M][R];
  for (int m = 0; m < M; ++m) {
    for (int r = 0; r < R; ++r) acc[m][r] = _mm512_setzero_ps();
  }
  int64_t i = 0;
  for (; i + 16 <= k; i += 16) {
    __m512 wv[R];
    for (int r = 0; r < R; ++r) wv[r] = _mm512_loadu_ps(w + r * k + i);
    for (int m = 0; m < M; ++m) {
      const __m512 xv = _mm512_loadu_ps(x + m * x_stride + i);
      for (int r = 0; r < R; ++r) acc[m][r] = _mm512_fmadd_ps(wv[r], xv, acc[m][r]);
    }
  }
  if (i < k) {
    const __mmask16 mask = tail_mask(k - i);
    __m512 wv[R];
    for (int r = 0; r < R; ++r) wv[r] = _mm512_maskz_loadu_ps(mask, w + r * k + i);
    for (int m = 0; m < M; ++m) {
      const __m512 xv = _mm512_maskz_loadu_ps(mask, x + m * x_stride + i);
      for (int r = 0; r < R; ++r) acc[m][r] = _mm512_fmadd_ps(wv[r], xv, acc[m][r]);
    }
  }
  for (int m = 0; m < M; ++m) {
    int r = 0;
    for (; r + 4 <= R; r += 4) {
      _mm_storeu_ps(y + m * y_stride + r,
                    sum_lanes_of_4(acc[m][r], acc[m][r + 1], acc[m][r + 2], acc[m][r + 3]));
    }
    for (; r < R; ++r) y[m * y_stride + r] = sum_lanes(acc[m][r]);
  }
}

// 8 rows by one input for decoding; 4 rows by 6 inputs (24 of 32 registers) for prompts.
void dot_tile(const float* w, int n_rows, const float* x, int64_t x_stride, int64_t n_x, int64_t k,
              float* y, int64_t y_stride) {
  int64_t m = 0;
  int r = 0;
  if (n_rows == 8) {
    for (; m + 6 <= n_x; m += 6) {
      dot_block<4, 6>(w, x + m * x_stride, x_stride, k, y + m * y_stride, y_stride);
      dot_block<4, 6>(w + 4 * k, x + m * x_stride, x_stride, k, y + m * y_stride + 4, y_stride);
    }
    for (; m + 3 <= n_x; m += 3) {
      dot_block<8, 3>(w, x + m * x_stride, x_stride, k, y + m * y_stride, y_stride);
    }
    for (; m < n_x; ++m) {
      dot_block<8, 1>(w, x + m * x_stride, x_stride, k, y + m * y_stride, y_stride);
    }
    return;
  }
  for (; r < n_rows; ++r) {
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
  const __m512i offset = _mm512_set1_epi16(128);
  __m512i acc = _mm512_setzero_si512();
  int64_t i = 0;
  for (; i + 32 <= k; i += 32) {
    const __m512i wv = _mm512_sub_epi16(
        _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + i))), offset);
    const __m512i xv =
        _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i)));
    acc = _mm512_add_epi32(acc, _mm512_madd_epi16(wv, xv));
  }
  int32_t lanes[16];
  _mm512_storeu_si512(lanes, acc);
  int32_t sum = 0;
  for (const int32_t lane : lanes) sum += lane;
  for (; i < k; ++i) sum += (w[i] - 128) * x[i];
  return sum;
}

void add_rows(const float* weights, const float* rows, int64_t n_rows, int64_t n, float* y) {
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 mask = n - i >= 16 ? static_cast<__mmask16>(0xFFFF) : tail_mask(n - i);
    __m512 acc = _mm512_maskz_loadu_ps(mask, y + i);
    for (int64_t r = 0; r < n_rows; ++r) {
      acc = _mm512_fmadd_ps(_mm512_set1_ps(weights[r]),
                            _mm512_maskz_loadu_ps(mask, rows + r * n + i), acc);
    }
    _mm512_mask_storeu_ps(y + i, mask, acc);
  }
}

// exp(x) = 2^k exp(r), |r| <= ln 2 / 2: k by rounding, r with ln 2 in two parts, exp(r) by its
// Taylor polynomial of degree 7 (truncation 5e-9).
inline __m512 exp_lanes(__m512 x) {
  const __m512 k = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 r = _mm512_fnmadd_ps(k, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(k, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.0f / 5040);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, k);  // saturates to 0 and infinity by itself
}

void exp_shifted(float shift, float* x, int64_t n) {
  // Beyond these bounds the result is 0 or infinity anyway; -infinity would make r a NaN. min and
  // max return their second operand on NaN, which is x here.
  const __m512 low = _mm512_set1_ps(-150.0f), high = _mm512_set1_ps(150.0f);
  const __m512 shift_v = _mm512_set1_ps(shift);
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 mask = n - i >= 16 ? static_cast<__mmask16>(0xFFFF) : tail_mask(n - i);
    __m512 v = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), shift_v);
    v = _mm512_max_ps(low, _mm512_min_ps(high, v));
    _mm512_mask_storeu_ps(x + i, mask, exp_lanes(v));
  }
}

void scale(float a, float* y, int64_t n) {
  const __m512 av = _mm512_set1_ps(a);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) _mm512_storeu_ps(y + i, _mm512_mul_ps(av, _mm512_loadu_ps(y + i)));
  if (i < n) {
    const __mmask16 mask = tail_mask(n - i);
    _mm512_mask_storeu_ps(y + i, mask, _mm512_mul_ps(av, _mm512_maskz_loadu_ps(mask, y + i)));
  }
}

void unpack_bf16(const uint8_t* codes, int64_t cols, float* out) {
  int64_t i = 0;
  for (; i < cols; i += 16) {
    const __mmask16 mask = cols - i >= 16 ? static_cast<__mmask16>(0xFFFF) : tail_mask(cols - i);
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, codes + 2 * i));
    _mm512_mask_storeu_ps(out + i, mask, _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
  }
}

void unpack_f16(const uint8_t* codes, int64_t cols, float* out) {
  for (int64_t i = 0; i < cols; i += 16) {
    const __mmask16 mask = cols - i >= 16 ? static_cast<__mmask16>(0xFFFF) : tail_mask(cols - i);
    _mm512_mask_storeu_ps(out + i, mask,
                          _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, codes + 2 * i)));
  }
}

void unpack_8(const UnpackRow& row, float* out) {
  for (int64_t g = 0; g * row.group < row.cols; ++g) {
    const int64_t begin = g * row.group;
    const int64_t end = begin + row.group < row.cols ? begin + row.group : row.cols;
    const __m512 scale_v = _mm512_set1_ps(row.scales[g]);
    const __m512 zero_v = _mm512_set1_ps(row.zeros[g]);
    for (int64_t i = begin; i < end; i += 16) {
      const __mmask16 mask = end - i >= 16 ? static_cast<__mmask16>(0xFFFF) : tail_mask(end - i);
      const __m512 q =
          _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, row.codes + i)));
      _mm512_mask_storeu_ps(out + i, mask, _mm512_mul_ps(_mm512_sub_ps(q, zero_v), scale_v));
    }
  }
}

// Requires group % 2 == 0 (or one group): a byte never spans two groups.
void unpack_4(const UnpackRow& row, float* out) {
  const __m512i nibble = _mm512_set1_epi32(15);
  // Lanes 0..7 of the doubled bytes: each byte twice, low nibble first.
  const __m512i shifts = _mm512_set_epi32(4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0);
  for (int64_t g = 0; g * row.group < row.cols; ++g) {
    const int64_t begin = g * row.group;
    const int64_t end = begin + row.group < row.cols ? begin + row.group : row.cols;
    const __m512 scale_v = _mm512_set1_ps(row.scales[g]);
    const __m512 zero_v = _mm512_set1_ps(row.zeros[g]);
    for (int64_t i = begin; i < end; i += 16) {
      const int64_t n = end - i >= 16 ? 16 : end - i;
      const auto bytes_mask = static_cast<__mmask16>((1u << ((n + 1) / 2)) - 1);
      const __m128i bytes = _mm_maskz_loadu_epi8(bytes_mask, row.codes + i / 2);
      const __m128i doubled = _mm_unpacklo_epi8(bytes, bytes);
      const __m512i q =
          _mm512_and_epi32(_mm512_srlv_epi32(_mm512_cvtepu8_epi32(doubled), shifts), nibble);
      _mm512_mask_storeu_ps(out + i, tail_mask(n),
                            _mm512_mul_ps(_mm512_sub_ps(_mm512_cvtepi32_ps(q), zero_v), scale_v));
    }
  }
}

}  // namespace

const Kernels kAvx512Kernels = {.name = "avx512",
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
