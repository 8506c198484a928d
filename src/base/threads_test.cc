#include "base/threads.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <numeric>

#include "base/error.h"

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

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
TEST(ThreadPool, ThreadsThatCannotBeHadAreAnError) {
  GTEST_SKIP() << "a sanitizer needs all of the address space";
}
#else
TEST(ThreadPool, ThreadsThatCannotBeHadAreAnError) {
  // Their stacks are 8 MiB each, as a rule; those that started must be gone afterwards.
  const auto ask = [] {
    ::alarm(20);
    const rlimit little{.rlim_cur = rlim_t{1} << 30, .rlim_max = rlim_t{1} << 30};
    ::setrlimit(RLIMIT_AS, &little);
    try {
      ThreadPool pool(4096);
    } catch (const Error& e) {
      fmt::print(stderr, "{}", e.code());
      ::_exit(static_cast<int>(e.fault()));
    }
    ::_exit(0);
  };
  EXPECT_EXIT(ask(), testing::ExitedWithCode(static_cast<int>(Fault::exhausted)),
              "threads-exhausted");
}
#endif

TEST(ThreadPool, AsManyThreadsAsCoresByDefault) {
  EXPECT_EQ(ThreadPool(0).size(), available_cores());
}

}  // namespace
}  // namespace sinter
