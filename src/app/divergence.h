// Two models on the same tokens: their logits side by side, of which model/logits.h makes a
// divergence.
#pragma once

#include <span>
#include <vector>

#include "app/loaded_model.h"

namespace sinter {

using PairObserver = std::function<void(int32_t position, std::span<const float> dense,
                                        std::span<const float> model)>;

// for_each_row of two models of one vocabulary, in turns, from position `from` (at least 1) on: one
// chunk's logits are kept, never a whole text's. Throws what for_each_row throws, naming neither
// model.
void for_each_row_pair(Decoder& dense, Decoder& model, const EngineOptions& options,
                       const std::vector<Token>& tokens, int32_t from, const PairObserver& pair);

}  // namespace sinter
