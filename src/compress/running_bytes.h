// What models take in memory while they run, known before they are loaded, and of a compressed one
// before it is made.
#pragma once

#include <cstdint>
#include <vector>

#include "compress/plan.h"

namespace sinter {

// How much is run at once, at most.
struct RunShape {
  std::vector<int64_t> sequence_tokens;  // of the sequences that have keys and values together
  int64_t kv_bytes = 0;                  // that those may take, a model
  int64_t tokens = 0;                    // in all, of which each reads a row of the embedding
  int64_t step_tokens = 0;               // of a forward
  int64_t logit_rows = 0;                // of a forward
  int64_t text_bytes = 0;                // of memory, of the text side of both models
};

// Of a dense model beside what the plan makes of it, their logits compared row by row. Throws what
// opening the model as a decoder throws.
int64_t running_bytes(const Artifact& base, const CompressPlan& plan, const RunShape& run);

}  // namespace sinter
