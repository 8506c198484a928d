// The two dialects of regular expressions against PCRE2, which shares nothing with this parser.
#include "grammar/regex_text.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <gtest/gtest.h>
#include <pcre2.h>

#include "base/random.h"
#include "grammar/damaged_text.h"

namespace sinter {
namespace {

class Pcre2 {
 public:
  // ECMA: finds; Rust: the whole text.
  Pcre2(const std::string& pattern, bool whole) {
    const std::string text = whole ? "(?:" + pattern + ")" : pattern;
    const uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS |
                             (whole ? PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UCP : 0u);
    int error = 0;
    size_t at = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), options, &error,
                          &at, nullptr);
    if (code_ != nullptr) match_ = pcre2_match_data_create_from_pattern(code_, nullptr);
  }
  ~Pcre2() {
    pcre2_match_data_free(match_);
    pcre2_code_free(code_);
  }
  Pcre2(const Pcre2&) = delete;
  Pcre2& operator=(const Pcre2&) = delete;
  bool compiled() const { return code_ != nullptr; }
  bool matches(const std::string& text) const {
    return pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, match_,
                       nullptr) >= 0;
  }

 private:
  pcre2_code* code_ = nullptr;
  pcre2_match_data* match_ = nullptr;
};

std::string random_pattern(uint64_t seed, uint64_t& draw, int depth, bool ecma) {
  const auto below = [&](uint64_t n) { return random_bits(seed, 3, draw++) % n; };
  const std::vector<std::string> atoms = {
      "a",      "b",      "c",        "[ab]",    "[^a]", ".",           "\\d",     "\\w",
      "\\s",    "[a-c1]", "é",        "[é-ü]",   "\\.",  "[^\\d]",      "\\W",     "\\x41",
      "[\\w-]", "\\t",    "[b-d\\s]", "\\p{Lu}", "\\D",  "[\\p{L}\\d]", "\\P{Ll}", "\\S"};
  if (depth == 0) return atoms[below(atoms.size())];
  const auto inner = [&] { return random_pattern(seed, draw, depth - 1, ecma); };
  switch (below(8)) {
    case 0:
    case 1:
      return inner() + inner();
    case 2:
      return "(?:" + inner() + "|" + inner() + ")";
    case 3:
      return "(" + inner() + ")" + (below(2) == 0 ? "*" : "?");
    case 4:
      return "(?:" + inner() + "){" + std::to_string(below(3)) + "," +
             (below(2) == 0 ? "" : std::to_string(2 + below(3))) + "}";
    case 5:
      return "(?:" + inner() + ")+";
    case 6:
      return ecma && below(2) == 0 ? "(?:^" + inner() + "|" + inner() + "$)"
                                   : inner() + "|" + inner();
    default:
      return inner();
  }
}

std::string random_text(uint64_t seed, uint64_t index) {
  const std::vector<std::string> pieces = {"a", "b", "c", "d", "1",  "é",  "ü", ".", "A",
                                           "É", "-", "_", " ", "\t", "\n", "☃", "b", "a"};
  std::string text;
  for (uint64_t i = 0, n = random_bits(seed, index, 0) % 7; i < n; ++i) {
    text += pieces[random_bits(seed, index, i + 1) % pieces.size()];
  }
  return text;
}

void expect_like_pcre2(bool ecma, uint64_t n_patterns) {
  size_t n_matches = 0, n_checked = 0;
  for (uint64_t seed = 0; seed < n_patterns; ++seed) {
    uint64_t draw = 0;
    std::string pattern = random_pattern(seed + (ecma ? 100000 : 0), draw, 3, ecma);
    if (ecma && seed % 3 == 0) pattern = "^" + pattern;
    if (ecma && seed % 3 <= 1) pattern += "$";
    if (ecma && pattern.find('|') != std::string::npos && seed % 2 == 0)
      pattern = "^(?:" + pattern + ")$";
    const Pcre2 oracle(pattern, !ecma);
    ASSERT_TRUE(oracle.compiled()) << pattern;
    RegexSet set;
    Regex regex;
    try {
      regex = parse_regex(set, pattern, "test",
                          {.dialect = ecma ? RegexDialect::ecma : RegexDialect::rust});
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), "grammar-unsupported") << e.what();  // ^ within a repetition
      continue;
    }
    ++n_checked;
    for (uint64_t i = 0; i < 40; ++i) {
      const std::string text = random_text(seed, i);
      // \s, \d, \w are ASCII in ECMA mode for PCRE2 too, but for \s beyond ASCII, which no text
      // has;
      // `.` is no line end in either, and only \n is used.
      ASSERT_EQ(set.matches(regex, text), oracle.matches(text))
          << pattern << " on \"" << text << '"';
      n_matches += oracle.matches(text);
    }
  }
  EXPECT_GT(n_checked, n_patterns / 2);
  EXPECT_GT(n_matches, n_patterns);
}

TEST(RegexText, RustLikePcre2) { expect_like_pcre2(false, 700); }

TEST(RegexText, EcmaLikePcre2) { expect_like_pcre2(true, 700); }

bool finds(const std::string& pattern, const std::string& text,
           RegexText options = {.dialect = RegexDialect::ecma}) {
  RegexSet set;
  return set.matches(parse_regex(set, pattern, "test", options), text);
}

