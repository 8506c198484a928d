// The panel kernels, written once over 16 lanes. Each instruction set's file defines `Lanes` (its
// vectors of 16 floats and 16 int32) in its own unnamed namespace and includes this into it: so no
// function here ever has a copy that another CPU could come to run.
//
// For every output the order is the same whatever the number of inputs, panels or threads: columns
// of a block upwards in one chain of fused multiply-adds from zero, then one fma into the total.
// int8 blocks are exact integers. So all instruction sets give the same bits, where fma is fused.

using V = Lanes::Float;
using I = Lanes::Int;

#define SINTER_INLINE __attribute__((always_inline))

// repeat<N>(body): body(0) .. body(N - 1), each index a constant of its own type. A loop that the
// compiler unrolls later leaves arrays of vectors in memory; this never does.
template <int i>
struct Index {
  constexpr operator int() const { return i; }  // NOLINT(google-explicit-constructor)
};
template <int... i>
struct Indices {
  template <typename Body>
  SINTER_INLINE static void each(const Body& body) {
    (body(Index<i>{}), ...);
  }
};
template <int n, int... i>
struct FirstIndices : FirstIndices<n - 1, n - 1, i...> {};
template <int... i>
struct FirstIndices<0, i...> {
  using Type = Indices<i...>;
};
template <int n, typename Body>
SINTER_INLINE inline void repeat(const Body& body) {
  FirstIndices<n>::Type::each(body);
}

// ---- Codes: column 4i+j of a unit as floats; columns 4i .. 4i+3 as unsigned bytes ----

struct Lookup {
  explicit Lookup(const Panels& w) : table(w.table), bias(static_cast<float>(w.bias)) {}
  Lanes::Table table;  // of b4 and b4_table
  float bias;
};

// Codes that are bytes as they lie. kSmall: below 128, which AVX2 multiplies faster.
template <bool small>
struct B8 {
  static constexpr int64_t kUnitBytes = 512;
  static constexpr bool kSmall = small;
  static constexpr bool kUniform = true;
  template <int i>
  static I bytes(const uint8_t* unit, const Lookup&) {
    return Lanes::load_int(unit + 64 * i);
  }
  template <int i, int j>
  static V level(const uint8_t* unit, const Lookup& l) {
    return Lanes::byte_level<j>(bytes<i>(unit, l), l.bias);
  }
};

// Quad i of codes of 4 and of 2 bits, a byte each.
template <int i>
I nibbles(const uint8_t* at) {
  return Lanes::bits(Lanes::shift<-4 * (i % 2)>(Lanes::load_int(at + 64 * (i / 2))), 0x0F0F0F0F);
}
template <int i>
I pairs(const uint8_t* at) {
  return Lanes::bits(Lanes::shift<-2 * (i % 4)>(Lanes::load_int(at + 64 * (i / 4))), 0x03030303);
}
// Bit i of each byte, moved to bit `to`.
template <int i, int to>
I top_bit(const uint8_t* at) {
  return Lanes::bits(Lanes::shift<to - i>(Lanes::load_int(at)), 0x01010101u << to);
}

template <typename Self, int64_t unit_bytes>
struct SmallCodes {
  static constexpr int64_t kUnitBytes = unit_bytes;
  static constexpr bool kSmall = true;
  static constexpr bool kUniform = false;
  template <int i, int j>
  static V level(const uint8_t* unit, const Lookup& l) {
    return Lanes::byte_level<j>(Self::template bytes<i>(unit, l), l.bias);
  }
};

struct B2 : SmallCodes<B2, 128> {
  template <int i>
  static I bytes(const uint8_t* unit, const Lookup&) {
    return pairs<i>(unit);
  }
};
struct B3 : SmallCodes<B3, 192> {
  template <int i>
  static I bytes(const uint8_t* unit, const Lookup&) {
    return Lanes::either(pairs<i>(unit), top_bit<i, 2>(unit + 128));
  }
};
struct B5 : SmallCodes<B5, 320> {
  template <int i>
  static I bytes(const uint8_t* unit, const Lookup&) {
    return Lanes::either(nibbles<i>(unit), top_bit<i, 4>(unit + 256));
  }
};
struct B6 : SmallCodes<B6, 384> {
  template <int i>
  static I bytes(const uint8_t* unit, const Lookup&) {
    return Lanes::either(nibbles<i>(unit), Lanes::shift<4>(pairs<i>(unit + 256)));
  }
};

