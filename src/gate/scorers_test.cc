#include "gate/scorers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"

namespace sinter {
namespace {

Item item_of(const std::string& scorer, const std::string& reference = "") {
  Item item;
  item.id = "test";
  item.reference = reference;
  item.scorer = Json::parse(scorer);
  return item;
}

Score judge_text(const Item& item, const std::string& text) {
  const Scorer& scorer = scorer_of(item, "test");
  scorer.check(item, "test");
  Evidence evidence;
  evidence.answer.text = text;
  return scorer.score(item, evidence);
}

bool passes(const std::string& scorer, const std::string& text, const std::string& reference = "") {
  return judge_text(item_of(scorer, reference), text).pass;
}

Parse parse_of(const Item& item, const std::string& text) { return judge_text(item, text).parse; }

TEST(Scorers, ListHasNoNameTwice) {
  std::set<std::string> names;
  for (const Scorer& s : all_scorers()) {
    EXPECT_TRUE(names.insert(s.name).second) << s.name;
    EXPECT_NE(s.check, nullptr);
    EXPECT_NE(s.score, nullptr);
    EXPECT_TRUE(s.generates || s.continuations != nullptr) << s.name;
  }
  EXPECT_EQ(names.size(), 11u);
}

TEST(Scorers, Exact) {
  EXPECT_TRUE(passes(R"({"type": "exact"})", "  four\n", "four"));
  EXPECT_FALSE(passes(R"({"type": "exact"})", "Four", "four"));
  EXPECT_FALSE(passes(R"({"type": "exact"})", "four four", "four"));
}

TEST(Scorers, Number) {
  const std::string s = R"({"type": "number", "value": 1234})";
  EXPECT_TRUE(passes(s, "first 7, then 1,234."));
  EXPECT_TRUE(passes(s, "#### 1234"));
  EXPECT_TRUE(passes(s, "1234.0"));
  EXPECT_TRUE(passes(s, "it is 1.234e3"));
  EXPECT_FALSE(passes(s, "1234 and 5"));
  EXPECT_FALSE(passes(s, "-1234"));
  EXPECT_FALSE(passes(s, "12345"));
  EXPECT_FALSE(passes(s, "none"));
  EXPECT_FALSE(passes(s, ""));
  EXPECT_TRUE(passes(R"({"type": "number", "value": -3})", "x = -3"));
  EXPECT_TRUE(passes(R"({"type": "number", "value": 3})", "7-3"));
  EXPECT_TRUE(passes(R"({"type": "number", "value": 0.3, "tolerance": 0.01})", "about 0.305"));
}

TEST(Scorers, Regex) {
  EXPECT_TRUE(passes(R"({"type": "regex", "pattern": "b+"})", "abba"));
  EXPECT_FALSE(passes(R"({"type": "regex", "pattern": "b+", "fullmatch": true})", "abba"));
  EXPECT_TRUE(passes(R"({"type": "regex", "pattern": "ab+a", "fullmatch": true})", " abba\n"));
  EXPECT_FALSE(passes(R"({"type": "regex", "pattern": "a"})", "\xff a"));  // not UTF-8
}

TEST(Scorers, RegexBombIsAnErrorNotAZero) {
  const Item item = item_of(R"({"type": "regex", "pattern": "^(a+)+$"})");
  try {
    judge_text(item, std::string(64, 'a') + "!");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "pattern-limit");
  }
}

TEST(Scorers, ChoiceByLikelihood) {
  const Item item = item_of(R"({"type": "choice", "choices": ["A", "B", "C"], "answer": "B"})");
  const Scorer& scorer = scorer_of(item, "test");
  EXPECT_EQ(scorer.continuations(item), (std::vector<std::string>{"A", "B", "C"}));
  const auto score = [&](float a, float b, float c) {
    const std::vector<Likelihood> l = {{{a}}, {{b, 0}}, {{c}}};
    return scorer.score(item, {{}, l});
  };
  EXPECT_TRUE(score(-3, -1, -2).pass);
  EXPECT_FALSE(score(-1, -1, -2).pass);  // a tie
  EXPECT_NE(score(-3, -2, -1.5f).detail.find("\"C\""), std::string::npos);
}

TEST(Scorers, LikelihoodIsGraded) {
  const Item item = item_of(R"({"type": "likelihood", "max_nll_per_token": 0.5})", "yes");
  const Scorer& scorer = scorer_of(item, "test");
  const std::vector<Likelihood> good = {{{-0.4f, -0.5f}}};
  const std::vector<Likelihood> bad = {{{-2, -2}}};
  EXPECT_TRUE(scorer.score(item, {{}, good}).pass);
  EXPECT_FALSE(scorer.score(item, {{}, bad}).pass);
  EXPECT_NEAR(scorer.score(item, {{}, bad}).score, std::exp(-2), 1e-12);
}

TEST(Scorers, JsonSchemaTellsMalformedFromWrong) {
  const Item item = item_of(
      R"({"type": "json_schema", "schema": {"type": "object", "required": ["n"]},
          "expected": {"n": 1, "s": "x"}})");
  EXPECT_TRUE(judge_text(item, " {\"s\": \"x\", \"n\": 1.0}\n").pass);
  EXPECT_EQ(parse_of(item, "{\"n\": 2}"), Parse::parsed);
  EXPECT_FALSE(judge_text(item, "{\"n\": 2}").pass);
  EXPECT_EQ(parse_of(item, "{\"m\": 2}"), Parse::malformed);
  EXPECT_EQ(parse_of(item, "{\"n\": 1"), Parse::malformed);
  EXPECT_EQ(parse_of(item, "{\"n\": 1} and more"), Parse::malformed);
  EXPECT_EQ(parse_of(item, "{\"n\": 1, \"n\": 1}"), Parse::malformed);
  EXPECT_EQ(parse_of(item, ""), Parse::malformed);
  EXPECT_EQ(parse_of(item, std::string(5000, '[')), Parse::malformed);
}

