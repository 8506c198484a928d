// How far a list of members has come: which of them occurred, and how often. What may follow is
// computed when it is asked for, so a list in any order, or a count up to 100000, costs only the
// tallies that a text reaches.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/sequence_pool.h"

namespace sinter {

class Tallies {
 public:
  struct Step {
    Grammar::Symbol symbol;
    uint32_t tally = 0;  // after it
  };

  explicit Tallies(const Grammar& grammar) : grammar_(grammar) {}

  uint32_t start(uint32_t loop);
  bool may_end(uint32_t tally) { return known(tally).may_end; }
  // Valid until the next call.
  std::span<const Step> steps(uint32_t tally) {
    const Known& k = known(tally);
    return std::span(steps_).subspan(k.first, k.n);
  }
  size_t memory_bytes() const {
    return tallies_.memory_bytes() + steps_.capacity() * sizeof(Step) + known_.capacity() * 12;
  }

 private:
  // Words of a tally: loop, phase, members so far (as far as the limits care); then in any order
  // how often each occurred, else which was the last and how often.
  enum Word : size_t { kLoop, kPhase, kTotal, kCounts, kPlace = kCounts, kAtPlace };
  enum Phase : uint32_t { kMemberOrEnd, kSeparatorOrEnd, kMember };
  struct Known {
    bool is = false;
    bool may_end = false;
    uint32_t first = 0, n = 0;
  };
  struct Room {  // for what is still to come
    uint64_t needed = 0, possible = 0;
  };
  const Known& known(uint32_t tally);
  void add_members(const Grammar::MemberLoop& loop, std::vector<uint32_t>& words,
                   std::vector<Step>& out);
  static Room room(const Grammar::MemberLoop& loop, std::span<const uint32_t> words);
  static bool is_viable(const Grammar::MemberLoop& loop, std::span<const uint32_t> words) {
    const Room left = room(loop, words);
    return words[kTotal] + left.needed <= loop.max && words[kTotal] + left.possible >= loop.min;
  }

  const Grammar& grammar_;
  SequencePool tallies_;
  std::vector<Known> known_;
  std::vector<Step> steps_;
};

}  // namespace sinter
