// sinter corpus build: from traces to a corpus. Read, made free of personal data, of duplicates and
// of what evaluation suites ask, and then as much of it as a budget of tokens allows, chosen to
// cover what the traces cover.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "compress/corpus/leaks.h"

namespace sinter {

struct CorpusOptions {
  std::vector<std::string> traces;  // files and directories
  int64_t budget = 131072;          // tokens
  int64_t max_sample_tokens = 0;    // 0 = the model's context, and at most the budget
  int64_t context = 0;              // of the model; 0 = unknown
  uint64_t seed = 0;
  std::vector<std::string> suites;  // that must not leak in
  int leak_words = kLeakWords;
  std::vector<std::string> redact;      // NAME=REGEX
  std::vector<std::string> licence;     // ID for all sources, or FILE=ID
  std::vector<std::string> provenance;  // words for all sources, or FILE=WORDS
  bool skip_bad = false;
  int threads = 0;
  const std::atomic<bool>* stop = nullptr;
};

// The model whose tokens and templates count.
struct CorpusModel {
  const Chat& chat;
  int64_t context = 0;           // tokens; 0 = unknown
  std::string tokenizer_digest;  // SHA-256 of tokenizer.json
  std::string template_digest;   // of the chat template, empty if there is none
};

// Writes DIR/corpus.jsonl and then DIR/corpus.json, and gives the manifest. The bytes depend on the
// traces, the suites, the tokenizer and template, and the options but `threads`. Nothing is written
// unless all goes well. Throws Error.
Json build_corpus(const CorpusOptions& options, const CorpusModel& model,
                  const std::string& directory);

}  // namespace sinter
