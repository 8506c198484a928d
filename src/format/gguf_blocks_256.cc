// GGUF's formats with super-blocks of 256 columns: each sub-block has a small integer scale (and
// minimum), the super-block a half-precision scale d (and dmin) of those.
//
//   Q4_K    144 bytes  d dmin | 6-bit scales and minima[12] | nibbles[128]
//   Q5_K    176        d dmin | the same | bit 4 of each q[32] | nibbles[128]
//             8 sub-blocks of 32: value = d s q - dmin m. Chunk c of 64 columns lies in nibbles
//             32c..: low halves are sub-block 2c, high halves 2c + 1; bit b of high-bit byte l
//             belongs to element l of sub-block b.
//   Q6_K    210        low nibbles[128] | high bits[64] | int8 s[16] | d
//             16 sub-blocks of 16: value = d s (q - 32). Half h of 128 columns: element l + 32k has
//             its low bits in byte 64h + l + 32 (k % 2), half k / 2; its high ones at 2k in 32h +
//             l.
//   IQ4_XS  136        d | high bits of s, uint16 | low nibbles of s[4] | nibbles[128]
//             8 sub-blocks of 32: value = d (s - 32) level[q]
#include "format/codecs.h"
#include "format/gguf_block.h"

namespace sinter {
namespace {

constexpr int kCols256 = 256;

// --- Scale and minimum per sub-block: value = (d s) q - (dmin m), s and m from 0 to 63. ---------

struct Line {
  double scale = 0, minimum = 0;  // w is about scale * q - minimum
};

constexpr int kLineGroup = 32, kLineGroups = 8, kTopScale = 63;

// Least squares of w over the codes, with minimum >= 0.
Line fit_line(const float* w, const uint8_t* q) {
  double sw = 0, sq = 0, sqq = 0, swq = 0;
  for (int i = 0; i < kLineGroup; ++i) {
    const double x = w[i], c = q[i];
    sw += x;
    sq += c;
    sqq += c * c;
    swq += x * c;
  }
  const double determinant = kLineGroup * sqq - sq * sq;
  Line line{.scale = sqq > 0 ? swq / sqq : 0, .minimum = 0};
  if (determinant <= 0) return line;
  const double minimum = (sq * swq - sqq * sw) / determinant;
  if (minimum > 0) line = {(kLineGroup * swq - sw * sq) / determinant, minimum};
  return line;
}

double squared_error(const float* w, float scale, float minimum, int top, uint8_t* q) {
  const float inverse = reciprocal(scale);
  double sum = 0;
  for (int i = 0; i < kLineGroup; ++i) {
    q[i] = truncated_code((w[i] + minimum) * inverse + 0.5f, top);
    const double e = static_cast<double>(scale * static_cast<float>(q[i]) - minimum - w[i]);
    sum += e * e;
  }
  return sum;
}

// The best line for a sub-block alone: steps around the one that spans its range, each refitted.
Line search_line(const float* w, int top) {
  float lo = 0, hi = 0;
  for (int i = 0; i < kLineGroup; ++i) {
    lo = std::min(lo, w[i]);
    hi = std::max(hi, w[i]);
  }
  const float range = hi - lo;
  if (!(range > 0) || !std::isfinite(range)) return {.scale = 0, .minimum = -lo};
  Line best;
  double least = HUGE_VAL;
  uint8_t q[kLineGroup];
  for (int k = -15; k <= 10; ++k) {
    const float scale = range / (static_cast<float>(top) + 0.1f * static_cast<float>(k));
    squared_error(w, scale, -lo, top, q);
    const Line line = fit_line(w, q);
    const double error =
        squared_error(w, static_cast<float>(line.scale), static_cast<float>(line.minimum), top, q);
    if (error < least) {
      least = error;
      best = line;
    }
  }
  return best;
}

struct LineBlock {
  uint8_t halves[4] = {};  // d, dmin as stored
  std::array<uint8_t, kLineGroups> scale{}, minimum{};
  std::array<uint8_t, kCols256> codes{};
  double error = 0;
};

// Codes and integer scales near `lines`, best for this d and dmin (after rounding to halves).
LineBlock quantise_lines(const float* w, const std::array<Line, kLineGroups>& lines, double d,
                         double dmin, int top) {
  LineBlock block;
  const float step = store_half(static_cast<float>(d), block.halves);
  const float min_step = store_half(static_cast<float>(dmin), block.halves + 2);
  for (size_t g = 0; g < kLineGroups; ++g) {
    const float* part = w + g * kLineGroup;
    const auto near = [](double x, float unit) {
      return truncated_code(static_cast<float>(x) * reciprocal(unit) + 0.5f, kTopScale);
    };
    const int s0 = near(lines[g].scale, step), m0 = near(lines[g].minimum, min_step);
    double least = HUGE_VAL;
    for (int s = std::max(s0 - 1, 0); s <= std::min(s0 + 1, kTopScale); ++s) {
      for (int m = std::max(m0 - 1, 0); m <= std::min(m0 + 1, kTopScale); ++m) {
        uint8_t q[kLineGroup];
        const double error = squared_error(part, step * static_cast<float>(s),
                                           min_step * static_cast<float>(m), top, q);
        if (!(error < least) && least != HUGE_VAL) continue;
        least = error;
        block.scale[g] = static_cast<uint8_t>(s);
        block.minimum[g] = static_cast<uint8_t>(m);
        std::copy(q, q + kLineGroup, block.codes.data() + g * kLineGroup);
      }
    }
    block.error += least;
  }
  return block;
}

// d and dmin by least squares for the integers that a block has.
std::pair<double, double> refit_steps(const float* w, const LineBlock& b) {
  double waa = 0, wab = 0, wbb = 0, wxa = 0, wxb = 0;  // w ~ d * a - dmin * b
  for (size_t i = 0; i < kCols256; ++i) {
    const size_t g = i / kLineGroup;
    const double a = b.scale[g] * b.codes[i], m = b.minimum[g], x = w[i];
    waa += a * a;
    wab += a * m;
    wbb += m * m;
    wxa += x * a;
    wxb += x * m;
  }
  const double determinant = waa * wbb - wab * wab;
  if (determinant <= 0) return {waa > 0 ? wxa / waa : 0, 0};
  return {(wxa * wbb - wxb * wab) / determinant, (wxa * wab - wxb * waa) / determinant};
}

LineBlock best_lines(const float* w, int top) {
  std::array<Line, kLineGroups> lines;
  double scale = 0, minimum = 0;
  for (size_t g = 0; g < kLineGroups; ++g) {
    lines[g] = search_line(w + g * kLineGroup, top);
    scale = std::max(scale, lines[g].scale);
    minimum = std::max(minimum, lines[g].minimum);
  }
  LineBlock best = quantise_lines(w, lines, scale / kTopScale, minimum / kTopScale, top);
  for (int round = 0; round < 2; ++round) {
    const auto [d, dmin] = refit_steps(w, best);
    if (!(d > 0) || !(dmin >= 0)) break;
    const LineBlock next = quantise_lines(w, lines, d, dmin, top);
    if (!(next.error < best.error)) break;
    best = next;
  }
  return best;
}

// Eight 6-bit scales s and minima m in 12 bytes: byte j has s_j and, at the top, the high two bits
// of s_(j+4); byte j + 4 the same of m; byte j + 8 the low nibbles of s_(j+4) and m_(j+4).
void pack_scales(const LineBlock& b, uint8_t* out) {
  for (size_t j = 0; j < 4; ++j) {
    out[j] = static_cast<uint8_t>(b.scale[j] | b.scale[j + 4] >> 4 << 6);
    out[j + 4] = static_cast<uint8_t>(b.minimum[j] | b.minimum[j + 4] >> 4 << 6);
    out[j + 8] = static_cast<uint8_t>((b.scale[j + 4] & 15) | (b.minimum[j + 4] & 15) << 4);
  }
}

template <typename Values>
void read_scales(const uint8_t* halves, const uint8_t* in, Values& v) {
  v.super_scale = load_half(halves);
  v.super_offset = load_half(halves + 2);
  for (size_t j = 0; j < 4; ++j) {
    v.scale[j] = static_cast<float>(in[j] & 63);
    v.offset[j] = static_cast<float>(in[j + 4] & 63);
    v.scale[j + 4] = static_cast<float>((in[j + 8] & 15) | in[j] >> 6 << 4);
    v.offset[j + 4] = static_cast<float>(in[j + 8] >> 4 | in[j + 4] >> 6 << 4);
  }
}

// Q4_K and Q5_K: chunk c of 64 columns, low halves then high halves.
void pack_chunks(const uint8_t* q, uint8_t* out) {
  for (int c = 0; c < 4; ++c, q += 64) {
    for (int l = 0; l < 32; ++l) {
      *out++ = static_cast<uint8_t>((q[l] & 15) | (q[l + 32] & 15) << 4);
    }
  }
}
void unpack_chunks(const uint8_t* in, uint8_t* q) {
  for (int c = 0; c < 4; ++c, q += 64, in += 32) {
    for (int l = 0; l < 32; ++l) {
      q[l] = in[l] & 15;
      q[l + 32] = in[l] >> 4;
    }
  }
}

struct Q4K {
  static constexpr const char* kName = "q4_k";
  static constexpr int kCols = kCols256, kBytes = 144;
  static constexpr Grid kGrid = {
      .bits = 4, .bias = 0, .has_offset = true, .group = 32, .super = 256};
  using Values = BlockGrid<kCols, 8>;

