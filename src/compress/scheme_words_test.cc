// The words of a recipe that name a scheme, for every preset and every way of sharing scales.
#include "compress/scheme_words.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace sinter {
namespace {

Scheme scheme(const std::string& words) {
  const YamlNode node = parse_yaml("{" + words + "}", "r.yaml");
  return *read_scheme(YamlFields(node, "r.yaml", kSchemeWords), Scheme{});
}

std::string refusal(const std::string& words) {
  try {
    scheme(words);
    return "";
  } catch (const Error& e) {
    return fmt::format("{}: {}", e.code(), e.what());
  }
}

TEST(SchemeWords, EveryPresetIsAWord) {
  for (const Preset& p : presets()) {
    SCOPED_TRACE(p.name);
    EXPECT_EQ(scheme(fmt::format("scheme: {}", p.name)), p.scheme);
    EXPECT_EQ(scheme_problem(p.scheme), "");
  }
}

TEST(SchemeWords, WhoSharesAScale) {
  EXPECT_EQ(scheme("scheme: FP8A16").group, 0);
  EXPECT_TRUE(scheme("scheme: FP8A16, strategy: tensor").per_tensor);
  EXPECT_EQ(scheme("scheme: FP8A16, strategy: block").block_rows, 128);
  EXPECT_EQ(scheme("scheme: FP8A16, strategy: block").group, 128);
  EXPECT_EQ(scheme("scheme: FP8A16, group_size: 64").group, 64);
  const Scheme channel = scheme("scheme: FP8, strategy: channel");
  EXPECT_FALSE(channel.per_tensor);
  EXPECT_EQ(channel.activation, ActivationMode::fp8_tensor);
  EXPECT_EQ(scheme("num_bits: 4, group_size: 32, symmetric: false").group, 32);
  EXPECT_EQ(scheme("scheme: W4A16, strategy: channel").group, 0);
}

TEST(SchemeWords, WhatFloatsCannotBe) {
  for (const char* bad :
       {"scheme: W4A16, strategy: tensor", "scheme: W8A16, strategy: block",
        "scheme: FP8A16, num_bits: 4", "scheme: FP8A16, symmetric: false",
        "scheme: NVFP4A16, group_size: 32", "scheme: MXFP4A16, group_size: -1",
        "scheme: FP8_DYNAMIC, strategy: block", "scheme: FP8_DYNAMIC, group_size: 64",
        "scheme: FP8_BLOCK, strategy: channel", "scheme: FP8_BLOCK, strategy: group",
        "scheme: FP8A16, strategy: block, group_size: 64", "scheme: FP8A16, strategy: rows",
        "scheme: W8A8_STATIC, group_size: 32"}) {
    EXPECT_TRUE(refusal(bad).starts_with("recipe-field")) << bad << ": " << refusal(bad);
  }
  EXPECT_NE(refusal("scheme: NVFP4").find("NVFP4A16"), std::string::npos);
  EXPECT_TRUE(refusal("scheme: NVFP4").starts_with("recipe-scheme"));
  EXPECT_TRUE(refusal("scheme: MXFP4").starts_with("recipe-scheme"));
}

}  // namespace
}  // namespace sinter
