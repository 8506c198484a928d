// Stop strings: whatever the pieces, the same text; and nothing is held back that need not be.
#include "engine/stop_strings.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"
#include "engine/answer_text.h"

namespace sinter {
namespace {

// The text in one go, by the definition.
std::string cut(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& s : stops) {
      if (std::string_view(text).substr(0, end).ends_with(s)) longest = std::max(longest, s.size());
    }
    if (longest > 0) return text.substr(0, end - longest);
  }
  return text;
}

TEST(StopStrings, DoNotDependOnThePieces) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const auto draw = [&](uint64_t what, uint64_t i, uint64_t n) {
      return random_bits(seed, what, i) % n;
    };
    std::string text;
    for (uint64_t i = 0; i < 40; ++i) text += static_cast<char>('a' + draw(0, i, 3));
    std::vector<std::string> stops;
    for (uint64_t s = 0; s < 1 + draw(1, 0, 3); ++s) {
      std::string& stop = stops.emplace_back();
      for (uint64_t i = 0; i < 1 + draw(2, s, 6); ++i) {
        stop += static_cast<char>('a' + draw(3 + s, i, 3));
      }
    }
    StopStrings matcher(stops);
    std::string out;
    for (size_t at = 0; at < text.size() && !matcher.found();) {
      const size_t n = 1 + draw(9, at, 5);
      out += matcher.push(std::string_view(text).substr(at, n));
      at += n;
      // What is held back begins a stop string: nothing else may be.
      if (matcher.found()) break;
      const std::string held = text.substr(out.size(), std::min(at, text.size()) - out.size());
      bool begins = held.empty();
      for (const std::string& stop : stops) begins = begins || stop.starts_with(held);
      ASSERT_TRUE(begins) << held;
    }
    out += matcher.finish();
    ASSERT_EQ(out, cut(text, stops)) << text;
    ASSERT_EQ(matcher.found(), out != text);
  }
}

TEST(StopStrings, HoldBackOnlyWhatMayStillStop) {
  StopStrings s({"<end>"});
  EXPECT_EQ(s.push("a < b"), "a < b");
  EXPECT_EQ(s.push("c<en"), "c");
  EXPECT_EQ(s.push("t"), "<ent");
  EXPECT_EQ(s.pass("x<end>"), "x<end>");  // while nothing may stop
  EXPECT_EQ(s.push("<en"), "");
  EXPECT_EQ(s.push("d>tail"), "");
  EXPECT_EQ(s.which(), "<end>");
  EXPECT_EQ(s.push("more"), "");
  EXPECT_EQ(s.finish(), "");
}

TEST(StopStrings, BadOnesAreRefused) {
  for (const std::vector<std::string>& stops : {std::vector<std::string>{""},
                                                {std::string(2000, 'x')},
                                                std::vector<std::string>(65, "x")}) {
    EXPECT_THROW(StopStrings{stops}, Error);
  }
}

TEST(AnswerText, StopsWithinTokensAndAcrossThem) {
  const auto tokenizer =
      Tokenizer::load(std::string(SINTER_SOURCE_DIR) + "/models/pebble/tokenizer.json");
  const std::vector<Token> ids = tokenizer->encode("The answer is 42. Goodbye now.");
  const auto run = [&](std::vector<std::string> stops, int32_t min_tokens) {
    std::string shown;
    AnswerText answer(*tokenizer, {.stop_strings = std::move(stops), .min_tokens = min_tokens},
                      [&](std::string_view piece) { shown += piece; });
    for (const Token t : ids) {
      if (answer.push(t)) break;
    }
    answer.finish();
    EXPECT_EQ(answer.text(), shown);
    return shown;
  };
  const std::string whole = tokenizer->decode(ids, true);
  EXPECT_EQ(run({}, 0), whole);
  EXPECT_EQ(run({"2. Goo"}, 0), whole.substr(0, whole.find("2. Goo")));
  EXPECT_EQ(run({"e"}, 0), whole.substr(0, whole.find('e')));
  EXPECT_EQ(
      run({"e"}, 4),
      whole.substr(0, whole.find('e', tokenizer->decode(std::span(ids).first(3), true).size())));
  EXPECT_EQ(run({"now. "}, 0), whole);  // held back to the end, then given
}

}  // namespace
}  // namespace sinter
