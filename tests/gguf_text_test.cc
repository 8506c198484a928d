// Tokenizers of GGUF files give llama.cpp's ids: its own 46 texts for every vocabulary that
// ../shared/data has both of, and what a tokenizer.json says after a trip through GGUF.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "artifact/artifact.h"
#include "artifact/gguf_tokenizer.h"
#include "base/error.h"
#include "base/file.h"
#include "text/chat.h"

namespace sinter {
namespace {

std::string shared() {
  const char* set = std::getenv("SINTER_SHARED");
  return set != nullptr ? std::string(set) : SINTER_SOURCE_DIR "/../shared/data";
}

class GgufVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(GgufVocabulary, GivesLlamaCppsIds) {
  const std::string stem = std::string("ggml-vocab-") + GetParam() + ".gguf";
  const std::string model = shared() + "/tokenizers/gguf_vocab/" + stem;
  const std::string vectors = shared() + "/tokenizers/vectors_llamacpp/" + stem;
  if (!std::filesystem::exists(model)) GTEST_SKIP() << model << " is not there";
  const GgufText text = read_gguf_text(*GgufFile::open(model), false);
  const auto tokenizer = Tokenizer::parse(text.tokenizer_json, stem);
  const std::string inputs = read_file(vectors + ".inp");
  constexpr std::string_view kBetween = "\n__ggml_vocab_test__\n";
  std::istringstream outputs(read_file(vectors + ".out"));
  size_t begin = 0;
  int count = 0;
  for (std::string line; std::getline(outputs, line); ++count) {
    const size_t end = std::min(inputs.find(kBetween, begin), inputs.size());
    std::istringstream numbers(line);
    const std::vector<Token> want{std::istream_iterator<Token>(numbers), {}};
    const std::string input = inputs.substr(begin, end - begin);
    EXPECT_EQ(tokenizer->encode(input, {.add_special = false, .parse_special = false}), want)
        << '"' << input << '"';
    begin = std::min(end + kBetween.size(), inputs.size());
  }
  EXPECT_GE(count, 46);
}

INSTANTIATE_TEST_SUITE_P(All, GgufVocabulary,
                         testing::Values("gpt-2", "mpt", "starcoder", "refact", "falcon",
                                         "deepseek-coder", "deepseek-llm", "llama-spm", "phi-3"));

// tokenizer.json -> tokenizer.ggml.* -> tokenizer.json: the same ids for ordinary text.
TEST(GgufText, PebblesTokenizerComesBack) {
  const std::string model = SINTER_SOURCE_DIR "/models/pebble";
  const std::string json = read_file(model + "/tokenizer.json");
  const GgufTokens tokens = gguf_tokens(json, model, 1024);
  EXPECT_EQ(tokens.model, "gpt2");
  EXPECT_EQ(tokens.pre, "smollm");
  EXPECT_TRUE(tokens.notes.empty());
  EXPECT_EQ(tokens.tokens.size(), 1024u);
  EXPECT_EQ(tokens.types[2], TokenType::control);
  EXPECT_THROW(gguf_tokens(json, model, 1000), Error);  // an embedding with fewer rows than ids
}

TEST(GgufText, PostProcessorsAreSaidOrRefused) {
  const auto tokens = [](const std::string& post) {
    return gguf_tokens(
        R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"added_tokens":[{"id":7,"content":)"
        R"("[CLS]","special":true}],"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},)"
        R"("post_processor":)" +
            post + "}",
        "x", 8);
  };
  const auto code = [&](const std::string& post) {
    try {
      tokens(post);
      return std::string();
    } catch (const Error& e) {
      return e.code();
    }
  };
  const auto text = [](const std::string& single) {
    return R"({"type":"TemplateProcessing","single":[)" + single +
           R"(],"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[7]}}})";
  };
  const std::string a = R"({"Sequence":{"id":"A","type_id":0}})";
  const std::string cls = R"({"SpecialToken":{"id":"[CLS]","type_id":0}})";
  EXPECT_FALSE(tokens("null").bos.has_value());
  EXPECT_EQ(tokens(text(cls + "," + a)).bos, 7u);
  EXPECT_FALSE(tokens(text(cls + "," + a)).eos.has_value());
  EXPECT_EQ(tokens(R"({"type":"Sequence","processors":[{"type":"ByteLevel"},)" +
                   text(a + "," + cls) + "]}")
                .eos,
            7u);
  EXPECT_EQ(code(R"({"type":"RobertaProcessing","sep":["a",0],"cls":["a",0]})"), "gguf-tokenizer");
  for (const std::string& single : {std::string(), cls, cls + "," + cls + "," + a, a + "," + a,
                                    R"({"SpecialToken":{"id":"other","type_id":0}},)" + a}) {
    EXPECT_EQ(code(text(single)), "gguf-tokenizer") << single;
  }
}

TEST(GgufText, SaysWhatItCannotSay) {
  const std::string json =
      R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"Whitespace"}})";
  try {
    gguf_tokens(json, "x", 1);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "gguf-tokenizer");
  }
  EXPECT_THROW(gguf_tokens(R"({"model":{"type":"Unigram"}})", "x", 1), Error);
  EXPECT_THROW(gguf_tokens("[]", "x", 1), Error);
}

}  // namespace
}  // namespace sinter
