// See lexeme_masks.h.
#include "grammar/lexeme_masks.h"

#include <algorithm>

namespace sinter {
namespace {

void set_bit(std::vector<uint64_t>& bits, uint32_t i) { bits[i / 64] |= 1ull << (i % 64); }

bool has_bit(const std::vector<uint64_t>& bits, uint32_t i) {
  return (bits[i / 64] >> (i % 64)) & 1;
}

uint64_t key_of(const LexemeRest& rest) { return (uint64_t{rest.lexeme} << 32) | rest.regex.id; }

}  // namespace

const LexemeMask::Crossing& LexemeMask::crossing(const TokenTrie& trie, uint8_t byte) const {
  const std::lock_guard lock(mutex_);
  auto& known = crossings_[byte];
  if (known) return *known;
  auto made = std::make_unique<Crossing>();
  for (const uint32_t node : trie.below_root(byte)) {
    if (!has_bit(ends, trie.parent(node))) continue;
    const TokenTrie::Node& n = trie.nodes()[node];
    if (n.end == node + 1) {
      made->leaves.push_back(n.token);
    } else {
      made->nodes.push_back(node);
    }
  }
  known = std::move(made);
  return *known;
}

size_t LexemeMask::memory_bytes() const {
  constexpr size_t kCrossings = 16 << 10;  // grow later; a guess
  return (within.size() + ends.size()) * 8 + kCrossings;
}

std::shared_ptr<const LexemeMask> LexemeMaskCache::find(const Key& key) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    ++misses_;
    return nullptr;
  }
  ++hits_;
  found->second.used = ++clock_;
  return found->second.mask;
}

