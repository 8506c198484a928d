// Shapes of published models, for speed work with made-up weights: what config.json says about
// sizes and maths, and nothing of what was learned.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/json.h"

namespace sinter {

struct Shape {
  const char* name;
  int64_t parameters;  // as published
  const char* config;  // JSON: config.json without what all shapes share
};

std::span<const Shape> shapes();
const Shape& shape_named(const std::string& name);  // Error(bad_input, "shape-unknown")
// config.json of a bfloat16 checkpoint of this shape; n_layers 0 = as many as it has.
Json config_of(const Shape& shape, int32_t n_layers = 0);

}  // namespace sinter
