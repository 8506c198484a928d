// Plain C++: what the compiler makes of it for any CPU of the kind.
#include "backend/cpu/peak_kernels.h"

namespace sinter::cpu {
namespace {

bool always() { return true; }

uint64_t read(const uint8_t* at, int64_t n) {
  const auto* words = reinterpret_cast<const uint64_t*>(at);
  uint64_t sum[8] = {};
  for (int64_t i = 0; i < n / 8; i += 8) {
    for (int j = 0; j < 8; ++j) sum[j] += words[i + j];
  }
  for (int j = 1; j < 8; ++j) sum[0] += sum[j];
  return sum[0];
}

constexpr int kLanes = 64;

float run_f32(int64_t rounds) {
  float x[kLanes];
  for (int i = 0; i < kLanes; ++i) x[i] = static_cast<float>(i);
  for (int64_t r = 0; r < rounds; ++r) {
    for (float& v : x) v = v * 0.999f + 0.001f;
  }
  for (int i = 1; i < kLanes; ++i) x[0] += x[i];
  return x[0];
}

constexpr PeakArithmetic kArithmetic[] = {
    {.name = "f32", .usable = always, .ops = 2 * kLanes, .run = run_f32}};

}  // namespace

const PeakKernels kRefPeaks = {.read = read,
                               .arithmetic = kArithmetic,
                               .n_arithmetic = sizeof kArithmetic / sizeof kArithmetic[0]};

}  // namespace sinter::cpu
