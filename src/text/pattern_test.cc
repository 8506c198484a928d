#include "text/pattern.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"
#include "text/unicode_class.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr std::string_view kKnown[] = {
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};

std::vector<std::string> hits(const Pattern& pattern, std::string_view text) {
  std::vector<Span> spans;
  pattern.cover(text, spans);
  std::vector<std::string> out;
  size_t at = 0;
  for (const Span& s : spans) {
    EXPECT_EQ(s.begin, at);
    at = s.end;
    if (s.hit) out.emplace_back(text.substr(s.begin, s.end - s.begin));
  }
  EXPECT_EQ(at, text.size());
  return out;
}

// Text that is dense in what the patterns tell apart.
std::string random_text(uint64_t stream) {
  static constexpr std::string_view kPieces[] = {
      "a",      "Z",      "é",  "ß",      "一",         "א",          "ſ",
      "K",      "'",      "'s", "'S",     "'re",        "'LL",        "'v",
      "0",      "7",      "٣",  "½",      "²",          " ",          " ",
      "  ",     "\t",     "\n", "\r",     "\r\n",       "\u00a0",     "\u3000",
      "\u2028", "\u180e", ".",  "!?",     "€",          "\u0301",     "\u093c",
      "😀",      "/",      "-",  "\u0085", "\U00010d50", "\U0001e4d0", "\u200d"};
  std::string out;
  const uint64_t n = random_bits(7, stream, 0) % 40;
  for (uint64_t i = 1; i <= n; ++i) out += kPieces[random_bits(7, stream, i) % std::size(kPieces)];
  return out;
}

TEST(Pattern, HandCodedMatchersEqualPcre2) {
  for (const std::string_view source : kKnown) {
    const Pattern fast = Pattern::regex(source, "test");
    const Pattern slow = Pattern::regex_by_pcre2(source, "test");
    ASSERT_TRUE(fast.by_hand() && !slow.by_hand());
    for (uint64_t i = 0; i < 3000; ++i) {
      const std::string text = random_text(i);
      ASSERT_EQ(hits(fast, text), hits(slow, text)) << source << "\non: " << text;
    }
  }
}

TEST(Pattern, HandCodedMatchersEqualPcre2OnEveryCharacter) {
  std::string text;
  for (char32_t c = 1; c < 0x110000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    text += 'a';
    append_utf8(text, c);
    append_utf8(text, c);
  }
  for (const std::string_view source : {kKnown[0], kKnown[3]}) {
    EXPECT_EQ(hits(Pattern::regex(source, "test"), text),
              hits(Pattern::regex_by_pcre2(source, "test"), text));
  }
}

// PCRE2's tables, with what is added to them, are the tables of category_of().
TEST(Pattern, PropertiesAreOurs) {
  std::string all;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c < 0xD800 || c > 0xDFFF) append_utf8(all, c);
  }
  for (const std::string_view name : {"L", "M", "N", "P", "S", "Lu", "Ll", "Lm", "Nd", "Mc"}) {
    for (const bool negate : {false, true}) {
      if (negate && name != "N") continue;
      const Pattern p = Pattern::regex(fmt::format("\\{}{{{}}}", negate ? "P" : "p", name), "test");
      std::vector<Span> spans;
      p.cover(all, spans);
      std::string wrong;
      for (const Span& s : spans) {
        for (size_t at = s.begin; at < s.end;) {
          const Utf8Char c = utf8_at(all, at);
          const bool is = (category_of(c.code) & *category_set(name)) != 0;
          if ((is != negate) != s.hit && wrong.size() < 100) {
            wrong += fmt::format(" U+{:04X}", uint32_t{c.code});
          }
          at += c.size;
        }
      }
      EXPECT_EQ(wrong, "") << name;
    }
  }
}

TEST(Pattern, ReadsOnigurumaSyntax) {
  using List = std::vector<std::string>;
  const auto find = [](std::string_view regex, std::string_view text) {
    return hits(Pattern::regex(regex, "test"), text);
  };
  // Expectations: what tokenizers 0.23.3 gives.
  EXPECT_EQ(find("^a", "aaa\na"), (List{"a", "a"}));
  EXPECT_EQ(find("a$", "aa\na"), (List{"a", "a"}));
  EXPECT_EQ(find(".", "a\nb"), (List{"a", "b"}));
  EXPECT_EQ(find("(?m:.)", "a\nb"), (List{"a", "\n", "b"}));
  EXPECT_EQ(find("a{,2}", "aaab"), (List{"aa", "a", ""}));
  EXPECT_EQ(find(R"(\h+)", "xx12afgg"), (List{"12af"}));
  EXPECT_EQ(find("x*", "axxb"), (List{"", "xx", ""}));
  EXPECT_EQ(find("(?i:'s)", "a'ſb'S"), (List{"'ſ", "'S"}));
  EXPECT_EQ(find(R"([^\S\n]+)", "a \n b"), (List{" ", " "}));
  EXPECT_EQ(find(R"(\s)", "a\u180eb\u0085c"), (List{"\u0085"}));
}

TEST(Pattern, RefusesWhatItWouldReadDifferently) {
  for (const std::string_view regex : {"[a&&b]",
                                       "[[:alpha:]]",
                                       R"(\X)",
                                       R"(\R)",
                                       R"(\bab)",
                                       R"((a)\1)",
                                       R"(\G)",
                                       "(?<name>a)",
                                       "(?s:.)",
                                       "(?#comment)",
                                       "a**",
                                       "a{2}?",
                                       "a{1,2}+",
                                       "*a",
                                       "(a",
                                       "a)",
                                       "[a",
                                       "[]",
                                       R"(\p{Greek})",
                                       R"(\xFF)",
                                       R"(\x{110000})",
                                       R"(\ud800)",
                                       "a{2000}",
                                       "a(?i)b|c",
                                       R"((?i:\p{Lu}))",
                                       "[b-a]",
                                       R"([a-\d])",
                                       "\xFF",
                                       "(*UTF)",
                                       R"(\Q*\E)",
                                       "\\"}) {
    try {
      Pattern::regex(regex, "test");
      ADD_FAILURE() << "accepted " << regex;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), "tokenizer-regex");
    }
  }
}

TEST(Pattern, GivesUpRatherThanHang) {
  const Pattern p = Pattern::regex("(a+)+$|(?:a|a|ab)+c", "test");
  std::string text(64, 'a');
  text += 'b';
  try {
    hits(p, text);
    ADD_FAILURE() << "matched";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "tokenizer-regex-limit");
  }
}

}  // namespace
}  // namespace sinter