  static void pack(const float* w, uint8_t* block) {
    const LineBlock b = best_lines(w, 15);
    std::copy(b.halves, b.halves + 4, block);
    pack_scales(b, block + 4);
    pack_chunks(b.codes.data(), block + 16);
  }
  static void read(const uint8_t* block, Values& v) {
    read_scales(block, block + 4, v);
    unpack_chunks(block + 16, v.codes.data());
  }
};

struct Q5K {
  static constexpr const char* kName = "q5_k";
  static constexpr int kCols = kCols256, kBytes = 176;
  static constexpr Grid kGrid = {
      .bits = 5, .bias = 0, .has_offset = true, .group = 32, .super = 256};
  using Values = BlockGrid<kCols, 8>;

  static void pack(const float* w, uint8_t* block) {
    const LineBlock b = best_lines(w, 31);
    std::copy(b.halves, b.halves + 4, block);
    pack_scales(b, block + 4);
    for (size_t l = 0; l < 32; ++l) {
      uint32_t high = 0;
      for (size_t g = 0; g < 8; ++g) high |= uint32_t{b.codes[g * 32 + l]} >> 4 << g;
      block[16 + l] = static_cast<uint8_t>(high);
    }
    pack_chunks(b.codes.data(), block + 48);
  }
  static void read(const uint8_t* block, Values& v) {
    read_scales(block, block + 4, v);
    unpack_chunks(block + 48, v.codes.data());
    for (size_t i = 0; i < kCols; ++i) {
      const int high = (block[16 + i % 32] >> (i / 32)) & 1;
      v.codes[i] = static_cast<uint8_t>(v.codes[i] | high << 4);
    }
  }
};

// --- Scale alone per sub-block: value = (d s) level(q), s in [lowest, -lowest - 1]. -------------

template <typename Levels, int group, int lowest>
struct ScaleBlock {
  static constexpr int kGroups = kCols256 / group;
  uint8_t half[2] = {};
  std::array<int, kGroups> scale{};
  std::array<uint8_t, kCols256> codes{};
  double error = 0;

