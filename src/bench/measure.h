// One model on one machine: runs cases through Model::forward, and says of each how long it took
// and what it had to read and multiply. Nothing is sampled and no text is made: the tokens are
// fixed.
#pragma once

#include <cstdint>

#include "bench/cases.h"
#include "model/model.h"

namespace sinter {

// What `tokens` tokens cost.
struct Sample {
  double seconds = 0;
  int64_t tokens = 0;
  double bytes = 0;   // weights and KV that the forwards must read
  double ops = 0;     // multiplications and additions of linears and attention
  double others = 0;  // cores that other processes kept busy meanwhile
  bool busy = false;  // `others` is more than housekeeping
};

// Bytes that the keys and values of a token take, over all layers.
double kv_bytes_per_token(Model& model);

// Runs `c` once. A prompt goes in chunks of at most `chunk`, with logits for its last row; else
// each sequence takes `steps` tokens, one a forward, with logits for each. Contexts beyond the
// first tokens are filled with copies of the first pages: attention costs the same whatever the
// values.
Sample run_case(Model& model, int64_t weight_bytes, const BenchCase& c, int64_t steps,
                int64_t chunk);

// How much work `c` is, in tokens: for progress.
int64_t case_tokens(const BenchCase& c, int64_t steps);

// KV pages that the case needs.
int64_t case_pages(const BenchCase& c, int64_t steps);

// Multiplications and additions of a row at `position`, without and with logits.
double row_ops(const ModelConfig& config, int64_t position, bool with_logits);

}  // namespace sinter
