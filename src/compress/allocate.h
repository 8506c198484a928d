// One option for each group of matrices, so that costs add up to the least within a budget of
// bytes: the multiple-choice knapsack. Solved exactly, by dynamic programming over states that a
// Lagrangian bound has not ruled out; the bound is reported beside what was found.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sinter {

struct AllocationOption {
  int64_t bytes = 0;
  double cost = 0;  // finite, of any sign
};

struct Allocation {
  std::vector<int32_t> choice;  // of each group: an index of its options
  int64_t bytes = 0;
  double cost = 0;
  double bound = 0;      // no choice within the budget costs less than this
  bool optimal = false;  // the search was not cut short: none costs less than `cost` either
  double price = 0;      // the bound's multiplier: what a byte more would save, about
};

// Every group needs an option. Nothing, if even the smallest options exceed `budget`. Of equal
// costs the result is one, always the same. `max_states` bounds memory (about 32 bytes a state); a
// search that would need more keeps the likeliest and is not `optimal`.
std::optional<Allocation> allocate(std::span<const std::vector<AllocationOption>> groups,
                                   int64_t budget, size_t max_states = size_t{1} << 20);

}  // namespace sinter
