// Sixteen lanes as plain arrays, for panel_kernels.h: what the vectors of the other instruction
// sets must agree with. Included inside an unnamed namespace.

struct Lanes {
  struct Float {
    float at[16];
  };
  struct Int {
    uint32_t at[16];
  };
  static constexpr int kFusedPanels = 1;
  static constexpr TileWidths kTiles = {.widest = 1, .few = 1};
  static constexpr int kTilePanels = 1;
  static constexpr int kAttendPanels = 1;
  static constexpr int kAttendQueries = 1;
  static constexpr bool kNibbleLevels = false;

  struct Table {
    explicit Table(const int8_t (&from)[16]) {
      for (int i = 0; i < 16; ++i) levels[i] = from[i];
    }
    int32_t levels[16];
  };

  template <typename To, typename Of>
  static To each(const Of& of) {
    To to;
    for (int i = 0; i < 16; ++i) to.at[i] = of(i);
    return to;
  }

  static Float zero() { return {}; }
  static Float broadcast(float x) {
    return each<Float>([&](int) { return x; });
  }
  static Int broadcast_int(int32_t x) {
    return each<Int>([&](int) { return static_cast<uint32_t>(x); });
  }
  static Float load(const float* at) {
    return each<Float>([&](int i) { return at[i]; });
  }
  static Int load_int(const uint8_t* at) {
    return each<Int>([&](int i) {
      uint32_t x;
      memcpy(&x, at + 4 * i, sizeof x);
      return x;
    });
  }
  static void store(float* at, const Float& v) { memcpy(at, v.at, sizeof v.at); }
  static void store_int(uint8_t* at, const Int& v) { memcpy(at, v.at, sizeof v.at); }
  static void store_first(float* at, const Float& v, int64_t n) {
    for (int64_t i = 0; i < n; ++i) at[i] = v.at[i];
  }
  static Float as_float(const Int& v) {
    Float f;
    memcpy(f.at, v.at, sizeof v.at);
    return f;
  }
  static Float to_float(const Int& v) {
    return each<Float>([&](int i) { return static_cast<float>(static_cast<int32_t>(v.at[i])); });
  }
  static Float load_first(const float* at, int64_t n) {
    return each<Float>([&](int i) { return i < n ? at[i] : 0.0f; });
  }
  static Float add(const Float& a, const Float& b) {
    return each<Float>([&](int i) { return a.at[i] + b.at[i]; });
  }
  static Float sub(const Float& a, const Float& b) {
    return each<Float>([&](int i) { return a.at[i] - b.at[i]; });
  }
  static Float div(const Float& a, const Float& b) {
    return each<Float>([&](int i) { return a.at[i] / b.at[i]; });
  }
  static Float max(const Float& a, const Float& b) {
    return each<Float>([&](int i) { return a.at[i] > b.at[i] ? a.at[i] : b.at[i]; });
  }
  static Float abs(const Float& a) {
    return each<Float>([&](int i) { return fabsf(a.at[i]); });
  }
  static float sum(const Float& v) {  // pairwise: 16 -> 8 -> 4 -> 2 -> 1
    float lanes[16];
    memcpy(lanes, v.at, sizeof lanes);
    for (int n = 8; n >= 1; n /= 2) {
      for (int i = 0; i < n; ++i) lanes[i] += lanes[i + n];
    }
    return lanes[0];
  }
  static float top(const Float& v) {
    float most = v.at[0];
    for (const float x : v.at) most = x > most ? x : most;
    return most;
  }
  static Float exp(const Float& x) {
    return each<Float>([&](int i) { return expf(x.at[i]); });
  }
  static void store_codes(int8_t* at, const Float& v) {
    for (int i = 0; i < 16; ++i) {
      const float x = nearbyintf(v.at[i]);
      at[i] = static_cast<int8_t>(x < -128 ? -128 : x > 127 ? 127 : x);
    }
  }
  static Float mul(const Float& a, const Float& b) {
    return each<Float>([&](int i) { return a.at[i] * b.at[i]; });
  }
  // Rounded once, but for the rare double rounding of a float's exact product and a sum in double.
  static Float fma(const Float& a, const Float& b, const Float& c) {
    return each<Float>([&](int i) {
      return static_cast<float>(static_cast<double>(a.at[i]) * static_cast<double>(b.at[i]) +
                                static_cast<double>(c.at[i]));
    });
  }
  static void accumulate(const Float& a, const Float& b, Float& sum) { sum = fma(a, b, sum); }
  static Float negated_fma(const Float& a, const Float& b, const Float& c) {
    return fma(each<Float>([&](int i) { return -a.at[i]; }), b, c);
  }
  static Int bits(const Int& v, uint32_t mask) {
    return each<Int>([&](int i) { return v.at[i] & mask; });
  }
  static Int either(const Int& a, const Int& b) {
    return each<Int>([&](int i) { return a.at[i] | b.at[i]; });
  }
  template <int left>
  static Int shift(const Int& v) {
    return each<Int>([&](int i) {
      if constexpr (left >= 0) return v.at[i] << left;
      return v.at[i] >> (left < 0 ? -left : 0);
    });
  }
  template <int j>
  static Float byte_level(const Int& v, float bias) {
    return each<Float>(
        [&](int i) { return static_cast<float>((v.at[i] >> (8 * j)) & 0xFF) - bias; });
  }
  static Int lookup_bytes(const Int& nibbles, const Table& t) {
    return each<Int>([&](int i) {
      uint32_t out = 0;
      for (int j = 0; j < 4; ++j) {
        const auto level = static_cast<uint32_t>(t.levels[(nibbles.at[i] >> (8 * j)) & 15] + 128);
        out |= level << (8 * j);
      }
      return out;
    });
  }
  template <bool>
  static Int dot4(const Int& sum, const Int& w, const int8_t* x) {
    return each<Int>([&](int i) {
      int32_t dot = 0;
      for (int j = 0; j < 4; ++j) dot += static_cast<int32_t>((w.at[i] >> (8 * j)) & 0xFF) * x[j];
      return sum.at[i] + static_cast<uint32_t>(dot);
    });
  }

  static float half(uint32_t bits) {  // IEEE binary16
    const uint32_t sign = (bits & 0x8000) << 16, exponent = (bits >> 10) & 31,
                   mantissa = bits & 1023;
    if (exponent == 0) {
      const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
      return sign != 0 ? -magnitude : magnitude;
    }
    const uint32_t wide = exponent == 31 ? 255 : exponent + 112;
    const uint32_t u = sign | wide << 23 | mantissa << 13;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
  }
  static uint32_t load_16(const uint8_t* at) {
    return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8;
  }
  static Float load_f16(const uint8_t* at) {
    return each<Float>([&](int i) { return half(load_16(at + 2 * i)); });
  }
  static Float load_bf16(const uint8_t* at) {
    return as_float(each<Int>([&](int i) { return load_16(at + 2 * i) << 16; }));
  }
  // 2^-8 of the value, as the other instruction sets have it.
  static Float load_e4m3(const uint8_t* at) {
    return each<Float>([&](int i) {
      const uint32_t byte = at[i];
      return half((byte & 0x80) << 8 | (byte & 0x7F) << 7);
    });
  }
  static Float load_e8m0(const uint8_t* at) {
    return as_float(each<Int>([&](int i) { return static_cast<uint32_t>(at[i]) << 23; }));
  }
  static Float load_i8(const uint8_t* at) {
    return each<Float>([&](int i) { return static_cast<float>(static_cast<int8_t>(at[i])); });
  }
};
