// Vectors V3.x: from the tests of huggingface/tokenizers (added_tokens.rs, stream.rs) and of
// llama.cpp.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace sinter {
namespace {

using Ids = std::vector<Token>;

std::string shared(const std::string& path) {
  const char* folder = std::getenv("SINTER_SHARED");
  return (folder != nullptr ? folder : SINTER_SOURCE_DIR "/../shared/data") + std::string("/") +
         path;
}

#define NEED_FILE(path)                    \
  if (!std::filesystem::exists(path)) {    \
    GTEST_SKIP() << "missing: " << (path); \
  }

// A tokenizer.json with `parts` in place of what is here.
std::string document(const Json& parts, const Json& model = Json::object()) {
  Json j = {{"version", "1.0"},
            {"truncation", nullptr},
            {"padding", nullptr},
            {"added_tokens", Json::array()},
            {"normalizer", nullptr},
            {"pre_tokenizer", nullptr},
            {"post_processor", nullptr},
            {"decoder", nullptr},
            {"model",
             {{"type", "BPE"},
              {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"<0xC3>", 3}, {"<0xA9>", 4}, {" ", 5}}},
              {"merges", Json::array({"a b"})}}}};
  for (const auto& [key, value] : model.items()) j["model"][key] = value;
  for (const auto& [key, value] : parts.items()) j[key] = value;
  return j.dump();
}

std::unique_ptr<const Tokenizer> make(const Json& parts, const Json& model = Json::object()) {
  return Tokenizer::parse(document(parts, model), "test");
}

Json added(Token id, const std::string& content, const Json& flags = Json::object()) {
  Json j = {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
            {"rstrip", false}, {"normalized", false}, {"special", false}};
  for (const auto& [key, value] : flags.items()) j[key] = value;
  return j;
}

std::string error_of(const std::string& json) {
  try {
    Tokenizer::parse(json, "test");
  } catch (const Error& e) {
    return e.code();
  }
  return "none";
}

TEST(Tokenizer, MinimalHandTest) {
  const auto t = make({}, {{"byte_fallback", true}});
  EXPECT_EQ(t->encode("ab\u00e9"), (Ids{2, 3, 4}));
  EXPECT_EQ(t->vocab_size(), 6);
  EXPECT_EQ(t->token_id("ab"), 2);
  EXPECT_EQ(t->token_id("abc"), std::nullopt);
  EXPECT_EQ(t->encode(""), Ids{});
}

TEST(Tokenizer, Gpt2AddedTokens) {  // V3.1
  const std::string path = shared("tokenizers/gpt2/tokenizer.hf.json");
  NEED_FILE(path);
  const std::string file = read_file(path);
  const auto plain = Tokenizer::parse(file, path);
  const auto pieces = [&](const Json& tokens, bool prefix, const std::string& text) {
    std::string more;
    Token next = 50257;
    for (Json token : tokens) {
      const std::optional<Token> known = plain->token_id(token["content"].get<std::string>());
      token["id"] = known ? *known : next++;
      more += ',';
      more += token.dump();
    }
    std::string json = file;
    const size_t end = json.find(']', json.find("\"added_tokens\""));
    json.insert(end, more);
    if (prefix) {
      const std::string_view off = "\"add_prefix_space\":";
      const size_t at = json.find("false", json.find(off));
      json = json.substr(0, at) + "true" + json.substr(at + 5);
    }
    const auto t = Tokenizer::parse(json, "test");
    std::string out;
    for (const Token id : t->encode(text)) {
      if (!out.empty()) out += '|';
      out += t->token_text(id);
    }
    return out;
  };
  const Json on = true;
  EXPECT_EQ(pieces(Json::array({added(0, "<mask>", {{"lstrip", on}})}), true, "I saw a <mask> 😺"),
            "ĠI|Ġsaw|Ġa|<mask>|ĠðŁĺ|º");
  EXPECT_EQ(pieces(Json::array({added(0, "<mask>", {{"rstrip", on}})}), false, "I saw a <mask> 😺"),
            "I|Ġsaw|Ġa|Ġ|<mask>|ðŁĺ|º");
  EXPECT_EQ(pieces(Json::array({added(0, "ing", {{"single_word", on}})}), false, "I like dancing"),
            "I|Ġlike|Ġdancing");
  EXPECT_EQ(pieces(Json::array({added(0, "ing")}), false, "I like dancing"), "I|Ġlike|Ġd|anc|ing");
  const Json three = Json::array({added(0, "danc"), added(0, "nci"), added(0, "ing")});
  EXPECT_EQ(pieces(three, false, "I like dancing"), "I|Ġlike|Ġ|danc|ing");
  Json four = three;
  four.push_back(added(0, "ike"));
  EXPECT_EQ(pieces(four, false, "I like dancing"), "I|Ġl|ike|Ġ|danc|ing");
}