TEST(RegexText, Ecma) {
  EXPECT_TRUE(finds("", "anything"));
  EXPECT_TRUE(finds("b", "abc"));
  EXPECT_FALSE(finds("^b", "abc"));
  EXPECT_TRUE(finds("^a|c$", "xxc"));
  EXPECT_FALSE(finds("^(a|b$)", "xb"));
  EXPECT_TRUE(finds("(^|,)x", "x"));
  EXPECT_TRUE(finds("(^|,)x", "a,xy"));
  EXPECT_FALSE(finds("(^|,)x", "ax"));
  EXPECT_TRUE(finds("^$", ""));
  EXPECT_FALSE(finds("^$", "a"));
  EXPECT_TRUE(finds("^{{x}}$", "{{x}}"));
  EXPECT_TRUE(finds("^\\u00e9\\ud83d\\ude00$", "é😀"));
  EXPECT_TRUE(finds("^[^]$", "\n"));
  EXPECT_FALSE(finds("a[]", "a"));
  EXPECT_TRUE(finds("^\\-\\/\\_$", "-/_"));
  EXPECT_TRUE(finds("^\\cJ$", "\n"));
  EXPECT_TRUE(finds("^[\\b]$", "\b"));
  EXPECT_FALSE(finds("^\\d$", "٣"));
  EXPECT_TRUE(finds("^.$", "\xF0\x9F\x90\xB2"));
}

TEST(RegexText, Rust) {
  const auto whole = [](const std::string& p, const std::string& t, bool ignore_case = false) {
    return finds(p, t, {.dialect = RegexDialect::rust, .ignore_case = ignore_case});
  };
  EXPECT_FALSE(whole("b", "abc"));
  EXPECT_TRUE(whole("^abc$", "abc"));
  EXPECT_TRUE(whole("(?i)straße", "STRAßE"));
  EXPECT_TRUE(whole("a(?i:b)c", "aBc"));
  EXPECT_FALSE(whole("a(?i:b)c", "aBC"));
  EXPECT_TRUE(whole("(?s).", "\n"));
  EXPECT_FALSE(whole(".", "\n"));
  EXPECT_TRUE(whole("(?x) a b # comment\n c", "abc"));
  EXPECT_TRUE(whole("[[:alpha:]_]+", "ab_"));
  EXPECT_TRUE(whole("[]a]+", "]a"));
  EXPECT_TRUE(whole("\\pN\\p{^L}", "5_"));
  EXPECT_TRUE(whole("k", "\xE2\x84\xAA", true));  // the Kelvin sign
  EXPECT_TRUE(whole("\\d", "٣"));
}

TEST(RegexText, RefusesWithThePlace) {
  const auto message = [](const std::string& pattern, RegexDialect dialect) -> std::string {
    RegexSet set;
    try {
      parse_regex(set, pattern, "#/pattern", {.dialect = dialect});
    } catch (const Error& e) {
      return e.code() + " " + e.what();
    }
    return "accepted";
  };
  for (const auto& [pattern, expected] : std::vector<std::pair<std::string, std::string>>{
           {"a(?=b)", "grammar-unsupported #/pattern: regular expression, offset 1: look-around"},
           {"a(?<!b)", "grammar-unsupported"},
           {"(a)\\1", "grammar-unsupported #/pattern: regular expression, offset 3: back"},
           {"a\\b", "grammar-unsupported"},
           {"a^b", "grammar-unsupported"},
           {"(^a)+", "grammar-unsupported"},
           {"(a", "grammar-syntax #/pattern: regular expression, offset 0: a ( without"},
           {"a)", "grammar-syntax"},
           {"[b-a]", "grammar-syntax"},
           {"*a", "grammar-syntax"},
           {"a{3,2}", "grammar-syntax"},
           {"\\ud800", "grammar-syntax"},
           {"\\q", "grammar-syntax"},
           {"a\xFF", "grammar-syntax"},
           {"\\", "grammar-syntax"}}) {
    EXPECT_EQ(message(pattern, RegexDialect::ecma).substr(0, expected.size()), expected) << pattern;
  }
  EXPECT_EQ(message("[a&&b]", RegexDialect::rust).substr(0, 19), "grammar-unsupported");
}

TEST(RegexText, SurvivesDamage) {
  const std::vector<std::string> valid = {"^(?:[a-zA-Z0-9._%+-]+@[a-z]{2,}\\.(com|org))$",
                                          "(?i)\\p{Lu}[^\\s\\]]{3,7}(a|b)*?|\\u{1F600}",
                                          "((a{2,5}b?)+|[[:alpha:]]*){0,9}"};
  GrammarLimits limits;
  limits.regex_nodes = 20000;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const std::string pattern = damaged(valid[seed % valid.size()], seed);
    for (const auto dialect : {RegexDialect::ecma, RegexDialect::rust}) {
      RegexSet set(limits);
      try {
        const Regex regex = parse_regex(set, pattern, "test", {.dialect = dialect}, limits);
        set.matches(regex, "abc@x.com");
      } catch (const Error&) {
      }
    }
  }
}

}  // namespace
}  // namespace sinter
