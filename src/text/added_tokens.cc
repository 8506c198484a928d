#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode_class.h"
#include "text/utf8.h"

namespace sinter {
namespace {

Utf8Char last_char(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return utf8_at(text, at);
}

bool ends_with_word(std::string_view text) {
  return !text.empty() && is_word(last_char(text).code);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word(utf8_at(text, 0).code);
}

}  // namespace

int32_t AddedTokenMatcher::child(int32_t node, unsigned char byte) const {
  for (const auto& [b, next] : nodes_[static_cast<size_t>(node)].children) {
    if (b == byte) return next;
  }
  return -1;
}

void AddedTokenMatcher::add(std::string_view spelling, const AddedToken& token) {
  if (spelling.empty()) return;
  int32_t node = 0;
  for (const char c : spelling) {
    const auto byte = static_cast<unsigned char>(c);
    int32_t next = child(node, byte);
    if (next < 0) {
      next = static_cast<int32_t>(nodes_.size());
      nodes_.emplace_back();
      nodes_[static_cast<size_t>(node)].children.emplace_back(byte, next);
      if (node == 0) roots_[byte] = next;
    }
    node = next;
  }
  // Of two that are spelled alike once normalised, a special one comes first, then the earlier.
  int32_t& here = nodes_[static_cast<size_t>(node)].token;
  if (here >= 0) {
    const AddedToken& there = tokens_[static_cast<size_t>(here)];
    if (there.special || !token.special || there.id == token.id) return;
  }
  here = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
}

void AddedTokenMatcher::split(std::string_view text, bool parse_special,
                              std::vector<Part>& out) const {
  size_t done = 0;  // the text up to here is in `out`
  for (size_t at = 0; at < text.size();) {
    int32_t node = roots_[static_cast<unsigned char>(text[at])];
    if (node < 0) {
      ++at;
      continue;
    }
    int32_t found = -1;
    size_t found_end = at;
    for (size_t i = at + 1; node >= 0; ++i) {
      if (nodes_[static_cast<size_t>(node)].token >= 0) {
        found = nodes_[static_cast<size_t>(node)].token;
        found_end = i;
      }
      node = i < text.size() ? child(node, static_cast<unsigned char>(text[i])) : -1;
    }
    if (found < 0) {
      ++at;
      continue;
    }
    size_t begin = at, end = found_end;
    at = found_end;  // a match that is turned down is passed over all the same
    const AddedToken& token = tokens_[static_cast<size_t>(found)];
    if (token.special && !parse_special) continue;
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    if (token.lstrip) {
      while (begin > done) {
        const Utf8Char c = last_char(text.substr(0, begin));
        if (!is_white_space(c.code)) break;
        begin -= c.size;
      }
      begin = std::max(begin, done);
    }
    if (token.rstrip) {
      while (end < text.size()) {
        const Utf8Char c = utf8_at(text, end);
        if (!is_white_space(c.code)) break;
        end += c.size;
      }
    }
    if (begin > done) out.push_back({text.substr(done, begin - done), -1});
    out.push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) out.push_back({text.substr(done), -1});
}

}  // namespace sinter
