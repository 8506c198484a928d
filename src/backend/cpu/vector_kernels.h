// Norms, rotations, activations and rounding of inputs, over 16 lanes: see panel_kernels.h. Sums
// run in 16 lanes (lane l has the terms i = l mod 16), then over the lanes in a fixed tree.

float dot(const float* a, const float* b, int64_t n) {
  V sum = Lanes::zero();
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) sum = Lanes::fma(Lanes::load(a + i), Lanes::load(b + i), sum);
  if (i < n) {
    sum = Lanes::fma(Lanes::load_first(a + i, n - i), Lanes::load_first(b + i, n - i), sum);
  }
  return Lanes::sum(sum);
}

// d^T G d; g: [n, n].
float quadratic_form(const float* d, const float* g, int64_t stride, int64_t n) {
  V sum = Lanes::zero();
  int64_t j = 0;
  for (; j + 64 <= n; j += 64) {  // as many sums as hide the latency of one
    V columns[4] = {Lanes::zero(), Lanes::zero(), Lanes::zero(), Lanes::zero()};
    for (int64_t i = 0; i < n; ++i) {
      const V x = Lanes::broadcast(d[i]);
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p) {
        columns[p] = Lanes::fma(x, Lanes::load(g + i * stride + j + 16 * p), columns[p]);
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) sum = Lanes::fma(columns[p], Lanes::load(d + j + 16 * p), sum);
  }
  for (; j < n; j += 16) {
    const int64_t count = n - j < 16 ? n - j : 16;
    V column = Lanes::zero();
    for (int64_t i = 0; i < n; ++i) {
      column =
          Lanes::fma(Lanes::broadcast(d[i]), Lanes::load_first(g + i * stride + j, count), column);
    }
    sum = Lanes::fma(column, Lanes::load_first(d + j, count), sum);
  }
  return Lanes::sum(sum);
}

// Applies body(i, count, load, store) over 16 elements at a time.
template <typename Body>
inline void each_16(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) body(i, int64_t{16});
  if (i < n) body(i, n - i);
}

void rms_norm(const float* x, const float* gain, float eps, int64_t n, float* y) {
  const V inverse =
      Lanes::broadcast(1.0f / __builtin_sqrtf(dot(x, x, n) / static_cast<float>(n) + eps));
  each_16(n, [&](int64_t i, int64_t count) {
    const V v = Lanes::mul(Lanes::load_first(x + i, count), inverse);
    Lanes::store_first(y + i, Lanes::mul(v, Lanes::load_first(gain + i, count)), count);
  });
}

// (a, b) -> (a cos - b sin, b cos + a sin), a the first half of a head and b the second.
void rope(const float* cos, const float* sin, int64_t half, float* head) {
  each_16(half, [&](int64_t i, int64_t count) {
    const V c = Lanes::load_first(cos + i, count), s = Lanes::load_first(sin + i, count);
    const V a = Lanes::load_first(head + i, count), b = Lanes::load_first(head + half + i, count);
    Lanes::store_first(head + i, Lanes::sub(Lanes::mul(a, c), Lanes::mul(b, s)), count);
    Lanes::store_first(head + half + i, Lanes::add(Lanes::mul(b, c), Lanes::mul(a, s)), count);
  });
}

// gate = gate / (1 + exp(-gate)) * up
void silu_mul(const float* up, int64_t n, float* gate) {
  const V one = Lanes::broadcast(1.0f);
  each_16(n, [&](int64_t i, int64_t count) {
    const V g = Lanes::load_first(gate + i, count);
    const V e = Lanes::exp(Lanes::sub(Lanes::zero(), g));
    const V silu = Lanes::div(g, Lanes::add(one, e));
    Lanes::store_first(gate + i, Lanes::mul(silu, Lanes::load_first(up + i, count)), count);
  });
}

void add(const float* x, int64_t n, float* y) {
  each_16(n, [&](int64_t i, int64_t count) {
    const V sum = Lanes::add(Lanes::load_first(y + i, count), Lanes::load_first(x + i, count));
    Lanes::store_first(y + i, sum, count);
  });
}

// The largest |x|; not finite if some x is not.
float peak(const float* x, int64_t n) {
  V most = Lanes::zero();
  V wrong = Lanes::zero();  // x - x: 0, or NaN where x is not finite
  each_16(n, [&](int64_t i, int64_t count) {
    const V v = Lanes::load_first(x + i, count);
    most = Lanes::max(Lanes::abs(v), most);
    wrong = Lanes::add(wrong, Lanes::sub(v, v));
  });
  return Lanes::top(most) + Lanes::sum(wrong);
}

// codes = x / scale, rounded half to even and clamped; n a multiple of 16. Returns their sum.
int32_t round_codes(const float* x, float scale, int64_t n, int8_t* codes) {
  const V divisor = Lanes::broadcast(scale);
  int32_t sum = 0;
  for (int64_t i = 0; i < n; i += 16) {
    Lanes::store_codes(codes + i, Lanes::div(Lanes::load(x + i), divisor));
    for (int64_t j = i; j < i + 16; ++j) sum += codes[j];
  }
  return sum;
}