TEST(Tokenizer, Gpt2Ids) {  // V3.3
  const std::string path = shared("tokenizers/gpt2/tokenizer.hf.json");
  NEED_FILE(path);
  const auto t = Tokenizer::load(path);
  EXPECT_EQ(t->encode("Hello World"), (Ids{15496, 2159}));
  EXPECT_EQ(t->encode(" Hello World!"), (Ids{18435, 2159, 0}));
  EXPECT_EQ(t->encode("3333"), (Ids{24840}));
  EXPECT_EQ(t->encode("\n\n\n"), (Ids{628, 198}));
  EXPECT_EQ(t->encode("   Hello"), (Ids{220, 220, 18435}));
  EXPECT_EQ(t->encode("Cửa Việt"), (Ids{34, 157, 119, 255, 64, 16049, 157, 119, 229, 83}));
  EXPECT_EQ(t->encode("' era"), (Ids{6, 6980}));
  EXPECT_EQ(t->encode(" this is 🦙.cpp"), (Ids{428, 318, 12520, 99, 247, 13, 20322}));
  EXPECT_EQ(t->decode(t->encode(" this is 🦙.cpp")), " this is 🦙.cpp");
  EXPECT_EQ(t->token_bytes(18435), " Hello");
  EXPECT_EQ(t->encode("a<|endoftext|>b"), (Ids{64, 50256, 65}));
  EXPECT_EQ(t->encode("<|endoftext|>", {.parse_special = false}).size(), 7u);
  EXPECT_TRUE(t->is_special(50256));
  EXPECT_EQ(t->decode(Ids{64, 50256, 65}, true), "ab");
}

TEST(Tokenizer, Llama2Ids) {  // V3.3
  const std::string path = shared("tokenizers/llama2/tokenizer.hf.json");
  NEED_FILE(path);
  const auto t = Tokenizer::load(path);
  const auto encode = [&](std::string_view text) {
    return t->encode(text, {.add_special = false});
  };
  EXPECT_EQ(encode("Hello World"), (Ids{15043, 2787}));
  EXPECT_EQ(encode(" Hello World!"), (Ids{29871, 15043, 2787, 29991}));
  EXPECT_EQ(encode("\n\n\n"), (Ids{29871, 13, 13, 13}));
  EXPECT_EQ(encode("   Hello"), (Ids{1678, 15043}));
  EXPECT_EQ(encode("Cửa Việt"), (Ids{315, 228, 190, 176, 29874, 10630, 30529, 29873}));
  EXPECT_EQ(encode(" this is 🦙.cpp"),
            (Ids{29871, 445, 338, 29871, 243, 162, 169, 156, 29889, 8223}));
  EXPECT_EQ(t->encode("Hello World"), (Ids{1, 15043, 2787}));
  EXPECT_EQ(t->decode(t->encode(" this is 🦙.cpp"), true), " this is 🦙.cpp");
  EXPECT_EQ(t->token_bytes(243), "\xF0");
  EXPECT_EQ(t->token_bytes(15043), " Hello");
}

