#include "backend/peaks.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "backend/cpu/peak_kernels.h"
#include "base/error.h"
#include "base/threads.h"

namespace sinter {
namespace {

using cpu::PeakArithmetic;
using cpu::PeakKernels;

// The one list: an instruction set, by what its name begins with, and the loops that show what a
// CPU can do with it. Best first.
struct IsaPeaks {
  std::string_view isa;
  const PeakKernels* kernels;
};
constexpr IsaPeaks kAllPeaks[] = {
#ifdef SINTER_X86
    {"amx", &cpu::kAvx512Peaks},
    {"avx512", &cpu::kAvx512Peaks},
    {"avx2", &cpu::kAvx2Peaks},
#endif
    {"ref", &cpu::kRefPeaks},
};

const PeakKernels& choose_peaks(const std::string& isa) {
  for (const IsaPeaks& p : kAllPeaks) {
    if ((isa.empty() || isa.starts_with(p.isa)) && p.kernels->supported()) return *p.kernels;
  }
  fail(Fault::bad_input, "isa-unsupported",
       "--isa {}: expected one of amx, avx512, avx2, ref, and a CPU that has it", isa);
}

template <typename F>
double seconds(const F& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Memory that the kernel may back with huge pages, so that page walks are no part of the figure.
class Block {
 public:
  explicit Block(int64_t bytes) : bytes_(static_cast<size_t>(bytes)) {
    void* at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
      fail(Fault::exhausted, "out-of-memory", "bench: no {} MiB to measure plain reads with",
           bytes >> 20);
    }
    ::madvise(at, bytes_, MADV_HUGEPAGE);
    at_ = static_cast<uint8_t*>(at);
  }
  ~Block() { ::munmap(at_, bytes_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  uint8_t* at() const { return at_; }

 private:
  uint8_t* at_ = nullptr;
  size_t bytes_;
};

}  // namespace

struct PeakMeter::State {
  State(int n_threads, const std::string& isa) : pool(n_threads), kernels(choose_peaks(isa)) {}
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
  const Block block(n);
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
    if (!a.supported() || !a.prepare()) continue;
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
