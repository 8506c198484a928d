#include "text/jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace sinter::jinja {
namespace {

struct Range {
  char32_t first, last;
};

template <size_t N>
bool within(const std::array<Range, N>& ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](Range r) { return c >= r.first && c <= r.last; });
}

// SpecialCasing.txt (Unicode 14): code points whose upper or title case has several code points.
struct SpecialCase {
  char32_t code;
  const char* upper;
  const char* title;
};
constexpr std::array<SpecialCase, 102> kSpecialCases = {
    {{0x00df, "SS", "Ss"},
     {0x0149, "\u02bcN", "\u02bcN"},
     {0x01f0, "J\u030c", "J\u030c"},
     {0x0390, "\u0399\u0308\u0301", "\u0399\u0308\u0301"},
     {0x03b0, "\u03a5\u0308\u0301", "\u03a5\u0308\u0301"},
     {0x0587, "\u0535\u0552", "\u0535\u0582"},
     {0x1e96, "H\u0331", "H\u0331"},
     {0x1e97, "T\u0308", "T\u0308"},
     {0x1e98, "W\u030a", "W\u030a"},
     {0x1e99, "Y\u030a", "Y\u030a"},
     {0x1e9a, "A\u02be", "A\u02be"},
     {0x1f50, "\u03a5\u0313", "\u03a5\u0313"},
     {0x1f52, "\u03a5\u0313\u0300", "\u03a5\u0313\u0300"},
     {0x1f54, "\u03a5\u0313\u0301", "\u03a5\u0313\u0301"},
     {0x1f56, "\u03a5\u0313\u0342", "\u03a5\u0313\u0342"},
     {0x1f80, "\u1f08\u0399", "\u1f88"},
     {0x1f81, "\u1f09\u0399", "\u1f89"},
     {0x1f82, "\u1f0a\u0399", "\u1f8a"},
     {0x1f83, "\u1f0b\u0399", "\u1f8b"},
     {0x1f84, "\u1f0c\u0399", "\u1f8c"},
     {0x1f85, "\u1f0d\u0399", "\u1f8d"},
     {0x1f86, "\u1f0e\u0399", "\u1f8e"},
     {0x1f87, "\u1f0f\u0399", "\u1f8f"},
     {0x1f88, "\u1f08\u0399", "\u1f88"},
     {0x1f89, "\u1f09\u0399", "\u1f89"},
     {0x1f8a, "\u1f0a\u0399", "\u1f8a"},
     {0x1f8b, "\u1f0b\u0399", "\u1f8b"},
     {0x1f8c, "\u1f0c\u0399", "\u1f8c"},
     {0x1f8d, "\u1f0d\u0399", "\u1f8d"},
     {0x1f8e, "\u1f0e\u0399", "\u1f8e"},
     {0x1f8f, "\u1f0f\u0399", "\u1f8f"},
     {0x1f90, "\u1f28\u0399", "\u1f98"},
     {0x1f91, "\u1f29\u0399", "\u1f99"},
     {0x1f92, "\u1f2a\u0399", "\u1f9a"},
     {0x1f93, "\u1f2b\u0399", "\u1f9b"},
     {0x1f94, "\u1f2c\u0399", "\u1f9c"},
     {0x1f95, "\u1f2d\u0399", "\u1f9d"},
     {0x1f96, "\u1f2e\u0399", "\u1f9e"},
     {0x1f97, "\u1f2f\u0399", "\u1f9f"},
     {0x1f98, "\u1f28\u0399", "\u1f98"},
     {0x1f99, "\u1f29\u0399", "\u1f99"},
     {0x1f9a, "\u1f2a\u0399", "\u1f9a"},
     {0x1f9b, "\u1f2b\u0399", "\u1f9b"},
     {0x1f9c, "\u1f2c\u0399", "\u1f9c"},
     {0x1f9d, "\u1f2d\u0399", "\u1f9d"},
     {0x1f9e, "\u1f2e\u0399", "\u1f9e"},
     {0x1f9f, "\u1f2f\u0399", "\u1f9f"},
     {0x1fa0, "\u1f68\u0399", "\u1fa8"},
     {0x1fa1, "\u1f69\u0399", "\u1fa9"},
     {0x1fa2, "\u1f6a\u0399", "\u1faa"},
     {0x1fa3, "\u1f6b\u0399", "\u1fab"},
     {0x1fa4, "\u1f6c\u0399", "\u1fac"},
     {0x1fa5, "\u1f6d\u0399", "\u1fad"},
     {0x1fa6, "\u1f6e\u0399", "\u1fae"},
     {0x1fa7, "\u1f6f\u0399", "\u1faf"},
     {0x1fa8, "\u1f68\u0399", "\u1fa8"},
     {0x1fa9, "\u1f69\u0399", "\u1fa9"},
     {0x1faa, "\u1f6a\u0399", "\u1faa"},
     {0x1fab, "\u1f6b\u0399", "\u1fab"},
     {0x1fac, "\u1f6c\u0399", "\u1fac"},
     {0x1fad, "\u1f6d\u0399", "\u1fad"},
     {0x1fae, "\u1f6e\u0399", "\u1fae"},
     {0x1faf, "\u1f6f\u0399", "\u1faf"},
     {0x1fb2, "\u1fba\u0399", "\u1fba\u0345"},
     {0x1fb3, "\u0391\u0399", "\u1fbc"},
     {0x1fb4, "\u0386\u0399", "\u0386\u0345"},
     {0x1fb6, "\u0391\u0342", "\u0391\u0342"},
     {0x1fb7, "\u0391\u0342\u0399", "\u0391\u0342\u0345"},
     {0x1fbc, "\u0391\u0399", "\u1fbc"},
     {0x1fc2, "\u1fca\u0399", "\u1fca\u0345"},
     {0x1fc3, "\u0397\u0399", "\u1fcc"},
     {0x1fc4, "\u0389\u0399", "\u0389\u0345"},
     {0x1fc6, "\u0397\u0342", "\u0397\u0342"},
     {0x1fc7, "\u0397\u0342\u0399", "\u0397\u0342\u0345"},
     {0x1fcc, "\u0397\u0399", "\u1fcc"},
     {0x1fd2, "\u0399\u0308\u0300", "\u0399\u0308\u0300"},
     {0x1fd3, "\u0399\u0308\u0301", "\u0399\u0308\u0301"},
     {0x1fd6, "\u0399\u0342", "\u0399\u0342"},
     {0x1fd7, "\u0399\u0308\u0342", "\u0399\u0308\u0342"},
     {0x1fe2, "\u03a5\u0308\u0300", "\u03a5\u0308\u0300"},
     {0x1fe3, "\u03a5\u0308\u0301", "\u03a5\u0308\u0301"},
     {0x1fe4, "\u03a1\u0313", "\u03a1\u0313"},
     {0x1fe6, "\u03a5\u0342", "\u03a5\u0342"},
     {0x1fe7, "\u03a5\u0308\u0342", "\u03a5\u0308\u0342"},
     {0x1ff2, "\u1ffa\u0399", "\u1ffa\u0345"},
     {0x1ff3, "\u03a9\u0399", "\u1ffc"},
     {0x1ff4, "\u038f\u0399", "\u038f\u0345"},
     {0x1ff6, "\u03a9\u0342", "\u03a9\u0342"},
     {0x1ff7, "\u03a9\u0342\u0399", "\u03a9\u0342\u0345"},
     {0x1ffc, "\u03a9\u0399", "\u1ffc"},
     {0xfb00, "FF", "Ff"},
     {0xfb01, "FI", "Fi"},
     {0xfb02, "FL", "Fl"},
     {0xfb03, "FFI", "Ffi"},
     {0xfb04, "FFL", "Ffl"},
     {0xfb05, "ST", "St"},
     {0xfb06, "ST", "St"},
     {0xfb13, "\u0544\u0546", "\u0544\u0576"},
     {0xfb14, "\u0544\u0535", "\u0544\u0565"},
     {0xfb15, "\u0544\u053b", "\u0544\u056b"},
     {0xfb16, "\u054e\u0546", "\u054e\u0576"},
     {0xfb17, "\u0544\u053d", "\u0544\u056d"}}};

