// Sixteen lanes as two AVX2 vectors, for panel_kernels.h. Included inside an unnamed namespace.

constexpr float kTaylor[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};

struct Lanes {
  struct Float {
    __m256 a, b;
  };
  struct Int {
    __m256i a, b;
  };
  static constexpr int kFusedPanels = 2;
  static constexpr TileWidths kTiles = {.widest = 6, .few = 2};
  static constexpr int kTilePanels = 1;
  static constexpr int kAttendPanels = 1;
  static constexpr int kAttendQueries = 4;
  static constexpr bool kNibbleLevels = false;

  struct Table {  // a 4-bit code's level as a byte above 128
    explicit Table(const int8_t (&levels)[16])
        : bytes(_mm256_broadcastsi128_si256(
              _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(levels)),
                            _mm_set1_epi8(static_cast<char>(0x80))))) {}
    __m256i bytes;
  };

  static Float zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Float broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Int broadcast_int(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  static Float load(const float* at) { return {_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8)}; }
  static Int load_int(const uint8_t* at) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32))};
  }
  static void store(float* at, Float v) {
    _mm256_storeu_ps(at, v.a);
    _mm256_storeu_ps(at + 8, v.b);
  }
  static void store_int(uint8_t* at, Int v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), v.a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at + 32), v.b);
  }
  static void store_first(float* at, Float v, int64_t n) {
    if (n == 16) return store(at, v);
    alignas(32) float lanes[16];
    store(lanes, v);
    for (int64_t i = 0; i < n; ++i) at[i] = lanes[i];
  }
  static Float as_float(Int v) { return {_mm256_castsi256_ps(v.a), _mm256_castsi256_ps(v.b)}; }
  static Float to_float(Int v) { return {_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)}; }
  static Float load_first(const float* at, int64_t n) {
    if (n == 16) return load(at);
    alignas(32) float lanes[16] = {};
    for (int64_t i = 0; i < n; ++i) lanes[i] = at[i];
    return load(lanes);
  }
  static Float add(Float x, Float y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
  static Float sub(Float x, Float y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
  static Float div(Float x, Float y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
  static Float max(Float x, Float y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
  static Float abs(Float x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
  }
  // Pairwise: 16 -> 8 -> 4 -> 2 -> 1.
  static float sum(Float v) {
    const __m256 eight = _mm256_add_ps(v.a, v.b);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
  }
  static float top(Float v) {
    const __m256 eight = _mm256_max_ps(v.a, v.b);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  }
  // As AVX-512's.
  static __m256 exp8(__m256 x) {
    const auto set = [](float c) { return _mm256_set1_ps(c); };
    x = _mm256_max_ps(set(-150.0f), _mm256_min_ps(set(150.0f), x));
    const __m256 k = _mm256_round_ps(_mm256_mul_ps(x, set(1.44269504f)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(k, set(0.693359375f), x);
    r = _mm256_fnmadd_ps(k, set(-2.12194440e-4f), r);
    __m256 p = set(1.0f / 5040);
    for (const float c : kTaylor) {
      p = _mm256_fmadd_ps(p, r, set(c));
    }
    // 2^k in two halves, so that neither leaves the range of exponents.
    const __m256i n = _mm256_cvtps_epi32(k);
    const __m256i half = _mm256_srai_epi32(n, 1);
    const auto power = [](__m256i e) {
      return _mm256_castsi256_ps(
          _mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
    };
    return _mm256_mul_ps(_mm256_mul_ps(p, power(half)), power(_mm256_sub_epi32(n, half)));
  }
  static Float exp(Float x) { return {exp8(x.a), exp8(x.b)}; }
  // Rounded half to even, clamped to [-128, 127].
  static void store_codes(int8_t* at, Float v) {
    const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(v.a), _mm256_cvtps_epi32(v.b));
    const __m256i bytes = _mm256_packs_epi16(words, words);  // quarters 0 2 1 3, twice
    const __m256i order =
        _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 0, 0, 0, 0));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm256_castsi256_si128(order));
  }
  static Float mul(Float x, Float y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  static Float fma(Float x, Float y, Float z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
  }
  // As AVX-512's.
  static void accumulate(Float x, Float y, Float& sum) {
    asm("vfmadd231ps %2, %1, %0" : "+x"(sum.a) : "x"(x.a), "x"(y.a));
    asm("vfmadd231ps %2, %1, %0" : "+x"(sum.b) : "x"(x.b), "x"(y.b));
  }
  static Float negated_fma(Float x, Float y, Float z) {
    return {_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b)};
  }
  static Int bits(Int v, uint32_t mask) {
    const __m256i m = _mm256_set1_epi32(static_cast<int>(mask));
    return {_mm256_and_si256(v.a, m), _mm256_and_si256(v.b, m)};
  }
  static Int either(Int x, Int y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
  template <int left>
  static Int shift(Int v) {
    if constexpr (left > 0) return {_mm256_slli_epi32(v.a, left), _mm256_slli_epi32(v.b, left)};
    if constexpr (left < 0) return {_mm256_srli_epi32(v.a, -left), _mm256_srli_epi32(v.b, -left)};
    return v;
  }
  template <int j>
  static Float byte_level(Int v, float bias) {
    const Float level = to_float(bits(shift<-8 * j>(v), 0xFF));
    const __m256 zero_level = _mm256_set1_ps(bias);
    return {_mm256_sub_ps(level.a, zero_level), _mm256_sub_ps(level.b, zero_level)};
  }
  static Int lookup_bytes(Int nibbles, const Table& t) {
    return {_mm256_shuffle_epi8(t.bytes, nibbles.a), _mm256_shuffle_epi8(t.bytes, nibbles.b)};
  }
  // Even and odd bytes apart, as words: no pair can overflow.
  static __m256i wide_dot4(__m256i sum, __m256i w, __m256i x) {
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(w, _mm256_set1_epi16(0xFF)),
                                           _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(w, 8), _mm256_srai_epi16(x, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
  }
  static __m256i small_dot4(__m256i sum, __m256i w, __m256i x) {
    return _mm256_add_epi32(sum,
                            _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
  }
  template <bool small>
  static Int dot4(Int sum, Int w, const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    const __m256i input = _mm256_set1_epi32(four);
    if constexpr (small) return {small_dot4(sum.a, w.a, input), small_dot4(sum.b, w.b, input)};
    return {wide_dot4(sum.a, w.a, input), wide_dot4(sum.b, w.b, input)};
  }

  static __m128i load_128(const uint8_t* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  }
  static __m128i load_64(const uint8_t* at) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
  }
  static Float load_f16(const uint8_t* at) {
    return {_mm256_cvtph_ps(load_128(at)), _mm256_cvtph_ps(load_128(at + 16))};
  }
  static Float load_bf16(const uint8_t* at) {
    return as_float(shift<16>(
        Int{_mm256_cvtepu16_epi32(load_128(at)), _mm256_cvtepu16_epi32(load_128(at + 16))}));
  }
  // 2^-8 of the value: sign, exponent and mantissa moved into a half, whose bias is 8 more.
  static Float load_e4m3(const uint8_t* at) {
    const __m256i high = _mm256_slli_epi16(_mm256_cvtepu8_epi16(load_128(at)), 8);
    const __m256i half = _mm256_and_si256(_mm256_srai_epi16(high, 1),
                                          _mm256_set1_epi16(static_cast<int16_t>(0xBFFF)));
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(half)),
            _mm256_cvtph_ps(_mm256_extracti128_si256(half, 1))};
  }
  static Float load_e8m0(const uint8_t* at) {
    return as_float(
        shift<23>(Int{_mm256_cvtepu8_epi32(load_64(at)), _mm256_cvtepu8_epi32(load_64(at + 8))}));
  }
  static Float load_i8(const uint8_t* at) {
    return to_float(Int{_mm256_cvtepi8_epi32(load_64(at)), _mm256_cvtepi8_epi32(load_64(at + 8))});
  }
};
