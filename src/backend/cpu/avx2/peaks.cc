// AVX2 with FMA: ten independent chains, enough to hide a latency of 4 or 5 on two ports.
#include <immintrin.h>

#include "backend/cpu/peak_kernels.h"

namespace sinter::cpu {
namespace {

constexpr int64_t kChains = 10;

bool always() { return true; }

uint64_t read(const uint8_t* at, int64_t n) {
  __m256i sum[8];
  for (__m256i& s : sum) s = _mm256_setzero_si256();
  for (int64_t i = 0; i < n; i += 256) {
    for (int64_t j = 0; j < 8; ++j) {
      const auto* block = reinterpret_cast<const __m256i*>(at + i + 32 * j);
      sum[j] = _mm256_add_epi64(sum[j], _mm256_load_si256(block));
    }
  }
  for (int j = 1; j < 8; ++j) sum[0] = _mm256_add_epi64(sum[0], sum[j]);
  return static_cast<uint64_t>(_mm256_extract_epi64(sum[0], 0)) +
         static_cast<uint64_t>(_mm256_extract_epi64(sum[0], 1)) +
         static_cast<uint64_t>(_mm256_extract_epi64(sum[0], 2)) +
         static_cast<uint64_t>(_mm256_extract_epi64(sum[0], 3));
}

float run_f32(int64_t rounds) {
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  __m256 x[kChains];
  for (int64_t c = 0; c < kChains; ++c) x[c] = _mm256_set1_ps(static_cast<float>(c));
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m256& v : x) v = _mm256_fmadd_ps(v, a, b);
  }
  for (int64_t c = 1; c < kChains; ++c) x[0] = _mm256_add_ps(x[0], x[c]);
  return _mm256_cvtss_f32(x[0]);
}

// The integer dot product without VNNI: bytes to pairs, pairs to fours, added up. The empty asm
// makes each product one of its own, without an instruction of its own; weights and sums all fit in
// registers.
float run_int8(int64_t rounds) {
  const __m256i ones = _mm256_set1_epi16(1), w = _mm256_set1_epi8(3);
  __m256i input = _mm256_set1_epi8(1), x[kChains];
  for (__m256i& v : x) v = _mm256_setzero_si256();
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m256i& v : x) {
      asm("" : "+x"(input));
      v = _mm256_add_epi32(v, _mm256_madd_epi16(_mm256_maddubs_epi16(w, input), ones));
    }
  }
  for (int64_t c = 1; c < kChains; ++c) x[0] = _mm256_add_epi32(x[0], x[c]);
  return static_cast<float>(_mm256_extract_epi32(x[0], 0));
}

constexpr PeakArithmetic kArithmetic[] = {
    {.name = "f32", .usable = always, .ops = 16 * kChains, .run = run_f32},
    {.name = "int8", .usable = always, .ops = 64 * kChains, .run = run_int8}};

}  // namespace

const PeakKernels kAvx2Peaks = {.read = read,
                                .arithmetic = kArithmetic,
                                .n_arithmetic = sizeof kArithmetic / sizeof kArithmetic[0]};

}  // namespace sinter::cpu
