// What becomes of a product's sums.
#pragma once

#include <stdint.h>

namespace sinter {

enum class Into : uint8_t { set, add, subtract };

}  // namespace sinter