// The streams below, V3.2: 80690 and 98 are the bytes of one Korean syllable, and so on.
TEST(Tokenizer, StreamsWholeCharacters) {
  Json vocab = Json::object();
  Token id = 0;
  for (const std::string_view bytes :
       {"\xEC\x82", "\xA5", "\xEB", "\xBD", "\x95", "\xEB\xB9", "\xB5", "A", " B", " C", "\xFF"}) {
    vocab[spell_bytes(bytes)] = id++;
  }
  const auto t = make({{"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}}}},
                      {{"vocab", vocab}, {"merges", Json::array()}});
  const auto stream = t->stream();
  const std::string expected[] = {"", "삥", "", "", "뽕", "", "빵", "A", " B", " C", "\uFFFD"};
  for (Token i = 0; i < 11; ++i) EXPECT_EQ(stream->push(i), expected[i]) << i;
  EXPECT_EQ(stream->push(0), "");
  EXPECT_EQ(stream->push(7), "\uFFFDA");
  EXPECT_EQ(stream->push(5), "");
  EXPECT_EQ(stream->finish(), "\uFFFD");
  EXPECT_THROW(t->stream()->push(11), Error);
  EXPECT_THROW(t->decode(Ids{-1}), Error);
}

TEST(Tokenizer, ByteFallbackWaitsForTheEndOfARun) {
  const Json decoders = Json::parse(R"({"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": " "}, "content": "_"}, {"type": "ByteFallback"},
      {"type": "Fuse"}, {"type": "Strip", "content": "a", "start": 1, "stop": 1}]})");
  const auto t = make({{"decoder", decoders}});
  EXPECT_EQ(t->decode(Ids{0, 0, 3, 4, 5, 0, 0}), "aé_a");
  EXPECT_EQ(t->decode(Ids{3, 4, 3}), "\uFFFD\uFFFD\uFFFD");
  const auto stream = t->stream();
  EXPECT_EQ(stream->push(3), "");
  EXPECT_EQ(stream->push(4), "");
  EXPECT_EQ(stream->push(1), "éb");
  EXPECT_EQ(stream->push(0), "");  // may yet be stripped
  EXPECT_EQ(stream->push(1), "ab");
}

TEST(Tokenizer, InvalidUtf8IsReplaced) {
  const auto t = make({}, {{"vocab", {{"a", 0}, {"\uFFFD", 1}}}, {"merges", Json::array()}});
  EXPECT_EQ(t->encode("a\xFF"
                      "a"),
            (Ids{0, 1, 0}));
  EXPECT_EQ(t->encode("\xE2\x82"
                      "a\xED\xA0\x80\xF0\x9F\x98"),
            (Ids{1, 0, 1, 1, 1, 1}));
}

