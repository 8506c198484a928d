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
  constexpr int kWide = 24;  // bytes; below it a walk over the trie is as fast
  const auto [found, fresh] = wide_.try_emplace(key_of(rest), false);
  if (fresh) {
    const uint32_t state = lexemes_.state_of(std::span(&rest, 1));
    int n_bytes = 0;
    for (const uint8_t byte_class : lexemes_.classes()) {
      if (lexemes_.next(state, byte_class) != LexemeAutomaton::kDead) ++n_bytes;
    }
    found->second = n_bytes >= kWide;
  }
  return found->second;
}

const LexemeMask& LexemeMasks::of(const LexemeRest& rest, uint64_t& steps) {
  const uint64_t key = key_of(rest);
  auto found = known_.find(key);
  if (found == known_.end()) {
    const LexemeMaskCache::Key shared_key{lexemes_.regexes().digest(rest.regex),
                                          grammar_.lexemes[rest.lexeme].lazy};
    std::shared_ptr<const LexemeMask> mask = cache_.find(shared_key);
    if (!mask) mask = cache_.insert(shared_key, compute(rest));
    found = known_.emplace(key, std::move(mask)).first;
  }
  steps += found->second->steps;
  return *found->second;
}

std::shared_ptr<const LexemeMask> LexemeMasks::compute(const LexemeRest& rest) {
  auto made = std::make_shared<LexemeMask>();
  const auto nodes = trie_.nodes();
  const auto classes = lexemes_.classes();
  path_.resize(trie_.max_depth() + 1);
  path_[0] = lexemes_.state_of(std::span(&rest, 1));
  // True: the subtree is refused.
  const auto visit = [&](uint32_t i, uint32_t reach) {
    const TokenTrie::Node node = nodes[i];
    ++made->steps;
    const uint32_t state = lexemes_.next(path_[node.depth - 1], classes[node.byte]);
    if (state == LexemeAutomaton::kDead) return true;
    path_[node.depth] = state;
    if (node.depth <= reach) return false;
    if (node.token != TokenTrie::kNoToken) set_bit(made->within, node.token);
    if (lexemes_.accepts(state)) set_bit(made->ends, i);
    return false;
  };
  // Where a count is beyond what short tokens reach, an uncounted lexeme, which many counts have in
  // common, knows about them all but the long tokens.
  RegexSet& regexes = lexemes_.regexes();
  for (const TokenTrie::LongPart& part : trie_.long_parts()) {
    const Regex wide = regexes.widened(rest.regex, part.reach);
    if (wide == rest.regex) continue;
    const LexemeMask& base = of({rest.lexeme, wide}, made->steps);
    path_[0] = lexemes_.state_of(std::span(&rest, 1));
    made->within.resize(trie_.n_words());
    made->ends.resize((nodes.size() + 63) / 64);
    for (size_t i = 0; i < made->within.size(); ++i) {
      made->within[i] = base.within[i] & part.short_tokens[i];
    }
    for (size_t i = 0; i < made->ends.size(); ++i) {
      made->ends[i] = base.ends[i] & part.shallow_nodes[i];
    }
    for (uint32_t s = 0; s < part.steps.size();) {
      s = visit(part.steps[s].node, part.reach) ? part.steps[s].end : s + 1;
    }
    return made;
  }
  made->within.resize(trie_.n_words());
  made->ends.resize((nodes.size() + 63) / 64);
  for (uint32_t i = 1; i < nodes.size();) i = visit(i, 0) ? nodes[i].end : i + 1;
  return made;
}

}  // namespace sinter
