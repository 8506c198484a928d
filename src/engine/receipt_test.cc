#include "engine/receipt.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/mutation.h"

namespace sinter {
namespace {

Receipt example() {
  Receipt r;
  r.model = "somewhere";
  r.ran = {{"artifact", "abc"}, {"build", "sinter 1"}, {"weights_only", false}};
  r.prompt = {1, 5, 9};
  r.max_new_tokens = 20;
  r.stop = {2};
  r.stop_strings = {"\n\n"};
  r.choice = 3;
  r.sampling.temperature = 0.7f;
  r.sampling.seed = ~uint64_t{0};
  r.sampling.chain = SamplerChain::parse("temperature,top_p");
  r.tokens = {7, 7, 2};
  r.finish = Finish::stop;
  return r;
}

TEST(Receipt, SurvivesJson) {
  const Json json = example().to_json();
  const Receipt again = Receipt::from_json(parse_json(to_line(json), "test"), "test");
  EXPECT_EQ(again.to_json(), json);
  EXPECT_EQ(again.sampling.seed, ~uint64_t{0});
  EXPECT_EQ(again.sampling.chain.text(), "constraint,temperature,top_p");
}

TEST(Receipt, SaysWhichPartsDiffer) {
  const Json was = {{"artifact", "abc"}, {"build", "1"}, {"old", true}};
  EXPECT_TRUE(differences(was, was).empty());
  const auto found = differences(was, {{"artifact", "abc"}, {"build", "2"}, {"new", 4}});
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].part, "build");
  EXPECT_EQ(found[0].is, "2");
  EXPECT_EQ(found[1].is, "nothing");
  EXPECT_EQ(found[2].was, "nothing");
}

TEST(Receipt, ATamperedAnswerIsRefused) {
  Json json = example().to_json();
  json["answered"]["tokens"][1] = 8;
  try {
    Receipt::from_json(json, "test");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "receipt-digest");
  }
}

TEST(Receipt, NoBytesHurt) {
  const std::string text = to_line(example().to_json());
  int accepted = 0;
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    try {
      Receipt::from_json(parse_json(mutated(text, seed), "test"), "test");
      ++accepted;
    } catch (const Error&) {
    }
  }
  EXPECT_LT(accepted, 2000);
}

}  // namespace
}  // namespace sinter