// Numeric_Type=Digit that are not decimal (superscripts, circled digits ...).
constexpr std::array<Range, 20> kOtherDigits = {{
    {0xb2, 0xb3},       {0xb9, 0xb9},       {0x1369, 0x1371},   {0x19da, 0x19da},
    {0x2070, 0x2070},   {0x2074, 0x2079},   {0x2080, 0x2089},   {0x2460, 0x2468},
    {0x2474, 0x247c},   {0x2488, 0x2490},   {0x24ea, 0x24ea},   {0x24f5, 0x24fd},
    {0x24ff, 0x24ff},   {0x2776, 0x277e},   {0x2780, 0x2788},   {0x278a, 0x2792},
    {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a},
}};

// Other_Lowercase and Other_Uppercase of PropList.txt.
constexpr std::array<Range, 24> kOtherLower = {{
    {0xaa, 0xaa},       {0xba, 0xba},       {0x2b0, 0x2b8},     {0x2c0, 0x2c1},
    {0x2e0, 0x2e4},     {0x345, 0x345},     {0x37a, 0x37a},     {0x1d2c, 0x1d6a},
    {0x1d78, 0x1d78},   {0x1d9b, 0x1dbf},   {0x2071, 0x2071},   {0x207f, 0x207f},
    {0x2090, 0x209c},   {0x2170, 0x217f},   {0x24d0, 0x24e9},   {0x2c7c, 0x2c7d},
    {0xa69c, 0xa69d},   {0xa770, 0xa770},   {0xa7f8, 0xa7f9},   {0xab5c, 0xab5f},
    {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107b0}, {0x107b2, 0x107ba},
}};
constexpr std::array<Range, 5> kOtherUpper = {{
    {0x2160, 0x216f},
    {0x24b6, 0x24cf},
    {0x1f130, 0x1f149},
    {0x1f150, 0x1f169},
    {0x1f170, 0x1f189},
}};