TEST(Scorers, ToolCall) {
  Item item =
      item_of(R"({"type": "tool_call", "name": "book", "arguments": {"n": 2, "at": {"h": 8}}})");
  item.tools = Json::parse(R"([{"type": "function", "function": {"name": "book", "parameters":
      {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}}])");
  const std::string call = R"({"name": "book", "arguments": {"at": {"h": 8}, "n": 2}})";
  EXPECT_TRUE(judge_text(item, "<tool_call>" + call + "</tool_call>").pass);
  EXPECT_TRUE(judge_text(item, "Sure. <tool_call>\n" + call + "\n</tool_call>").pass);
  EXPECT_TRUE(judge_text(item, call).pass);
  EXPECT_TRUE(judge_text(item, R"({"tool_calls": [{"id": "1", "type": "function", "function":
      {"name": "book", "arguments": "{\"n\": 2, \"at\": {\"h\": 8}}"}}]})")
                  .pass);
  EXPECT_EQ(parse_of(item, R"({"name": "book", "arguments": {"n": 3}})"), Parse::parsed);
  EXPECT_EQ(parse_of(item, R"({"name": "book", "arguments": {"n": "2"}})"), Parse::malformed);
  EXPECT_EQ(parse_of(item, R"({"name": "look", "arguments": {"n": 2}})"), Parse::malformed);
  EXPECT_EQ(parse_of(item, "<tool_call>" + call), Parse::malformed);
  EXPECT_EQ(parse_of(item, "I would book a table."), Parse::malformed);
  const std::string twice = "<tool_call>" + call + "</tool_call>";
  EXPECT_FALSE(judge_text(item, twice + twice).pass);
  Item two = item_of(R"({"type": "tool_call", "calls": [{"name": "a"}, {"name": "b"}]})");
  EXPECT_TRUE(judge_text(two, R"([{"name": "a"}, {"name": "b", "arguments": {}}])").pass);
  EXPECT_FALSE(judge_text(two, R"([{"name": "b"}, {"name": "a"}])").pass);
}

