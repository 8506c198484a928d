// Draws of items: strata in turn, by seed, whatever the order of the files.
#include "gate/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace sinter {
namespace {

// Three strata of 100, 10 and 1 items.
Suite suite() {
  Suite s;
  s.name = "s";
  s.digest = "of all";
  for (int i = 0; i < 111; ++i) {
    Item& item = s.items.emplace_back();
    item.id = std::to_string(i);
    item.domain = "d";
    item.behaviour = i < 100 ? "large" : "small";
    item.rung = i < 110 ? "easy" : "hard";
  }
  return s;
}

std::map<std::string, int> counts(const Suite& s, std::span<const size_t> items) {
  std::map<std::string, int> out;
  for (const size_t i : items) ++out[s.items[i].behaviour + s.items[i].rung];
  return out;
}

TEST(StratifiedOrder, EveryBeginningHasAsManyOfEach) {
  const Suite s = suite();
  const std::vector<size_t> order = stratified_order(s, 7);
  EXPECT_EQ(std::set<size_t>(order.begin(), order.end()).size(), s.items.size());
  const auto begin = [&](size_t n) { return counts(s, std::span(order).first(n)); };
  EXPECT_EQ(begin(3).size(), 3u);
  EXPECT_EQ(begin(21)["smalleasy"], 10);
  EXPECT_EQ(begin(21)["largeeasy"], 10);
  EXPECT_EQ(begin(21)["smallhard"], 1);
}

TEST(StratifiedOrder, IsDrawnByTheSeed) {
  const Suite s = suite();
  EXPECT_EQ(stratified_order(s, 7), stratified_order(s, 7));
  EXPECT_NE(stratified_order(s, 7), stratified_order(s, 8));
  // Over seeds every item of a stratum comes first about as often: 1000 draws of 100, +-5 sigma.
  std::vector<int> first(100);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    for (const size_t i : stratified_order(s, seed)) {
      if (i >= 100) continue;
      ++first[i];
      break;
    }
  }
  EXPECT_LE(*std::max_element(first.begin(), first.end()), 26);
}

TEST(PartOf, IsNoSuiteOfItsOwn) {
  const Suite s = suite();
  const Suite a = part_of(s, std::vector<size_t>{3, 1}), b = part_of(s, std::vector<size_t>{1, 3});
  ASSERT_EQ(a.items.size(), 2u);
  EXPECT_EQ(a.items[0].id, "3");
  EXPECT_NE(a.digest, s.digest);
  EXPECT_NE(a.digest, b.digest);
}

}  // namespace
}  // namespace sinter
