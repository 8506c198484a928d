#include "text/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/random.h"

namespace sinter {
namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;

struct Model {
  Vocabulary vocabulary;
  Merges merges;
  std::unique_ptr<Bpe> bpe;

  Model(const std::string& letters, const Merges& m, BpeOptions options = {}) : merges(m) {
    Token next = 0;
    for (const char c : letters) EXPECT_TRUE(vocabulary.add(std::string(1, c), next++));
    EXPECT_TRUE(vocabulary.add("\u2581", next++));
    for (const auto& [a, b] : merges) {
      if (vocabulary.find(a + b) < 0) {
        EXPECT_TRUE(vocabulary.add(a + b, next++));
      }
    }
    std::vector<Bpe::Parts> parts;
    for (const auto& [a, b] : merges) parts.emplace_back(a, b);
    bpe = std::make_unique<Bpe>(vocabulary, parts, options, "test");
  }

  std::vector<Token> encode(std::string_view word) const {
    Bpe::Scratch scratch;
    std::vector<Token> once, twice;
    bpe->encode(word, scratch, once);
    bpe->encode(word, scratch, twice);  // from the cache, if it is short
    EXPECT_EQ(once, twice);
    return once;
  }

  // The definition: merge the leftmost pair of the lowest rank until there is none.
  std::vector<Token> by_definition(std::string_view word) const {
    std::vector<std::string> parts;
    for (size_t i = 0; i < word.size();) {
      const size_t size = word[i] == '\xE2' ? 3 : 1;
      parts.emplace_back(word.substr(i, size));
      i += size;
    }
    while (true) {
      size_t best = merges.size(), place = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto it = std::find(merges.begin(), merges.end(), std::pair(parts[i], parts[i + 1]));
        const auto rank = static_cast<size_t>(it - merges.begin());
        if (rank < best) best = rank, place = i;
      }
      if (best == merges.size()) break;
      parts[place] += parts[place + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(place) + 1);
    }
    std::vector<Token> out;
    for (const std::string& p : parts) out.push_back(vocabulary.find(p));
    return out;
  }
};

Merges random_merges(uint64_t stream, bool marks) {
  std::vector<std::string> tokens = {"a", "b", "c"};
  if (marks) tokens.emplace_back("\u2581");
  Merges out;
  for (uint64_t i = 0; i < 30; ++i) {
    const std::string a = tokens[random_bits(stream, 1, i) % tokens.size()];
    const std::string b = tokens[random_bits(stream, 2, i) % tokens.size()];
    if (std::find(out.begin(), out.end(), std::pair(a, b)) != out.end()) continue;
    out.emplace_back(a, b);
    if (std::find(tokens.begin(), tokens.end(), a + b) == tokens.end()) tokens.push_back(a + b);
  }
  return out;
}

std::string random_word(uint64_t stream, uint64_t size, bool marks) {
  std::string out;
  for (uint64_t i = 0; i < size; ++i) {
    const uint64_t draw = random_bits(9, stream, i) % (marks ? 5 : 3);
    out += draw >= 3 ? "\u2581" : std::string(1, "abc"[draw]);
  }
  return out;
}

TEST(Bpe, ShortAndLongWordsMergeByDefinition) {
  for (uint64_t m = 0; m < 20; ++m) {
    const Model model("abc", random_merges(m, false));
    for (const uint64_t size : {1, 2, 5, 20, 47, 48, 49, 50, 150}) {
      const std::string word = random_word(m * 100 + size, size, false);
      ASSERT_EQ(model.encode(word), model.by_definition(word)) << m << " " << word;
    }
  }
}

TEST(Bpe, CutsAtMarksOnlyWhereNoMergeCrosses) {
  for (uint64_t m = 0; m < 40; ++m) {
    Merges merges = random_merges(m, true);
    if (m % 2 == 0) {  // half of them: no mark after another character
      std::erase_if(merges, [](const auto& pair) {
        const std::string all = pair.first + pair.second;
        const size_t body = all.find_first_not_of("\xE2\x96\x81");
        return body != std::string::npos && all.find("\u2581", body) != std::string::npos;
      });
      std::vector<std::string> made = {"a", "b", "c", "\u2581"};
      std::erase_if(merges, [&](const auto& pair) {  // parts that nothing makes any more
        const bool known = std::count(made.begin(), made.end(), pair.first) != 0 &&
                           std::count(made.begin(), made.end(), pair.second) != 0;
        if (known) made.push_back(pair.first + pair.second);
        return !known;
      });
    }
    const Model model("abc", merges);
    for (const uint64_t size : {2, 7, 30, 60, 120}) {
      const std::string word = random_word(m * 1000 + size, size, true);
      ASSERT_EQ(model.encode(word), model.by_definition(word)) << m << " " << word;
    }
  }
}

TEST(Bpe, UnknownCharacters) {
  const auto encode = [](BpeOptions options, std::string_view word) {
    options.unk_token = options.unk_token == "-" ? "" : "u";
    return Model("uab", {{"a", "b"}}, options).encode(word);
  };
  EXPECT_EQ(encode({}, "abzza"), (std::vector<Token>{4, 0, 0, 1}));
  EXPECT_EQ(encode({.unk_token = "u", .fuse_unk = true}, "abzza"), (std::vector<Token>{4, 0, 1}));
  EXPECT_EQ(encode({.unk_token = "-"}, "azzb"), (std::vector<Token>{4}));  // dropped, then merged
  try {
    Model("ab", {}, {.unk_token = "<unk>"}).encode("az");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "tokenizer-unknown-token");
  }
}

// A quadratic loop would take minutes here.
TEST(Bpe, MegabytesWithoutABreakTakeNoTime) {
  Merges merges;
  for (std::string a = "a"; a.size() <= 4096; a += a) merges.emplace_back(a, a);
  const Model model("a", merges);
  const std::string word(1 << 18, 'a');
  EXPECT_EQ(model.encode(word).size(), (1u << 18) / 8192);
}

TEST(Vocabulary, KeepsSpellingsAndIdsApart) {
  Vocabulary v;
  EXPECT_TRUE(v.add("a", 5));
  EXPECT_FALSE(v.add("a", 6));
  EXPECT_FALSE(v.add("b", 5));
  EXPECT_TRUE(v.add("", 0));
  for (Token id = 10; id < 5000; ++id) EXPECT_TRUE(v.add(std::to_string(id), id));
  EXPECT_EQ(v.find("a"), 5);
  EXPECT_EQ(v.find(""), 0);
  EXPECT_EQ(v.find("4999"), 4999);
  EXPECT_EQ(v.find("5000"), -1);
  EXPECT_FALSE(v.has(4));
  EXPECT_EQ(v.spelling(777), "777");
  EXPECT_EQ(v.n_ids(), 5000);
}

}  // namespace
}  // namespace sinter
