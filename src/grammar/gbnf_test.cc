// GBNF: what it reads, the published grammars, damage.
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

bool gbnf(std::string_view grammar, std::string_view text) {
  return recognises(compile_gbnf(grammar, "test"), text);
}

TEST(Gbnf, Reads) {
  EXPECT_TRUE(gbnf("root ::= \"a\"{2,3} \"b\"", "aab"));
  EXPECT_TRUE(gbnf("root ::= \"a\"{2,3} \"b\"", "aaab"));
  EXPECT_FALSE(gbnf("root ::= \"a\"{2,3} \"b\"", "ab"));
  EXPECT_FALSE(gbnf("root ::= \"a\"{2,3} \"b\"", "aaaab"));
  EXPECT_TRUE(
      gbnf("root ::= x y? # comment\n  | \"\"\nx-1 ::= [a-c\\]-]+\nx ::= x-1\ny ::= (\n\"!\"\n)",
           "a]-c!"));
  EXPECT_TRUE(gbnf("root ::= [^a]", "é"));
  EXPECT_FALSE(gbnf("root ::= [^a]", "a"));
  EXPECT_TRUE(gbnf("root ::= \"\\x41\\u00e9\\U0001F600\\n\\\"\"", "Aé😀\n\""));
  EXPECT_TRUE(gbnf("root ::= .{2}", "é☃"));
  EXPECT_TRUE(gbnf("root ::= \"a\"{3,}", "aaaaa"));
  EXPECT_TRUE(gbnf("root ::= expr\nexpr ::= expr \"+\" expr | [0-9]+", "1+22+3"));
  EXPECT_TRUE(gbnf("root ::= <[5]> \"a\" | \"b\"", "b"));
}

TEST(Gbnf, ComplaintsNameThePlace) {
  try {
    compile_gbnf("root ::= \"a\"\n  | @", "my.gbnf");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("my.gbnf: line 2, column 5"), std::string::npos)
        << e.what();
  }
}

TEST(Gbnf, PublishedGrammars) {
  const char* root = std::getenv("SINTER_SHARED");
  const std::string folder =
      (root != nullptr ? std::string(root) : SINTER_SOURCE_DIR "/../shared") +
      "/data/grammars/gbnf_llamacpp/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  struct Case {
    const char* file;
    std::vector<std::string> good, bad;
  };
  const Case cases[] = {
      {"arithmetic.gbnf", {"x1 *(3+y)-z=2\n", "a=1\nb=2\n"}, {"a=1", "=a\n", "a=(1\n"}},
      {"c.gbnf",
       {"int main(){return 1+x;}", "float f(int  a){if(1<2){}else{}}"},
       {"main(){}", "int f({}"}},
      {"chess.gbnf",
       {"1. e4 e5\n2. Nf3 Nc6\n", "1. O-O-O exd5+\n12. a8=Q Qxf7#\n"},
       {"1. e4 e5\n", "1. z4 e5\n"}},
      {"english.gbnf", {"Hello, world!", "a\nb"}, {"", "caf\xC3\xA9", "a  b"}},
      {"japanese.gbnf", {"ひらがな、カタカナ 漢字"}, {"abc", ""}},
      {"json.gbnf",
       {"{}", "{\"a\": [1, -2.5e+3, \"\\u00e9\\n\", {\"b\": null}]}"},
       {"[]", "{\"a\":01}", "{a:1}", "{\"a\":1,}"}},
      {"json_arr.gbnf", {"[\n1,\ntrue]"}, {"{}", "[1]"}},
      {"list.gbnf", {"- a\n- b c\n"}, {"- a", "a\n"}},
  };
  for (const Case& c : cases) {
    const auto grammar = compile_gbnf(read_file(folder + c.file), c.file);
    for (const std::string& text : c.good)
      EXPECT_TRUE(recognises(grammar, text)) << c.file << ": " << text;
    for (const std::string& text : c.bad)
      EXPECT_FALSE(recognises(grammar, text)) << c.file << ": " << text;
  }
}

TEST(Gbnf, SurvivesDamage) {
  const std::string valid =
      "root ::= object # the whole\nvalue ::= object | \"[\" (value (\",\" value)*)? \"]\" | "
      "[0-9]{1,5}\n"
      "object ::= \"{\" [^\"\\\\\\x00-\\x1F]* \"}\" <[1-3]>? | \"\\u00e9\" value+\n";
  size_t n_good = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    try {
      Parser parser(compile_gbnf(damaged(valid, seed), "test"));
      uint32_t state = parser.start();
      for (int i = 0; i < 20 && state != Parser::kDead; ++i) {
        const auto byte = static_cast<uint8_t>(random_bits(seed, 1, static_cast<uint64_t>(i)));
        state = parser.next(state, byte);
      }
      ++n_good;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(n_good, 100u);
}

}  // namespace
}  // namespace sinter
