// AVX-512, and what a CPU may have on top of it: VNNI, BF16, and the tiles of AMX. Each function
// that needs more than the rest of this directory asks the compiler for it by name, and runs only
// where usable() says so.
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/cpu/peak_kernels.h"

namespace sinter::cpu {
namespace {

constexpr int64_t kChains = 12;

bool always() { return true; }

uint64_t read(const uint8_t* at, int64_t n) {
  __m512i sum[8];
  for (__m512i& s : sum) s = _mm512_setzero_si512();
  for (int64_t i = 0; i < n; i += 512) {
    for (int64_t j = 0; j < 8; ++j) {
      sum[j] = _mm512_add_epi64(sum[j], _mm512_load_si512(at + i + 64 * j));
    }
  }
  for (int j = 1; j < 8; ++j) sum[0] = _mm512_add_epi64(sum[0], sum[j]);
  return static_cast<uint64_t>(_mm512_reduce_add_epi64(sum[0]));
}

float run_f32(int64_t rounds) {
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  __m512 x[kChains];
  for (int64_t c = 0; c < kChains; ++c) x[c] = _mm512_set1_ps(static_cast<float>(c));
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m512& v : x) v = _mm512_fmadd_ps(v, a, b);
  }
  for (int64_t c = 1; c < kChains; ++c) x[0] = _mm512_add_ps(x[0], x[c]);
  return _mm512_cvtss_f32(x[0]);
}

bool has_vnni() { return __builtin_cpu_supports("avx512vnni"); }

__attribute__((target("avx512vnni"))) float run_vnni(int64_t rounds) {
  const __m512i w = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
  __m512i x[kChains];
  for (int64_t c = 0; c < kChains; ++c) x[c] = _mm512_set1_epi32(static_cast<int>(c));
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m512i& v : x) v = _mm512_dpbusd_epi32(v, w, y);
  }
  for (int64_t c = 1; c < kChains; ++c) x[0] = _mm512_add_epi32(x[0], x[c]);
  return static_cast<float>(_mm512_reduce_add_epi32(x[0]));
}

bool has_bf16() { return __builtin_cpu_supports("avx512bf16"); }

__attribute__((target("avx512bf16"))) float run_bf16(int64_t rounds) {
  const auto w = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3c00));
  __m512 x[kChains];
  for (int64_t c = 0; c < kChains; ++c) x[c] = _mm512_set1_ps(static_cast<float>(c));
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m512& v : x) v = _mm512_dpbf16_ps(v, w, w);
  }
  for (int64_t c = 1; c < kChains; ++c) x[0] = _mm512_add_ps(x[0], x[c]);
  return _mm512_cvtss_f32(x[0]);
}

// AMX: 16 rows of 64 bytes a tile; four accumulators (a 2 by 2 block) of four operand tiles.
struct alignas(64) TileShapes {  // the layout that LDTILECFG reads
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr int64_t kTileOps = int64_t{4} * 16 * 16 * 64 * 2;  // four int8 products; bf16: half

// CPUID leaf 7: EDX bit 24 is AMX-TILE, 25 AMX-INT8, 22 AMX-BF16 (Intel SDM vol. 2).
bool has_amx(unsigned bit) {
  unsigned a = 7, b = 0, c = 0, d = 0;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  return (d >> 24 & 1) != 0 && (d >> bit & 1) != 0;
}

// Linux hands tile state out on request: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
bool can_amx(unsigned bit) { return has_amx(bit) && ::syscall(SYS_arch_prctl, 0x1023, 18) == 0; }
bool can_amx_int8() { return can_amx(25); }
bool can_amx_bf16() { return can_amx(22); }

__attribute__((target("amx-tile"))) float first_of_tile_0() {
  alignas(64) float rows[16][16];
  _tile_stored(0, rows, 64);
  _tile_release();
  return rows[0][0];
}

__attribute__((target("amx-tile"))) void clear_tiles() {
  // Static: g++ 12's intrinsic tells the compiler that it reads 8 bytes, though it reads 64, so
  // stores to a local could be dropped.
  static const TileShapes kShapes;
  _tile_loadconfig(&kShapes);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
}

__attribute__((target("amx-tile,amx-int8"))) float run_amx_int8(int64_t rounds) {
  clear_tiles();
  for (int64_t r = 0; r < rounds; ++r) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  return first_of_tile_0();
}

__attribute__((target("amx-tile,amx-bf16"))) float run_amx_bf16(int64_t rounds) {
  clear_tiles();
  for (int64_t r = 0; r < rounds; ++r) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return first_of_tile_0();
}

constexpr PeakArithmetic kArithmetic[] = {
    {.name = "f32", .usable = always, .ops = 32 * kChains, .run = run_f32},
    {.name = "int8", .usable = has_vnni, .ops = 128 * kChains, .run = run_vnni},
    {.name = "bf16", .usable = has_bf16, .ops = 64 * kChains, .run = run_bf16},
    {.name = "amx-int8", .usable = can_amx_int8, .ops = kTileOps, .run = run_amx_int8},
    {.name = "amx-bf16", .usable = can_amx_bf16, .ops = kTileOps / 2, .run = run_amx_bf16}};

}  // namespace

const PeakKernels kAvx512Peaks = {.read = read,
                                  .arithmetic = kArithmetic,
                                  .n_arithmetic = sizeof kArithmetic / sizeof kArithmetic[0]};

}  // namespace sinter::cpu
