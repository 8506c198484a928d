// From Oniguruma's Ruby syntax to PCRE2. The two differ in what \s, \h, ^, (?m: and {n}? mean and
// in the Unicode version behind \p{..}; classes are therefore spelled out, and what is not listed
// here is refused. Every character is written as \x{..}, so no PCRE2 escape can creep in.
#include <algorithm>
#include <functional>

#include "base/error.h"
#include "text/pattern.h"
#include "text/unicode_class.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr int kMaxGroupDepth = 100;
constexpr int kMaxRepeat = 1000;
constexpr CategorySet kCased = kUppercase | kLowercase | kTitlecase;

std::string code_text(char32_t code) { return fmt::format("\\x{{{:x}}}", uint32_t{code}); }

std::string range_text(char32_t first, char32_t last) {
  return first == last ? code_text(first) : code_text(first) + "-" + code_text(last);
}

// Every code point for which `has` holds, as the inside of a class.
std::string ranges_text(const std::function<bool(char32_t)>& has) {
  std::string out;
  bool before = false;
  for (char32_t c = 0, first = 0; c <= 0x110000; ++c) {
    const bool in = c < 0x110000 && (c < 0xD800 || c > 0xDFFF) && has(c);
    if (in && !before) first = c;
    if (!in && before) out += range_text(first, c - 1);
    before = in;
  }
  return out;
}

class Translation {
 public:
  Translation(std::string_view source, const std::string& where) : in_(source), where_(where) {}

  std::string run() {
    if (!is_utf8(in_)) refuse("invalid UTF-8");
    if (in_.starts_with("(?i)")) {
      out_ = "(?i)";
      at_ = 4;
      caseless_.push_back(true);
    } else {
      caseless_.push_back(false);
    }
    while (at_ < in_.size()) step();
    if (caseless_.size() != 1) refuse("a group that does not end");
    return out_;
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail(Fault::unsupported, "tokenizer-regex",
         "{}: the regular expression {} has {} near byte {}, which Sinter does not read", where_,
         in_, what, at_);
  }

