#include "base/json.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace sinter {
namespace {

std::string code_of(std::string_view text) {
  try {
    parse_json(text, "x.json", {.max_depth = 8, .max_keys = 4});
  } catch (const Error& e) {
    return e.code();
  }
  return "";
}

TEST(Json, RefusesWhatItCannotTrust) {
  EXPECT_EQ(code_of(R"({"a":1,"b":{"a":2}})"), "");
  EXPECT_EQ(code_of(R"({"a":1,"a":2})"), "json-duplicate-key");
  EXPECT_EQ(code_of(R"({"a":)"), "json-syntax");
  EXPECT_EQ(code_of("[[[[[[[[[[[]]]]]]]]]]]"), "json-too-deep");
  EXPECT_EQ(code_of(R"({"a":1,"b":1,"c":1,"d":1,"e":1})"), "json-too-large");
  EXPECT_EQ(code_of("\"\xff\""), "json-syntax");
  EXPECT_EQ(code_of("1e999"), "json-syntax");
  EXPECT_EQ(code_of(std::string_view("{}\0junk", 7)), "json-syntax");
}

TEST(Json, SaysWhere) {
  try {
    parse_json("{\n  \"a\": }", "x.json");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("x.json: line 2, column"), std::string::npos) << e.what();
  }
}

TEST(Json, KeepsOrder) {
  EXPECT_EQ(to_line(parse_json(R"({"z":1,"a":2})", "x")), R"({"z":1,"a":2})");
}

TEST(JsonFields, NamesThePlaceOfAWrongField) {
  const Json j = parse_json(R"({"n":"four","o":{"x":1.5}})", "x");
  const JsonFields f(j, "config.json");
  EXPECT_THROW(f.integer("n"), Error);
  EXPECT_EQ(f.integer("missing", 7), 7);
  try {
    f.object("o").integer("x");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "config.json/o: x: expected an integer, found 1.5");
  }
}

}  // namespace
}  // namespace sinter
