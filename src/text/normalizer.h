// The normalizers of tokenizer.json: rewritings of a piece of text before it is split.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"

namespace sinter {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // `text` is valid UTF-8. `at_start`: its first character is the first of the whole input; turned
  // false where that character goes away.
  virtual std::string normalize(std::string text, bool& at_start) const = 0;
};

// Null for null. Throws Error(unsupported | bad_input).
std::unique_ptr<const Normalizer> read_normalizer(const Json& json, const std::string& where);

}  // namespace sinter