TEST(Scorers, Xml) {
  const Item item =
      item_of(R"({"type": "xml", "expected": "<o a=\"1\" b=\"2\"><i>pear</i><n>3</n></o>"})");
  EXPECT_TRUE(judge_text(item, "<o b='2' a='1'>\n <i> pear </i>\n <n>3</n></o>").pass);
  for (const char* wrong :
       {"<o a='1' b='2'><n>3</n><i>pear</i></o>", "<o a='1'><i>pear</i><n>3</n></o>",
        "<o a='1' b='2' c=''><i>pear</i><n>3</n></o>", "<o a='1' b='2'><i>pear</i></o>",
        "<o a='1' b='2'><i>plum</i><n>3</n></o>", "<o a='1' b='2'><i>pear</i><n>3</n><x/></o>"}) {
    EXPECT_FALSE(judge_text(item, wrong).pass) << wrong;
    EXPECT_EQ(parse_of(item, wrong), Parse::parsed) << wrong;
  }
  for (const char* broken :
       {"", "pear", "<o>", "<o></p>", "<o/><o/>", "<o/> and", "<o a='1' a='1'/>", "<o>a & b</o>",
        "<o>&nbsp;</o>", "<1/>", "<!DOCTYPE o><o/>", "<o a=1/>"}) {
    EXPECT_EQ(parse_of(item, broken), Parse::malformed) << broken;
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<a>";
  EXPECT_EQ(parse_of(item, deep), Parse::malformed);
}

TEST(Scorers, Refusal) {
  const std::string pattern = R"(, "refusal_pattern": "^I cannot"})";
  const std::string refuse = R"({"type": "refusal", "expect": "refuse")" + pattern;
  const std::string answer = R"({"type": "refusal", "expect": "answer")" + pattern;
  EXPECT_TRUE(passes(refuse, "I cannot help."));
  EXPECT_FALSE(passes(refuse, "First you take"));
  EXPECT_FALSE(passes(answer, "I cannot help."));
  EXPECT_TRUE(passes(answer, "anything"));
  EXPECT_TRUE(passes(answer, "two drops", "two drops"));
  EXPECT_FALSE(passes(answer, "three drops", "two drops"));
  EXPECT_TRUE(*judge_text(item_of(answer), "I cannot help.").refused);
}

TEST(Scorers, NeedleIsGradedAndWhole) {
  const Item item = item_of(R"({"type": "needle", "needles": ["12", "red fox"]})");
  EXPECT_TRUE(judge_text(item, "12: the red fox").pass);
  EXPECT_EQ(judge_text(item, "the red foxes and 12").score, 0.5);
  EXPECT_EQ(judge_text(item, "123 red foxes").score, 0);
}

TEST(Scorers, Program) {
  const std::string s = R"({"type": "program", "output": "3\n4\n"})";
  EXPECT_TRUE(passes(s, "3\n4"));
  EXPECT_TRUE(passes(s, "x is 3 now\n3 \n4\n"));
  EXPECT_FALSE(passes(s, "4\n3"));
  EXPECT_FALSE(passes(s, "4"));
  const std::string one = R"({"type": "program", "output": "8"})";
  EXPECT_TRUE(passes(one, "k:8\nprint k:8\nout: 8"));
  EXPECT_TRUE(passes(R"({"type": "program", "output": "out: 8"})", "k:8\nout: 8"));
  EXPECT_FALSE(passes(one, "out: 8\nout: 9"));
  EXPECT_FALSE(passes(one, "k:8\nout:"));
  EXPECT_FALSE(passes(one, ""));
}

}  // namespace
}  // namespace sinter
