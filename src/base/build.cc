#include "base/build.h"

#include <fmt/format.h>

#ifndef SINTER_COMMIT
#define SINTER_COMMIT "unknown"
#endif

namespace sinter {

std::string build_commit() { return SINTER_COMMIT; }

std::string build_name() {
  return fmt::format("sinter {} ({}, {} {})", kVersion, build_commit(),
#ifdef __clang__
                     "clang",
#else
                     "g++",
#endif
                     __VERSION__);
}

}  // namespace sinter
