#include "gate/json_schema.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"

namespace sinter {
namespace {

std::string violation(const char* schema, const char* value) {
  return JsonSchema(Json::parse(schema), "test").violation(Json::parse(value));
}

TEST(JsonSchema, SaysWhereAndWhat) {
  const char* schema =
      R"({"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}},
          "required": ["n"], "additionalProperties": false})";
  EXPECT_EQ(violation(schema, R"({"n": 3})"), "");
  EXPECT_EQ(violation(schema, R"({"n": 3.0})"), "");
  EXPECT_NE(violation(schema, R"({"n": 2})").find("/n: expected at least 3"), std::string::npos);
  EXPECT_NE(violation(schema, R"({"n": "3"})").find("/n: expected"), std::string::npos);
  EXPECT_NE(violation(schema, R"({})").find("\"n\""), std::string::npos);
  EXPECT_NE(violation(schema, R"({"n": 3, "m": 1})").find("/m"), std::string::npos);
}

TEST(JsonSchema, RefusesWhatItDoesNotJudge) {
  for (const char* schema :
       {R"({"if": {}})", R"({"properties": {"a": {"unevaluatedItems": false}}})",
        R"({"$ref": "http://x/y"})", R"({"$ref": "#/$defs/none"})", R"({"typo": 1})"}) {
    try {
      JsonSchema(Json::parse(schema), "test");
      ADD_FAILURE() << schema;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), "schema-keyword") << schema;
    }
  }
  EXPECT_THROW(JsonSchema(Json::parse(R"({"type": "strin"})"), "test"), Error);
  EXPECT_THROW(JsonSchema(Json::parse(R"({"required": "a"})"), "test"), Error);
}

TEST(JsonSchema, EndlessReferencesEnd) {
  EXPECT_THROW(violation(R"({"$ref": "#"})", "1"), Error);
  // Doubles at every level: bounded by steps, not by depth.
  EXPECT_THROW(violation(R"({"$defs": {"a": {"allOf": [{"anyOf": [{"$ref": "#/$defs/a"},
                             {"$ref": "#/$defs/a"}]}, {"$ref": "#/$defs/a"}]}},
                             "$ref": "#/$defs/a"})",
                         "1"),
               Error);
}

// The public JSON Schema Test Suite: every case whose schema the gate accepts must be judged as the
// suite says; schemas with other keywords must be refused, and are counted.
TEST(JsonSchema, AgreesWithThePublicTestSuite) {
  const char* shared = std::getenv("SINTER_SHARED");
  const std::string root = shared != nullptr ? shared : SINTER_SOURCE_DIR "/../shared";
  const std::string folder = root + "/data/json_schema_test_suite/tests/draft2020-12";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  int judged = 0;
  int refused = 0;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    for (const Json& group : read_json_file(file.string())) {
      std::unique_ptr<JsonSchema> schema;
      try {
        schema = std::make_unique<JsonSchema>(group.at("schema"), file.filename().string());
      } catch (const Error& e) {
        EXPECT_TRUE(e.code() == "schema-keyword" || e.code() == "pattern-syntax") << e.what();
        refused += static_cast<int>(group.at("tests").size());
        continue;
      }
      for (const Json& test : group.at("tests")) {
        ++judged;
        const std::string wrong = schema->violation(test.at("data"));
        EXPECT_EQ(wrong.empty(), test.at("valid").get<bool>())
            << file.filename() << ": " << group.at("description") << ": " << test.at("description")
            << ": " << wrong;
      }
    }
  }
  RecordProperty("judged", judged);
  RecordProperty("refused", refused);
  EXPECT_GT(judged, 500);
}

}  // namespace
}  // namespace sinter
