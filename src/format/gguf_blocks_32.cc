// GGUF's formats with blocks of 32 columns and one half-precision scale d (and minimum m):
//
//   Q8_0    34 bytes   d | int8 q[32]                  value = d q
//   Q4_0    18         d | nibbles[16]                 value = d (q - 8)
//   Q4_1    20         d m | nibbles[16]               value = d q + m
//   Q5_0    22         d | bit 4 of each q, uint32 | nibbles[16]     value = d (q - 16)
//   IQ4_NL  18         d | nibbles[16]                 value = d level[q], 16 uneven levels
//
// Q8_0, Q4_0, Q4_1 and Q5_0 are packed bit for bit as ggml's reference does: float32 throughout.
#include "format/codecs.h"
#include "format/gguf_block.h"

namespace sinter {
namespace {

constexpr int kCols32 = 32;
using Values32 = BlockGrid<kCols32, 1>;

// The element of largest magnitude, with its sign; the first of several.
float peak_of(const float* w) {
  float peak = 0;
  for (int i = 0; i < kCols32; ++i) {
    if (std::abs(w[i]) > std::abs(peak)) peak = w[i];
  }
  return peak;
}

struct Q80 {
  static constexpr const char* kName = "q8_0";
  static constexpr int kCols = kCols32, kBytes = 34;
  static constexpr Grid kGrid = {.bits = 8, .bias = 128, .group = 32};
  using Values = Values32;

  static void pack(const float* w, uint8_t* block) {
    const float d = std::abs(peak_of(w)) / 127, inverse = reciprocal(d);
    store_half(d, block);
    for (int i = 0; i < kCols; ++i) {
      const float q = std::round(w[i] * inverse);  // half away from zero
      block[2 + i] = static_cast<uint8_t>(truncated_code(q + 128, 255) ^ 0x80);
    }
  }
  static void read(const uint8_t* block, Values& v) {
    v.scale[0] = load_half(block);
    for (size_t i = 0; i < kCols; ++i) v.codes[i] = block[2 + i] ^ 0x80;
  }
};

struct Q40 {
  static constexpr const char* kName = "q4_0";
  static constexpr int kCols = kCols32, kBytes = 18;
  static constexpr Grid kGrid = {.bits = 4, .bias = 8, .group = 32};
  using Values = Values32;

  static void pack(const float* w, uint8_t* block) {
    const float d = peak_of(w) / -8, inverse = reciprocal(d);
    store_half(d, block);
    uint8_t q[kCols];
    for (int i = 0; i < kCols; ++i) q[i] = truncated_code(w[i] * inverse + 8.5f, 15);
    pack_nibbles(q, block + 2);
  }
  static void read(const uint8_t* block, Values& v) {
    v.scale[0] = load_half(block);
    unpack_nibbles(block + 2, v.codes.data());
  }
};

struct Q41 {
  static constexpr const char* kName = "q4_1";
  static constexpr int kCols = kCols32, kBytes = 20;
  static constexpr Grid kGrid = {.bits = 4, .bias = 0, .has_offset = true, .group = 32};
  using Values = Values32;

  static void pack(const float* w, uint8_t* block) {
    float lo = w[0], hi = w[0];
    for (int i = 1; i < kCols; ++i) {
      lo = std::min(lo, w[i]);
      hi = std::max(hi, w[i]);
    }
    const float d = (hi - lo) / 15, inverse = reciprocal(d);
    store_half(d, block);
    store_half(lo, block + 2);
    uint8_t q[kCols];
    for (int i = 0; i < kCols; ++i) q[i] = truncated_code((w[i] - lo) * inverse + 0.5f, 15);
    pack_nibbles(q, block + 4);
  }
  static void read(const uint8_t* block, Values& v) {
    v.scale[0] = load_half(block);
    v.offset[0] = -load_half(block + 2);
    unpack_nibbles(block + 4, v.codes.data());
  }
};

struct Q50 {
  static constexpr const char* kName = "q5_0";
  static constexpr int kCols = kCols32, kBytes = 22;
  static constexpr Grid kGrid = {.bits = 5, .bias = 16, .group = 32};
  using Values = Values32;

  static void pack(const float* w, uint8_t* block) {
    const float d = peak_of(w) / -16, inverse = reciprocal(d);
    store_half(d, block);
    uint8_t q[kCols];
    uint32_t high = 0;
    for (int i = 0; i < kCols; ++i) {
      q[i] = truncated_code(w[i] * inverse + 16.5f, 31);
      high |= uint32_t{q[i]} >> 4 << i;
    }
    std::memcpy(block + 2, &high, sizeof high);
    pack_nibbles(q, block + 6);
  }
  static void read(const uint8_t* block, Values& v) {
    v.scale[0] = load_half(block);
    uint32_t high;
    std::memcpy(&high, block + 2, sizeof high);
    unpack_nibbles(block + 6, v.codes.data());
    for (size_t i = 0; i < kCols; ++i) {
      v.codes[i] = static_cast<uint8_t>(v.codes[i] | ((high >> i) & 1) << 4);
    }
  }
};

struct Iq4Nl {
  static constexpr const char* kName = "iq4_nl";
  static constexpr int kCols = kCols32, kBytes = 18;
  static constexpr Grid kGrid = {
      .levels = Grid::Levels::table, .bits = 4, .table = kNonLinear, .group = 32};
  using Values = Values32;

  static void pack(const float* w, uint8_t* block) {
    const float d = store_half(fit_scale<LevelsNonLinear>(w, kCols), block);
    const float inverse = reciprocal(d);
    uint8_t q[kCols];
    for (int i = 0; i < kCols; ++i) q[i] = nearest_non_linear(w[i] * inverse);
    pack_nibbles(q, block + 2);
  }
  static void read(const uint8_t* block, Values& v) {
    v.scale[0] = load_half(block);
    unpack_nibbles(block + 2, v.codes.data());
  }
};

}  // namespace

const Codec kQ80 = BlockCodec<Q80>::codec();
const Codec kQ40 = BlockCodec<Q40>::codec();
const Codec kQ41 = BlockCodec<Q41>::codec();
const Codec kQ50 = BlockCodec<Q50>::codec();
const Codec kIq4Nl = BlockCodec<Iq4Nl>::codec();

}  // namespace sinter
