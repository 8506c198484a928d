// The optimiser against every choice there is.
#include "compress/allocate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace sinter {
namespace {

using Groups = std::vector<std::vector<AllocationOption>>;

// What a recipe's formats look like: larger is usually better, not always, and sizes differ little.
Groups made_up(uint64_t seed, size_t n_groups, size_t n_options, bool wild) {
  Groups groups(n_groups);
  for (size_t i = 0; i < n_groups; ++i) {
    const double scale = std::exp2(4 * random_uniform(seed, i, 1000));
    const auto rows = static_cast<int64_t>(1 + random_bits(seed, i, 1001) % 5);
    for (size_t j = 0; j < n_options; ++j) {
      const double noise = random_uniform(seed, i, j);
      AllocationOption o{rows * static_cast<int64_t>(16 * (j + 2)),
                         scale * (0.5 + noise) * std::exp2(-2.0 * static_cast<double>(j))};
      if (wild) {
        o = {static_cast<int64_t>(random_bits(seed, i, 2000 + j) % 50),
             std::floor(10 * random_uniform(seed, i, 3000 + j)) - 2};
      }
      groups[i].push_back(o);
    }
  }
  return groups;
}

struct Extent {
  int64_t least = 0, most = 0;
};
Extent extent(const Groups& groups) {
  Extent e;
  for (const auto& options : groups) {
    int64_t least = INT64_MAX, most = 0;
    for (const AllocationOption& o : options) {
      least = std::min(least, o.bytes);
      most = std::max(most, o.bytes);
    }
    e.least += least;
    e.most += most;
  }
  return e;
}

double least_cost(const Groups& groups, int64_t budget, size_t from = 0) {
  if (from == groups.size()) return budget >= 0 ? 0 : INFINITY;
  double best = INFINITY;
  for (const AllocationOption& o : groups[from]) {
    if (o.bytes > budget) continue;
    best = std::min(best, o.cost + least_cost(groups, budget - o.bytes, from + 1));
  }
  return best;
}

void expect_consistent(const Groups& groups, int64_t budget, const Allocation& a) {
  ASSERT_EQ(a.choice.size(), groups.size());
  int64_t bytes = 0;
  double cost = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    const AllocationOption& o = groups[i].at(static_cast<size_t>(a.choice[i]));
    bytes += o.bytes;
    cost += o.cost;
  }
  EXPECT_EQ(a.bytes, bytes);
  EXPECT_EQ(a.cost, cost);
  EXPECT_LE(a.bytes, budget);
  EXPECT_LE(a.bound, a.cost);
  EXPECT_GE(a.price, 0);
}

TEST(Allocate, IsTheLeastOfAllChoices) {
  int gaps = 0, tested = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Groups groups = made_up(seed, 1 + seed % 6, 1 + seed % 5, seed % 3 == 0);
    const Extent e = extent(groups);
    for (const double share : {0.0, 0.2, 0.5, 0.8, 1.0, 1.5}) {
      const auto budget =
          e.least + static_cast<int64_t>(share * static_cast<double>(e.most - e.least));
      const auto a = allocate(groups, budget);
      ASSERT_TRUE(a.has_value());
      expect_consistent(groups, budget, *a);
      const double least = least_cost(groups, budget);
      EXPECT_NEAR(a->cost, least, 1e-12 * (1 + std::abs(least))) << seed << " " << share;
      EXPECT_LE(a->bound, least + 1e-12 * (1 + std::abs(least))) << seed << " " << share;
      EXPECT_TRUE(a->optimal);
      gaps += a->bound < least - 1e-9;
      ++tested;
    }
    EXPECT_FALSE(allocate(groups, e.least - 1).has_value());
  }
  EXPECT_GT(gaps, tested / 10);      // else the search had nothing to do
  EXPECT_LT(gaps, tested * 9 / 10);  // and the bound is worth its name
}

TEST(Allocate, WithAllTheBytesItTakesTheBestOfEach) {
  const Groups groups = made_up(7, 50, 6, false);
  const auto a = allocate(groups, extent(groups).most);
  ASSERT_TRUE(a.has_value());
  EXPECT_EQ(a->price, 0);
  EXPECT_NEAR(a->bound, a->cost, 1e-12 * a->cost);
  for (size_t i = 0; i < groups.size(); ++i) {
    for (const AllocationOption& o : groups[i]) {
      EXPECT_LE(groups[i][static_cast<size_t>(a->choice[i])].cost, o.cost);
    }
  }
}

// A model of 80 layers with 8 formats.
TEST(Allocate, HundredsOfGroupsAreExactAndWithinAHairOfTheBound) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const Groups groups = made_up(seed, 320, 8, false);
    const Extent e = extent(groups);
    const int64_t budget = e.least + (e.most - e.least) / 3;
    const auto a = allocate(groups, budget);
    ASSERT_TRUE(a.has_value());
    expect_consistent(groups, budget, *a);
    EXPECT_TRUE(a->optimal);
    EXPECT_LT((a->cost - a->bound) / a->bound, 1e-3);
  }
}

// Cut short, it says so, and what it says still holds.
TEST(Allocate, ASearchThatIsCutShortSaysSo) {
  int cut = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Groups groups = made_up(seed, 8, 5, seed % 2 == 0);
    const Extent e = extent(groups);
    const int64_t budget = (e.least + e.most) / 2;
    const auto a = allocate(groups, budget, 8);
    ASSERT_TRUE(a.has_value());
    expect_consistent(groups, budget, *a);
    const double least = least_cost(groups, budget);
    EXPECT_GE(a->cost, least - 1e-9);
    if (a->optimal) {
      EXPECT_NEAR(a->cost, least, 1e-12 * (1 + std::abs(least)));
    }
    cut += !a->optimal;
  }
  EXPECT_GT(cut, 5);
}

TEST(Allocate, NothingToChooseFrom) {
  const auto none = allocate({}, 0);
  ASSERT_TRUE(none.has_value());
  EXPECT_EQ(none->cost, 0);
  EXPECT_TRUE(none->choice.empty());
  EXPECT_FALSE(allocate({}, -1).has_value());
}

}  // namespace
}  // namespace sinter
