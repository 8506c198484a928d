// What this program is: the version and commit that evidence records.
#pragma once

#include <string>

namespace sinter {

inline constexpr const char* kVersion = "0.1.0";

std::string build_commit();  // "unknown" outside a git checkout
std::string build_name();    // "sinter 0.1.0 (commit, compiler)"

}  // namespace sinter
