#include "compress/corpus/traces.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/mutation.h"
#include "base/scratch_directory.h"

namespace sinter {
namespace {

using Counts = std::map<std::string, int64_t>;

std::vector<CorpusSample> read(const std::string& line, Counts* left_out = nullptr) {
  Counts counts;
  return read_trace_line(line, "t.jsonl:1", left_out == nullptr ? counts : *left_out);
}

std::string code_of(const std::string& line) {
  try {
    read(line);
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("t.jsonl:1"), std::string::npos) << e.what();
    return e.code();
  }
  return "";
}

const char* const kLines[] = {
    R"({"messages": [{"role": "user", "content": "a"}], "model": "m", "temperature": 0.5})",
    R"({"request": {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]},
        "response": {"choices": [{"message": {"role": "assistant", "content": "b", "refusal": null}}]}})",
    R"({"custom_id": "1", "body": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        "tools": [{"type": "function", "function": {"name": "f"}}]}})",
    R"({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]})",
    R"({"question_id": 1, "category": "x", "turns": ["a", "b"]})",
    R"({"turns": ["a"], "reference": ["b"]})",
    R"({"choices": [{"index": 0, "turns": ["a", "b"]}]})",
    R"({"text": "a"})",
    R"({"prompt": "a", "completion": "b"})",
    R"({"question": "a", "answer": "b"})",
    R"({"instruction": "a", "input": "c", "output": "b"})",
    R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "r"}]})",
};

TEST(Traces, EveryShape) {
  const auto messages = [](const CorpusSample& s) {
    std::string out;
    for (const Json& m : s.messages) {
      out += m["role"].get<std::string>() + ":" +
             (m["content"].is_string() ? m["content"].get<std::string>() : "-") + " ";
    }
    return s.is_chat() ? out : "text:" + s.text;
  };
  const std::vector<std::vector<std::string>> want = {
      {"user:a "},
      {"system:s user:a assistant:b "},
      {"user:a "},
      {"user:a assistant:b "},
      {"user:a ", "user:b "},
      {"user:a assistant:b "},
      {"text:a", "text:b"},
      {"text:a"},
      {"text:ab"},
      {"user:a assistant:b "},
      {"user:a\n\nc assistant:b "},
      {"user:a assistant:- tool:r "},
  };
  for (size_t i = 0; i < want.size(); ++i) {
    std::vector<std::string> got;
    for (const CorpusSample& s : read(kLines[i])) got.push_back(messages(s));
    EXPECT_EQ(got, want[i]) << kLines[i];
  }
  EXPECT_EQ(read(kLines[2])[0].tools.size(), 1u);
}

TEST(Traces, WhatDoesNotReachTheModelIsCounted) {
  Counts counts;
  read(kLines[0], &counts);
  read(kLines[4], &counts);
  read(R"({"messages": [{"role": "user", "content": "a", "weight": 1}]})", &counts);
  EXPECT_EQ(counts, (Counts{{"model", 1},
                            {"temperature", 1},
                            {"question_id", 1},
                            {"category", 1},
                            {"messages[].weight", 1}}));
}

TEST(Traces, UnknownIsAnError) {
  EXPECT_EQ(code_of(R"({"name": "x", "type": "pairwise"})"), "corpus-trace-shape");
  EXPECT_EQ(code_of("[1]"), "corpus-trace-shape");
  EXPECT_EQ(code_of("{"), "json-syntax");
  for (const char* line :
       {R"({"messages": []})", R"({"messages": [{"role": "robot", "content": "a"}]})",
        R"({"messages": [{"role": "user"}]})", R"({"messages": [{"role": "user", "content": 7}]})",
        R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]})",
        R"({"messages": [{"role": "assistant", "tool_calls": [{}]}]})", R"({"text": 3})",
        R"({"turns": "a"})", R"({"request": {"x": 1}})",
        R"({"messages": [{"role": "user", "content": "a"}], "tools": [{"name": "f"}]})",
        R"({"request": {"messages": [{"role": "user", "content": "a"}]}, "response": {"x": 1}})"}) {
    EXPECT_EQ(code_of(line), "corpus-trace-line") << line;
  }
}

TEST(Traces, ErrorsQuoteNoValues) {
  for (const char* line :
       {R"({"text": "TOPSECRET)", R"({"text": ["TOPSECRET"]})", R"({"messages": "TOPSECRET"})",
        R"(TOPSECRET)", R"({"conversations": [{"from": "TOPSECRET", "value": "a"}]})"}) {
    try {
      read(line);
      ADD_FAILURE() << line;
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find("TOPSECRET"), std::string::npos) << e.what();
    }
  }
}

TEST(Traces, DamagedLinesThrowOnlyError) {
  for (uint64_t seed = 0; seed < 6000; ++seed) {
    Counts counts;
    try {
      for (const CorpusSample& s : read(mutated(kLines[seed % std::size(kLines)], seed), &counts)) {
        EXPECT_EQ(read_sample(write_sample(s), "again").is_chat(), s.is_chat());
      }
    } catch (const Error&) {
    }
  }
}

TEST(Traces, FilesAreNamedByTheShortestEndThatDiffers) {
  const ScratchDirectory scratch("corpus-traces");
  const std::filesystem::path& dir = scratch.path();
  for (const char* name : {"a/q.jsonl", "b/q.jsonl", "b/n.md", "b/x.bin"}) {
    std::filesystem::create_directories((dir / name).parent_path());
    std::ofstream(dir / name) << "x";
  }
  const FoundTraces found = find_traces({(dir / "b").string(), (dir / "a/q.jsonl").string()});
  std::vector<std::string> names;
  for (const TraceFile& f : found.files) names.push_back(f.name);
  EXPECT_EQ(names, (std::vector<std::string>{"a/q.jsonl", "b/q.jsonl", "n.md"}));
  EXPECT_EQ(found.passed_over, std::vector<std::string>{"x.bin"});
  EXPECT_THROW(find_traces({(dir / "none").string()}), Error);
}

TEST(Traces, TextIsCutAtItsSeams) {
  const auto bytes = [](std::string_view part) { return static_cast<int64_t>(part.size()); };
  std::string text;
  for (int i = 0; i < 40; ++i)
    text += fmt::format("Line {} of it is here.\n{}", i, i % 4 == 3 ? "\n" : "");
  std::string joined;
  for (const std::string& part : split_text(text, 200, bytes)) {
    EXPECT_LE(part.size(), 200u);
    EXPECT_EQ(part.back(), '\n');
    joined += part;
  }
  EXPECT_EQ(joined, text);
  // No seam: between characters, and always shorter.
  std::string han;
  for (int i = 0; i < 500; ++i) han += "\xE6\x96\x87";
  for (const std::string& part : split_text(han, 100, bytes)) EXPECT_EQ(part.size() % 3, 0u);
}

}  // namespace
}  // namespace sinter
