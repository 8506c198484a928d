#include "backend/peaks.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "backend/cpu/instruction_sets.h"
#include "backend/cpu/peak_kernels.h"
#include "base/huge_buffer.h"
#include "base/threads.h"

namespace sinter {
namespace {

using cpu::PeakArithmetic;
using cpu::PeakKernels;

template <typename F>
double seconds(const F& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

struct PeakMeter::State {
  State(int n_threads, const std::string& isa)
      : pool(n_threads), kernels(*cpu::kernels_named(isa).peaks) {}
  ThreadPool pool;
  const PeakKernels& kernels;
  std::atomic<uint64_t> sink{0};  // so that no loop is idle in the compiler's eyes

  // Every thread runs `rounds` of it.
  double run(const PeakArithmetic& arithmetic, int64_t rounds) {
    return seconds([&] {
      pool.run(pool.size(), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          sink += static_cast<uint64_t>(arithmetic.run(rounds) != 0);
        }
      });
    });
  }
};

PeakMeter::PeakMeter(int n_threads, const std::string& isa)
    : state_(std::make_unique<State>(n_threads, isa)) {}
PeakMeter::~PeakMeter() = default;

double PeakMeter::read_rate(int64_t bytes, int passes) {
  constexpr int64_t kUnit = 512;
  constexpr int64_t kGrain = int64_t{256} << 10;  // small enough to balance, large enough to stream
  const int64_t n = std::max<int64_t>(bytes / kUnit, 1) * kUnit;
  HugeBuffer block(n);
  std::fill(block.at(), block.at() + n, uint8_t{1});
  double best = 0;
  for (int pass = 0; pass <= passes; ++pass) {
    const double s = seconds([&] {
      state_->pool.run(n, kGrain, [&](int64_t begin, int64_t end) {
        state_->sink += state_->kernels.read(block.at() + begin, end - begin);
      });
    });
    if (pass > 0) best = std::max(best, static_cast<double>(n) / s);
  }
  return best;
}

std::vector<PeakRate> PeakMeter::arithmetic() {
  constexpr double kEnough = 0.02;  // seconds of one measurement
  constexpr int kPasses = 3;
  std::vector<PeakRate> rates;
  for (int i = 0; i < state_->kernels.n_arithmetic; ++i) {
    const PeakArithmetic& a = state_->kernels.arithmetic[i];
    if (!a.usable()) continue;
    int64_t rounds = 1000;
    while (state_->run(a, rounds) < kEnough) rounds *= 2;
    double best = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
      const auto ops = static_cast<double>(a.ops * rounds * state_->pool.size());
      best = std::max(best, ops / state_->run(a, rounds));
    }
    rates.push_back({a.name, best});
  }
  return rates;
}

}  // namespace sinter
