#include "base/threads.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>

namespace sinter {
namespace {

// Every element once, whatever the threads and the grain, while workers spin and after they slept.
TEST(ThreadPool, CoversEveryElementOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (int round = 0; round < 60; ++round) {
      const int64_t n = round * 7 % 101, grain = 1 + round % 9;
      std::vector<int> seen(static_cast<size_t>(n));
      pool.run(n, grain, [&](int64_t begin, int64_t end) {
        EXPECT_TRUE(end == n || (end - begin) % grain == 0);
        for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
      });
      EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), int64_t{0}), n);
      for (const int times : seen) ASSERT_EQ(times, 1);
      if (round % 20 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

TEST(ThreadPool, AsManyThreadsAsCoresByDefault) {
  EXPECT_EQ(ThreadPool(0).size(), available_cores());
}

}  // namespace
}  // namespace sinter
