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

// gguf_blocks_32.cc
extern const Codec kQ80;
extern const Codec kQ40;
extern const Codec kQ41;
extern const Codec kQ50;
extern const Codec kIq4Nl;

// gguf_blocks_256.cc
extern const Codec kQ4K;
extern const Codec kQ5K;
extern const Codec kQ6K;
extern const Codec kIq4Xs;

// float8.cc
extern const Codec kF8Row;
extern const Codec kF8Group;

// float4.cc
extern const Codec kMxfp4;
extern const Codec kNvfp4;
extern const Codec kNvfp4Div;

}  // namespace sinter
