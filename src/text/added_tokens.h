// Tokens found in the text before the model sees it: control tokens, and others that are never
// split. The longest at the leftmost place wins.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace sinter {

struct AddedToken {
  std::string content;
  Token id = 0;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;  // looked for in the normalised text, else in the raw text
  bool special = false;
};

// A part of a text: a token, or (id < 0) the text between.
struct Part {
  std::string_view text;
  Token id = -1;
};

class AddedTokenMatcher {
 public:
  void add(std::string_view spelling, const AddedToken& token);
  bool empty() const { return tokens_.empty(); }

  // Appends the parts of `text` in order. Special tokens stay text unless `parse_special`.
  void split(std::string_view text, bool parse_special, std::vector<Part>& out) const;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, int32_t>> children;
    int32_t token = -1;  // index into tokens_ of the token that ends here
  };
  std::vector<Node> nodes_{1};
  std::vector<AddedToken> tokens_;
  int32_t child(int32_t node, unsigned char byte) const;
  std::array<int32_t, 256> roots_ = make_roots();
  static std::array<int32_t, 256> make_roots() {
    std::array<int32_t, 256> roots;
    roots.fill(-1);
    return roots;
  }
};

}  // namespace sinter
