// See code_points.h.
#include "grammar/code_points.h"

#include <utf8proc.h>

#include <algorithm>

namespace sinter {
namespace {

constexpr char32_t kLastCode = 0x10FFFF, kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

struct CategoryRun {
  char32_t first, last;
  CategorySet category;
};

// All code points in runs of one category: asking for each again would cost every class 10 ms.
const std::vector<CategoryRun>& category_runs() {
  static const std::vector<CategoryRun> runs = [] {
    std::vector<CategoryRun> made;
    for (char32_t code = 0; code <= kLastCode; ++code) {
      const CategorySet category = category_of(code);
      if (made.empty() || made.back().category != category) made.push_back({code, code, category});
      made.back().last = code;
    }
    return made;
  }();
  return runs;
}

char32_t folded(char32_t code) {
  const auto upper = utf8proc_toupper(static_cast<utf8proc_int32_t>(code));
  return static_cast<char32_t>(utf8proc_tolower(upper));
}

struct CasedChar {
  char32_t fold, code;
};

// Every character that has another case, by what its cases have in common.
const std::vector<CasedChar>& cased_chars() {
  static const std::vector<CasedChar> cased = [] {
    constexpr char32_t kEnd = 0x20000;  // no case beyond
    std::vector<CasedChar> made;
    for (char32_t code = 0; code < kEnd; ++code) {
      const auto c = static_cast<utf8proc_int32_t>(code);
      if (utf8proc_tolower(c) != c || utf8proc_toupper(c) != c) {
        made.push_back({folded(code), code});
      }
    }
    std::stable_sort(made.begin(), made.end(),
                     [](const CasedChar& a, const CasedChar& b) { return a.fold < b.fold; });
    return made;
  }();
  return cased;
}

}  // namespace

CodePointSet CodePointSet::all() { return of(0, kLastCode); }

CodePointSet CodePointSet::of(char32_t first, char32_t last) {
  CodePointSet set;
  set.insert(first, last);
  return set;
}

CodePointSet CodePointSet::categories(CategorySet categories) {
  CodePointSet set;
  for (const CategoryRun& run : category_runs()) {
    if ((run.category & categories) != 0) set.ranges_.push_back({run.first, run.last});
  }
  set.normalize();
  return set;
}

CodePointSet CodePointSet::digits(bool unicode) {
  return unicode ? categories(kDigits) : of('0', '9');
}

CodePointSet CodePointSet::white_space(bool ecma) {
  CodePointSet set;
  for (const CodeRange& r :
       {CodeRange{0x09, 0x0D}, CodeRange{0x20, 0x20}, CodeRange{0xA0, 0xA0},
        CodeRange{0x1680, 0x1680}, CodeRange{0x2000, 0x200A}, CodeRange{0x2028, 0x2029},
        CodeRange{0x202F, 0x202F}, CodeRange{0x205F, 0x205F}, CodeRange{0x3000, 0x3000}}) {
    set.ranges_.push_back(r);
  }
  set.ranges_.push_back(ecma ? CodeRange{0xFEFF, 0xFEFF} : CodeRange{0x85, 0x85});
  set.normalize();
  return set;
}

CodePointSet CodePointSet::word(bool unicode) {
  CodePointSet set;
  if (unicode) {
    set = categories(kWord);
    for (const CodeRange& r : other_word_ranges()) set.ranges_.push_back(r);
    set.ranges_.push_back({0x200C, 0x200D});  // Join_Control (UTS 18, annex C)
  } else {
    for (const CodeRange& r :
         {CodeRange{'0', '9'}, CodeRange{'A', 'Z'}, CodeRange{'_', '_'}, CodeRange{'a', 'z'}}) {
      set.ranges_.push_back(r);
    }
  }
  set.normalize();
  return set;
}

void CodePointSet::insert(char32_t first, char32_t last) {
  if (last < first) return;
  ranges_.push_back({first, last});
  normalize();
}

void CodePointSet::insert(std::span<const CodeRange> ranges) {
  for (const CodeRange& r : ranges) {
    if (r.first <= r.last) ranges_.push_back(r);
  }
  normalize();
}

CodePointSet CodePointSet::complement() const {
  CodePointSet set;
  char32_t next = 0;
  for (const CodeRange& r : ranges_) {
    if (r.first > next) set.ranges_.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kLastCode) set.ranges_.push_back({next, kLastCode});
  set.normalize();
  return set;
}

CodePointSet CodePointSet::intersection(const CodePointSet& other) const {
  CodePointSet outside = complement();
  outside.insert(other.complement());
  return outside.complement();
}

CodePointSet CodePointSet::ignoring_case() const {
  CodePointSet set = *this;
  const std::vector<CasedChar>& cased = cased_chars();
  for (size_t i = 0; i < cased.size();) {
    size_t end = i;
    bool any = false;
    for (; end < cased.size() && cased[end].fold == cased[i].fold; ++end)
      any |= has(cased[end].code);
    for (; i < end; ++i) {
      if (any) set.ranges_.push_back({cased[i].code, cased[i].code});
    }
  }
  set.normalize();
  return set;
}

bool CodePointSet::has(char32_t code) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), code,
                                      [](char32_t c, const CodeRange& r) { return c < r.first; });
  return after != ranges_.begin() && code <= std::prev(after)->last;
}

void CodePointSet::normalize() {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const CodeRange& a, const CodeRange& b) { return a.first < b.first; });
  std::vector<CodeRange> merged;
  const auto put = [&](char32_t first, char32_t last) {
    if (last < first) return;
    if (!merged.empty() && first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, last);
    } else {
      merged.push_back({first, last});
    }
  };
  for (const CodeRange& r : ranges_) {
    const char32_t last = std::min(r.last, kLastCode);
    put(r.first, std::min<char32_t>(last, kFirstSurrogate - 1));
    put(std::max<char32_t>(r.first, kLastSurrogate + 1), last);
  }
  ranges_ = std::move(merged);
}

}  // namespace sinter
