// See tallies.h.
#include "grammar/tallies.h"

#include <algorithm>

namespace sinter {
namespace {

// One more; without a maximum only as far as the minimum cares.
uint32_t counted(uint32_t count, uint32_t min, uint32_t max) {
  return max == kUnbounded && count >= min ? count : count + 1;
}

uint64_t left_of(uint32_t max, uint32_t count) {
  return max == kUnbounded ? kUnbounded : max - count;
}

}  // namespace

uint32_t Tallies::start(uint32_t loop) {
  const Grammar::MemberLoop& l = grammar_.loops[loop];
  std::vector<uint32_t> words{loop, kMemberOrEnd, 0};
  words.resize(kCounts + (l.order == MemberOrder::any ? l.members.size() : 2));
  return tallies_.intern(words);
}

// What the members still need, and how many they allow.
Tallies::Room Tallies::room(const Grammar::MemberLoop& loop, std::span<const uint32_t> words) {
  Room left;
  const auto add = [&](const Grammar::LoopMember& m, uint32_t count) {
    left.needed += m.min - std::min(m.min, count);
    left.possible += left_of(m.max, count);
  };
  if (loop.order == MemberOrder::any) {
    for (size_t i = 0; i < loop.members.size(); ++i) add(loop.members[i], words[kCounts + i]);
  } else {
    for (size_t i = words[kPlace]; i < loop.members.size(); ++i) {
      add(loop.members[i], i == words[kPlace] ? words[kAtPlace] : 0);
    }
  }
  return left;
}

void Tallies::add_members(const Grammar::MemberLoop& loop, std::vector<uint32_t>& words,
                          std::vector<Step>& out) {
  const uint32_t total = words[kTotal];
  if (total >= loop.max) return;
  const std::vector<uint32_t> before = words;
  const Room left = room(loop, words);
  words[kTotal] = counted(total, loop.min, loop.max);
  words[kPhase] = loop.has_separator ? kSeparatorOrEnd : kMemberOrEnd;
  const auto put = [&](size_t member) {
    out.push_back({loop.members[member].symbol, tallies_.intern(words)});
  };
  if (loop.order == MemberOrder::any) {
    for (size_t i = 0; i < loop.members.size(); ++i) {
      const Grammar::LoopMember& m = loop.members[i];
      const uint32_t count = before[kCounts + i];
      if (count >= m.max) continue;
      const uint64_t needed = left.needed - (count < m.min ? 1 : 0);
      if (uint64_t{total} + 1 + needed > loop.max) continue;  // no room left for it
      words[kCounts + i] = counted(count, m.min, m.max);
      put(i);
      words[kCounts + i] = count;
    }
    return;
  }
  for (size_t i = before[kPlace]; i < loop.members.size(); ++i) {
    const Grammar::LoopMember& m = loop.members[i];
    const uint32_t count = i == before[kPlace] ? before[kAtPlace] : 0;
    if (count < m.max) {
      words[kPlace] = static_cast<uint32_t>(i);
      words[kAtPlace] = counted(count, m.min, m.max);
      if (is_viable(loop, words)) put(i);
    }
    const bool may_pass = loop.order == MemberOrder::no_gaps ? count >= 1 : count >= m.min;
    if (!may_pass) break;
  }
}

const Tallies::Known& Tallies::known(uint32_t tally) {
  if (known_.size() <= tally) known_.resize(tallies_.size());
  if (known_[tally].is) return known_[tally];
  std::vector<uint32_t> words(tallies_.at(tally).begin(), tallies_.at(tally).end());
  const Grammar::MemberLoop& loop = grammar_.loops[words[kLoop]];
  std::vector<Step> made;
  const bool may_end =
      words[kPhase] != kMember && words[kTotal] >= loop.min && room(loop, words).needed == 0;
  if (words[kPhase] == kSeparatorOrEnd) {
    words[kPhase] = kMember;
    std::vector<Step> behind;
    std::vector<uint32_t> copy = words;
    add_members(loop, copy, behind);
    if (!behind.empty()) made.push_back({loop.separator, tallies_.intern(words)});
  } else {
    add_members(loop, words, made);
  }
  known_.resize(tallies_.size());
  known_[tally] = {true, may_end, static_cast<uint32_t>(steps_.size()),
                   static_cast<uint32_t>(made.size())};
  steps_.insert(steps_.end(), made.begin(), made.end());
  return known_[tally];
}

}  // namespace sinter
