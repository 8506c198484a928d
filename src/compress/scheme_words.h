// The words of a recipe that say how a weight is stored (scheme, num_bits, group_size, symmetric,
// strategy): shared by every method that rounds.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "artifact/scheme.h"
#include "compress/yaml_tree.h"

namespace sinter {

inline constexpr std::array<std::string_view, 5> kSchemeWords = {"scheme", "num_bits", "group_size",
                                                                 "symmetric", "strategy"};

// The scheme that the words of `fields` describe, starting from `base`; nullopt = "scheme: dense".
// Throws Error(bad_input, "recipe-field").
std::optional<Scheme> read_scheme(const YamlFields& fields, const Scheme& base);

}  // namespace sinter
