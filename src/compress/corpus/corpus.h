// A calibration corpus on disk: DIR/corpus.jsonl, one sample a line, and DIR/corpus.json, the
// manifest that says where the samples come from and what was done to them. Its digest is that of
// corpus.jsonl, so whatever is calibrated on it can name it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/chat.h"

namespace sinter {

constexpr const char* kCorpusSamples = "corpus.jsonl";
constexpr const char* kCorpusManifest = "corpus.json";

// Either text, or a conversation in OpenAI's form. A conversation that ends with the assistant's
// answer is rendered with it; another ends with the prompt for one.
struct CorpusSample {
  std::string id;      // unique; "SOURCE:LINE", and "#N" where a line makes several
  std::string source;  // name of a source in the manifest
  std::string kind;    // the task: "code", "mathematics" ... (coverage.h)
  int64_t n_tokens = 0;
  std::string text;
  Json messages;  // array, or null for text
  Json tools;     // array or null

  bool is_chat() const { return messages.is_array(); }
};

// The tokens a model sees. Throws what rendering and encoding throw.
std::vector<Token> corpus_tokens(const CorpusSample& sample, const Chat& chat);

// What people and models wrote, in order: contents, names and arguments of tool calls; for text the
// text. System messages and tools, which an application sends every time, only if `all`.
void for_each_text(const CorpusSample& sample, bool all,
                   const std::function<void(const std::string&)>& body);

Json write_sample(const CorpusSample& sample);
CorpusSample read_sample(const Json& line, const std::string& where);
// Its "messages" and "tools", or its "text"; other fields are not looked at.
CorpusSample read_content(const Json& line, const std::string& where);

struct Corpus {
  std::string directory;
  Json manifest;
  std::string digest;
  std::vector<CorpusSample> samples;
};

// Throws Error(corrupt, "corpus-digest") where corpus.jsonl is not what the manifest says, and
// Error(not_found | corrupt | bad_input) for the rest.
Corpus read_corpus(const std::string& directory);

}  // namespace sinter