struct B4 : SmallCodes<B4, 256> {
  template <int i>
  static I bytes(const uint8_t* unit, const Lookup&) {
    return nibbles<i>(unit);
  }
  template <int i, int j, typename L = Lanes>
  static V level(const uint8_t* unit, const Lookup& l) {
    if constexpr (L::kNibbleLevels) {
      return L::template nibble_level<(i % 2) * 4 + 8 * j>(Lanes::load_int(unit + 64 * (i / 2)),
                                                           l.table);
    } else {
      return Lanes::byte_level<j>(nibbles<i>(unit), l.bias);
    }
  }
};
// As bytes, levels are stored above 128: w.bias is 128.
struct B4Table : SmallCodes<B4Table, 256> {
  static constexpr bool kSmall = false;
  template <int i>
  static I bytes(const uint8_t* unit, const Lookup& l) {
    return Lanes::lookup_bytes(nibbles<i>(unit), l.table);
  }
  template <int i, int j>
  static V level(const uint8_t* unit, const Lookup& l) {
    if constexpr (Lanes::kNibbleLevels) return B4::level<i, j>(unit, l);
    return Lanes::byte_level<j>(bytes<i>(unit, l), l.bias);
  }
};

struct E4m3 {
  static constexpr int64_t kUnitBytes = 512;
  static constexpr bool kUniform = true;
  template <int i, int j>
  static V level(const uint8_t* unit, const Lookup&) {
    return Lanes::load_e4m3(unit + 16 * (4 * i + j));
  }
};
struct F16 {
  static constexpr int64_t kUnitBytes = 1024;
  static constexpr bool kUniform = true;
  template <int i, int j>
  static V level(const uint8_t* unit, const Lookup&) {
    return Lanes::load_f16(unit + 32 * (4 * i + j));
  }
};
struct Bf16 {
  static constexpr int64_t kUnitBytes = 1024;
  static constexpr bool kUniform = true;
  template <int i, int j>
  static V level(const uint8_t* unit, const Lookup&) {
    const I v = Lanes::load_int(unit + 64 * (2 * i + j / 2));
    return j % 2 == 0 ? Lanes::as_float(Lanes::shift<16>(v))
                      : Lanes::as_float(Lanes::bits(v, 0xFFFF0000u));
  }
};
struct F32 {
  static constexpr int64_t kUnitBytes = 2048;
  static constexpr bool kUniform = true;
  template <int i, int j>
  static V level(const uint8_t* unit, const Lookup&) {
    return Lanes::load(reinterpret_cast<const float*>(unit) + 16 * (4 * i + j));
  }
};

// ---- Factors of a group ----

// `ahead`: asks for those of so many panels on, too (see kCodesAhead).
template <int ahead>
inline V load_factors(const Factors& f, int64_t panel, int64_t group) {
  const int64_t at = (panel * f.per_panel + group) * kPanelRows;
  const int64_t next = at + ahead * f.per_panel * kPanelRows;
  if constexpr (ahead > 0) __builtin_prefetch(f.at + next * factor_bytes(f.kind), 0, 2);
  switch (f.kind) {
    case FactorKind::f32:
      return Lanes::load(reinterpret_cast<const float*>(f.at) + at);
    case FactorKind::f16:
      return Lanes::load_f16(f.at + 2 * at);
    case FactorKind::bf16:
      return Lanes::load_bf16(f.at + 2 * at);
    case FactorKind::e8m0:
      return Lanes::load_e8m0(f.at + at);
    case FactorKind::e4m3:
      return Lanes::load_e4m3(f.at + at);
    case FactorKind::i8:
      return Lanes::load_i8(f.at + at);
    case FactorKind::none:
      break;
  }
  return Lanes::broadcast(1.0f);
}

// The scales and offsets of one block of each of P panels.
template <int P>
struct BlockFactors {
  static constexpr int kAhead = P == Lanes::kFusedPanels ? P : 0;
  V scale[P], offset[P];
  bool has_offset;