  bool take(std::string_view text) {
    if (!in_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  char32_t take_char() {
    if (at_ >= in_.size()) refuse("a sudden end");
    const Utf8Char c = utf8_at(in_, at_);
    at_ += c.size;
    return c.code;
  }

  void step() {
    const char c = in_[at_];
    if (c == '(') {
      open_group();
      repeatable_ = false;
    } else if (c == ')') {
      if (caseless_.size() < 2) refuse("an unmatched )");
      caseless_.pop_back();
      copy();
      repeatable_ = true;
    } else if (c == '|' || c == '^' || c == '$') {
      copy();
      repeatable_ = false;
    } else if (c == '.') {
      copy();
      repeatable_ = true;
    } else if (c == '*' || c == '+' || c == '?') {
      repeat_simply();
    } else if (c == '{' && repeatable_ && repeat_counted()) {
      repeatable_ = false;
    } else {
      if (c == '[') {
        ++at_;
        out_ += bracket();
      } else if (c == '\\') {
        ++at_;
        escape();
      } else {
        out_ += code_text(take_char());
      }
      repeatable_ = true;
    }
  }

  void copy() { out_ += in_[at_++]; }

  void open_group() {
    struct Opening {
      std::string_view onig, pcre2;
    };
    static constexpr Opening kOpenings[] = {{"(?:", "(?:"},   {"(?=", "(?="},     {"(?!", "(?!"},
                                            {"(?<=", "(?<="}, {"(?<!", "(?<!"},   {"(?>", "(?>"},
                                            {"(?i:", "(?i:"}, {"(?-i:", "(?-i:"}, {"(?m:", "(?s:"}};
    if (caseless_.size() > kMaxGroupDepth) refuse("groups nested too deep");
    for (const Opening& opening : kOpenings) {
      if (!take(opening.onig)) continue;
      out_ += opening.pcre2;
      caseless_.push_back(opening.onig == "(?i:" || (caseless_.back() && opening.onig != "(?-i:"));
      return;
    }
    if (in_.substr(at_).starts_with("(?") || in_.substr(at_).starts_with("(*")) {
      refuse("an unknown kind of group");
    }
    ++at_;
    out_ += "(?:";  // back references are refused, so nothing needs the capture
    caseless_.push_back(caseless_.back());
  }

  void repeat_simply() {
    if (!repeatable_) refuse("a repeat of nothing, or of a repeat");
    copy();
    if (at_ < in_.size() && (in_[at_] == '?' || in_[at_] == '+')) copy();
    repeatable_ = false;
  }

  // {n}, {n,}, {n,m}, {,m}; anything else is a literal brace.
  bool repeat_counted() {
    size_t at = at_ + 1;
    const auto number = [&](int absent) {
      if (at >= in_.size() || in_[at] < '0' || in_[at] > '9') return absent;
      int n = 0;
      for (; at < in_.size() && in_[at] >= '0' && in_[at] <= '9'; ++at) {
        n = std::min(n * 10 + (in_[at] - '0'), kMaxRepeat + 1);
      }
      return n;
    };
    const int low = number(-1);
    int high = low;
    const bool comma = at < in_.size() && in_[at] == ',';
    if (comma) {
      ++at;
      high = number(-1);
    }
    if (at >= in_.size() || in_[at] != '}' || (low < 0 && high < 0)) return false;
    at_ = at + 1;
    if (low > kMaxRepeat || high > kMaxRepeat || (high >= 0 && high < low)) {
      refuse("such a count of repeats");
    }
    out_ += fmt::format("{{{},{}}}", std::max(low, 0), high < 0 ? "" : std::to_string(high));
    if (at_ < in_.size() && in_[at_] == '+') refuse("a possessive counted repeat");
    if (at_ < in_.size() && in_[at_] == '?') {
      if (!comma) refuse("a lazy exact repeat");
      copy();
    }
    return true;
  }

  void escape() {
    const std::string set = class_escape();
    out_ += set.empty() ? code_text(escaped_char()) : "[" + set + "]";
  }

  // The inside of a class for \s \S \d \D \w \W \h \H \p \P; empty (and nothing taken) otherwise.
  std::string class_escape() {
    if (take("s")) return ranges_text(is_white_space);
    if (take("S")) return ranges_text([](char32_t c) { return !is_white_space(c); });
    if (take("d")) return category_text(kDigits, false);
    if (take("D")) return category_text(kDigits, true);
    if (take("w")) {
      std::string out = category_text(kLetters, false) + category_text(kMarks, false) +
                        category_text(kDigits, false) + category_text(1u << 10, false) +
                        category_text(1u << 12, false);
      for (const CodeRange& r : other_word_ranges()) out += range_text(r.first, r.last);
      return out;
    }
    if (take("W")) return ranges_text([](char32_t c) { return !is_onig_word(c); });
    if (take("h")) return "0-9a-fA-F";
    const bool upper = take("P");
    if (!upper && !take("p")) return "";
    std::string_view name;
    bool negate = upper;
    if (take("{")) {
      if (take("^")) negate = !negate;
      const size_t end = in_.find('}', at_);
      if (end == std::string_view::npos) refuse("an open \\p{");
      name = in_.substr(at_, end - at_);
      at_ = end + 1;
    } else {
      name = in_.substr(at_, 1);
      ++at_;
    }
    if (name == "Han") {
      return ranges_text([&](char32_t c) { return is_han(c) != negate; });
    }
    const std::optional<CategorySet> set = category_set(name);
    if (!set) refuse("an unknown property");
    return category_text(*set, negate);
  }

  static bool is_onig_word(char32_t c) {
    if ((category_of(c) & kWord) != 0) return true;
    for (const CodeRange& r : other_word_ranges()) {
      if (c >= r.first && c <= r.last) return true;
    }
    return false;
  }

  static bool is_han(char32_t c) {
    for (const CodeRange& r : han_ranges()) {
      if (c >= r.first && c <= r.last) return true;
    }
    return false;
  }

  // PCRE2's own \p{..} is fast, so it serves wherever only newer characters must be added to it.
  std::string category_text(CategorySet set, bool negate) {
    const CategorySet cased = set & kCased;
    if (caseless_.back() && cased != 0 && cased != kCased) refuse("a case in a caseless group");
    static constexpr std::string_view kNames[] = {"L",  "M",  "N",  "P",  "S",  "Lu", "Ll",
                                                  "Lt", "Lm", "Lo", "Nd", "Nl", "No"};
    for (const std::string_view name : kNames) {
      if (negate || category_set(name) != set) continue;
      std::string out = fmt::format("\\p{{{}}}", name);
      for (const CategoryRange& r : categories_since_unicode_14()) {
        if (((set >> r.category) & 1) != 0) out += range_text(r.first, r.last);
      }
      return out;
    }
    return ranges_text([&](char32_t c) { return ((category_of(c) & set) != 0) != negate; });
  }

  char32_t hex_code(std::string_view digits) {
    if (digits.empty() || digits.size() > 6) refuse("such a code point");
    uint32_t code = 0;
    for (const char c : digits) {
      const int v = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
      if (v < 0) refuse("such a code point");
      code = code * 16 + static_cast<uint32_t>(v);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) refuse("such a code point");
    return code;
  }

  char32_t take_hex(size_t n) {
    if (in_.size() - at_ < n) refuse("such a code point");
    const char32_t code = hex_code(in_.substr(at_, n));
    at_ += n;
    return code;
  }

  char32_t escaped_char() {
    const char32_t c = take_char();
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'f':
        return '\f';
      case 'v':
        return '\v';
      case 'u':
        return take_hex(4);
      case 'x':
        if (take("{")) {
          const size_t end = in_.find('}', at_);
          if (end == std::string_view::npos) refuse("an open \\x{");
          const char32_t code = hex_code(in_.substr(at_, end - at_));
          at_ = end + 1;
          return code;
        }
        if (const char32_t code = take_hex(2); code < 0x80) return code;
        refuse("a raw byte");
      default:
        break;
    }
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      refuse("an unknown escape");
    }
    return c;
  }

