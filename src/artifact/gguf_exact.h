// Weights that are whole numbers times a scale, as GGUF's blocks of 32 columns with the same
// values: the same grid in another container, so nothing is rounded.
#pragma once

#include <string>

#include "base/threads.h"
#include "format/format.h"

namespace sinter {

// The smallest of Q4_0, Q4_1, Q5_0 and Q8_0 (or `wanted` alone, if it is not null) that holds every
// weight of the matrix as it is. Null if none does; `why` then says what is in the way.
const Codec* exact_blocks(const Weight& weight, const Codec* wanted, ThreadPool& threads,
                          std::string& why);

// Row `row` in the blocks of a codec that exact_blocks() found.
void pack_exact_row(const Weight& weight, int64_t row, const Codec& codec, uint8_t* out);

}  // namespace sinter
