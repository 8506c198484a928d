// The pre-tokenizers of tokenizer.json: they cut a normalised piece of text into the words that the
// model then encodes one by one.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace sinter {

struct Piece {
  std::string_view text;
  bool at_start;  // its first character is the first of the whole input
};

// Pieces, and the text of those that are no longer part of the input.
struct Pieces {
  std::vector<Piece> list;
  std::deque<std::string> owned;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void split(const Piece& piece, Pieces& out) const = 0;
};

// The steps in order, Sequences flattened. A ByteLevel that comes last leaves the bytes as they
// are: `model_sees_bytes` then says that the model must spell them in the byte-level alphabet.
struct PreTokenizers {
  std::vector<std::unique_ptr<const PreTokenizer>> steps;
  bool model_sees_bytes = false;
  bool asks_late_for_start = false;  // a step after the first asks for Piece::at_start
};

PreTokenizers read_pre_tokenizers(const Json& json, const std::string& where);

}  // namespace sinter
