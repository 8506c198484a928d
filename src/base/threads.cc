#include "base/threads.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "base/error.h"

namespace sinter {
namespace {

// A worker waits this long for the next loop before it sleeps. Chosen with loops of 5 us on two
// cores of a Sapphire Rapids: one that wakes a sleeper takes 13 to 30 us. After 150 us of serial
// work, 50 us here meant that and 200 did not; 1000 gained nothing, and a loop every 2 ms then kept
// the core busy for half of the time instead of a seventh.
constexpr auto kSpin = std::chrono::microseconds(200);
// At first it keeps its core, for some 10 us: longer than the gaps between most loops of a forward
// pass. None, and ten times as many, measured the same on a quiet machine; on a busy one each costs
// what it holds the core for.
constexpr int kPauses = 200;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Pins this thread to the i-th core that the process may use.
void pin_to_core(int i) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed) || i-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);  // a wish: where it is refused, nothing is lost
    return;
  }
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

ThreadPool::ThreadPool(int n_threads) {
  if (n_threads <= 0) n_threads = available_cores();
  // A pool that fills the machine has a core for each worker; a smaller one is left to the system,
  // which knows what else runs.
  const bool pinned = n_threads > 1 && n_threads == available_cores();
  try {
    for (int i = 1; i < n_threads; ++i) {
      workers_.emplace_back([this, i, pinned] {
        if (pinned) pin_to_core(i);
        work();
      });
    }
  } catch (const std::system_error& e) {
    const int got = size();
    join();
    fail(Fault::exhausted, "threads-exhausted",
         "expected {} threads, the system gave {} ({}); ask for fewer with --threads, or raise the "
         "limit of processes",
         n_threads, got, e.what());
  }
}

ThreadPool::~ThreadPool() { join(); }

void ThreadPool::join() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    ++generation_;
  }
  wake_.notify_all();
  for (std::thread& t : workers_) t.join();
}

void ThreadPool::take_ranges() {
  int64_t begin = next_.load(std::memory_order_relaxed);
  while (begin < n_) {
    const int64_t share = (n_ - begin) / (int64_t{2} * size());
    const int64_t end = std::min(n_, begin + std::max(grain_, share - share % grain_));
    if (!next_.compare_exchange_weak(begin, end, std::memory_order_relaxed)) continue;
    (*body_)(begin, end);
    begin = next_.load(std::memory_order_relaxed);
  }
}

void ThreadPool::work() {
  uint64_t seen = 0;
  while (true) {
    for (int i = 0; i < kPauses && generation_.load(std::memory_order_acquire) == seen; ++i)
      pause();
    const auto until = std::chrono::steady_clock::now() + kSpin;
    while (generation_.load(std::memory_order_acquire) == seen &&
           std::chrono::steady_clock::now() < until) {
      std::this_thread::yield();
    }
    if (generation_.load(std::memory_order_acquire) == seen) {
      std::unique_lock lock(mutex_);
      ++sleepers_;  // before the check of the generation, as run() checks after it counts it up
      wake_.wait(lock, [&] { return generation_.load() != seen; });
      --sleepers_;
    }
    seen = generation_.load(std::memory_order_acquire);
    if (stop_) return;
    take_ranges();
    busy_.fetch_sub(1, std::memory_order_acq_rel);
  }
}

void ThreadPool::run(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  SINTER_CHECK(grain > 0);
  if (n <= 0) return;
  if (workers_.empty() || n <= grain) {
    body(0, n);
    return;
  }
  body_ = &body;
  n_ = n;
  grain_ = grain;
  next_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1);
  if (sleepers_.load() > 0) {
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  take_ranges();
  for (int i = 0; i < kPauses && busy_.load(std::memory_order_acquire) != 0; ++i) pause();
  while (busy_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
}

}  // namespace sinter
