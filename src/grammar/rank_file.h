// For tests and benchmarks: a vocabulary as a list of ranks, one "BASE64 RANK" a line, which is how
// tokenizers with 128000 tokens and no special ones are published.
#pragma once

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "grammar/constraint.h"

namespace sinter {

inline std::string from_base64(const std::string& text) {
  const std::string_view letters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    const size_t value = letters.find(c);
    if (value == std::string_view::npos) break;
    bits = (bits << 6) | static_cast<uint32_t>(value);
    n_bits += 6;
    if (n_bits >= 8) {
      n_bits -= 8;
      out += static_cast<char>((bits >> n_bits) & 0xFF);
    }
  }
  return out;
}

// Null where there is no such file. After the tokens come 256 special ones, the first an end token.
inline std::shared_ptr<GrammarVocabulary> read_rank_file(const std::string& path) {
  std::ifstream in(path);
  if (!in) return nullptr;
  std::vector<std::string> bytes;
  std::string token;
  for (size_t rank = 0; in >> token >> rank;) {
    if (bytes.size() <= rank) bytes.resize(rank + 1);
    bytes[rank] = from_base64(token);
  }
  const auto end = static_cast<Token>(bytes.size());
  bytes.resize(bytes.size() + 256);
  return std::make_shared<GrammarVocabulary>(bytes, std::vector<Token>{end});
}

}  // namespace sinter
