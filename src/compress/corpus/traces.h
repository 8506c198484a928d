// Trace files: what a production system logged, or any text. JSON lines (.jsonl, .ndjson) of the
// shapes below, or plain UTF-8 text. Untrusted: an object of no known shape is an error, and what
// of a known one does not reach the model is counted by key.
//
//   {"messages": [...], "tools": [...]}            a request to chat/completions
//   {"request": {...}, "response": {...}}          the same, logged with its answer
//   {"body": {...}}                                a line of a batch file
//   {"conversations": [{"from", "value"}]}         ShareGPT
//   {"turns": [...], "reference": [...]}           questions of FastChat; without answers each turn
//                                                  is a sample
//   {"choices": [{"turns": [...]}]}                answers of FastChat, as text
//   {"text": "..."}                                text
//   {"prompt": "...", "completion": "..."}         a request to completions: text
//   {"prompt" | "question" | "instruction" | "user_prompt" | "query": "...",
//    "response" | "answer" | "output" | "judgment": "..."}  one turn; also without the answer, but
//                                                  for "prompt", which is text then
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compress/corpus/corpus.h"

namespace sinter {

struct TraceFile {
  std::string path;
  std::string name;  // the shortest end of the path that no other file has
  bool lines = false;
};

struct FoundTraces {
  std::vector<TraceFile> files;          // by name
  std::vector<std::string> passed_over;  // files in directories that are no traces
};

// Files as they are, directories with all their .jsonl, .ndjson, .txt and .md. Throws
// Error(not_found | bad_input, "corpus-trace-file").
FoundTraces find_traces(const std::vector<std::string>& paths);

// Samples of one line; `left_out` counts keys that do not reach the model. Ids are not set. Throws
// Error(corrupt | bad_input, "corpus-trace-shape" | "corpus-trace-line" ...), never quoting a
// value.
std::vector<CorpusSample> read_trace_line(std::string_view line, const std::string& where,
                                          std::map<std::string, int64_t>& left_out);

// Cuts text where it is longer than `max_cost`, at blank lines, else line ends, else spaces.
// cost(part) is what a part would cost, and at most its bytes + 8.
std::vector<std::string> split_text(std::string_view text, int64_t max_cost,
                                    const std::function<int64_t(std::string_view)>& cost);

}  // namespace sinter
