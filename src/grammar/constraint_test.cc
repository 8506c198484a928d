// Constraints: masks against brute force over whole vocabularies and against PCRE2, going back
// against starting again, ends, special tokens, drafts, threads.
#include "grammar/constraint.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <gtest/gtest.h>
#include <pcre2.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "grammar/front_ends.h"
#include "grammar/rank_file.h"

namespace sinter {
namespace {

std::string shared_file(const std::string& path) {
  const char* root = std::getenv("SINTER_SHARED");
  return (root != nullptr ? std::string(root) : SINTER_SOURCE_DIR "/../shared") + "/data/" + path;
}

// Every byte, and these strings; the last token ends.
std::shared_ptr<GrammarVocabulary> small_vocabulary(const std::vector<std::string>& words) {
  std::vector<std::string> bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(1, static_cast<char>(byte));
  bytes.insert(bytes.end(), words.begin(), words.end());
  bytes.emplace_back();
  const auto end = static_cast<Token>(bytes.size() - 1);
  return std::make_shared<GrammarVocabulary>(bytes, std::vector<Token>{end});
}

std::vector<std::string> random_words(const std::string& letters, size_t n, uint64_t seed) {
  std::vector<std::string> words;
  for (uint64_t i = 0; i < n; ++i) {
    std::string word;
    for (uint64_t k = 0; k < 2 + random_bits(seed, i, 0) % 7; ++k) {
      word += letters[random_bits(seed, i, k + 1) % letters.size()];
    }
    words.push_back(word);
  }
  return words;
}

bool is_set(const std::vector<uint64_t>& words, size_t i) {
  return (words[i / 64] >> (i % 64)) & 1;
}

std::vector<Token> tokens_of(const std::vector<uint64_t>& mask) {
  std::vector<Token> tokens;
  for (size_t i = 0; i < mask.size() * 64; ++i) {
    if (is_set(mask, i)) tokens.push_back(static_cast<Token>(i));
  }
  return tokens;
}

bool recognises(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  GrammarEngine engine(grammar, small_vocabulary({}));
  Constraint constraint = engine.start();
  return constraint.accept_bytes(text) && constraint.may_end();
}

std::shared_ptr<const Grammar> numbers_in_lists() {
  GrammarBuilder b;
  RegexSet& r = b.regexes();
  const GrammarNode value = b.declare("value");
  const GrammarNode number = b.lexeme(r.plus(r.bytes(ByteSet::range('0', '9'))));
  const GrammarNode list = b.members({{value, 0, kUnbounded}}, {.separator = b.literal(",")});
  b.define(value, b.choice({number, b.sequence({b.literal("["), list, b.literal("]")})}));
  return Grammar::compile(std::move(b), value);
}

// Free text in which <f= switches to a list and back, and <g> to nothing.
std::shared_ptr<const Grammar> tool_text() {
  GrammarBuilder b;
  RegexSet& r = b.regexes();
  const std::vector<std::string> triggers = {"<f=", "<g>"};
  const auto until = b.text_until(triggers);
  const GrammarNode digits = b.lexeme(r.plus(r.bytes(ByteSet::range('0', '9'))));
  const GrammarNode call = b.sequence({until[0], digits, b.literal("</f>")});
  const GrammarNode whole =
      b.sequence({b.star(b.choice({call, until[1]})), b.text_without(triggers)});
  return Grammar::compile(std::move(b), whole);
}

TEST(Constraint, ExampleOfTheHeader) {
  const auto grammar = numbers_in_lists();
  for (const char* good : {"1", "12", "[]", "[1]", "[1,2]", "[[],[1,[2]]]"}) {
    EXPECT_TRUE(recognises(grammar, good)) << good << "\n" << grammar->to_text();
  }
  for (const char* bad : {"", "[", "[1", "[,]", "[1,]", "1]", "[1]]"}) {
    EXPECT_FALSE(recognises(grammar, bad)) << bad;
  }
}

TEST(Constraint, NearMissesOfTriggersAreText) {
  const auto grammar = tool_text();
  for (const char* good : {"", "no call", "a < b <f", "<<f=12</f>", "x<f=1</f>y<f=2</f>",
                           "<f<f=3</f>", "<g>", "<g><", "\xFF<g>\x80", "</f>"}) {
    EXPECT_TRUE(recognises(grammar, good)) << good;
  }
  for (const char* bad : {"<f=", "<f=x", "a<f=12", "<f=1</f", "<g><f=</f>"}) {
    EXPECT_FALSE(recognises(grammar, bad)) << bad;
  }
}

// Follows masks at random; at every place, each token is also tried by its bytes alone.
void expect_masks_like_brute_force(const std::shared_ptr<const Grammar>& grammar,
                                   const std::shared_ptr<GrammarVocabulary>& vocabulary,
                                   size_t n_walks, size_t n_steps, uint64_t seed) {
  const GrammarEngine engine(grammar, vocabulary), fresh(grammar, vocabulary);
  for (uint64_t walk = 0; walk < n_walks; ++walk) {
    Constraint constraint = engine.start(), bytewise = fresh.start();
    std::vector<uint64_t> mask(constraint.n_words());
    for (uint64_t step = 0; step < n_steps; ++step) {
      constraint.mask(mask);
      for (size_t t = 0; t < vocabulary->trie.n_tokens(); ++t) {
        const auto token = static_cast<Token>(t);
        ASSERT_EQ(is_set(mask, t), bytewise.is_allowed(token))
            << "token " << t << " \"" << vocabulary->trie.bytes(token) << "\" in walk " << walk
            << ", step " << step;
      }
      std::vector<Token> allowed = tokens_of(mask);
      ASSERT_FALSE(allowed.empty());
      // Half of the time a short token: long ones run into ends.
      Token token = allowed[random_bits(seed, walk, 2 * step) % allowed.size()];
      if (random_bits(seed, walk, 2 * step + 1) % 2 == 0) {
        for (const Token other : allowed) {
          if (vocabulary->trie.bytes(other).size() == 1 && other % 3 == token % 3) token = other;
        }
      }
      ASSERT_TRUE(constraint.accept(token));
      ASSERT_TRUE(bytewise.accept(token));
      if (constraint.has_ended()) break;
    }
  }
}

TEST(Constraint, MasksLikeBruteForceOnASmallVocabulary) {
  const auto vocabulary = small_vocabulary(random_words("0123[],<>f=/g \"a\\u", 600, 11));
  expect_masks_like_brute_force(numbers_in_lists(), vocabulary, 30, 20, 1);
  expect_masks_like_brute_force(tool_text(), vocabulary, 30, 20, 2);
  for (const char* pattern :
       {"[a-z]{0,9}x?[^a]{2,40}", "(\"[^\"\\\\]{0,11}\",?)*", "[0-9]+(\\.[0-9]{1,3})?", ".*",
        "(0|1[0-3]*)*,{3,}", "[^<]{30,}<(f=)+"}) {
    expect_masks_like_brute_force(compile_regex(pattern, "test"), vocabulary, 12, 15, 3);
  }
}

TEST(Constraint, MasksLikeBruteForceOnALargeVocabulary) {
  const std::string path = shared_file("tokenizers/llama3/tokenizer.model");
  const auto vocabulary = read_rank_file(path);
  if (!vocabulary) GTEST_SKIP() << "no " << path;
  const std::string json = shared_file("grammars/gbnf_llamacpp/json.gbnf");
  if (!std::filesystem::exists(json)) GTEST_SKIP() << "no " << json;
  expect_masks_like_brute_force(compile_gbnf(read_file(json), json), vocabulary, 2, 14, 4);
  expect_masks_like_brute_force(tool_text(), vocabulary, 1, 10, 5);
  expect_masks_like_brute_force(compile_regex("\"[^\"\\\\\\x00-\\x1F]{3,57}\"", "test"), vocabulary,
                                1, 6, 6);
}

// A viable prefix is what PCRE2 calls a partial match, in its bytewise mode.
TEST(Constraint, MasksLikePartialMatchesOfPcre2) {
  const std::vector<std::string> patterns = {
      "(ab|a[bc]*){2,5}d?",     "[0-9]{3}-[0-9]{2,4}(x[0-9]+)?", "(a|b)*abb",
      "((a{2,3}b){2}|c+){1,3}", "\"([^\"\\\\]|\\\\[nt\"])*\"",   "(a?b?c?){3,}dd",
      "a{5,}|b{2,7}c"};
  const auto vocabulary = small_vocabulary(random_words("aabbccdx0123-\"\\n", 400, 12));
  for (const std::string& pattern : patterns) {
    int error = 0;
    size_t at = 0;
    const std::string whole = "(?:" + pattern + ")\\z";
    pcre2_code* code = pcre2_compile(
        reinterpret_cast<PCRE2_SPTR>(whole.data()), whole.size(),
        PCRE2_ANCHORED | PCRE2_DOTALL | PCRE2_NO_START_OPTIMIZE | PCRE2_NO_AUTO_POSSESS, &error,
        &at, nullptr);
    ASSERT_NE(code, nullptr) << pattern;
    pcre2_match_data* match = pcre2_match_data_create_from_pattern(code, nullptr);
    const auto run = [&](const std::string& text, uint32_t options) {
      return pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, options,
                         match, nullptr);
    };
    const GrammarEngine engine(compile_regex(pattern, "test"), vocabulary);
    for (uint64_t walk = 0; walk < 12; ++walk) {
      Constraint constraint = engine.start();
      std::vector<uint64_t> mask(constraint.n_words());
      std::string text;
      for (uint64_t step = 0; step < 12; ++step) {
        constraint.mask(mask);
        const size_t end = vocabulary->trie.n_tokens() - 1;
        ASSERT_EQ(is_set(mask, end), run(text, 0) >= 0) << pattern << " on " << text;
        for (size_t t = 0; t < end; ++t) {
          const std::string longer =
              text + std::string(vocabulary->trie.bytes(static_cast<Token>(t)));
          // Bytes beyond ASCII are characters here only within UTF-8.
          if (t >= 0x80 && t < 0x100) continue;
          const int result = run(longer, PCRE2_PARTIAL_HARD);
          ASSERT_EQ(is_set(mask, t), result >= 0 || result == PCRE2_ERROR_PARTIAL)
              << pattern << " on " << longer;
        }
        std::vector<Token> allowed = tokens_of(mask);
        std::erase_if(allowed, [&](Token t) {
          return t >= 0x80 && (t < 0x100 || t == static_cast<Token>(end));
        });
        if (allowed.empty()) break;
        const Token token = allowed[random_bits(9, walk, step) % allowed.size()];
        ASSERT_TRUE(constraint.accept(token));
        text += vocabulary->trie.bytes(token);
      }
    }
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
}

TEST(Constraint, GoingBackIsStartingAgain) {
  const auto vocabulary = small_vocabulary(random_words("0123[],<>f=/g", 300, 13));
  for (const auto& grammar : {numbers_in_lists(), tool_text()}) {
    const GrammarEngine engine(grammar, vocabulary), other(grammar, vocabulary);
    for (uint64_t walk = 0; walk < 20; ++walk) {
      Constraint constraint = engine.start();
      std::vector<Token> taken;
      std::vector<uint64_t> mask(constraint.n_words()), expected(constraint.n_words());
      for (uint64_t step = 0; step < 30; ++step) {
        if (random_bits(21, walk, 3 * step) % 3 == 0) {
          const size_t back = random_bits(21, walk, 3 * step + 1) % (taken.size() + 1);
          constraint.rollback(back);
          taken.resize(taken.size() - back);
        }
        Constraint again = other.start();
        for (const Token token : taken) ASSERT_TRUE(again.accept(token));
        constraint.mask(mask);
        again.mask(expected);
        ASSERT_EQ(mask, expected);
        ASSERT_EQ(constraint.has_ended(), again.has_ended());
        if (constraint.has_ended()) continue;
        const auto allowed = tokens_of(mask);
        const Token token = allowed[random_bits(21, walk, 3 * step + 2) % allowed.size()];
        ASSERT_TRUE(constraint.accept(token));
        taken.push_back(token);
      }
    }
  }
}

TEST(Constraint, CompleteAllowsOnlyTheEnd) {
  const std::vector<std::string> choices = {"yes", "yesterday", "no"};
  const auto vocabulary = small_vocabulary({"no", "ye", "yes", "ster"});
  const auto end = static_cast<Token>(vocabulary->trie.n_tokens() - 1);
  const GrammarEngine engine(compile_choice(choices), vocabulary);
  Constraint c = engine.start();
  std::vector<uint64_t> mask(c.n_words());
  c.mask(mask);
  EXPECT_EQ(tokens_of(mask), (std::vector<Token>{'n', 'y', 256, 257, 258}));
  EXPECT_FALSE(c.may_end());
  EXPECT_FALSE(c.accept(end));
  EXPECT_FALSE(c.accept('x'));
  ASSERT_TRUE(c.accept(258));
  EXPECT_TRUE(c.may_end());
  EXPECT_FALSE(c.is_complete());
  c.mask(mask);
  EXPECT_EQ(tokens_of(mask), (std::vector<Token>{'t', end}));
  ASSERT_TRUE(c.accept('t'));
  EXPECT_EQ(c.forced_bytes(), "erday");
  ASSERT_TRUE(c.accept_bytes(c.forced_bytes()));
  EXPECT_TRUE(c.is_complete());
  c.mask(mask);
  EXPECT_EQ(tokens_of(mask), std::vector<Token>{end});
  ASSERT_TRUE(c.accept(end));
  EXPECT_TRUE(c.has_ended());
  EXPECT_FALSE(c.accept(end));
  c.rollback(2);
  EXPECT_FALSE(c.has_ended());
  EXPECT_EQ(c.forced_bytes(), "erday");
}

TEST(Constraint, SpecialTokensOnlyById) {
  std::vector<std::string> bytes = {"a", "<s>", "", ""};  // 2: special, 3: end
  auto vocabulary = std::make_shared<GrammarVocabulary>(bytes, std::vector<Token>{3});
  GrammarBuilder b;
  const GrammarNode a = b.literal("a");
  const GrammarNode whole = b.sequence({b.star(a), b.token(2), b.plus(a)});
  const GrammarEngine engine(Grammar::compile(std::move(b), whole), vocabulary);
  Constraint c = engine.start();
  std::vector<uint64_t> mask(c.n_words());
  c.mask(mask);
  EXPECT_EQ(tokens_of(mask), (std::vector<Token>{0, 2}));
  EXPECT_FALSE(c.accept(1));
  ASSERT_TRUE(c.accept(0));
  ASSERT_TRUE(c.accept(2));
  c.mask(mask);
  EXPECT_EQ(tokens_of(mask), std::vector<Token>{0});
  ASSERT_TRUE(c.accept(0));
  c.mask(mask);
  EXPECT_EQ(tokens_of(mask), (std::vector<Token>{0, 3}));
}

TEST(Constraint, AnyTokenIsAlsoItsBytes) {
  std::vector<std::string> bytes = {"a", "ab", "b", ""};
  auto vocabulary = std::make_shared<GrammarVocabulary>(bytes, std::vector<Token>{3});
  GrammarBuilder b;
  // Either any one token and then b, or the bytes "aba".
  const GrammarNode whole =
      b.choice({b.sequence({b.token({TokenRange{0, 2}}), b.literal("b")}), b.literal("aba")});
  const GrammarEngine engine(Grammar::compile(std::move(b), whole), vocabulary);
  Constraint c = engine.start();
  std::vector<uint64_t> mask(c.n_words());
  c.mask(mask);
  EXPECT_EQ(tokens_of(mask), (std::vector<Token>{0, 1, 2}));
  ASSERT_TRUE(c.accept(1));
  c.mask(mask);
  EXPECT_EQ(tokens_of(mask), (std::vector<Token>{0, 2}));  // "aba", or a token and "b"
}

TEST(Constraint, DraftTreesGetTheMasksOfTheirPaths) {
  const auto vocabulary = small_vocabulary({"[1", "1,", "],"});
  const GrammarEngine engine(numbers_in_lists(), vocabulary);
  Constraint c = engine.start();
  ASSERT_TRUE(c.accept('['));
  const std::vector<DraftNode> nodes = {{'1', -1}, {257, 0},  {'x', 0},
                                        {'1', 2},  {']', -1}, {'5', 1}};
  std::vector<uint64_t> masks(nodes.size() * c.n_words());
  c.draft_masks(nodes, masks);
  const std::vector<std::vector<Token>> paths = {{'1'}, {'1', 257}, {}, {}, {']'}, {'1', 257, '5'}};
  for (size_t i = 0; i < nodes.size(); ++i) {
    std::vector<uint64_t> expected(c.n_words()),
        found(masks.begin() + static_cast<long>(i * c.n_words()),
              masks.begin() + static_cast<long>((i + 1) * c.n_words()));
    bool refused = paths[i].empty();
    for (size_t k = 0; k < paths[i].size(); ++k) {
      if (!c.accept(paths[i][k])) refused = true, c.rollback(k), k = paths[i].size();
    }
    if (!refused) c.mask(expected), c.rollback(paths[i].size());
    EXPECT_EQ(found, expected) << i;
    EXPECT_EQ(c.n_tokens(), 1u);
  }
}

TEST(Constraint, ThreadsShareAnEngine) {
  const auto vocabulary = small_vocabulary(random_words("0123[],", 200, 14));
  const GrammarEngine shared(numbers_in_lists(), vocabulary);
  const auto run = [&](const GrammarEngine& engine, uint64_t seed) {
    std::vector<uint64_t> all;
    Constraint c = engine.start();
    std::vector<uint64_t> mask(c.n_words());
    for (uint64_t step = 0; step < 60 && !c.has_ended(); ++step) {
      c.mask(mask);
      all.insert(all.end(), mask.begin(), mask.end());
      const auto allowed = tokens_of(mask);
      EXPECT_TRUE(c.accept(allowed[random_bits(seed, 5, step) % allowed.size()]));
    }
    return all;
  };
  std::vector<std::vector<uint64_t>> found(8);
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < found.size(); ++i) {
    threads.emplace_back([&, i] { found[i] = run(shared, i); });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint64_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i], run(GrammarEngine(numbers_in_lists(), vocabulary), i));
  }
}

TEST(Constraint, AFullParserBeginsAnew) {
  const auto vocabulary = small_vocabulary(random_words("0123[],", 200, 15));
  GrammarLimits tight;
  tight.automaton_bytes = 400'000;
  const auto compile = [](const GrammarLimits& limits) {
    return compile_gbnf("root ::= \"[\" root (\",\" root){0,500} \"]\" | [0-9]{1,300}", "test",
                        nullptr, limits);
  };
  const GrammarEngine roomy(compile({}), vocabulary), narrow(compile(tight), vocabulary);
  for (uint64_t walk = 0; walk < 4; ++walk) {
    Constraint a = roomy.start(), b = narrow.start();
    std::vector<uint64_t> mask(a.n_words()), expected(a.n_words());
    for (uint64_t step = 0; step < 150 && !a.has_ended(); ++step) {
      a.mask(expected);
      b.mask(mask);
      ASSERT_EQ(mask, expected) << step;
      const auto allowed = tokens_of(mask);
      const Token token = allowed[random_bits(31, walk, step) % allowed.size()];
      ASSERT_TRUE(a.accept(token));
      ASSERT_TRUE(b.accept(token));
    }
  }
}

}  // namespace
}  // namespace sinter
