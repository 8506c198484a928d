// A few items of a suite for a quick look: as many from every behaviour and rung, drawn by a seed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gate/item.h"

namespace sinter {

// All items' places in an order of which every beginning is a stratified sample: one item of each
// (domain, behaviour, rung) in turn until they run out, in an order that the seed draws.
std::vector<size_t> stratified_order(const Suite& suite, uint64_t seed);

// Those items alone, without texts. Its digest is its own, so that nothing takes it for the suite.
Suite part_of(const Suite& suite, std::span<const size_t> items);

}  // namespace sinter