  static ScaleBlock quantise(const float* w, const std::array<float, kGroups>& scales, double d) {
    ScaleBlock block;
    const float step = store_half(static_cast<float>(d), block.half);
    for (size_t g = 0; g < kGroups; ++g) {
      const float* part = w + g * group;
      const float wanted = scales[g] * reciprocal(step);
      const int s0 = static_cast<int>(
          std::lrint(std::clamp<double>(std::isnan(wanted) ? 0 : wanted, lowest, -lowest - 1)));
      double least = HUGE_VAL;
      for (int s = std::max(s0 - 1, lowest); s <= std::min(s0 + 1, -lowest - 1); ++s) {
        const float scale = step * static_cast<float>(s), inverse = reciprocal(scale);
        uint8_t q[group];
        double error = 0;
        for (int i = 0; i < group; ++i) {
          q[i] = Levels::nearest(part[i] * inverse);
          const double e = static_cast<double>(scale * Levels::level(q[i]) - part[i]);
          error += e * e;
        }
        if (!(error < least) && least != HUGE_VAL) continue;
        least = error;
        block.scale[g] = s;
        std::copy(q, q + group, block.codes.data() + g * group);
      }
      block.error += least;
    }
    return block;
  }

  static ScaleBlock best(const float* w) {
    std::array<float, kGroups> scales;
    float largest = 0;
    for (size_t g = 0; g < kGroups; ++g) {
      scales[g] = fit_scale<Levels>(w + g * group, group);
      if (std::abs(scales[g]) > std::abs(largest)) largest = scales[g];
    }
    ScaleBlock block = quantise(w, scales, largest / static_cast<float>(lowest));
    for (int round = 0; round < 2; ++round) {
      double xa = 0, aa = 0;
      for (size_t i = 0; i < kCols256; ++i) {
        const double a =
            block.scale[i / group] * static_cast<double>(Levels::level(block.codes[i]));
        xa += static_cast<double>(w[i]) * a;
        aa += a * a;
      }
      if (!(aa > 0)) break;
      const ScaleBlock next = quantise(w, scales, xa / aa);
      if (!(next.error < block.error)) break;
      block = next;
    }
    return block;
  }
};

struct Q6K {
  static constexpr const char* kName = "q6_k";
  static constexpr int kCols = kCols256, kBytes = 210;
  static constexpr Grid kGrid = {.bits = 6, .bias = 32, .group = 16, .super = 256};
  using Values = BlockGrid<kCols, 16>;