std::shared_ptr<const LexemeMask> LexemeMaskCache::insert(const Key& key,
                                                          std::shared_ptr<const LexemeMask> mask) {
  const std::lock_guard lock(mutex_);
  const size_t bytes = mask->memory_bytes();  // all of a vocabulary have the same size
  while (!entries_.empty() && (entries_.size() + 1) * bytes > max_bytes_) {
    entries_.erase(std::min_element(
        entries_.begin(), entries_.end(),
        [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
  }
  return entries_.try_emplace(key, Entry{std::move(mask), ++clock_}).first->second.mask;
}

bool LexemeMasks::is_wide(const LexemeRest& rest) {
  const auto [found, fresh] = wide_.try_emplace(key_of(rest), false);
  if (fresh) found->second = find_wide(rest);
  return found->second;
}

// By the nodes of the trie that its first two bytes leave to look at.
bool LexemeMasks::find_wide(const LexemeRest& rest) {
  constexpr uint32_t kWide = 10'000;  // nodes; below it a walk over the trie is as fast
  const auto nodes = trie_.nodes();
  const auto classes = lexemes_.classes();
  const uint32_t state = lexemes_.state_of(std::span(&rest, 1));
  std::vector<std::pair<uint32_t, uint32_t>> first;  // node, state
  uint32_t n_first = 0;
  for (uint32_t i = 1; i < nodes.size(); i = nodes[i].end) {
    const uint32_t next = lexemes_.next(state, classes[nodes[i].byte]);
    if (next == LexemeAutomaton::kDead) continue;
    first.emplace_back(i, next);
    n_first += nodes[i].end - i;
  }
  if (n_first < kWide) return false;
  uint32_t n_second = 0;
  for (const auto& [parent, at] : first) {
    for (uint32_t i = parent + 1; i < nodes[parent].end && n_second < kWide; i = nodes[i].end) {
      if (lexemes_.next(at, classes[nodes[i].byte]) != LexemeAutomaton::kDead) {
        n_second += nodes[i].end - i;
      }
    }
  }
  return n_second >= kWide;
}

std::shared_ptr<const LexemeMask> LexemeMasks::find(const LexemeRest& rest, uint64_t& steps) {
  const uint64_t key = key_of(rest);
  auto found = known_.find(key);
  if (found == known_.end()) {
    const LexemeMaskCache::Key shared_key{lexemes_.regexes().digest(rest.regex),
                                          grammar_.lexemes[rest.lexeme].lazy};
    std::shared_ptr<const LexemeMask> mask = cache_.find(shared_key);
    if (!mask) mask = cache_.insert(shared_key, compute(rest));
    if (mask.use_count() <= 3) memory_bytes_ += mask->memory_bytes();  // else it is another's
    found = known_.emplace(key, std::move(mask)).first;
  }
  steps += found->second->steps;
  return found->second;
}

// Where a count is beyond what short tokens reach, an uncounted lexeme, which many counts have in
// common, knows about them all but the long tokens.
std::shared_ptr<const LexemeMask> LexemeMasks::compute(const LexemeRest& rest) {
  for (const TokenTrie::LongPart& part : trie_.long_parts()) {
    const Regex wide = lexemes_.regexes().widened(rest.regex, part.reach);
    if (wide == rest.regex) continue;
    uint64_t steps = 0;
    const auto base = find({rest.lexeme, wide}, steps);
    return extended(rest, part, base, steps);
  }
  auto made = std::make_shared<LexemeMask>();
  walk_all(rest, *made);
  return made;
}

std::shared_ptr<const LexemeMask> LexemeMasks::extended(
    const LexemeRest& rest, const TokenTrie::LongPart& part,
    const std::shared_ptr<const LexemeMask>& base, uint64_t steps) {
  auto made = std::make_shared<LexemeMask>();
  made->steps = steps + part.steps.size();
  made->within.resize(base->within.size());
  made->ends.resize(base->ends.size());
  for (size_t i = 0; i < made->within.size(); ++i) {
    made->within[i] = base->within[i] & part.short_tokens[i];
  }
  for (size_t i = 0; i < made->ends.size(); ++i) {
    made->ends[i] = base->ends[i] & part.shallow_nodes[i];
  }
  const auto nodes = trie_.nodes();
  const auto classes = lexemes_.classes();
  path_.resize(trie_.max_depth() + 1);
  path_[0] = lexemes_.state_of(std::span(&rest, 1));
  for (uint32_t s = 0; s < part.steps.size();) {
    const uint32_t i = part.steps[s].node;
    const TokenTrie::Node node = nodes[i];
    const uint32_t state = lexemes_.next(path_[node.depth - 1], classes[node.byte]);
    if (state == LexemeAutomaton::kDead) {
      s = part.steps[s].end;
      continue;
    }
    path_[node.depth] = state;
    if (node.depth > part.reach) {
      if (node.token != TokenTrie::kNoToken) set_bit(made->within, node.token);
      if (lexemes_.accepts(state)) set_bit(made->ends, i);
    }
    ++s;
  }
  // Most often no token is long enough to tell: then one mask serves all counts.
  if (made->within == base->within && made->ends == base->ends) return base;
  return made;
}

const ByteSet& LexemeMasks::loops(uint32_t state) {
  if (loops_.size() <= state) loops_.resize(state + 1);
  if (!loops_[state].known) {
    const auto classes = lexemes_.classes();
    ByteSet bytes;
    for (size_t byte = 0; byte < 256; ++byte) {
      if (lexemes_.next(state, classes[byte]) == state) bytes.insert(static_cast<uint8_t>(byte));
    }
    loops_[state] = {true, bytes};
  }
  return loops_[state].bytes;
}

void LexemeMasks::walk_all(const LexemeRest& rest, LexemeMask& made) {
  const auto nodes = trie_.nodes();
  const auto classes = lexemes_.classes();
  made.within.resize(trie_.n_words());
  made.ends.resize((nodes.size() + 63) / 64);
  path_.resize(trie_.max_depth() + 1);
  path_[0] = lexemes_.state_of(std::span(&rest, 1));
  for (uint32_t i = 1; i < nodes.size();) {
    const TokenTrie::Node node = nodes[i];
    ++made.steps;
    const uint32_t state = lexemes_.next(path_[node.depth - 1], classes[node.byte]);
    if (state == LexemeAutomaton::kDead) {
      i = node.end;
      continue;
    }
    path_[node.depth] = state;
    if (node.token != TokenTrie::kNoToken) set_bit(made.within, node.token);
    const bool accepts = lexemes_.accepts(state);
    if (accepts) set_bit(made.ends, i);
    ++i;
    // The inside of a string: all that is below stays in this state, so it need not be walked.
    const ByteSet* below = trie_.bytes_below(i - 1);
    if (below != nullptr && (*below & ~loops(state)).empty()) {
      for (; i < node.end; ++i) {
        if (nodes[i].token != TokenTrie::kNoToken) set_bit(made.within, nodes[i].token);
        if (accepts) set_bit(made.ends, i);
      }
    }
  }
}

}  // namespace sinter