  void load(const Panels& w, int64_t panel, int64_t block) {
    has_offset = w.offset.kind != FactorKind::none;
    repeat<P>([&](auto p) SINTER_INLINE {
      scale[p] = load_factors<kAhead>(w.scale, panel + p, block / w.scale.blocks);
      if (w.super_scale.kind != FactorKind::none) {
        scale[p] = Lanes::mul(
            scale[p], load_factors<kAhead>(w.super_scale, panel + p, block / w.super_scale.blocks));
      }
      offset[p] = Lanes::zero();
      if (!has_offset) return;
      offset[p] = load_factors<kAhead>(w.offset, panel + p, block / w.offset.blocks);
      if (w.offset_is_zero_point) offset[p] = Lanes::mul(offset[p], scale[p]);
      if (w.super_offset.kind != FactorKind::none) {
        offset[p] = Lanes::mul(offset[p], load_factors<kAhead>(w.super_offset, panel + p,
                                                               block / w.super_offset.blocks));
      }
    });
  }
};

// ---- Blocks: P panels by N inputs ----

// One quad of columns, i = 0..7 of a unit, into the sums. `row`: elements from one input to the
// next; 0 = they lie in a tile (PanelJob).
template <typename Codes, int P, int N, int i, int row>
inline SINTER_INLINE void exact_quad(const uint8_t* const (&unit)[P], const Lookup& l,
                                     const float* x, V (&sum)[P][N]) {
  repeat<4>([&](auto j) SINTER_INLINE {
    V w[P];
    repeat<P>([&](auto p) SINTER_INLINE { w[p] = Codes::template level<i, j>(unit[p], l); });
    repeat<N>([&](auto n) SINTER_INLINE {
      const V input = Lanes::broadcast(x[row == 0 ? (4 * i + j) * N + n : n * row + 4 * i + j]);
      repeat<P>([&](auto p) SINTER_INLINE { Lanes::accumulate(w[p], input, sum[p][n]); });
    });
  });
}

template <typename Codes, int P, int N, int i>
inline SINTER_INLINE void int8_quad(const uint8_t* const (&unit)[P], const Lookup& l,
                                    const int8_t* x, I (&sum)[P][N]) {
  I w[P];
  repeat<P>([&](auto p) SINTER_INLINE { w[p] = Codes::template bytes<i>(unit[p], l); });
  repeat<N>([&](auto n) SINTER_INLINE {
    const int8_t* four = x + 4 * (i * N + n);
    repeat<P>([&](auto p) SINTER_INLINE {
      sum[p][n] = Lanes::template dot4<Codes::kSmall>(sum[p][n], w[p], four);
    });
  });
}

struct ExactMode {
  using Input = float;
  using Sum = V;
  template <typename Codes, int P, int N, int i, int row>
  static inline SINTER_INLINE void quad(const uint8_t* const (&unit)[P], const Lookup& l,
                                        const float* x, V (&sum)[P][N]) {
    exact_quad<Codes, P, N, i, row>(unit, l, x, sum);
  }
};
struct Int8Mode {
  using Input = int8_t;
  using Sum = I;
  template <typename Codes, int P, int N, int i, int row>
  static inline SINTER_INLINE void quad(const uint8_t* const (&unit)[P], const Lookup& l,
                                        const int8_t* x, I (&sum)[P][N]) {
    int8_quad<Codes, P, N, i>(unit, l, x, sum);
  }
};

// Quads first .. last - 1 of a unit. Where all quads are laid out alike a loop does, else each is
// code of its own, with its own shifts.
template <typename Mode, typename Codes, int P, int N, int first, int last, int row = 0>
inline SINTER_INLINE void quads(const uint8_t* const (&unit)[P], const Lookup& l,
                                const typename Mode::Input* x, typename Mode::Sum (&sum)[P][N]) {
  if constexpr (Codes::kUniform) {
    for (int64_t i = first; i < last; ++i) {
      const uint8_t* at[P];
      repeat<P>([&](auto p) SINTER_INLINE { at[p] = unit[p] + i * (Codes::kUnitBytes / 8); });
      Mode::template quad<Codes, P, N, 0, row>(at, l, x + 4 * i * (row == 0 ? N : 1), sum);
    }
  } else {
    repeat<last - first>([&](auto i) SINTER_INLINE {
      Mode::template quad<Codes, P, N, first + i, row>(unit, l, x, sum);
    });
  }
}