TEST(Tokenizer, RefusesByNameWhatItDoesNotKnow) {
  const auto with = [](const std::string& key, const std::string& value) {
    return error_of(document({{key, Json::parse(value)}}));
  };
  EXPECT_EQ(error_of(document({})), "none");
  for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "decoder"}) {
    EXPECT_EQ(with(key, R"({"type": "Precompiled"})"), "tokenizer-component") << key;
  }
  EXPECT_EQ(with("normalizer", R"({"type": "NFC", "form": "x"})"), "tokenizer-field");
  EXPECT_EQ(with("normalizer", R"({"type": "NFC", "form": null})"), "none");
  EXPECT_EQ(with("surprise", "1"), "tokenizer-field");
  EXPECT_EQ(with("version", "\"2.0\""), "tokenizer-component");
  EXPECT_EQ(with("pre_tokenizer", R"({"type": "Digits"})"), "json-field");
  EXPECT_EQ(with("pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "[[:alpha:]]"},
      "behavior": "Isolated"})"),
            "tokenizer-regex");
  EXPECT_EQ(error_of(document({}, {{"type", "Unigram"}})), "tokenizer-component");
  EXPECT_EQ(error_of(document({}, {{"dropout", 0.1}})), "tokenizer-field");
  EXPECT_EQ(error_of(document({}, {{"end_of_word_suffix", "</w>"}})), "tokenizer-field");
  EXPECT_EQ(error_of(document({}, {{"merges", Json::array({"a c"})}})), "tokenizer-merge");
  EXPECT_EQ(error_of(document({}, {{"merges", Json::array({"a b c"})}})), "tokenizer-merge");
  EXPECT_EQ(error_of(document({}, {{"vocab", {{"a", 0}, {"b", 0}}}})), "tokenizer-vocabulary");
  EXPECT_EQ(error_of(document({}, {{"vocab", {{"a", 4194304}}}})), "tokenizer-vocabulary");
  EXPECT_EQ(with("added_tokens", Json::array({added(50, "x")}).dump()), "tokenizer-added-token");
  EXPECT_EQ(with("added_tokens", Json::array({added(6, "")}).dump()), "tokenizer-added-token");
  const std::string first =
      R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "first"})";
  EXPECT_EQ(with("pre_tokenizer", first), "none");
  EXPECT_EQ(with("pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [
      {"type": "ByteLevel", "add_prefix_space": false}, )" +
                                      first + "]}"),
            "tokenizer-component");
  EXPECT_EQ(
      error_of(document({{"normalizer", {{"type", "NFC"}}},
                         {"pre_tokenizer", Json::parse(R"({"type": "Sequence", "pretokenizers":
      [{"type": "WhitespaceSplit"}, )" + first + "]}")}})),
      "tokenizer-component");
  EXPECT_EQ(error_of("{"), "json-syntax");
  EXPECT_EQ(error_of("{}"), "json-field");
  std::string deep = document({});
  deep.insert(1, "\"decoder\":" + std::string(100000, '['));
  EXPECT_EQ(error_of(deep), "json-syntax");
  std::string sequences = R"({"type": "NFC"})";
  for (int i = 0; i < 20; ++i) {
    sequences = R"({"type": "Sequence", "normalizers": [)" + sequences + "]}";
  }
  EXPECT_EQ(with("normalizer", sequences), "tokenizer-component");
}

// Small documents that use every component.
std::vector<std::string> seeds() {
  std::vector<std::string> out;
  const Json tokens = Json::array({added(6, "<s>", {{"special", true}, {"lstrip", true}}),
                                   added(7, "a b", {{"normalized", true}, {"rstrip", true}})});
  out.push_back(
      document({{"added_tokens", tokens},
                {"normalizer", Json::parse(R"({"type": "Sequence", "normalizers": [{"type": "NFKC"},
          {"type": "Prepend", "prepend": "a"}, {"type": "Lowercase"}, {"type": "StripAccents"},
          {"type": "Strip", "strip_left": true, "strip_right": false},
          {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}]})")},
                {"pre_tokenizer", Json::parse(R"({"type": "Sequence", "pretokenizers": [
          {"type": "Split", "pattern": {"Regex": "[^a-c\\p{L}]{1,2}|(?=b)x*"},
           "behavior": "MergedWithNext", "invert": true},
          {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
          {"type": "Digits", "individual_digits": true}, {"type": "Punctuation"},
          {"type": "Whitespace"}, {"type": "WhitespaceSplit"}]})")},
                {"decoder", Json::parse(R"({"type": "Sequence", "decoders": [
          {"type": "Metaspace", "replacement": "▁"}, {"type": "ByteFallback"}, {"type": "Fuse"},
          {"type": "Replace", "pattern": {"String": "ab"}, "content": "x"},
          {"type": "Strip", "content": "a", "start": 1, "stop": 2}]})")},
                {"post_processor", Json::parse(R"({"type": "TemplateProcessing", "single": [
          {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
          "special_tokens": {"<s>": {"id": "<s>", "ids": [6], "tokens": ["<s>"]}}})")}},
               {{"byte_fallback", true}, {"unk_token", "b"}, {"fuse_unk", true}}));
  out.push_back(document(
      {{"added_tokens", tokens},
       {"pre_tokenizer", Json::parse(R"({"type": "ByteLevel", "add_prefix_space": true})")},
       {"decoder", Json::parse(R"({"type": "ByteLevel"})")}},
      {{"ignore_merges", true},
       {"merges", Json::parse(R"([["a", "b"], ["ab", " "]])")},
       {"vocab",
        Json::parse(R"({"a": 0, "b": 1, "ab": 2, "ab ": 3, " ": 4, "\u00e9\ud83d\ude00": 5})")}}));
  return out;
}

TEST(Tokenizer, FuzzedFilesGiveErrorsOnly) {
  const std::string texts[] = {"ab é<s> a b\xFF 12 .ab", "", std::string(200, 'a'), "▁▁ aé\u0301"};
  int loaded = 0;
  for (uint64_t seed = 0; const std::string& original : seeds()) {
    ASSERT_EQ(error_of(original), "none");
    for (uint64_t i = 0; i < 700; ++i) {
      const auto draw = [&](uint64_t n, uint64_t k) {
        return static_cast<size_t>(random_bits(seed, i, k) % n);
      };
      std::string json = original;
      for (uint64_t k = 0; k <= draw(3, 0); ++k) {
        const size_t at = draw(json.size(), 10 * k + 1), n = draw(12, 10 * k + 2);
        switch (draw(12, 10 * k + 3)) {
          case 0:
            json[at] = static_cast<char>(draw(256, 10 * k + 4));
            break;
          case 1:
            json.erase(at, n);
            break;
          case 2:
            json.insert(at, json.substr(draw(json.size(), 10 * k + 5), n));
            break;
          case 3:
            json[at] = "\"{}[],:\\0129au "[draw(15, 10 * k + 6)];
            break;
          default:  // leaves the JSON well formed more often than not
            if (const char c = json[at]; (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')) {
              json[at] = static_cast<char>(c ^ static_cast<char>(1 + draw(7, 10 * k + 7)));
            }
        }
        if (json.empty()) json.assign(1, ' ');
      }
      if (draw(20, 99) == 0) json.resize(draw(json.size(), 98));
      try {
        const auto t = Tokenizer::parse(json, "fuzz");
        ++loaded;
        for (const std::string& text : texts) {
          const Ids ids = t->encode(text);
          const std::string decoded = t->decode(ids);
          EXPECT_TRUE(is_utf8(decoded) || !is_utf8(json));
          for (const Token id : ids) t->token_bytes(id);
        }
      } catch (const Error&) {
      }
    }
    ++seed;
  }
  EXPECT_GT(loaded, 150);  // or the fuzz would only ever test the JSON reader
}

TEST(Tokenizer, FuzzedTextEncodesAndStreams) {
  std::vector<std::unique_ptr<const Tokenizer>> tokenizers;
  for (const std::string& json : seeds()) tokenizers.push_back(Tokenizer::parse(json, "test"));
  for (uint64_t i = 0; i < 3000; ++i) {
    std::string text;
    const uint64_t n = random_bits(1, i, 0) % 60;
    for (uint64_t k = 1; k <= n; ++k) {
      const uint64_t r = random_bits(1, i, k);
      text.push_back(static_cast<char>(r % 3 == 0 ? (r >> 8) % 256
                                                  : "ab <s>\xE2\x96\x81\xCC\x81"[(r >> 8) % 11]));
    }
    for (const auto& t : tokenizers) {
      const Ids ids = t->encode(text, {.add_special = i % 2 == 0, .parse_special = i % 3 == 0});
      const auto stream = t->stream();
      std::string streamed;
      for (const Token id : ids) {
        const std::string piece = stream->push(id);
        EXPECT_TRUE(is_utf8(piece));  // never half a character
        streamed += piece;
      }
      EXPECT_EQ(streamed + stream->finish(), t->decode(ids));
    }
  }
}

TEST(Tokenizer, ThreadsShareOne) {
  const auto t = Tokenizer::parse(seeds()[0], "test");
  const std::string text = "ab é<s> a b 12 .ab aab bab abab " + std::string(3000, 'a') + " b";
  const Ids expected = t->encode(text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (size_t k = 0; k < wrong.size(); ++k) {
    threads.emplace_back([&, k] {
      for (int i = 0; i < 50; ++i) {
        wrong[k] += t->encode(text) != expected || t->decode(expected).empty();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

// Shapes of text that make careless tokenizers quadratic.
TEST(Tokenizer, HostileTextTakesLinearTime) {
  const std::string gpt2 = shared("tokenizers/gpt2/tokenizer.hf.json");
  NEED_FILE(gpt2);
  const auto t = Tokenizer::load(gpt2);
  for (const std::string_view unit : {" ", "a", "\n", "\u0301", "<|endoftext", "' ", "1", "\xFF"}) {
    std::string text;
    while (text.size() < 100000) text += unit;
    EXPECT_GT(t->encode(text).size(), 0u) << unit;
  }
}

}  // namespace
}  // namespace sinter
