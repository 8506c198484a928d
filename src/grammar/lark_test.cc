// Lark: what it reads, what it refuses, published grammars, damage.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "grammar/damaged_text.h"
#include "grammar/front_ends.h"
#include "grammar/parser.h"

namespace sinter {
namespace {

bool recognises(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  Parser parser(grammar);
  uint32_t state = parser.start();
  for (const char c : text) state = parser.next(state, static_cast<uint8_t>(c));
  return parser.accepts(state);
}

bool lark(std::string_view grammar, std::string_view text) {
  return recognises(compile_lark(grammar, "test"), text);
}

TEST(Lark, RulesAndTerminals) {
  constexpr std::string_view kSums = R"lark(
    %import common.INT
    start: expr        // the whole
    ?expr: expr "+" term -> add | term
    term: INT | "(" expr ")" | NAME~2..3   # names
    NAME: LETTER+ & ~"ab"
    LETTER: "a".."c"
    %ignore /[ \t]+/
  )lark";
  for (const char* good : {"1", "1 + (2+3) ", "abc cab", "aab", "a b c"}) {
    EXPECT_TRUE(lark(kSums, good)) << good;
  }
  for (const char* bad : {"", "+1", " 1", "1+", "d", "a"}) EXPECT_FALSE(lark(kSums, bad)) << bad;
}

TEST(Lark, Operators) {
  EXPECT_TRUE(lark("start: \"a\"{2,3} [\"b\"] /c+/i", "aaCc"));
  EXPECT_TRUE(lark("start: \"Stra\u00dfe\"i", "sTRA\u00dfE"));
  EXPECT_TRUE(lark("start: a\n   | b\na: \"x\"\nb: \"y\" a?", "yx"));
  EXPECT_FALSE(lark("start: T\nT: /[a-z]*/ & ~/(?s:.*)no(?s:.*)/", "anode"));
  EXPECT_TRUE(lark("start: T\nT: /[a-z]*/ & ~/(?s:.*)no(?s:.*)/", "an"));
  EXPECT_TRUE(lark("start: /a\\/b/ \"\\\"\\u00e9\"", "a/b\"\u00e9"));
  EXPECT_TRUE(lark("start: %regex {\"substring_words\": \"foo bar. baz\"}", "bar. "));
  EXPECT_FALSE(lark("start: %regex {\"substring_chunks\": [\"abc\", \"de\"]}", "ab"));
}

TEST(Lark, LazyTextUntilACall) {
  constexpr std::string_view kTools = R"lark(
    start: ( f_foo | f_bar )* f_end
    f_end: TEXT
    TEXT: /(.|\n)*/
    f_foo_hd[lazy]: TEXT "<function"
    f_foo: f_foo_hd "=foo>" /[a-z]+/ "</function>"
    f_bar_hd[suffix="<function"]: TEXT
    f_bar: f_bar_hd "=bar>" /[0-9]+/ "</function>"
  )lark";
  EXPECT_TRUE(lark(kTools, "some <fun text"));
  EXPECT_TRUE(lark(kTools, "a<function=foo>x</function>\nb<function=bar>1</function>"));
}

TEST(Lark, JsonPart) {
  const LarkOptions options{.json = [](GrammarBuilder& b, const Json& schema, const std::string&) {
    return b.literal(schema["const"].get<std::string>());
  }};
  EXPECT_TRUE(recognises(
      compile_lark("start: \"<\" %json {\"const\": \"}\\\"{\"} \">\"", "test", options), "<}\"{>"));
}

TEST(Lark, RefusesWhatItDoesNotUnderstand) {
  const auto code = [](std::string_view text) -> std::string {
    try {
      compile_lark(text, "test");
    } catch (const Error& e) {
      return e.code();
    }
    return "";
  };
  for (const char* text :
       {"start[max_tokens=3]: /a/", "start[stop=\"x\"]: /a/", "start{a}: a", "A.2: /a/\nstart: A",
        "start: %json {}", "start: @other", "%declare A\nstart: A", "start: /(?=a)/",
        "start: <|x|>", "%import python.NAME\nstart: NAME",
        "%llguidance {\"ignore_once\": true}\nstart: \"a\"", "start: \"a\" & \"b\"",
        "rule::x : \"a\"\nstart: rule"}) {
    EXPECT_EQ(code(text), "grammar-unsupported") << text;
  }
  for (const char* text :
       {"start: (", "start: \"a", "start: /a", "A: A \"a\"\nstart: A", "start: \"a\"\nstart: \"b\"",
        "A: b\nb: \"b\"\nstart: A", "start: \"ab\"..\"c\"", "start \"a\"", "start: \"a\"~3..2"}) {
    EXPECT_EQ(code(text), "grammar-syntax") << text;
  }
  EXPECT_EQ(code("start: a"), "grammar-undefined");
  EXPECT_EQ(code("start: A"), "grammar-undefined");
  EXPECT_EQ(code("a: \"a\""), "grammar-undefined");
}

TEST(Lark, PublishedGrammars) {
  const char* root = std::getenv("SINTER_SHARED");
  const std::string folder =
      (root != nullptr ? std::string(root) : SINTER_SOURCE_DIR "/../shared") +
      "/data/grammars/llguidance/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  const auto rfc = compile_lark(read_file(folder + "rfc.lark"), "rfc.lark");
  EXPECT_FALSE(recognises(rfc, "<rfc></rfc>"));
  EXPECT_TRUE(
      recognises(rfc,
                 "<rfc number=\"1\"><front><title>T</title><author "
                 "surname=\"a\"></author></front><middle><section></section></middle></rfc>"))
      << "as its rules front, middle and section say";
  const auto itself = compile_lark(read_file(folder + "lark.lark"), "lark.lark");
  EXPECT_TRUE(
      recognises(itself, "start: (_item? _NL)* _item?\n\nA: /a/i | \"b\"..\"c\"\n%ignore A\n"));
  EXPECT_FALSE(recognises(itself, "start: (a\n"));
}

TEST(Lark, SurvivesDamage) {
  constexpr std::string_view kValid = R"lark(
    %import common.INT -> NUM
    start: (item? NL)* <[3]> [a] // text
    item[capture, lazy]: /[a-z]{1,9}/ "=" NUM~1..2
    a: "x"i a* -> alias | %regex {"substring_chars": "abc"}
    NL: ("\n" | /\r\n/) & ~"\r"
    %ignore " "
  )lark";
  size_t n_good = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    try {
      Parser parser(compile_lark(damaged(kValid, seed), "test"));
      parser.next(parser.start(), 'x');
      ++n_good;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(n_good, 100u);
}

}  // namespace
}  // namespace sinter