  // After '['.
  std::string bracket() {
    std::string out = take("^") ? "[^" : "[";
    const size_t begin = at_;
    while (!take("]")) {
      if (at_ >= in_.size()) refuse("a class that does not end");
      if (in_[at_] == '[') refuse("a class within a class");
      if (in_.substr(at_).starts_with("&&")) refuse("an intersection of classes");
      if (take("\\")) {
        if (const std::string set = class_escape(); !set.empty()) {
          out += set;
          if (at_ + 1 < in_.size() && in_[at_] == '-' && in_[at_ + 1] != ']') {
            refuse("a range from a class");
          }
          continue;
        }
        out += range_from(escaped_char());
      } else {
        out += range_from(take_char());
      }
    }
    if (at_ == begin + 1) refuse("an empty class");
    return out + "]";
  }

  std::string range_from(char32_t first) {
    if (at_ + 1 >= in_.size() || in_[at_] != '-' || in_[at_ + 1] == ']') return code_text(first);
    ++at_;
    if (in_[at_] == '[') refuse("a class within a class");
    if (take("\\") && !in_.substr(at_).empty() &&
        std::string_view("sSdDwWhHpP").find(in_[at_]) != std::string_view::npos) {
      refuse("a range to a class");
    }
    const char32_t last = in_[at_ - 1] == '\\' ? escaped_char() : take_char();
    if (last < first) refuse("a range that runs backwards");
    return range_text(first, last);
  }

  std::string_view in_;
  const std::string& where_;
  size_t at_ = 0;
  std::string out_;
  bool repeatable_ = false;
  std::vector<bool> caseless_;  // of the groups that are open
};

}  // namespace

std::string translate_regex(std::string_view source, const std::string& where) {
  return Translation(source, where).run();
}

}  // namespace sinter
