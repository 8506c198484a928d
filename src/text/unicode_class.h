// What kind of character a code point is, in the eyes of the `tokenizers` library: general
// categories as its regex engine (Oniguruma, Unicode 16) knows them, and the other views it has.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sinter {

using CategorySet = uint32_t;  // bit i: general category i in utf8proc's numbering

constexpr CategorySet kLetters = 0x1Fu << 1;       // L: Lu Ll Lt Lm Lo
constexpr CategorySet kMarks = 0x7u << 6;          // M: Mn Mc Me
constexpr CategorySet kNumbers = 0x7u << 9;        // N: Nd Nl No
constexpr CategorySet kPunctuation = 0x7Fu << 12;  // P: Pc Pd Ps Pe Pi Pf Po
constexpr CategorySet kSymbols = 0xFu << 19;       // S: Sm Sc Sk So
constexpr CategorySet kSeparators = 0x7u << 23;    // Z: Zs Zl Zp
constexpr CategorySet kOthers = (0xFu << 26) | 1;  // C: Cc Cf Cs Co Cn
constexpr CategorySet kUppercase = 1u << 1;
constexpr CategorySet kLowercase = 1u << 2;
constexpr CategorySet kTitlecase = 1u << 3;
constexpr CategorySet kModifier = 1u << 4;
constexpr CategorySet kOtherLetter = 1u << 5;
constexpr CategorySet kDigits = 1u << 9;                                     // Nd
constexpr CategorySet kWord = kLetters | kMarks | (0x3u << 9) | (1u << 12);  // L M Nd Nl Pc

// The set named by \p{NAME}: "L", "Lu", "Letter"...; nothing if it is no general category.
std::optional<CategorySet> category_set(std::string_view name);

CategorySet category_of(char32_t code);  // one bit

bool is_white_space(char32_t code);  // White_Space
bool is_word(char32_t code);         // \w where added tokens ask for whole words
bool is_number(char32_t code);       // as the pre-tokenizer Digits sees it
bool is_punctuation(char32_t code);  // as the pre-tokenizer Punctuation sees it
bool is_accent(char32_t code);       // what StripAccents strips
bool is_known_to_normalizer(char32_t code);

// Ranges of code points, sorted.
struct CodeRange {
  char32_t first;
  char32_t last;
};
struct CategoryRange {
  char32_t first;
  char32_t last;
  uint8_t category;
};
std::span<const CategoryRange> categories_since_unicode_14();
std::span<const CodeRange> other_word_ranges();  // \w of Oniguruma beyond kWord
std::span<const CodeRange> han_ranges();

// Lower case of one character; U+0130 alone has two code points, and gives the first here.
char32_t to_lowercase(char32_t code);

}  // namespace sinter
