// The tokens of a vocabulary by their bytes, as a trie in one flat array: nodes in the order of a
// depth-first walk, each with the place behind its subtree, so that a mask is one pass over the
// array that jumps over what the grammar refuses. Built once per tokenizer, immutable.
//
// Special tokens are not in it: no bytes ever match them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/byte_set.h"
#include "text/tokenizer.h"

namespace sinter {

class TokenTrie {
 public:
  static constexpr uint32_t kNoToken = (1u << 22) - 1;
  static constexpr uint32_t kMaxDepth = 1000;  // longer tokens are left out, and so never allowed

  struct Node {         // the first is the root; children follow their parent
    uint32_t end : 24;  // behind the last node below
    uint32_t byte : 8;
    uint32_t depth : 10;
    uint32_t token : 22;
  };
  static_assert(sizeof(Node) == 8);

  // Bytes by token id; empty: none, as for a special token.
  explicit TokenTrie(std::span<const std::string> token_bytes);

  std::span<const Node> nodes() const { return nodes_; }
  uint32_t parent(uint32_t node) const { return parents_[node]; }
  size_t n_tokens() const { return n_tokens_; }
  size_t n_words() const { return (n_tokens_ + 63) / 64; }  // of a mask
  uint32_t max_depth() const { return max_depth_; }
  std::string_view bytes(Token token) const {
    const auto i = static_cast<size_t>(token);
    return std::string_view(text_).substr(begins_[i], begins_[i + 1] - begins_[i]);
  }
  // Nodes that this byte leads to, the children of the root left out.
  std::span<const uint32_t> below_root(uint8_t byte) const { return below_root_[byte]; }
  // The bytes in the subtree below a node, if it is large enough that to know them pays.
  const ByteSet* bytes_below(uint32_t node) const {
    return below_[node] == 0 ? nullptr : &byte_sets_[below_[node] - 1];
  }
  // Whether some token begins with these bytes and is longer.
  bool can_extend(std::string_view bytes) const;

  // What is left to look at for tokens longer than `reach` bytes.
  struct LongPart {
    uint32_t reach = 0;
    struct Step {
      uint32_t node = 0;
      uint32_t end = 0;  // in steps, behind the subtree
    };
    std::vector<Step> steps;
    std::vector<uint64_t> short_tokens;   // of at most `reach` bytes
    std::vector<uint64_t> shallow_nodes;  // at most `reach` deep
  };
  std::span<const LongPart> long_parts() const { return long_parts_; }  // by falling reach

 private:
  void add_long_part(uint32_t reach);
  void collect_bytes_below();

  size_t n_tokens_;
  uint32_t max_depth_ = 0;
  std::string text_;
  std::vector<size_t> begins_;
  std::vector<Node> nodes_;
  std::vector<uint32_t> parents_;
  std::array<std::vector<uint32_t>, 256> below_root_;
  std::vector<uint32_t> below_;  // by node: index into byte_sets_ + 1, or 0
  std::vector<ByteSet> byte_sets_;
  std::vector<LongPart> long_parts_;
};

}  // namespace sinter
