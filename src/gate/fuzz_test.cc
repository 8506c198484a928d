// Mutated input for everything in the gate that reads bytes it did not write: only Error may come
// out. Deterministic: the same mutations every time.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "gate/gate.h"
#include "gate/json_schema.h"
#include "gate/suite_lines.h"

namespace sinter {
namespace {

// Flips, cuts, doubles and splices, at places that the seed says.
std::string mutate(const std::string& text, const std::string& other, uint64_t seed) {
  std::string out = text;
  uint64_t draw = 0;
  const auto below = [&](size_t n) {
    return n == 0 ? size_t{0} : static_cast<size_t>(random_bits(77, seed, draw++) % n);
  };
  const size_t n_edits = 1 + below(4);
  for (size_t edit = 0; edit < n_edits; ++edit) {
    const size_t at = below(out.size());
    const size_t choice = below(6);
    if (choice == 0 && !out.empty()) {
      out[at] = static_cast<char>(below(256));
    } else if (choice == 1) {
      out.resize(at);
    } else if (choice == 2) {
      out.insert(at, out.substr(below(out.size() + 1), below(40)));
    } else if (choice == 3) {
      out.insert(at, other.substr(below(other.size() + 1), below(40)));
    } else if (choice == 4 && !out.empty()) {
      out.erase(at, 1 + below(8));
    } else {
      static constexpr const char* kTokens[] = {"{",       "}",        "[",     "]",  "\"",
                                                "<",       "&",        "1e999", "-0", "null",
                                                "\\u0000", "\xF0\x9F", ":",     "- "};
      out.insert(at, kTokens[below(std::size(kTokens))]);
    }
  }
  return out;
}

template <typename Body>
void fuzz(const std::vector<std::string>& seeds, int rounds, const Body& body) {
  for (int i = 0; i < rounds; ++i) {
    const auto round = static_cast<uint64_t>(i);
    const std::string& seed = seeds[round % seeds.size()];
    const std::string input = mutate(seed, seeds[(round / 7) % seeds.size()], round);
    try {
      body(input);
    } catch (const Error&) {
    }
  }
}

const std::vector<std::string> kItems = {
    R"({"id":"a","domain":"logic","messages":[{"role":"user","content":"q"}],"reference":"2","scorer":{"type":"exact"},"tags":["x"],"critical":true,"max_tokens":7})",
    R"({"id":"b","domain":"logic","messages":[{"role":"user","content":"q"}],"scorer":{"type":"json_schema","schema":{"type":"object","properties":{"n":{"$ref":"#/$defs/d"}},"$defs":{"d":{"type":["integer","null"],"minimum":1}}},"expected":{"n":3}}})",
    R"({"id":"c","domain":"logic","messages":[{"role":"user","content":"q"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"scorer":{"type":"tool_call","name":"f","arguments":{"a":1}}})",
    R"({"id":"d","domain":"logic","messages":[{"role":"user","content":"q"}],"scorer":{"type":"xml","expected":"<a b=\"1\"><c>x</c></a>"}})",
    R"({"id":"e","domain":"logic","messages":[{"role":"user","content":"q"}],"scorer":{"type":"choice","choices":["x","y"],"answer":"x"}})",
    R"({"id":"f","domain":"logic","messages":[{"role":"user","content":"q"}],"scorer":{"type":"regex","pattern":"^(a|b)+[0-9]{2,}$"}})",
    R"({"id":"g","domain":"logic","messages":[{"role":"user","content":"q"}],"scorer":{"type":"refusal","expect":"refuse","refusal_pattern":"no"}})",
    R"({"id":"h","domain":"logic","messages":[{"role":"user","content":"q"}],"scorer":{"type":"needle","needles":["x1","y"]}})",
    R"({"id":"i","domain":"logic","messages":[{"role":"user","content":"q"}],"scorer":{"type":"program","output":"1\n2"}})",
    R"({"id":"j","domain":"logic","messages":[{"role":"user","content":"q"}],"scorer":{"type":"number","value":1.5}})",
};

TEST(Fuzz, SuiteLines) {
  fuzz(kItems, 6000, [](const std::string& input) {
    for_each_line(input, "fuzz", [](const Json& line, const std::string& where) {
      const Item item = read_item(line, {"logic"}, where);
      to_line(write_item(item));
    });
  });
}

