// Sixteen lanes of AVX-512 for panel_kernels.h, with VNNI where the file that includes this is
// compiled for it. Included inside an unnamed namespace.

[[maybe_unused]] bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

constexpr float kTaylor[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};

struct Lanes {
  using Float = __m512;
  using Int = __m512i;
  static constexpr int kFusedPanels = 4;
  static constexpr TileWidths kTiles = {
      .widest = 12, .few = 4};  // 24 sums, 2 weights, 1 input: 27 of 32 registers
  static constexpr int kTilePanels = 2;
  static constexpr int kAttendPanels = 2;
  static constexpr int kAttendQueries = 8;
  static constexpr bool kNibbleLevels = true;

  // A 4-bit code's level, as float and as a byte above 128.
  struct Table {
    explicit Table(const int8_t (&levels)[16]) {
      const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(levels));
      floats = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(v));
      bytes = _mm512_broadcast_i32x4(_mm_xor_si128(v, _mm_set1_epi8(static_cast<char>(0x80))));
    }
    __m512 floats;
    __m512i bytes;
  };

  static Float zero() { return _mm512_setzero_ps(); }
  static Float broadcast(float x) { return _mm512_set1_ps(x); }
  static Int broadcast_int(int32_t x) { return _mm512_set1_epi32(x); }
  static Float load(const float* at) { return _mm512_loadu_ps(at); }
  static Int load_int(const uint8_t* at) { return _mm512_loadu_si512(at); }
  static void store(float* at, Float v) { _mm512_storeu_ps(at, v); }
  static void store_int(uint8_t* at, Int v) { _mm512_storeu_si512(at, v); }
  static void store_first(float* at, Float v, int64_t n) {
    _mm512_mask_storeu_ps(at, static_cast<__mmask16>(0xFFFFu >> (16 - n)), v);
  }
  static Float as_float(Int v) { return _mm512_castsi512_ps(v); }
  static Float to_float(Int v) { return _mm512_cvtepi32_ps(v); }
  static Float load_first(const float* at, int64_t n) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>(0xFFFFu >> (16 - n)), at);
  }
  static Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Float sub(Float a, Float b) { return _mm512_sub_ps(a, b); }
  static Float div(Float a, Float b) { return _mm512_div_ps(a, b); }
  static Float max(Float a, Float b) { return _mm512_max_ps(a, b); }  // b where one is NaN
  static Float abs(Float a) { return _mm512_abs_ps(a); }
  // Pairwise: 16 -> 8 -> 4 -> 2 -> 1.
  static float sum(Float v) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
  }
  static float top(Float v) { return _mm512_reduce_max_ps(v); }
  // exp(x) = 2^k exp(r), |r| <= ln 2 / 2: k by rounding, r with ln 2 in two parts, exp(r) by its
  // Taylor polynomial of degree 7 (truncation 5e-9). Within 3 ulp; 0 far below, infinity far above,
  // NaN stays NaN.
  static Float exp(Float x) {
    // min and max return their second operand on NaN, which is x.
    x = _mm512_max_ps(broadcast(-150.0f), _mm512_min_ps(broadcast(150.0f), x));
    const Float k = _mm512_roundscale_ps(mul(x, broadcast(1.44269504f)),
                                         _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    Float r = _mm512_fnmadd_ps(k, broadcast(0.693359375f), x);
    r = _mm512_fnmadd_ps(k, broadcast(-2.12194440e-4f), r);
    Float p = broadcast(1.0f / 5040);
    for (const float c : kTaylor) {
      p = fma(p, r, broadcast(c));
    }
    return _mm512_scalef_ps(p, k);  // saturates to 0 and infinity by itself
  }
  // Rounded half to even, clamped to [-128, 127].
  static void store_codes(int8_t* at, Float v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
  }
  static Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  // sum += a * b. Said so, because a compiler that may choose which operand to overwrite chooses an
  // input, and then copies sums about and moves some to memory: half of the speed of a full tile.
  static void accumulate(Float a, Float b, Float& sum) {
    asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  }
  static Float negated_fma(Float a, Float b, Float c) { return _mm512_fnmadd_ps(a, b, c); }
  static Int bits(Int v, uint32_t mask) {
    return _mm512_and_si512(v, _mm512_set1_epi32(static_cast<int>(mask)));
  }
  static Int add_int(Int a, Int b) { return _mm512_add_epi32(a, b); }
  static Int either(Int a, Int b) { return _mm512_or_si512(a, b); }
  template <int left>
  static Int shift(Int v) {
    if constexpr (left > 0) return _mm512_slli_epi32(v, left);
    if constexpr (left < 0) return _mm512_srli_epi32(v, -left);
    return v;
  }
  // Byte j, less the bias: the byte becomes the low bits of 2^23, from which the bias is taken.
  template <int j>
  static Float byte_level(Int v, float bias) {
    const Int magic = _mm512_set1_epi32(0x4B000000);
    const Int b = _mm512_ternarylogic_epi32(shift<-8 * j>(v), _mm512_set1_epi32(0xFF), magic,
                                            0xEA);  // (v & 255) | magic
    return _mm512_sub_ps(as_float(b), _mm512_set1_ps(8388608.0f + bias));
  }
  template <int at>
  static Float nibble_level(Int v, const Table& t) {  // the permutation looks at four bits only
    return _mm512_permutexvar_ps(shift<-at>(v), t.floats);
  }
  static Int lookup_bytes(Int nibbles, const Table& t) {
    return _mm512_shuffle_epi8(t.bytes, nibbles);
  }
  // sum + unsigned bytes of w times the four signed bytes at x.
  template <bool small>
  static Int dot4(Int sum, Int w, const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
#ifdef __AVX512VNNI__
    return _mm512_dpbusd_epi32(sum, w, _mm512_set1_epi32(four));
#else
    if constexpr (small) {
      const Int two = _mm512_maddubs_epi16(w, _mm512_set1_epi32(four));
      return _mm512_add_epi32(sum, _mm512_madd_epi16(two, _mm512_set1_epi16(1)));
    }
    // Even and odd bytes apart, as words: no pair can overflow.
    const Int input = _mm512_set1_epi32(four), low = _mm512_set1_epi16(0xFF);
    const Int even = _mm512_madd_epi16(_mm512_and_si512(w, low),
                                       _mm512_srai_epi16(_mm512_slli_epi16(input, 8), 8));
    const Int odd = _mm512_madd_epi16(_mm512_srli_epi16(w, 8), _mm512_srai_epi16(input, 8));
    return _mm512_add_epi32(sum, _mm512_add_epi32(even, odd));
#endif
  }

  static Float load_f16(const uint8_t* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  static Float load_bf16(const uint8_t* at) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    return as_float(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
  }
  // 2^-8 of the value: sign, exponent and mantissa moved into a half, whose bias is 8 more.
  static Float load_e4m3(const uint8_t* at) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m256i high = _mm256_slli_epi16(_mm256_cvtepu8_epi16(v), 8);
    return _mm512_cvtph_ps(_mm256_and_si256(_mm256_srai_epi16(high, 1),
                                            _mm256_set1_epi16(static_cast<int16_t>(0xBFFF))));
  }
  static Float load_e8m0(const uint8_t* at) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return as_float(_mm512_slli_epi32(_mm512_cvtepu8_epi32(v), 23));
  }
  static Float load_i8(const uint8_t* at) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(v));
  }
};