// Few inputs are bound by memory, whose latency a core hides only while its prefetchers run. Those
// stop at every page of 4 KiB, where all panels of a pass stop at once, and follow no run as short
// as a panel's factors. So a pass over packed codes asks for codes so many bytes ahead, and for the
// factors of the panels of the next pass.
constexpr int64_t kCodesAhead = 512;

// total[p][n] += blocks [begin, end) of panels panel .. panel+P-1 times inputs first .. first+N-1.
// codes[p]: of the panel, from block `begin` on.
template <typename Mode, typename Codes, int P, int N>
void add_blocks(const PanelJob& job, const Lookup& l, int64_t panel, int64_t first, int64_t begin,
                int64_t end, const uint8_t* const (&codes)[P], V (&total)[P][N]) {
  const Panels& w = *job.weight;
  constexpr bool kInt8 = sizeof(typename Mode::Input) == 1;
  const uint8_t* unit[P];
  repeat<P>([&](auto p) SINTER_INLINE { unit[p] = codes[p]; });
  const typename Mode::Input* x;
  if constexpr (kInt8) {
    x = job.codes + first * w.columns + begin * job.block / kUnitColumns * kUnitColumns * N;
  } else {
    x = job.x + first * w.columns + begin * job.block / kUnitColumns * kUnitColumns * N;
  }
  // Half units of 16 columns: the smallest block. Counted from `begin`, a unit's start or middle.
  int64_t half = begin * job.block / kHalfUnit;
  for (int64_t b = begin; b < end; ++b) {
    typename Mode::Sum sum[P][N];
    repeat<N>([&](auto n) SINTER_INLINE {
      repeat<P>([&](auto p) SINTER_INLINE {
        if constexpr (kInt8) {
          sum[p][n] = Lanes::broadcast_int(job.x_bias[b * job.n + first + n]);
        } else {
          sum[p][n] = Lanes::zero();
        }
      });
    });
    int64_t last = (b + 1) * job.block / kHalfUnit;
    if (last > w.columns / kHalfUnit) last = w.columns / kHalfUnit;
    for (; half < last; ++half) {
      if constexpr (P == Lanes::kFusedPanels) {
        constexpr int64_t kBytes = Codes::kUnitBytes / 2;
        repeat<P>([&](auto p) SINTER_INLINE {
          repeat<kBytes / 64>([&](auto line) SINTER_INLINE {
            __builtin_prefetch(unit[p] + kCodesAhead + half % 2 * kBytes + 64 * line, 0, 2);
          });
        });
      }
      if (half % 2 == 0) {
        quads<Mode, Codes, P, N, 0, 4>(unit, l, x, sum);
      } else {
        quads<Mode, Codes, P, N, 4, 8>(unit, l, x, sum);
        repeat<P>([&](auto p) SINTER_INLINE { unit[p] += Codes::kUnitBytes; });
        x += kUnitColumns * N;
      }
    }
    BlockFactors<P> f;
    f.load(w, panel, b);
    repeat<N>([&](auto n) SINTER_INLINE {
      const int64_t at = b * job.n + first + n;
      repeat<P>([&](auto p) SINTER_INLINE {
        if constexpr (kInt8) {
          const V scale = Lanes::mul(f.scale[p], Lanes::broadcast(job.x_scale[at]));
          total[p][n] = Lanes::fma(scale, Lanes::to_float(sum[p][n]), total[p][n]);
        } else {
          total[p][n] = Lanes::fma(f.scale[p], sum[p][n], total[p][n]);
        }
        if (f.has_offset) {
          total[p][n] =
              Lanes::negated_fma(f.offset[p], Lanes::broadcast(job.x_sum[at]), total[p][n]);
        }
      });
    });
  }
}

template <int P, int N>
void store_totals(const PanelJob& job, int64_t panel, int64_t first, const V (&total)[P][N]) {
  repeat<P>([&](auto p) SINTER_INLINE {
    const int64_t row = (panel + p) * kPanelRows;
    if (row >= job.weight->rows) return;
    const int64_t rows = job.weight->rows - row < kPanelRows ? job.weight->rows - row : kPanelRows;
    repeat<N>([&](auto n) SINTER_INLINE {
      Lanes::store_first(job.y + (first + n) * job.y_stride + row, total[p][n], rows);
    });
  });
}