  static void pack(const float* w, uint8_t* block) {
    const auto b = ScaleBlock<Levels6, 16, -128>::best(w);
    uint8_t *low = block, *high = block + 128;
    const uint8_t* q = b.codes.data();
    for (int h = 0; h < 2; ++h, low += 64, high += 32, q += 128) {
      for (int l = 0; l < 32; ++l) {
        low[l] = static_cast<uint8_t>((q[l] & 15) | (q[l + 64] & 15) << 4);
        low[l + 32] = static_cast<uint8_t>((q[l + 32] & 15) | (q[l + 96] & 15) << 4);
        high[l] = static_cast<uint8_t>(q[l] >> 4 | q[l + 32] >> 4 << 2 | q[l + 64] >> 4 << 4 |
                                       q[l + 96] >> 4 << 6);
      }
    }
    for (size_t g = 0; g < 16; ++g) block[192 + g] = static_cast<uint8_t>(b.scale[g]);
    std::copy(b.half, b.half + 2, block + 208);
  }
  static void read(const uint8_t* block, Values& v) {
    const uint8_t *low = block, *high = block + 128;
    uint8_t* q = v.codes.data();
    for (int h = 0; h < 2; ++h, low += 64, high += 32, q += 128) {
      for (int l = 0; l < 32; ++l) {
        q[l] = static_cast<uint8_t>((low[l] & 15) | (high[l] & 3) << 4);
        q[l + 32] = static_cast<uint8_t>((low[l + 32] & 15) | (high[l] >> 2 & 3) << 4);
        q[l + 64] = static_cast<uint8_t>(low[l] >> 4 | (high[l] >> 4 & 3) << 4);
        q[l + 96] = static_cast<uint8_t>(low[l + 32] >> 4 | high[l] >> 6 << 4);
      }
    }
    for (size_t g = 0; g < 16; ++g) {
      v.scale[g] = static_cast<float>(static_cast<int8_t>(block[192 + g]));
    }
    v.super_scale = load_half(block + 208);
  }
};

struct Iq4Xs {
  static constexpr const char* kName = "iq4_xs";
  static constexpr int kCols = kCols256, kBytes = 136;
  static constexpr Grid kGrid = {
      .levels = Grid::Levels::table, .bits = 4, .table = kNonLinear, .group = 32, .super = 256};
  using Values = BlockGrid<kCols, 8>;

  static void pack(const float* w, uint8_t* block) {
    const auto b = ScaleBlock<LevelsNonLinear, 32, -32>::best(w);
    std::copy(b.half, b.half + 2, block);
    uint32_t high = 0;
    for (size_t g = 0; g < 8; g += 2) {
      const auto even = static_cast<uint32_t>(b.scale[g] + 32);
      const auto odd = static_cast<uint32_t>(b.scale[g + 1] + 32);
      block[4 + g / 2] = static_cast<uint8_t>((even & 15) | (odd & 15) << 4);
      high |= even >> 4 << (2 * g) | odd >> 4 << (2 * g + 2);
    }
    const auto stored = static_cast<uint16_t>(high);
    std::memcpy(block + 2, &stored, sizeof stored);
    for (size_t g = 0; g < 8; ++g) pack_nibbles(b.codes.data() + g * 32, block + 8 + g * 16);
  }
  static void read(const uint8_t* block, Values& v) {
    v.super_scale = load_half(block);
    uint16_t high;
    std::memcpy(&high, block + 2, sizeof high);
    for (size_t g = 0; g < 8; ++g) {
      const int low = block[4 + g / 2] >> (4 * (g % 2)) & 15;
      v.scale[g] = static_cast<float>((low | (high >> (2 * g) & 3) << 4) - 32);
      unpack_nibbles(block + 8 + g * 16, v.codes.data() + g * 32);
    }
  }
};

}  // namespace

const Codec kQ4K = BlockCodec<Q4K>::codec();
const Codec kQ5K = BlockCodec<Q5K>::codec();
const Codec kQ6K = BlockCodec<Q6K>::codec();
const Codec kIq4Xs = BlockCodec<Iq4Xs>::codec();

}  // namespace sinter
