// Grammars made to hurt: each ends in a grammar, or in an error that names a limit or a place,
// soon.
#include <gtest/gtest.h>

#include <functional>

#include "base/random.h"
#include "grammar/constraint.h"
#include "grammar/front_ends.h"

namespace sinter {
namespace {

std::shared_ptr<GrammarVocabulary> bytes_vocabulary() {
  std::vector<std::string> bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(1, static_cast<char>(byte));
  for (const char* word : {"aa", "aaaa", "ab", "((", "a(", "abab", "\"a", "}}"})
    bytes.emplace_back(word);
  bytes.emplace_back();
  return std::make_shared<GrammarVocabulary>(
      bytes, std::vector<Token>{static_cast<Token>(bytes.size() - 1)});
}

// Compiles and follows masks for some steps; the code of the error, or "".
std::string try_grammar(const std::function<std::shared_ptr<const Grammar>()>& compile,
                        size_t n_steps) {
  try {
    static const auto vocabulary = bytes_vocabulary();
    const GrammarEngine engine(compile(), vocabulary);
    Constraint c = engine.start();
    std::vector<uint64_t> mask(c.n_words());
    for (uint64_t step = 0; step < n_steps && !c.has_ended(); ++step) {
      c.mask(mask);
      std::vector<Token> allowed;
      for (size_t t = 0; t + 1 < vocabulary->trie.n_tokens(); ++t) {
        if ((mask[t / 64] >> (t % 64)) & 1) allowed.push_back(static_cast<Token>(t));
      }
      if (allowed.empty()) {
        EXPECT_TRUE(c.may_end());
        break;
      }
      EXPECT_TRUE(c.accept(allowed[random_bits(1, 2, step) % allowed.size()]));
    }
  } catch (const Error& e) {
    return e.code();
  }
  return "";
}

std::string try_gbnf(const std::string& text, size_t n_steps = 200) {
  return try_grammar([&] { return compile_gbnf(text, "hostile"); }, n_steps);
}

std::string try_regex(const std::string& text, size_t n_steps = 100) {
  return try_grammar([&] { return compile_regex(text, "hostile"); }, n_steps);
}

std::string repeated(std::string_view text, size_t n) {
  std::string out;
  for (size_t i = 0; i < n; ++i) out += text;
  return out;
}

TEST(Hostile, NestingIsBounded) {
  EXPECT_EQ(try_gbnf("root ::= " + repeated("(", 100000) + "\"a\"" + repeated(")", 100000)),
            "grammar-limit");
  EXPECT_EQ(try_gbnf("root ::= \"a\"" + repeated("*", 100000)), "grammar-limit");
  EXPECT_EQ(try_regex(repeated("(", 100000) + "a" + repeated(")", 100000)), "grammar-limit");
  EXPECT_EQ(try_regex("a" + repeated("*", 100000)), "grammar-limit");
  EXPECT_EQ(try_regex(repeated("[", 100000)), "grammar-limit");
  EXPECT_EQ(try_regex(repeated("(a|", 240) + "b" + repeated(")*", 240)), "");
}

TEST(Hostile, RecursionOfRules) {
  EXPECT_EQ(try_gbnf("root ::= root"), "grammar-empty");
  EXPECT_EQ(try_gbnf("root ::= root \"a\""), "grammar-empty");
  EXPECT_EQ(try_gbnf("root ::= a\na ::= b\nb ::= a | \"x\" b"), "grammar-empty");
  EXPECT_EQ(try_gbnf("root ::= root root | \"a\" | \"\"", 40), "");
  EXPECT_EQ(try_gbnf("root ::= root \"a\" | \"\""), "");
  EXPECT_EQ(try_gbnf("root ::= \"a\" root | \"\""), "");
  EXPECT_EQ(try_gbnf("root ::= \"(\" root \")\" root | \"\""), "");
  std::string chain = "root ::= r0\n";
  for (int i = 0; i < 20000; ++i) {
    chain += "r" + std::to_string(i) + " ::= \"a\" r" + std::to_string(i + 1) + " | \"b\"\n";
  }
  EXPECT_EQ(try_gbnf(chain + "r20000 ::= \"c\"", 50), "");
}

TEST(Hostile, RightRecursionStaysSmall) {
  const GrammarEngine engine(
      compile_gbnf("root ::= item \",\" root | item\nitem ::= [a-z]+ | \"[\" root \"]\"", "test"),
      bytes_vocabulary());
  Constraint c = engine.start();
  std::vector<uint64_t> mask(c.n_words());
  ASSERT_TRUE(c.accept_bytes(repeated("ab,c,", 20000) + "d"));
  c.mask(mask);
  EXPECT_TRUE(c.may_end());
}

TEST(Hostile, Ambiguity) {
  EXPECT_EQ(try_gbnf("root ::= s\ns ::= s s s | s s | \"a\"", 30), "");
  EXPECT_EQ(try_gbnf("root ::= (\"a\"* \"a\"* \"a\"*)* \"b\"?", 100), "");
  EXPECT_EQ(try_gbnf("root ::= w*\nw ::= [a-z]+ | [a-z] w", 100), "");
  const std::string code = try_gbnf(
      "root ::= ((([a-b]{0,300}){0,300} \"c\"?){0,300} x){0,300}\nx ::= \"(\" x \")\" | \"a\"", 60);
  EXPECT_TRUE(code.empty() || code == "grammar-limit") << code;
}

TEST(Hostile, Counts) {
  EXPECT_EQ(try_regex("(a{1000}){1000}"), "");
  EXPECT_EQ(try_regex("((a{1000}){1000}){1000}"), "");
  EXPECT_EQ(try_regex("((((a{1000}){1000}){1000}){1000}){1000}"), "");
  EXPECT_EQ(try_regex("a{99999999999999999999}"), "grammar-limit");
  EXPECT_EQ(try_gbnf("root ::= \"a\"{4000000000}"), "grammar-limit");
  EXPECT_EQ(
      try_gbnf("root ::= (x{1000} | \"b\"){100000,1000000}\nx ::= \"a\" | \"(\" x \")\"", 100), "");
  for (const char* pattern : {"((a{1,1000}){1,1000}){1,1000}", "(a{0,50}b{0,50}){0,50}(a|b){0,70}c",
                              "(.*a.{30}){3}", "(a|aa|aaa){1,500}b", "(a?){500}a{500}"}) {
    const std::string code = try_regex(pattern, 60);
    EXPECT_TRUE(code.empty() || code == "grammar-limit") << pattern << ": " << code;
  }
}

TEST(Hostile, HugeAlternatives) {
  std::string words = "root ::= \"x\"";
  for (int i = 0; i < 20000; ++i) words += " | \"w" + std::to_string(i * 7919) + "\"";
  EXPECT_EQ(try_gbnf(words, 10), "");
  std::string optional = "root ::= ";
  for (int i = 0; i < 3000; ++i) optional += "(\"" + std::to_string(i) + "\" x)? ";
  const std::string code = try_gbnf(optional + "\nx ::= \"(\" x \")\" | \"a\"", 3);
  EXPECT_EQ(code, "grammar-limit");  // its edges are quadratic
}

TEST(Hostile, BuilderGraphsAreNotTrees) {
  // 2^60 if written out.
  GrammarBuilder b;
  GrammarNode node = b.choice({b.literal("a"), b.sequence({b.literal("b"), b.literal("c")})});
  for (int i = 0; i < 60; ++i) node = b.sequence({node, b.choice({node, b.literal("d")})});
  const auto grammar = Grammar::compile(std::move(b), node);
  EXPECT_LT(grammar->edges.size(), 2000u);
  // Deep, and nothing else.
  GrammarBuilder deep;
  node = deep.literal("a");
  for (int i = 0; i < 300000; ++i) node = deep.sequence({deep.literal("("), node});
  EXPECT_EQ(try_grammar([&] { return Grammar::compile(std::move(deep), node); }, 20), "");
}

TEST(Hostile, InvalidText) {
  EXPECT_EQ(try_gbnf("root ::= \"\xFF\""), "grammar-syntax");
  EXPECT_EQ(try_gbnf("root ::= [\xC3"), "grammar-syntax");
  EXPECT_EQ(try_gbnf("root ::= \"\\ud800\""), "grammar-syntax");
  EXPECT_EQ(try_gbnf(""), "grammar-undefined");
  EXPECT_EQ(try_gbnf("root ::= nowhere"), "grammar-undefined");
  EXPECT_EQ(try_gbnf("root ::= \"a\"\nroot ::= \"b\""), "grammar-syntax");
  EXPECT_EQ(try_gbnf("root ::= [z-a]"), "grammar-syntax");
  EXPECT_EQ(try_gbnf("root ::= (\"a\""), "grammar-syntax");
  EXPECT_EQ(try_gbnf("root ::= \"a\")"), "grammar-syntax");
  EXPECT_EQ(try_gbnf("root ::= <|tool|>"), "grammar-unsupported");
  EXPECT_EQ(try_gbnf("root ::= []"), "grammar-empty");
}

}  // namespace
}  // namespace sinter
