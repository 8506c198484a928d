// The tokens that a model is calibrated on: from a corpus directory (docs/corpus.md), lines of
// JSON or plain text. Nothing is cut off and nothing is padded: a text longer than a sequence is
// split, and every token counts once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/chat.h"

namespace sinter {

struct CalibrationLimits {
  int64_t max_tokens = 0;       // whole sequences until there are so many; 0 = all
  int32_t sequence_tokens = 0;  // longest sequence; 0 = the model's context
};

struct Calibration {
  std::vector<std::vector<Token>> sequences;
  int64_t n_tokens = 0;
  std::string name;    // the last part of the path
  std::string digest;  // SHA-256 of the sequences' ids and lengths
};

// `path`: a directory as read_corpus has it, a .jsonl file whose lines are {"messages", "tools"?},
// {"text"}, {"ids"} or a list of ids, or else plain text, one document. `chat` may be null where
// every line has ids. Ids must be below `vocab`. Throws Error(not_found | bad_input,
// "calibration-..."), and what reading a corpus throws.
Calibration read_calibration(const std::string& path, const Chat* chat, int32_t vocab,
                             const CalibrationLimits& limits);

}  // namespace sinter
