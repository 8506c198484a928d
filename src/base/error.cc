#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace sinter {

int exit_code(Fault fault) {
  switch (fault) {
    case Fault::bad_input:
    case Fault::not_found:
      return 2;
    case Fault::unsupported:
    case Fault::incompatible:
      return 4;
    case Fault::corrupt:
      return 5;
    case Fault::exhausted:
      return 6;
    case Fault::io:
      return 1;
    case Fault::interrupted:
      return 130;
  }
  return 1;
}

void check_failed(const char* file, int line, const char* expression) {
  std::fprintf(stderr, "sinter: bug: %s:%d: %s does not hold. Please report this line.\n", file,
               line, expression);
  std::abort();
}

}  // namespace sinter