TEST(Fuzz, AnswersUnderEveryScorer) {
  std::vector<Item> items;
  for (const std::string& line : kItems) {
    items.push_back(read_item(Json::parse(line), {"logic"}, "seed"));
  }
  const std::vector<std::string> answers = {
      R"({"n": 3})",
      R"(<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>)",
      R"({"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]})",
      R"(<a b="1"><c>x &amp; y</c><![CDATA[z]]></a>)",
      "abab12",
      "x1 and y",
      "out: 1\n2",
      "1,234.5"};
  fuzz(answers, 4000, [&](const std::string& input) {
    for (const Item& item : items) {
      const Scorer& scorer = scorer_of(item, item.id);
      if (!scorer.generates) continue;
      Evidence evidence;
      evidence.answer.text = input;
      const Score s = scorer.score(item, evidence);
      EXPECT_GE(s.score, 0);
      EXPECT_LE(s.score, 1);
      escape_markup(s.detail);
    }
  });
}

TEST(Fuzz, Schemas) {
  const std::vector<std::string> schemas = {
      R"({"type":"array","prefixItems":[{"type":"string","pattern":"^a"}],"items":{"$ref":"#"},"uniqueItems":true,"maxItems":4})",
      R"({"oneOf":[{"const":1},{"enum":["a",{"b":2}]},{"not":{"type":"string"}}],"multipleOf":0.5})",
      R"({"patternProperties":{"^x":{"minLength":2}},"additionalProperties":{"anyOf":[true,false]},"required":["x1"]})"};
  const std::vector<Json> values = {Json::parse(R"(["a", ["a"]])"), Json(1), Json("a"),
                                    Json::parse(R"({"x1": "ab", "y": null})")};
  fuzz(schemas, 4000, [&](const std::string& input) {
    const JsonSchema schema(parse_json(input, "fuzz"), "fuzz");
    for (const Json& value : values) schema.violation(value);
  });
}

TEST(Fuzz, Policies) {
  fuzz(
      {read_file(SINTER_SOURCE_DIR "/gates/envelope.yaml"),
       "success: {margin: 0.01}\ncosts:\n  a: {max_ratio: 1}\n", to_line(policy_to_json(Policy{}))},
      3000, [](const std::string& input) { parse_policy(input, "fuzz"); });
}

TEST(Fuzz, Journals) {
  const std::string path = testing::TempDir() + "gate_fuzz_" + std::to_string(::getpid());
  const std::string run =
      R"({"kind":"gate-run","suite":{"digest":"d"},"subject":{"model":"m"}})"
      "\n"
      R"({"id":"a","domain":"logic","behaviour":"","scorer":"exact","critical":false,"pass":true,"score":1.0,"parse":"","refused":null,"detail":"","margin":1.5,"answer":{"text":"x","tokens":[1,2],"ends":[1],"finish":"stop","prompt_tokens":3,"min_margin":1.5,"min_margin_at":0},"reference":{"nll":0.5,"tokens":2}})"
      "\n";
  const std::string text =
      R"({"kind":"gate-texts"})"
      "\n"
      R"({"id":"t","agree":2,"nll_baseline":1.0,"nll_candidate":1.1,"kl":[0.1,0.2]})"
      "\n";
  Policy quick;
  quick.bootstrap.resamples = 100;
  fuzz({run, text}, 300, [&](const std::string& input) {
    {
      std::FILE* file = std::fopen(path.c_str(), "wb");
      ASSERT_NE(file, nullptr);
      std::fwrite(input.data(), 1, input.size(), file);
      std::fclose(file);
    }
    try {
      read_texts(path);
    } catch (const Error&) {
    }
    const sinter::Run r = read_run(path);
    judge(r, r, {}, {}, quick);
  });
  std::filesystem::remove(path);
}

TEST(Fuzz, EscapedTextIsAlwaysWellFormed) {
  fuzz({"plain <b>&\"' text", "gr\xC3\xBC\xC3\x9F \xF0\x9F\x8E\x89 \xE2\x80\xAE",
        "\x01\x02\xff\xfe"},
       5000, [](const std::string& input) {
         const std::string out = escape_markup(input);
         EXPECT_EQ(out.find_first_of("<>\"'"), std::string::npos);
         EXPECT_NO_THROW(Json(out).dump());  // valid UTF-8
       });
}

}  // namespace
}  // namespace sinter
