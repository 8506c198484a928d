// Masks against brute force and against recognisers that share nothing with the parser.
#include "grammar/constraint.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace sinter {
namespace {

// Every byte, and these strings; the last token ends.
std::shared_ptr<GrammarVocabulary> small_vocabulary(std::vector<std::string> words) {
  std::vector<std::string> bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(1, static_cast<char>(byte));
  bytes.insert(bytes.end(), words.begin(), words.end());
  bytes.emplace_back();
  const auto end = static_cast<Token>(bytes.size() - 1);
  return std::make_shared<GrammarVocabulary>(bytes, std::vector<Token>{end});
}

bool recognises(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  GrammarEngine engine(grammar, small_vocabulary({}));
  Constraint constraint = engine.start();
  return constraint.accept_bytes(text) && constraint.may_end();
}

TEST(Constraint, ExampleOfTheHeader) {
  GrammarBuilder b;
  RegexSet& r = b.regexes();
  const GrammarNode value = b.declare("value");
  const GrammarNode number = b.lexeme(r.plus(r.bytes(ByteSet::range('0', '9'))));
  const GrammarNode list = b.members({{value, 0, kUnbounded}}, {.separator = b.literal(",")});
  b.define(value, b.choice({number, b.sequence({b.literal("["), list, b.literal("]")})}));
  const auto grammar = Grammar::compile(std::move(b), value);
  for (const char* good : {"1", "12", "[]", "[1]", "[1,2]", "[[],[1,[2]]]"}) {
    EXPECT_TRUE(recognises(grammar, good)) << good << "\n" << grammar->to_text();
  }
  for (const char* bad : {"", "[", "[1", "[,]", "[1,]", "1]", "[1]]"}) {
    EXPECT_FALSE(recognises(grammar, bad)) << bad;
  }
}

}  // namespace
}  // namespace sinter
