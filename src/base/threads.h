// A fixed pool for data-parallel loops. Work is split over output elements only, never over a sum,
// so a result does not depend on how many threads there are (law 1).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace sinter {

class ThreadPool {
 public:
  // n_threads counts the caller; 0 = one per core that this process may use. Throws
  // Error(exhausted, "threads-exhausted").
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(begin, end) on disjoint ranges that cover [0, n), each but the last a multiple of
  // `grain` long, and returns when all are done. Ranges are long at first, for memory is read best
  // in long runs, and short at the end, for the threads to end together. One caller at a time; body
  // must not throw and must not call run() again. Runs inline when there is but one grain of work.
  void run(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

 private:
  void work();
  void join();
  void take_ranges();

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<int> busy_{0};
  std::atomic<bool> stop_{false};
  const std::function<void(int64_t, int64_t)>* body_ = nullptr;
  std::atomic<int64_t> next_{0};
  int64_t n_ = 0;
  int64_t grain_ = 1;
};

// Cores this process may run on (affinity and cgroup respected as far as the kernel says).
int available_cores();

}  // namespace sinter
