// See unicode_class.h. The tables of differences were found by asking `tokenizers` about every code
// point (tests/golden/text/tok_unicode.py).
#include "text/unicode_class.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace sinter {
namespace {

struct LowercaseRange {
  char32_t first;
  char32_t last;
  char32_t target;
};

#include "text/unicode_tables.inc"

template <typename Range>
const Range* find_range(std::span<const Range> ranges, char32_t code) {
  const auto it = std::upper_bound(ranges.begin(), ranges.end(), code,
                                   [](char32_t c, const Range& r) { return c < r.first; });
  return it == ranges.begin() || std::prev(it)->last < code ? nullptr : &*std::prev(it);
}

template <typename Range, size_t n>
bool is_in(const Range (&ranges)[n], char32_t code) {
  return find_range(std::span<const Range>(ranges), code) != nullptr;
}

uint8_t look_up_category(char32_t code) {
  if (const auto* r = find_range(std::span<const CategoryRange>(kSinceUnicode14), code)) {
    return r->category;
  }
  return static_cast<uint8_t>(utf8proc_category(static_cast<utf8proc_int32_t>(code)));
}

struct NamedSet {
  std::string_view name;
  CategorySet set;
};

constexpr NamedSet kNamedSets[] = {
    {"L", kLetters},    {"Letter", kLetters}, {"M", kMarks},       {"Mark", kMarks},
    {"N", kNumbers},    {"Number", kNumbers}, {"P", kPunctuation}, {"Punctuation", kPunctuation},
    {"S", kSymbols},    {"Symbol", kSymbols}, {"Z", kSeparators},  {"Separator", kSeparators},
    {"C", kOthers},     {"Other", kOthers},   {"Cn", 1u << 0},     {"Lu", kUppercase},
    {"Ll", kLowercase}, {"Lt", kTitlecase},   {"Lm", kModifier},   {"Lo", kOtherLetter},
    {"Mn", 1u << 6},    {"Mc", 1u << 7},      {"Me", 1u << 8},     {"Nd", kDigits},
    {"Nl", 1u << 10},   {"No", 1u << 11},     {"Pc", 1u << 12},    {"Pd", 1u << 13},
    {"Ps", 1u << 14},   {"Pe", 1u << 15},     {"Pi", 1u << 16},    {"Pf", 1u << 17},
    {"Po", 1u << 18},   {"Sm", 1u << 19},     {"Sc", 1u << 20},    {"Sk", 1u << 21},
    {"So", 1u << 22},   {"Zs", 1u << 23},     {"Zl", 1u << 24},    {"Zp", 1u << 25},
    {"Cc", 1u << 26},   {"Cf", 1u << 27},     {"Co", 1u << 29},
};

}  // namespace

std::optional<CategorySet> category_set(std::string_view name) {
  for (const NamedSet& entry : kNamedSets) {
    if (entry.name == name) return entry.set;
  }
  return std::nullopt;
}

CategorySet category_of(char32_t code) {
  static const std::array<uint8_t, 0x10000> basic_plane = [] {
    std::array<uint8_t, 0x10000> table{};
    for (char32_t c = 0; c < table.size(); ++c) table[c] = look_up_category(c);
    return table;
  }();
  return CategorySet{1} << (code < basic_plane.size() ? basic_plane[code] : look_up_category(code));
}

bool is_white_space(char32_t code) {
  if (code < 0x1680) {
    return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0;
  }
  return code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

bool is_word(char32_t code) {
  if (code == 0x200C || code == 0x200D) return true;  // Join_Control
  return (category_of(code) & kWord) != 0 || (code > 0xFF && is_in(kOtherWord, code));
}

bool is_number(char32_t code) {
  return (category_of(code) & kNumbers) != 0 || is_in(kNewestNumbers, code);
}

bool is_punctuation(char32_t code) {
  if (code < 0x80)
    return code > 0x20 && code < 0x7F && (category_of(code) & kWord & ~(1u << 12)) == 0;
  return ((category_of(code) & kPunctuation) != 0) != is_in(kPunctuationFlips, code);
}

bool is_accent(char32_t code) {
  return code >= 0x300 && ((category_of(code) & kMarks) != 0) != is_in(kAccentFlips, code);
}

bool is_known_to_normalizer(char32_t code) { return !is_in(kUnknownToNormalizer, code); }

std::span<const CategoryRange> categories_since_unicode_14() { return kSinceUnicode14; }
std::span<const CodeRange> other_word_ranges() { return kOtherWord; }
std::span<const CodeRange> han_ranges() { return kHan; }

char32_t to_lowercase(char32_t code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  if (const auto* r = find_range(std::span<const LowercaseRange>(kNewLowercase), code)) {
    return r->target + (code - r->first);
  }
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

}  // namespace sinter
