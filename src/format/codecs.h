// The codecs by name, for the one list in format.cc and for tests of one codec. Everybody else asks
// codecs() or format_named().
#pragma once

#include "format/format.h"

namespace sinter {

// plain.cc
extern const Codec kF32;
extern const Codec kF16;
extern const Codec kBf16;

// integer.cc
extern const Codec kI8Row;
extern const Codec kI8Group;
extern const Codec kI4Group;
extern const Codec kI3Group;
extern const Codec kI2Group;
extern const Codec kU8Group;
extern const Codec kU4Group;
extern const Codec kU3Group;
extern const Codec kU2Group;

}  // namespace sinter