// Case_Ignorable outside the categories Mn, Me, Cf, Lm, Sk (it decides where a sigma is final).
constexpr std::array<Range, 16> kOtherCaseIgnorable = {{
    {0x27, 0x27},
    {0x2e, 0x2e},
    {0x3a, 0x3a},
    {0xb7, 0xb7},
    {0x387, 0x387},
    {0x55f, 0x55f},
    {0x5f4, 0x5f4},
    {0x2018, 0x2019},
    {0x2024, 0x2024},
    {0x2027, 0x2027},
    {0xfe13, 0xfe13},
    {0xfe52, 0xfe52},
    {0xfe55, 0xfe55},
    {0xff07, 0xff07},
    {0xff0e, 0xff0e},
    {0xff1a, 0xff1a},
}};

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_case_ignorable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return within(kOtherCaseIgnorable, c);
  }
}

bool is_cased(char32_t c) { return is_upper(c) || is_lower(c) || is_title(c); }

const SpecialCase* special_case(char32_t c) {
  const auto it =
      std::lower_bound(kSpecialCases.begin(), kSpecialCases.end(), c,
                       [](const SpecialCase& s, char32_t code) { return s.code < code; });
  return it != kSpecialCases.end() && it->code == c ? &*it : nullptr;
}

void append_upper(std::string* out, char32_t c) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
  } else if (const SpecialCase* s = special_case(c)) {
    out->append(s->upper);
  } else {
    append(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
  }
}

