#include "grammar/json/string_text.h"

namespace sinter {
namespace {

// \u, then this code as four digits in upper or lower case.
Regex unicode_escape(RegexSet& r, uint32_t first, uint32_t last) {
  // Ranges of whole digits only: [first, last] differ in digits that are 0..F from some place on.
  const auto hex = [&](uint32_t from, uint32_t to) {
    ByteSet set;
    for (uint32_t d = from; d <= to; ++d) {
      set.insert(static_cast<uint8_t>("0123456789abcdef"[d]));
      set.insert(static_cast<uint8_t>("0123456789ABCDEF"[d]));
    }
    return r.bytes(set);
  };
  Regex text = r.literal("\\u");
  for (int shift = 12; shift >= 0; shift -= 4) {
    text = r.concat(text, hex((first >> shift) & 15, (last >> shift) & 15));
  }
  return text;
}

}  // namespace

StringTexts::StringTexts(RegexSet& set) : r_(set) {
  constexpr std::string_view kNamed = "\"\"\\\\\nn\tt\rr\bb\ff";
  for (uint32_t byte = 0; byte < 256; ++byte) {
    codes_[byte] =
        byte < 0x20 ? unicode_escape(r_, byte, byte) : r_.byte(static_cast<uint8_t>(byte));
  }
  for (size_t i = 0; i < kNamed.size(); i += 2) {
    const auto byte = static_cast<uint8_t>(kNamed[i]);
    const Regex named = r_.literal(std::string("\\") + kNamed[i + 1]);
    codes_[byte] = byte < 0x20 ? r_.either(named, codes_[byte]) : named;
  }
  canonical_ = r_.empty();  // until it is known: any_char() has no use of it
  canonical_ = r_.star(r_.encoded(r_.any_char(), codes_, canonical_));

  CodePointSet plain = CodePointSet::of(0x20, 0x21);
  plain.insert(0x23, 0x5B);
  plain.insert(0x5D, 0x10FFFF);
  const Regex below = unicode_escape(r_, 0x0000, 0xCFFF), high = unicode_escape(r_, 0xE000, 0xFFFF),
              middle = unicode_escape(r_, 0xD000, 0xD7FF),
              pair =
                  r_.concat(unicode_escape(r_, 0xD800, 0xDBFF), unicode_escape(r_, 0xDC00, 0xDFFF));
  ByteSet named;
  for (const char c : std::string_view("\"\\/bfnrt")) named.insert(static_cast<uint8_t>(c));
  const Regex choices[] = {
      r_.one_of(plain), r_.concat(r_.byte('\\'), r_.bytes(named)), below, high, middle, pair};
  character_ = r_.either(choices);
}

Regex StringTexts::quoted(Regex words) {
  const Regex text = r_.encoded(words, codes_, canonical_);
  const Regex parts[] = {r_.byte('"'), text, r_.byte('"')};
  return r_.concat(parts);
}

Regex StringTexts::any(uint32_t min_length, uint32_t max_length) {
  const Regex parts[] = {r_.byte('"'), r_.repeat(character_, min_length, max_length), r_.byte('"')};
  return r_.concat(parts);
}

Regex StringTexts::quoted_literal(std::string_view word) { return quoted(r_.literal(word)); }

}  // namespace sinter