// Few inputs: straight from the packed codes.
template <typename Mode, typename Codes, int P, int N>
void fused(const PanelJob& job, const Lookup& l, int64_t panel, int64_t first) {
  const uint8_t* codes[P];
  repeat<P>([&](auto p) SINTER_INLINE {
    codes[p] = job.weight->codes + (panel + p) * job.weight->panel_bytes;
  });
  V total[P][N];
  repeat<P>([&](auto p) SINTER_INLINE {
    repeat<N>([&](auto n) SINTER_INLINE { total[p][n] = Lanes::zero(); });
  });
  add_blocks<Mode, Codes, P, N>(job, l, panel, first, 0, job.n_blocks, codes, total);
  store_totals<P, N>(job, panel, first, total);
}

// ---- Many inputs: unpack a chunk of columns of a tile of panels once, then multiply ----

struct UnpackLevels {
  template <typename>
  using Plain = F32;
  static constexpr int64_t kColumnBytes = 64;
  template <typename Codes, int i>
  static void quad(const uint8_t* unit, const Lookup& l, uint8_t* out) {
    auto* at = reinterpret_cast<float*>(out) + 64 * i;
    Lanes::store(at, Codes::template level<i, 0>(unit, l));
    Lanes::store(at + 16, Codes::template level<i, 1>(unit, l));
    Lanes::store(at + 32, Codes::template level<i, 2>(unit, l));
    Lanes::store(at + 48, Codes::template level<i, 3>(unit, l));
  }
};
struct UnpackBytes {
  template <typename Codes>
  using Plain = B8<Codes::kSmall>;
  static constexpr int64_t kColumnBytes = 16;
  template <typename Codes, int i>
  static void quad(const uint8_t* unit, const Lookup& l, uint8_t* out) {
    Lanes::store_int(out + 64 * i, Codes::template bytes<i>(unit, l));
  }
};

template <typename Unpack, typename Codes, int i = 0>
inline void unpack_unit(const uint8_t* unit, const Lookup& l, uint8_t* out) {
  if constexpr (i < 8) {
    Unpack::template quad<Codes, i>(unit, l, out);
    unpack_unit<Unpack, Codes, i + 1>(unit, l, out);
  }
}

// The packed codes that come next, asked for while others are multiplied: a share at each of
// `parts` occasions, and each panel's halves as runs of their own (see NextPages).
template <int P>
struct Next {
  const uint8_t* codes[P];
  int64_t bytes;  // of each panel
  int64_t parts;
  int64_t part = 0;

  void prefetch() {
    const int64_t half = bytes / 2;
    const int64_t from = half * part / parts, to = half * (part + 1) / parts;
    ++part;
    for (int64_t at = from - from % 64; at < to; at += 64) {
      repeat<P>([&](auto p) SINTER_INLINE {
        __builtin_prefetch(codes[p] + at, 0, 2);
        __builtin_prefetch(codes[p] + half + at, 0, 2);
      });
    }
  }
};

// One tile's totals over a chunk; they live in `totals` ([n][P][16]) between chunks.
template <typename Mode, typename Plain, int P, int N>
void tile(const PanelJob& job, const Lookup& l, int64_t panel, int64_t first, int64_t begin,
          int64_t end, const uint8_t* const (&codes)[P], float* totals) {
  V total[P][N];
  repeat<N>([&](auto n) SINTER_INLINE {
    repeat<P>([&](auto p) SINTER_INLINE {
      total[p][n] =
          begin == 0 ? Lanes::zero() : Lanes::load(totals + ((first + n) * P + p) * kPanelRows);
    });
  });
  add_blocks<Mode, Plain, P, N>(job, l, panel, first, begin, end, codes, total);
  if (end == job.n_blocks) return store_totals<P, N>(job, panel, first, total);
  repeat<N>([&](auto n) SINTER_INLINE {
    repeat<P>([&](auto p) SINTER_INLINE {
      Lanes::store(totals + ((first + n) * P + p) * kPanelRows, total[p][n]);
    });
  });
}

