// See token_trie.h.
#include "grammar/token_trie.h"

#include <algorithm>

#include "base/error.h"

namespace sinter {

TokenTrie::TokenTrie(std::span<const std::string> token_bytes) : n_tokens_(token_bytes.size()) {
  constexpr uint32_t kReaches[] = {64, 32, 16, 8};
  constexpr size_t kMaxNodes = (1u << 24) - 1;
  SINTER_CHECK(n_tokens_ < kNoToken);
  std::vector<uint32_t> order;
  begins_.push_back(0);
  for (uint32_t id = 0; id < n_tokens_; ++id) {
    text_ += token_bytes[id];
    begins_.push_back(text_.size());
    if (!token_bytes[id].empty() && token_bytes[id].size() <= kMaxDepth) order.push_back(id);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return token_bytes[a] < token_bytes[b]; });

  nodes_.push_back({0, 0, 0, kNoToken});
  parents_.push_back(0);
  std::vector<uint32_t> path{0};  // nodes from the root to the last one
  const auto close = [&](size_t depth) {
    for (; path.size() > depth + 1; path.pop_back()) {
      nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size()) & kMaxNodes;
    }
  };
  std::string_view last;
  for (const uint32_t id : order) {
    const std::string_view bytes = token_bytes[id];
    auto shared = static_cast<size_t>(
        std::mismatch(bytes.begin(), bytes.end(), last.begin(), last.end()).first - bytes.begin());
    if (shared == bytes.size()) --shared;  // the same bytes once more: a node beside the other
    close(shared);
    for (size_t depth = shared + 1; depth <= bytes.size(); ++depth) {
      if (nodes_.size() >= kMaxNodes) {
        fail(Fault::unsupported, "grammar-vocabulary",
             "a vocabulary of more than {} distinct prefixes", kMaxNodes);
      }
      const auto node = static_cast<uint32_t>(nodes_.size());
      const auto byte = static_cast<uint8_t>(bytes[depth - 1]);
      nodes_.push_back({0, byte, static_cast<uint32_t>(depth) & 1023u, kNoToken});
      parents_.push_back(path.back());
      path.push_back(node);
      if (depth > 1) below_root_[byte].push_back(node);
    }
    nodes_.back().token = id & kNoToken;
    max_depth_ = std::max(max_depth_, static_cast<uint32_t>(bytes.size()));
    last = bytes;
  }
  close(0);
  nodes_[0].end = static_cast<uint32_t>(nodes_.size()) & kMaxNodes;
  collect_bytes_below();
  for (const uint32_t reach : kReaches) {
    if (reach < max_depth_) add_long_part(reach);
  }
}

void TokenTrie::collect_bytes_below() {
  constexpr uint32_t kLarge = 16;
  below_.resize(nodes_.size());
  for (uint32_t i = static_cast<uint32_t>(nodes_.size()); i-- > 1;) {
    if (nodes_[i].end - i <= kLarge) continue;
    ByteSet bytes;
    for (uint32_t child = i + 1; child < nodes_[i].end;) {
      bytes.insert(static_cast<uint8_t>(nodes_[child].byte));
      if (const ByteSet* known = bytes_below(child)) {
        bytes |= *known;
        child = nodes_[child].end;
      } else {
        ++child;  // into its few nodes
      }
    }
    byte_sets_.push_back(bytes);
    below_[i] = static_cast<uint32_t>(byte_sets_.size());
  }
}

void TokenTrie::add_long_part(uint32_t reach) {
  LongPart part;
  part.reach = reach;
  part.short_tokens.resize(n_words());
  part.shallow_nodes.resize((nodes_.size() + 63) / 64);
  std::vector<bool> leads_deep(nodes_.size());
  for (uint32_t i = static_cast<uint32_t>(nodes_.size()); i-- > 0;) {
    const Node& node = nodes_[i];
    if (node.depth > reach) {
      leads_deep[i] = true;
    } else {
      part.shallow_nodes[i / 64] |= 1ull << (i % 64);
      if (node.token != kNoToken) part.short_tokens[node.token / 64] |= 1ull << (node.token % 64);
    }
    if (leads_deep[i]) leads_deep[parents_[i]] = true;
  }
  std::vector<uint32_t> place(nodes_.size() + 1);  // of a node, or of the first behind it, in steps
  uint32_t n = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    place[i] = n;
    if (i > 0 && leads_deep[i]) ++n;
  }
  place[nodes_.size()] = n;
  for (uint32_t i = 1; i < nodes_.size(); ++i) {
    if (leads_deep[i]) part.steps.push_back({i, place[nodes_[i].end]});
  }
  long_parts_.push_back(std::move(part));
}

bool TokenTrie::can_extend(std::string_view bytes) const {
  uint32_t begin = 1, end = nodes_[0].end;
  for (size_t depth = 0; depth < bytes.size(); ++depth) {
    uint32_t child = begin;
    // Of nodes with the same bytes only the last has children.
    uint32_t found = 0;
    for (; child < end; child = nodes_[child].end) {
      if (nodes_[child].byte == static_cast<uint8_t>(bytes[depth])) found = child;
    }
    if (found == 0) return false;
    begin = found + 1;
    end = nodes_[found].end;
  }
  return begin < end;
}

}  // namespace sinter
