// Recipes: what the words mean, that a wrong word is refused with its line and the nearest right
// one, and that hostile YAML costs nothing.
#include "compress/recipe.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/mutation.h"
#include "compress/yaml_tree.h"

namespace sinter {
namespace {

std::string rtn(const std::string& words) { return "steps:\n  - rtn: {" + words + "}\n"; }

// The scheme that this recipe gives a module, printed; "dense" without one.
std::string scheme(const std::string& text, const char* module) {
  const Recipe recipe = parse_recipe(text, "r.yaml");
  const Scheme* s = recipe.rounds.at(0)->words().scheme_of(module);
  return s == nullptr ? "dense" : scheme_name(*s) + " " + to_string(format_of(*s, DType::bf16));
}

struct Refusal {
  std::string code, message;
};

Refusal refusal(const std::string& text) {
  try {
    parse_recipe(text, "r.yaml");
    return {};
  } catch (const Error& e) {
    return {e.code(), e.what()};
  }
}

void expect_refused(const std::string& text, const std::string& code, const std::string& word) {
  const Refusal r = refusal(text);
  EXPECT_EQ(r.code, code) << text;
  EXPECT_NE(r.message.find(word), std::string::npos) << r.message;
}

const char* const kQ = "model.layers.0.self_attn.q_proj";
const char* const kDown = "model.layers.0.mlp.down_proj";

TEST(Recipe, PresetsAndWords) {
  EXPECT_EQ(scheme(rtn("scheme: W4A16"), kQ), "W4A16 i4_group:128");
  EXPECT_EQ(scheme(rtn("scheme: W4A16_ASYM, group_size: 64"), kQ), "W4A16_ASYM u4_group:64");
  EXPECT_EQ(scheme(rtn("scheme: W8A16"), kQ), "W8A16 i8_row");
  EXPECT_EQ(scheme(rtn("scheme: W8A8"), kQ), "W8A8 i8_row");
  EXPECT_EQ(scheme(rtn("scheme: W3A16"), kQ), "W3A16 i3_group:64");
  EXPECT_EQ(scheme(rtn("num_bits: 4, group_size: -1"), kQ), "W4A16 i4_group");
  EXPECT_EQ(scheme(rtn("num_bits: 2, group_size: 32, symmetric: false"), kQ),
            "W2A16_ASYM u2_group:32");
  EXPECT_EQ(scheme(rtn("scheme: W4A16, strategy: channel"), kQ), "W4A16 i4_group");
}

TEST(Recipe, TargetsIgnoreOverrides) {
  const std::string text = R"(
name: mixed
description: down projections in 8 bits
steps:
  - rtn:
      scheme: W4A16
      group_size: 64
      targets: [Linear, model.embed_tokens]
      ignore: [lm_head, "re:.*layers\\.1\\."]
      overrides:
        - match: "*.down_proj"
          scheme: W8A16
        - {match: ["*.layers.2.*"], group_size: 32}
        - {match: "*.layers.3.*", scheme: dense}
)";
  EXPECT_EQ(parse_recipe(text, "r").name, "mixed");
  EXPECT_EQ(scheme(text, kQ), "W4A16 i4_group:64");
  EXPECT_EQ(scheme(text, kDown), "W8A16 i8_row");
  EXPECT_EQ(scheme(text, "model.layers.1.mlp.down_proj"), "dense");
  EXPECT_EQ(scheme(text, "model.layers.2.mlp.down_proj"),
            "W8A16 i8_row");  // the first that matches
  EXPECT_EQ(scheme(text, "model.layers.2.mlp.up_proj"), "W4A16 i4_group:32");
  EXPECT_EQ(scheme(text, "model.layers.3.mlp.up_proj"), "dense");
  EXPECT_EQ(scheme(text, "lm_head"), "dense");
  EXPECT_EQ(scheme(text, "model.embed_tokens"), "W4A16 i4_group:64");
  EXPECT_EQ(scheme(rtn("scheme: W8A16"), "model.embed_tokens"), "dense");
  EXPECT_EQ(scheme(rtn("scheme: W8A16"), "lm_head"), "dense");  // ignored unless told otherwise
  EXPECT_EQ(scheme(rtn("scheme: W8A16, ignore: []"), "lm_head"), "W8A16 i8_row");
}

TEST(Recipe, WrongWordsAreRefusedWithTheNearest) {
  expect_refused("steps:\n  - rtn:\n      sheme: W4A16\n", "recipe-field",
                 "r.yaml:3: unknown key \"sheme\"; did you mean scheme?");
  expect_refused(rtn("scheme: W4A61"), "recipe-field", "did you mean W4A16?");
  expect_refused("steps:\n  - rtm: {scheme: W4A16}\n", "recipe-field", "did you mean rtn?");
  expect_refused("step:\n  - rtn: {scheme: W4A16}\n", "recipe-field", "did you mean steps?");
  expect_refused(rtn("targets: [Linear]"), "recipe-field", "expected a scheme");
  expect_refused(rtn("scheme: dense"), "recipe-field", "must round");
  expect_refused(rtn("num_bits: 5"), "recipe-field", "8, 4, 3 or 2");
  expect_refused(rtn("num_bits: four"), "recipe-field", "integer");
  expect_refused(rtn("num_bits: \"4\""), "recipe-field", "integer");
  expect_refused(rtn("scheme: W4A16, group_size: 0"), "recipe-field", "group_size");
  expect_refused(rtn("scheme: W4A16, group_size: 64, strategy: channel"), "recipe-field",
                 "group_size");
  expect_refused(rtn("scheme: W8A8, group_size: 64"), "recipe-field", "W8A8");
  expect_refused(rtn("scheme: W8A16, strategy: group"), "recipe-field", "group_size");
  expect_refused(rtn("scheme: W4A16, symmetric: yes"), "recipe-field", "true or false");
  expect_refused(rtn("scheme: W4A16, observer: ms"), "recipe-field", "minmax, mse, norm, inputs");
  expect_refused(rtn("scheme: W4A16, ignore: [[a]]"), "recipe-field", "list of names");
  expect_refused(rtn("scheme: W4A16, ignore: ['re:(']"), "pattern-syntax", "regular expression");
  expect_refused(rtn("scheme: W4A16, overrides: [{scheme: W8A16}]"), "recipe-field", "match");
  expect_refused(rtn("scheme: W4A16, overrides: [{match: x, scheme: dense, group_size: 8}]"),
                 "recipe-field", "dense");
  expect_refused("steps: []\n", "recipe-field", "list of 1");
  expect_refused("steps:\n  - {rtn: {scheme: W8A16}, rtn2: {}}\n", "recipe-field", "rtn2");
  expect_refused("", "recipe-field", "steps");
  expect_refused("7", "recipe-field", "steps");
}

TEST(Recipe, HostileYaml) {
  expect_refused("a: &x [1]\nsteps: *x\n", "recipe-syntax", "anchor");
  expect_refused("a: &x [1,1,1,1]\nb: &y [*x,*x,*x,*x]\nc: [*y,*y,*y,*y]\n", "recipe-syntax",
                 "r.yaml:1");
  expect_refused("steps: !!python/object:os.system [x]\n", "recipe-syntax", "tag");
  expect_refused("name: a\nname: b\n", "recipe-syntax", "twice");
  expect_refused("a: " + std::string(100, '[') + std::string(100, ']'), "recipe-syntax", "nesting");
  expect_refused(std::string(100'000, '['), "recipe-syntax", "r.yaml:1");
  expect_refused(std::string(100'000, '{'), "recipe-syntax", "r.yaml:1");
  EXPECT_EQ(parse_yaml("a: [[1], {b: [2]}]", "x").items[0].items[1].items[0].items[0].text, "2");
  expect_refused(std::string(kMaxYamlBytes + 1, ' '), "recipe-syntax", "bytes");
  expect_refused("name: a\n---\nname: b\n", "recipe-syntax", "one YAML document");
  expect_refused("? [a]\n: b\n", "recipe-syntax", "key");
  expect_refused("name: [a\n", "recipe-syntax", "r.yaml:");
}

TEST(Recipe, SurvivesMutation) {
  const std::string valid = R"(name: mixed
description: "down projections in 8 bits"
steps:
  - rtn:
      scheme: W4A16
      group_size: 64
      targets: [Linear, "re:.*embed"]
      ignore: [lm_head]
      observer: mse
      overrides:
        - {match: "*.down_proj", scheme: W8A16}
)";
  int refused = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    try {
      parse_recipe(mutated(valid, seed), "r.yaml").rounds[0]->words().scheme_of(kQ);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 3000);
}

TEST(Recipe, ThoseThatShipAreValid) {
  int n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SINTER_SOURCE_DIR "/recipes")) {
    const Recipe r = read_recipe(entry.path());
    EXPECT_EQ(r.name, entry.path().stem().string());
    EXPECT_FALSE(r.description.empty()) << r.name;
    ++n;
  }
  EXPECT_GE(n, 6);
}

}  // namespace
}  // namespace sinter
