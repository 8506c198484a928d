// Hand-coded matchers for the splitting patterns in wide use: the GPT-2 pattern, and the class of
// Llama 3 and Qwen. Each must equal what PCRE2 makes of the pattern (tested on random text). Every
// one of these patterns matches at every place, so there are no gaps.
#include <array>
#include <optional>

#include "text/pattern.h"
#include "text/unicode_class.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr uint8_t kL = 1, kN = 2, kSpace = 4, kNewline = 8, kM = 16;

constexpr std::array<uint8_t, 128> kAsciiKinds = [] {
  std::array<uint8_t, 128> kinds{};
  for (size_t c = 0; c < 128; ++c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) kinds[c] = kL;
    if (c >= '0' && c <= '9') kinds[c] = kN;
    if ((c >= 9 && c <= 13) || c == ' ') kinds[c] = kSpace;
    if (c == '\r' || c == '\n') kinds[c] = kSpace | kNewline;
  }
  return kinds;
}();

struct Kind {
  uint8_t kind = 0;
  size_t size = 0;  // bytes; 0 at the end of the text
};

Kind kind_at(std::string_view text, size_t at) {
  if (at >= text.size()) return {};
  const auto lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) return {kAsciiKinds[lead], 1};
  const Utf8Char c = utf8_at(text, at);
  const CategorySet category = category_of(c.code);
  if ((category & kLetters) != 0) return {kL, c.size};
  if ((category & kNumbers) != 0) return {kN, c.size};
  if ((category & kMarks) != 0) return {kM, c.size};
  return {is_white_space(c.code) ? kSpace : uint8_t{0}, c.size};
}

size_t skip_while(std::string_view text, size_t at, uint8_t kinds) {
  for (Kind k; (k = kind_at(text, at)).size != 0 && (k.kind & kinds) != 0;) at += k.size;
  return at;
}

size_t skip_while_not(std::string_view text, size_t at, uint8_t kinds) {
  for (Kind k; (k = kind_at(text, at)).size != 0 && (k.kind & kinds) == 0;) at += k.size;
  return at;
}

// 's|'t|'re|'ve|'m|'ll|'d: bytes after the apostrophe, 0 if none.
template <bool any_case>
size_t contraction(std::string_view rest) {
  if (rest.empty()) return 0;
  const auto fold = [](char c) {
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  const char a = fold(rest[0]);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 1;
  if (any_case && rest.starts_with("\xC5\xBF")) return 2;  // the long s folds to s
  if (rest.size() < 2) return 0;
  const char b = fold(rest[1]);
  return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 2 : 0;
}

// \s+(?!\S)|\s+ at a run of white space [at, end): the last character goes with what follows.
size_t all_but_last_space(std::string_view text, size_t at, size_t end) {
  if (end == text.size()) return end;
  size_t last = end - 1;
  while ((static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
  return last > at ? last : end;
}

size_t gpt2_match_end(std::string_view text, size_t at) {
  if (text[at] == '\'') {
    if (const size_t n = contraction<false>(text.substr(at + 1)); n != 0) return at + 1 + n;
  }
  const size_t body = at + (text[at] == ' ' ? 1 : 0);
  const Kind first = kind_at(text, body);
  if (first.size != 0 && (first.kind & kSpace) == 0) {
    const uint8_t same = first.kind & (kL | kN);
    return same != 0 ? skip_while(text, body + first.size, same)
                     : skip_while_not(text, body + first.size, kL | kN | kSpace);
  }
  return all_but_last_space(text, at, skip_while(text, at, kSpace));
}

// `letters`: what a word is made of; `max_digits`: of one number.
template <uint8_t letters, int max_digits>
size_t llama3_match_end(std::string_view text, size_t at) {
  if (text[at] == '\'') {
    if (const size_t n = contraction<true>(text.substr(at + 1)); n != 0) return at + 1 + n;
  }
  const Kind first = kind_at(text, at);
  const size_t second = at + first.size;
  if ((first.kind & letters) != 0) return skip_while(text, second, letters);
  if ((first.kind & (kNewline | kN)) == 0 && (kind_at(text, second).kind & letters) != 0) {
    return skip_while(text, second, letters);
  }
  if ((first.kind & kN) != 0) {
    size_t end = second;
    Kind k;
    for (int n = 1; n < max_digits && ((k = kind_at(text, end)).kind & kN) != 0; ++n) end += k.size;
    return end;
  }
  constexpr uint8_t kNotSymbol = kSpace | kN | letters;
  const size_t body = text[at] == ' ' ? second : at;
  const Kind symbol = kind_at(text, body);
  if (symbol.size != 0 && (symbol.kind & kNotSymbol) == 0) {
    return skip_while(text, skip_while_not(text, body, kNotSymbol), kNewline);
  }
  const size_t end = skip_while(text, at, kSpace);
  for (size_t i = end; i > at; --i) {
    if (text[i - 1] == '\n' || text[i - 1] == '\r') return i;
  }
  return all_but_last_space(text, at, end);
}

struct KnownSplit {
  std::string_view source;
  MatchEnd match_end;
};

constexpr KnownSplit kKnownSplits[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     gpt2_match_end},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     llama3_match_end<kL, 3>},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     llama3_match_end<kL, 1>},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     llama3_match_end<kL | kM, 1>},
};

}  // namespace

MatchEnd find_known_split(std::string_view source) {
  for (const KnownSplit& known : kKnownSplits) {
    if (known.source == source) return known.match_end;
  }
  return nullptr;
}

}  // namespace sinter
