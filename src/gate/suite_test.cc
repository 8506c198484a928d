#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "gate/item.h"
#include "gate/scorers.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead =
    R"({"name": "s", "version": "1", "domains": ["logic"], "items": ["a.jsonl"]})";
constexpr const char* kGood =
    R"({"id": "a", "domain": "logic", "messages": [{"role": "user", "content": "1+1?"}], "reference": "2", "scorer": {"type": "exact"}})";

class SuiteFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "gate_suite_" + std::to_string(::getpid());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Suite load(const std::string& items, const std::string& head = kHead) {
    write_file_atomically(folder_ + "/suite.json", head);
    write_file_atomically(folder_ + "/a.jsonl", items);
    return load_suite(folder_);
  }
  // The code and message of the error that loading gives.
  std::string error_of(const std::string& items, const std::string& head = kHead) {
    try {
      load(items, head);
    } catch (const Error& e) {
      return e.code() + " " + e.what();
    }
    return "";
  }
  std::string folder_;
};

std::string with(const std::string& key, const std::string& value) {
  Json item = Json::parse(kGood);
  item[key] = Json::parse(value);
  return item.dump();
}

TEST_F(SuiteFolder, Loads) {
  const Suite suite = load(std::string(kGood) + "\n\n" + with("id", "\"b\""));
  ASSERT_EQ(suite.items.size(), 2u);
  EXPECT_EQ(suite.items[1].id, "b");
  EXPECT_EQ(suite.items[0].max_tokens, 128);
  EXPECT_EQ(suite.digest.size(), 64u);
}

TEST_F(SuiteFolder, DigestFollowsEveryByte) {
  const std::string one = load(kGood).digest;
  EXPECT_EQ(load(kGood).digest, one);
  EXPECT_NE(load(with("max_tokens", "127")).digest, one);
  EXPECT_NE(load(std::string(kGood) + "\n").digest, one);
}

TEST_F(SuiteFolder, RefusesWhatItDoesNotKnow) {
  struct Case {
    std::string line;
    std::string code;
  };
  const std::vector<Case> cases = {
      {with("dificulty", "1"), "suite-key"},
      {with("domain", "\"logik\""), "suite-domain"},
      {with("scorer", R"({"type": "vibes"})"), "suite-scorer"},
      {with("scorer", R"({"type": "number", "value": 1, "tolerence": 2})"), "suite-scorer"},
      {with("scorer", R"({"type": "number"})"), "json-field"},
      {with("scorer", R"({"type": "regex", "pattern": "("})"), "pattern-syntax"},
      {with("scorer", R"({"type": "json_schema", "schema": {"if": {}}})"), "schema-keyword"},
      {with("scorer", R"({"type": "json_schema", "schema": {"type": "integer"}, "expected": "x"})"),
       "suite-scorer"},
      {with("scorer", R"({"type": "choice", "choices": ["a", "b"], "answer": "c"})"),
       "suite-scorer"},
      {with("scorer", R"({"type": "xml", "expected": "<a>"})"), "suite-scorer"},
      {with("scorer", R"({"type": "refusal", "expect": "maybe", "refusal_pattern": "x"})"),
       "suite-scorer"},
      {with("scorer", R"({"type": "needle", "needles": []})"), "suite-scorer"},
      {with("reference", "\"\""), "suite-scorer"},
      {with("messages", "[]"), "suite-key"},
      {with("max_tokens", "0"), "suite-key"},
      {with("critical", "\"yes\""), "json-field"},
      {with("id", "\"a\\n\""), "suite-key"},
      {"[1]", "suite-line"},
      {"{", "json-syntax"},
  };
  for (const Case& c : cases) {
    const std::string error = error_of(with("id", "\"first\"") + "\n" + c.line);
    EXPECT_EQ(error.substr(0, error.find(' ')), c.code) << c.line << "\n" << error;
    EXPECT_NE(error.find("a.jsonl:2"), std::string::npos) << error;  // says where
  }
  const std::string twice = error_of(std::string(kGood) + "\n" + kGood);
  EXPECT_EQ(twice.substr(0, 18), "suite-duplicate-id");
  EXPECT_NE(error_of("\n\n").find("suite-empty"), std::string::npos);
  EXPECT_NE(error_of(kGood, R"({"name": "s", "version": "1", "domains": ["logic"],
                                "items": ["../a.jsonl"]})")
                .find("inside the suite"),
            std::string::npos);
}

// A suite whose own references do not pass would blame the models for its mistakes.
TEST(PebbleSuite, EveryReferencePassesItsOwnScorer) {
  const std::string folder = SINTER_SOURCE_DIR "/suites/pebble";
  if (!fs::exists(folder + "/suite.json")) GTEST_SKIP() << folder << " is not there";
  const Suite suite = load_suite(folder);
  EXPECT_GE(suite.items.size(), 1000u);
  EXPECT_FALSE(suite.texts.empty());
  for (const Item& item : suite.items) {
    const Scorer& scorer = scorer_of(item, item.id);
    if (!scorer.generates) continue;
    Evidence evidence;
    evidence.answer.text = item.reference;
    const Score s = scorer.score(item, evidence);
    EXPECT_TRUE(s.pass) << item.id << ": " << s.detail;
    EXPECT_NE(s.parse, Parse::malformed) << item.id << ": " << s.detail;
    evidence.answer.text = "";
    EXPECT_FALSE(scorer.score(item, evidence).pass) << item.id;
  }
}

}  // namespace
}  // namespace sinter
