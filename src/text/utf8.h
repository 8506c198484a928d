// UTF-8, one character at a time. What is not valid counts in maximal subparts (Unicode 15, 3.9,
// "U+FFFD Substitution"), as Python's errors="replace" and Rust's lossy conversion count it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sinter {

struct Utf8Char {
  char32_t code = 0xFFFD;
  uint8_t size = 1;        // bytes it takes, 1 to 4
  bool valid = false;      // else `size` bytes stand for one U+FFFD
  bool truncated = false;  // the text ends inside what may still become a character
};

// Precondition: at < text.size().
inline Utf8Char utf8_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true, false};
  unsigned char low = 0x80, high = 0xBF;  // what the second byte may be
  uint8_t size = 0;
  char32_t code = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2, code = lead & 0x1F;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3, code = lead & 0x0F;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;  // no surrogates
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4, code = lead & 0x07;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {0xFFFD, 1, false, false};
  }
  for (uint8_t i = 1; i < size; ++i) {
    if (at + i >= text.size()) return {0xFFFD, i, false, true};
    if (byte(i) < low || byte(i) > high) return {0xFFFD, i, false, false};
    low = 0x80, high = 0xBF;
    code = (code << 6) | (byte(i) & 0x3F);
  }
  return {code, size, true, false};
}

inline void append_utf8(std::string& out, char32_t code) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6)), put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12)), put(0x80 | ((code >> 6) & 0x3F)), put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18)), put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F)), put(0x80 | (code & 0x3F));
  }
}

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

inline bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const Utf8Char c = utf8_at(text, at);
    if (!c.valid) return false;
    at += c.size;
  }
  return true;
}

inline std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    out += c.valid ? text.substr(at, c.size) : kReplacement;
    at += c.size;
  }
  return out;
}

}  // namespace sinter
