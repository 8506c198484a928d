// Two models on the same tokens: the divergence of one's distributions from the other's, in nats.
#pragma once

#include <span>
#include <vector>

#include "app/loaded_model.h"

namespace sinter {

// sum p ln(p / q) of p = softmax(dense) and q = softmax(model), in doubles, in the order of the
// vocabulary. Requires rows of one length.
double divergence(std::span<const float> dense, std::span<const float> model);

using PairObserver = std::function<void(int32_t position, std::span<const float> dense,
                                        std::span<const float> model)>;

// for_each_row of two models of one vocabulary, in turns: one chunk's logits are kept, never a
// whole text's. Throws what for_each_row throws, naming neither model.
void for_each_row_pair(Decoder& dense, Decoder& model, const EngineOptions& options,
                       const std::vector<Token>& tokens, const PairObserver& pair);

}  // namespace sinter
