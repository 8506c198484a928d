// Equality of JSON values as JSON means it: the order of an object's keys does not matter, 1 equals
// 1.0, and 1 does not equal "1". (ordered_json's == compares keys in order.)
#pragma once

#include "base/json.h"

namespace sinter {

bool json_equal(const Json& a, const Json& b);

// Where two values differ first, for a person: "/city: expected \"Oslo\", found 7"; empty if equal.
std::string json_difference(const Json& expected, const Json& found);

}  // namespace sinter