template <typename Mode, typename Plain, int P>
void tiles(const PanelJob& job, const Lookup& l, int64_t panel, int64_t begin, int64_t end,
           const uint8_t* const (&codes)[P], Next<P>& next, float* totals) {
  next.parts = job.n / Lanes::kTiles.widest + (job.n % Lanes::kTiles.widest + 3) / 4 + 2;
  constexpr int T = Lanes::kTiles.widest;
  for (int64_t m = 0; m < job.n;) {
    const int64_t width = tile_width(Lanes::kTiles, job.n, m);
    if (next.part < next.parts) next.prefetch();
    if (width == T) {
      tile<Mode, Plain, P, T>(job, l, panel, m, begin, end, codes, totals);
    } else if constexpr (T > 1) {
      if (width == 4) tile<Mode, Plain, P, 4>(job, l, panel, m, begin, end, codes, totals);
      if (width == 1) tile<Mode, Plain, P, 1>(job, l, panel, m, begin, end, codes, totals);
    }
    m += width;
  }
}

#ifdef SINTER_MATRIX
// totals[input][panel][row] += the integer sums of block b, as add_blocks scales them, for n inputs
// from `first` on.
template <bool has_offset>
inline void add_sums(const PanelJob& job, const BlockFactors<2>& f, int64_t b, int64_t first,
                     int64_t n, const int32_t (&sums)[2][32][16], float* totals) {
  const int64_t at = b * job.n + first;
  const float* x_scale = job.x_scale + at;
  const int32_t* x_bias = job.x_bias + at;
  const float* x_sum = has_offset ? job.x_sum + at : nullptr;
  for (int64_t i = 0; i < n; ++i) {
    const V scale = Lanes::broadcast(x_scale[i]);
    const I bias = Lanes::broadcast_int(x_bias[i]);
    repeat<2>([&](auto p) SINTER_INLINE {
      float* total_at = totals + (2 * i + p) * kPanelRows;
      const I sum = Lanes::load_int(reinterpret_cast<const uint8_t*>(sums[p][i]));
      V total = Lanes::fma(Lanes::mul(f.scale[p], scale),
                           Lanes::to_float(Lanes::add_int(sum, bias)), Lanes::load(total_at));
      if constexpr (has_offset) {
        total = Lanes::negated_fma(f.offset[p], Lanes::broadcast(x_sum[i]), total);
      }
      Lanes::store(total_at, total);
    });
  }
}

// The same totals by matrix instructions: integers first, then the same scaling in the same order.
inline void matrix_tiles(const PanelJob& job, int64_t panel, int64_t begin, int64_t end,
                         const uint8_t* const (&codes)[2], Next<2>& next, float* totals) {
  const Panels& w = *job.weight;
  next.parts = (end - begin) * ((job.n + 31) / 32);
  // The last block may be short: a step divides it too.
  const int64_t step = job.block % 64 == 0 && w.columns % 64 == 0 ? 64
                       : job.block % 32 == 0                      ? 32
                                                                  : 16;
  const int64_t tile_bytes = 16 * round_up(w.columns, 64);  // of 16 inputs
  const MatrixTiles matrix(static_cast<int>(step));
  alignas(64) int32_t sums[2][32][16];
  for (int64_t i = 0; begin == 0 && i < 2 * job.n; ++i) {
    Lanes::store(totals + i * kPanelRows, Lanes::zero());
  }
  for (int64_t b = begin; b < end; ++b) {
    BlockFactors<2> f;
    f.load(w, panel, b);
    const int64_t column = b * job.block;
    const int64_t columns = w.columns - column < job.block ? w.columns - column : job.block;
    const int64_t at = (column - begin * job.block) * 16;
    const uint8_t* const from[2] = {codes[0] + at, codes[1] + at};
    for (int64_t m = 0; m < job.n; m += 32) {
      const int64_t n = job.n - m < 32 ? job.n - m : 32;
      next.prefetch();
      matrix.multiply(from, job.codes + m / 16 * tile_bytes, tile_bytes, column, n > 16, columns,
                      step, sums);
      const auto add = f.has_offset ? add_sums<true> : add_sums<false>;
      add(job, f, b, m, n, sums, totals + 2 * m * kPanelRows);
    }
  }
  if (end != job.n_blocks) return;
  for (int64_t i = 0; i < job.n; ++i) {
    V total[2][1] = {{Lanes::load(totals + i * 2 * kPanelRows)},
                     {Lanes::load(totals + (i * 2 + 1) * kPanelRows)}};
    store_totals<2, 1>(job, panel, i, total);
  }
}
#endif

