// The validator against JSON-Schema-Test-Suite, and against the verdicts of MaskBench (which are
// those of the Python and Rust implementations).
#include "grammar/json/json_validator.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "grammar/json/suite_files.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;
using namespace suite;

Json json(const char* text) { return parse_json(text, "test"); }

TEST(JsonValidator, SaysWhere) {
  const auto found = validate_json(json(R"({"properties": {"a/b": {"items": {"minimum": 2}}}})"),
                                   json(R"({"a/b": [3, 1]})"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].pointer, "/a~1b/1");
  EXPECT_EQ(found[0].keyword, "#/properties/a~1b/items/minimum");
  EXPECT_EQ(found[0].message, "expected at least 2, found 1");
}

TEST(JsonValidator, NumbersAreDecimal) {
  EXPECT_TRUE(validate_json(json(R"({"multipleOf": 0.01})"), json("4.35")).empty());
  EXPECT_TRUE(validate_json(json(R"({"type": "integer"})"), json("1.0")).empty());
  EXPECT_TRUE(validate_json(json(R"({"uniqueItems": true})"), json("[1, true, \"1\"]")).empty());
  EXPECT_FALSE(validate_json(json(R"({"uniqueItems": true})"), json("[1, 1.0]")).empty());
  EXPECT_FALSE(validate_json(json(R"({"uniqueItems": true})"),
                             json(R"([{"a": 1, "b": 2}, {"b": 2, "a": 1}])"))
                   .empty());
}

TEST(JsonValidator, EndlessReferencesEnd) {
  EXPECT_THROW(validate_json(json(R"({"allOf": [{"$ref": "#"}]})"), json("1")), Error);
  EXPECT_THROW(validate_json(json(R"({"$ref": "#/nowhere"})"), json("1")), Error);
}

struct SuiteCount {
  int right = 0, refused = 0;
  std::string wrong;
};

SuiteCount run(const std::string& folder, Draft draft, bool assert_formats) {
  SuiteCount count;
  const auto documents = remotes();
  for (const std::string& path : json_files(folder, false)) {
    for (const Json& group : read_json_file(path)) {
      for (const Json& test : group["tests"]) {
        try {
          JsonValidator validator({group["schema"], draft, documents}, assert_formats);
          const bool valid = validator.validate(test["data"]).empty();
          if (valid == test["valid"].get<bool>()) {
            ++count.right;
          } else {
            count.wrong += fmt::format("{}: {}: {}\n", fs::path(path).filename().string(),
                                       group["description"].dump(), test["description"].dump());
          }
        } catch (const Error& error) {
          ++count.refused;
          if (std::getenv("SINTER_SHOW") != nullptr) {
            fmt::print("{}: {}\n", path, error.what());
          }
        }
      }
    }
  }
  return count;
}

void expect_suite(const std::string& name, Draft draft, int most_refused) {
  const std::string folder = shared_folder() + "/data/json_schema_test_suite/tests/" + name;
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const SuiteCount count = run(folder, draft, false);
  fmt::print("{}: right {}, refused {}\n", name, count.right, count.refused);
  EXPECT_EQ(count.wrong, "");
  // References to meta-schemas, which are not part of Sinter, and dialects made with them.
  EXPECT_LE(count.refused, most_refused);
}

TEST(JsonValidator, SuiteDraft2020) { expect_suite("draft2020-12", Draft::draft2020, 12); }
TEST(JsonValidator, SuiteDraft7) { expect_suite("draft7", Draft::draft7, 8); }

TEST(JsonValidator, MaskBenchAgrees) {
  const std::string folder = shared_folder() + "/data/maskbench";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const char* asked = std::getenv("SINTER_MASKBENCH");
  const size_t step = asked != nullptr && std::string_view(asked) == "all" ? 1 : 20;
  int right = 0, refused = 0;
  const auto paths = json_files(folder);
  for (size_t i = 0; i < paths.size(); i += step) {
    const Json file = read_json_file(paths[i]);
    for (const Json& test : file["tests"]) {
      try {
        JsonValidator validator({.schema = file["schema"], .documents = {}});
        const bool valid = validator.validate(test["data"]).empty();
        if (valid == test["valid"].get<bool>()) {
          ++right;
        } else {
          ADD_FAILURE() << paths[i] << "\n" << test.dump();
        }
      } catch (const Error& error) {
        ++refused;
      }
    }
  }
  fmt::print("MaskBench: {} verdicts alike, {} without one\n", right, refused);
}

}  // namespace
}  // namespace sinter
