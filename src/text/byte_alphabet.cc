#include "text/byte_alphabet.h"

#include <array>

#include "text/utf8.h"

namespace sinter {
namespace {

struct Alphabet {
  std::array<char32_t, 256> letters{};
  std::array<int16_t, 0x144> bytes{};  // -1: not a letter
};

constexpr Alphabet kAlphabet = [] {
  Alphabet a;
  for (auto& byte : a.bytes) byte = -1;
  char32_t next = 0x100;
  for (char32_t b = 0; b < 256; ++b) {
    const bool itself = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
    a.letters[b] = itself ? b : next++;
    a.bytes[a.letters[b]] = static_cast<int16_t>(b);
  }
  return a;
}();
static_assert(kAlphabet.letters[0xAD] == 0x143 && kAlphabet.letters[' '] == 0x120);

}  // namespace

char32_t byte_letter(unsigned char byte) { return kAlphabet.letters[byte]; }

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 2);
  for (const char c : bytes) append_utf8(out, byte_letter(static_cast<unsigned char>(c)));
  return out;
}

std::optional<std::string> unspell_bytes(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    if (!c.valid || c.code >= kAlphabet.bytes.size() || kAlphabet.bytes[c.code] < 0) {
      return std::nullopt;
    }
    out.push_back(static_cast<char>(kAlphabet.bytes[c.code]));
    at += c.size;
  }
  return out;
}

}  // namespace sinter