void append_title(std::string* out, char32_t c) {
  if (const SpecialCase* s = special_case(c)) {
    out->append(s->title);
  } else {
    append(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
  }
}

constexpr char32_t kSigma = 0x3a3;

// A capital sigma is final after a cased letter and not before one, case-ignorable ones skipped.
bool is_final_sigma(const std::vector<char32_t>& text, size_t at) {
  size_t before = at;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  size_t after = at + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

void append_lower(std::string* out, const std::vector<char32_t>& text, size_t at) {
  const char32_t c = text[at];
  if (c < 0x80) {
    out->push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
  } else if (c == kSigma) {
    append(out, is_final_sigma(text, at) ? 0x3c2 : 0x3c3);
  } else if (c == 0x130) {
    out->append("i\u0307");
  } else {
    append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
}

bool is_line_break(char32_t c) {
  return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

}  // namespace

bool is_valid_utf8(std::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    if (static_cast<unsigned char>(bytes[i]) < 0x80) {
      ++i;
      continue;
    }
    utf8proc_int32_t c = 0;
    const utf8proc_ssize_t n =
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data() + i),
                         static_cast<utf8proc_ssize_t>(bytes.size() - i), &c);
    if (n <= 0) return false;
    i += static_cast<size_t>(n);
  }
  return true;
}

char32_t decode(std::string_view text, size_t* position) {
  const auto byte = [&](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[i]));
  };
  const size_t i = *position;
  const char32_t lead = byte(i);
  if (lead < 0x80) {
    *position = i + 1;
    return lead;
  }
  const auto next = [&](size_t k) { return i + k < text.size() ? byte(i + k) & 0x3f : 0; };
  if (lead < 0xe0) {
    *position = std::min(i + 2, text.size());
    return (lead & 0x1f) << 6 | next(1);
  }
  if (lead < 0xf0) {
    *position = std::min(i + 3, text.size());
    return (lead & 0x0f) << 12 | next(1) << 6 | next(2);
  }
  *position = std::min(i + 4, text.size());
  return (lead & 0x07) << 18 | next(1) << 12 | next(2) << 6 | next(3);
}

void append(std::string* out, char32_t c) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out->push_back(static_cast<char>(0xc0 | c >> 6));
    out->push_back(static_cast<char>(0x80 | (c & 0x3f)));
  } else if (c < 0x10000) {
    out->push_back(static_cast<char>(0xe0 | c >> 12));
    out->push_back(static_cast<char>(0x80 | (c >> 6 & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3f)));
  } else {
    out->push_back(static_cast<char>(0xf0 | c >> 18));
    out->push_back(static_cast<char>(0x80 | (c >> 12 & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (c >> 6 & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3f)));
  }
}

int64_t count_code_points(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char b) { return (b & 0xc0) != 0x80; });
}

size_t byte_offset(std::string_view text, int64_t code_points) {
  size_t i = 0;
  while (i < text.size() && code_points > 0) {
    ++i;
    while (i < text.size() && (text[i] & 0xc0) == 0x80) ++i;
    --code_points;
  }
  return i;
}

std::vector<char32_t> code_points(std::string_view text) {
  std::vector<char32_t> out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) out.push_back(decode(text, &i));
  return out;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

