// Regular expressions against definitions; the text dialects against PCRE2 are in
// regex_text_test.cc.
#include "grammar/regex.h"

#include <gtest/gtest.h>

#include "text/utf8.h"

namespace sinter {
namespace {

TEST(Regex, ConstructorsSimplify) {
  RegexSet r;
  const Regex a = r.byte('a'), b = r.byte('b');
  EXPECT_EQ(r.either(a, b), r.bytes(ByteSet::range('a', 'b')));
  EXPECT_EQ(r.either(a, r.nothing()), a);
  EXPECT_EQ(r.concat(a, r.nothing()), r.nothing());
  EXPECT_EQ(r.star(r.any_byte()), r.anything());
  EXPECT_EQ(r.star(r.star(a)), r.star(a));
  EXPECT_EQ(r.concat(r.concat(a, b), a), r.concat(a, r.concat(b, a)));
  EXPECT_EQ(r.concat(a, r.star(a)), r.plus(a));
  EXPECT_EQ(r.either(r.empty(), r.plus(a)), r.star(a));
  EXPECT_EQ(r.complement(r.complement(a)), a);
  EXPECT_EQ(r.both(a, r.complement(a)), r.nothing());
  EXPECT_EQ(r.either(r.repeat(a, 2, 5), r.repeat(a, 4, 9)), r.repeat(a, 2, 9));
  EXPECT_EQ(r.repeat(r.repeat(a, 1000, 1000), 1000, 1000), r.repeat(a, 1000000, 1000000));
}

TEST(Regex, CountsStaySymbolic) {
  RegexSet r;
  const Regex many = r.repeat(r.byte('a'), 3, 100000);
  EXPECT_LT(r.size(), 20u);
  EXPECT_FALSE(r.matches(many, "aa"));
  EXPECT_TRUE(r.matches(many, "aaa"));
  EXPECT_TRUE(r.matches(many, std::string(100000, 'a')));
  EXPECT_FALSE(r.matches(many, std::string(100001, 'a')));
}

TEST(Regex, BothAndComplement) {
  RegexSet r;
  const Regex lower = r.bytes(ByteSet::range('a', 'z'));
  const Regex no_double = r.both(
      r.star(lower), r.complement(r.concat(r.concat(r.anything(), r.literal("aa")), r.anything())));
  EXPECT_TRUE(r.matches(no_double, "abababa"));
  EXPECT_FALSE(r.matches(no_double, "abaab"));
  EXPECT_FALSE(r.matches(no_double, "A"));
  EXPECT_TRUE(r.is_empty(r.both(r.repeat(lower, 5, 5), r.repeat(lower, 7, 9))));
  EXPECT_FALSE(r.is_empty(r.both(r.repeat(lower, 5, 8), r.repeat(lower, 7, 9))));
  EXPECT_TRUE(r.is_contained(r.literal("abc"), r.star(lower)));
  EXPECT_FALSE(r.is_contained(r.star(lower), r.repeat(lower, 0, 7)));
  // Dead after its first bytes: what derivatives leave must be seen as empty.
  const Regex dead = r.concat(r.literal("x"), r.both(r.literal("ab"), r.literal("ac")));
  EXPECT_TRUE(r.is_empty(dead));
}

TEST(Regex, AnyLiteralIsTheUnion) {
  RegexSet r;
  const std::vector<std::string> words = {"be", "bee", "", "beer", "ant", "an", "beetle", "be"};
  const Regex any = r.any_literal(words);
  for (const std::string& word : words) EXPECT_TRUE(r.matches(any, word)) << word;
  for (const char* word : {"b", "a", "beet", "ants", "beerx", "x"}) {
    EXPECT_FALSE(r.matches(any, word)) << word;
  }
}

TEST(Regex, Utf8OfEveryCodePoint) {
  RegexSet r;
  CodePointSet set = CodePointSet::of(0x61, 0x7FF);
  set.insert(0xFFF, 0x1003);
  set.insert(0xD700, 0xE123);
  set.insert(0xFFFE, 0x10234);
  set.insert(0x10FFFF, 0x10FFFF);
  const Regex one = r.one_of(set), other = r.one_of(set.complement()), any = r.any_char();
  for (char32_t code = 0; code <= 0x10FFFF; code += code < 0x3000 || code > 0xD000 ? 1 : 17) {
    if (code > 0x12000 && code < 0x10F000) code += 977;
    std::string text;
    append_utf8(text, code);
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    ASSERT_EQ(r.matches(any, text), !surrogate) << static_cast<uint32_t>(code);
    ASSERT_EQ(r.matches(one, text), set.has(code)) << static_cast<uint32_t>(code);
    ASSERT_EQ(r.matches(other, text), !set.has(code) && !surrogate) << static_cast<uint32_t>(code);
  }
  EXPECT_FALSE(r.matches(any, "\xC0\x80"));
  EXPECT_FALSE(r.matches(any, "\xFF"));
}

TEST(Regex, WidenedAgreesUpToItsReach) {
  RegexSet r;
  const Regex x = r.bytes(ByteSet::range('a', 'b')), y = r.byte('b');
  const Regex counted = r.concat(r.repeat(x, 2, 9), r.concat(r.byte('c'), r.repeat(y, 6, 7)));
  for (const uint32_t reach : {1u, 3u, 5u, 8u}) {
    const Regex wide = r.widened(counted, reach);
    for (uint32_t word = 0; word < 6561; ++word) {
      std::string text;
      for (uint32_t w = word, i = 0; i < reach; ++i, w /= 3) text += static_cast<char>('a' + w % 3);
      Regex a = counted, b = wide;
      for (const char c : text) {
        ASSERT_EQ(r.nullable(a), r.nullable(b));
        a = r.derivative(a, static_cast<uint8_t>(c));
        b = r.derivative(b, static_cast<uint8_t>(c));
        ASSERT_EQ(a == r.nothing(), b == r.nothing()) << text;
      }
      ASSERT_EQ(r.nullable(a), r.nullable(b)) << text;
    }
  }
  EXPECT_EQ(r.widened(r.repeat(x, 0, 500), 32), r.widened(r.repeat(x, 0, 499), 32));
}

TEST(Regex, DigestsAgreeAcrossSets) {
  RegexSet one, two;
  two.literal("something else first");
  const auto make = [](RegexSet& r, bool swapped) {
    const Regex a = r.literal("ab"), b = r.repeat(r.byte('c'), 2, 7);
    return r.concat(r.byte('z'), swapped ? r.either(b, a) : r.either(a, b));
  };
  const Regex x = make(one, false), y = make(two, true);
  EXPECT_EQ(one.digest(x), two.digest(y));
  EXPECT_NE(one.digest(x), one.digest(one.byte('z')));
}

TEST(Regex, LimitsNameThemselves) {
  GrammarLimits limits;
  limits.regex_nodes = 1000;
  RegexSet r(limits);
  const auto message_of = [](auto&& run) -> std::string {
    try {
      run();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), "grammar-limit");
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message_of([&] { r.literal(std::string(5000, 'a') + "b"); }).find("regex_nodes"),
            std::string::npos);
  RegexSet s;
  EXPECT_NE(message_of([&] {
              Regex x = s.byte('a');
              for (int i = 0; i < 5000; ++i) x = s.optional(s.concat(x, s.byte('b')));
            }).find("regex_height"),
            std::string::npos);
  EXPECT_NE(message_of([&] { s.repeat(s.byte('a'), 0, 2'000'000'000); }).find("repetition"),
            std::string::npos);
  // The classic: (a|b)*a(a|b){20} intersected with its mirror image has 2^20 states.
  const Regex ab = s.bytes(ByteSet::range('a', 'b'));
  const Regex last = s.concat(s.star(ab), s.concat(s.byte('a'), s.repeat(ab, 30, 30)));
  const Regex hard =
      s.both(last, s.complement(s.concat(
                       ab, s.concat(s.star(ab), s.concat(s.byte('a'), s.repeat(ab, 30, 30))))));
  static_cast<void>(message_of([&] { s.is_empty(hard); }));
}

}  // namespace
}  // namespace sinter