template <typename Mode, typename Codes, typename Unpack, int P>
void unpacked(const PanelJob& job, const Lookup& l, int64_t panel) {
  using Plain = typename Unpack::template Plain<Codes>;
  const Panels& w = *job.weight;
  constexpr bool kIsPlain = __is_same(Codes, Plain);
  int64_t chunk = sizeof(typename Mode::Input) == 1 ? kInt8Chunk : kExactChunk;
  if (chunk < job.block) chunk = job.block;
  chunk -= chunk % (job.block > kUnitColumns ? job.block : kUnitColumns);
  const int64_t tile_bytes = chunk * Unpack::kColumnBytes;
  auto* totals = reinterpret_cast<float*>(job.scratch + P * tile_bytes);
  for (int64_t column = 0; column < w.columns; column += chunk) {
    const int64_t last = column + chunk < w.columns ? column + chunk : w.columns;
    const uint8_t* codes[P];
    Next<P> next;
    next.bytes = chunk / kUnitColumns * Codes::kUnitBytes;
    repeat<P>([&](auto p) SINTER_INLINE {
      const uint8_t* unit =
          w.codes + (panel + p) * w.panel_bytes + column / kUnitColumns * Codes::kUnitBytes;
      codes[p] = unit;
      next.codes[p] =
          last < w.columns ? unit + next.bytes : w.codes + (panel + P + p) * w.panel_bytes;
      if constexpr (!kIsPlain) {
        uint8_t* out = job.scratch + p * tile_bytes;
        codes[p] = out;
        for (int64_t c = column; c < last; c += kUnitColumns) {
          unpack_unit<Unpack, Codes>(unit, l, out);
          unit += Codes::kUnitBytes;
          out += kUnitColumns * Unpack::kColumnBytes;
        }
      }
    });
    const int64_t end = last == w.columns ? job.n_blocks : last / job.block;
#ifdef SINTER_MATRIX
    if constexpr (sizeof(typename Mode::Input) == 1) {
      matrix_tiles(job, panel, column / job.block, end, codes, next, totals);
      continue;
    }
#endif
    tiles<Mode, Plain, P>(job, l, panel, column / job.block, end, codes, next, totals);
  }
}

// Panels [begin, end), all inputs; both are multiples of kPanelGrain.
template <typename Mode, typename Codes, typename Unpack>
void multiply(const PanelJob& job, int64_t begin, int64_t end) {
  const Lookup l(*job.weight);
  int64_t panel = begin;
  if (job.n > Lanes::kTiles.few) {
    constexpr int P = Lanes::kTilePanels;
    for (; panel < end; panel += P) unpacked<Mode, Codes, Unpack, P>(job, l, panel);
    return;
  }
  constexpr int P = Lanes::kFusedPanels, N = Lanes::kTiles.few;
  for (; panel < end; panel += P) {
    for (int64_t m = 0; m < job.n;) {
      const int64_t width = tile_width(Lanes::kTiles, job.n, m);
      if (width == N) {
        fused<Mode, Codes, P, N>(job, l, panel, m);
      } else if constexpr (N > 1) {
        fused<Mode, Codes, P, 1>(job, l, panel, m);
      }
      m += width;
    }
  }
}

// By CodeKind; null where a kind has no int8 form.
using MultiplyPanels = Kernels::MultiplyPanels;
template <typename Codes>
constexpr MultiplyPanels kExact = multiply<ExactMode, Codes, UnpackLevels>;
template <typename Codes>
constexpr MultiplyPanels kInt8 = multiply<Int8Mode, Codes, UnpackBytes>;

constexpr MultiplyPanels kExactPanels[kCodeKinds] = {
    kExact<B2>,        kExact<B3>,   kExact<B4>,   kExact<B4Table>, kExact<B5>, kExact<B6>,
    kExact<B8<false>>, kExact<E4m3>, kExact<Bf16>, kExact<F16>,     kExact<F32>};
constexpr MultiplyPanels kInt8Panels[kCodeKinds] = {
    kInt8<B2>,        kInt8<B3>, kInt8<B4>, kInt8<B4Table>, kInt8<B5>, kInt8<B6>,
    kInt8<B8<false>>, nullptr,   nullptr,   nullptr,        nullptr};