bool is_printable(char32_t c) {
  if (c >= 0x20 && c < 0x7f) return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_alpha(char32_t c) {
  const utf8proc_category_t k = category(c);
  return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }
bool is_digit(char32_t c) { return is_decimal(c) || within(kOtherDigits, c); }

bool is_numeric(char32_t c) {
  const utf8proc_category_t k = category(c);
  return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

bool is_word(char32_t c) { return c == '_' || is_alpha(c) || is_numeric(c); }
bool is_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU || within(kOtherUpper, c); }
bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL || within(kOtherLower, c); }
bool is_title(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool is_identifier(std::string_view text) {
  if (text.empty()) return false;
  for (size_t i = 0; i < text.size();) {
    const bool first = i == 0;
    const char32_t c = decode(text, &i);
    if (c == '_' || is_alpha(c) || category(c) == UTF8PROC_CATEGORY_NL) continue;
    const utf8proc_category_t k = category(c);
    if (first || (k != UTF8PROC_CATEGORY_MN && k != UTF8PROC_CATEGORY_MC &&
                  k != UTF8PROC_CATEGORY_ND && k != UTF8PROC_CATEGORY_PC)) {
      return false;
    }
  }
  return true;
}

std::string to_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) append_upper(&out, decode(text, &i));
  return out;
}

std::string to_lower(std::string_view text) {
  const std::vector<char32_t> points = code_points(text);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < points.size(); ++i) append_lower(&out, points, i);
  return out;
}

std::string to_title(std::string_view text) {
  const std::vector<char32_t> points = code_points(text);
  std::string out;
  bool after_cased = false;
  for (size_t i = 0; i < points.size(); ++i) {
    if (after_cased) {
      append_lower(&out, points, i);
    } else {
      append_title(&out, points[i]);
    }
    after_cased = is_cased(points[i]);
  }
  return out;
}

std::string capitalize(std::string_view text) {
  const std::vector<char32_t> points = code_points(text);
  std::string out;
  for (size_t i = 0; i < points.size(); ++i) {
    if (i == 0) {
      append_title(&out, points[i]);
    } else {
      append_lower(&out, points, i);
    }
  }
  return out;
}

std::string swap_case(std::string_view text) {
  const std::vector<char32_t> points = code_points(text);
  std::string out;
  for (size_t i = 0; i < points.size(); ++i) {
    if (is_upper(points[i])) {
      append_lower(&out, points, i);
    } else if (is_lower(points[i])) {
      append_upper(&out, points[i]);
    } else {
      append(&out, points[i]);
    }
  }
  return out;
}

std::string fold_case(std::string_view text) {
  std::string out;
  std::array<utf8proc_int32_t, 8> folded{};
  for (size_t i = 0; i < text.size();) {
    const char32_t c = decode(text, &i);
    int boundary = UTF8PROC_BOUNDCLASS_START;
    const utf8proc_ssize_t n =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), folded.data(), folded.size(),
                                UTF8PROC_CASEFOLD, &boundary);
    for (utf8proc_ssize_t k = 0; k < n; ++k) {
      append(&out, static_cast<char32_t>(folded[static_cast<size_t>(k)]));
    }
  }
  return out;
}

namespace {

template <typename Matches>
std::string_view strip_if(std::string_view text, bool left, bool right, Matches matches) {
  while (left && !text.empty()) {
    size_t next = 0;
    if (!matches(decode(text, &next))) break;
    text.remove_prefix(next);
  }
  while (right && !text.empty()) {
    size_t last = text.size() - 1;
    while (last > 0 && (text[last] & 0xc0) == 0x80) --last;
    size_t position = last;
    if (!matches(decode(text, &position))) break;
    text = text.substr(0, last);
  }
  return text;
}

}  // namespace

std::string_view strip_spaces(std::string_view text, bool left, bool right) {
  return strip_if(text, left, right, is_space);
}

std::string_view strip_characters(std::string_view text, std::string_view characters, bool left,
                                  bool right) {
  std::vector<char32_t> set = code_points(characters);
  std::sort(set.begin(), set.end());
  return strip_if(text, left, right,
                  [&](char32_t c) { return std::binary_search(set.begin(), set.end(), c); });
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t end = i;
    const char32_t c = decode(text, &i);
    if (!is_line_break(c)) continue;
    if (c == '\r' && i < text.size() && text[i] == '\n') ++i;
    lines.push_back(text.substr(start, (keep_ends ? i : end) - start));
    start = i;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

}  // namespace sinter::jinja
