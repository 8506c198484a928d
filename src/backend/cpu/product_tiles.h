// Products in fused multiply-adds over the Lanes that stand before this. Included inside an unnamed
// namespace.
//
// A strip of A: [k][kProductRows] floats; of B: [k][kProductCols].

// C = sums, C + sums or C - sums; `width` floats from one row of sums to the next.
void store_sums(const float* sums, int64_t width, int64_t n_rows, int64_t n_cols, Into into,
                float* c, int64_t stride) {
  for (int64_t r = 0; r < n_rows; ++r) {
    for (int64_t j = 0; j < n_cols; j += 16) {
      const int64_t n = n_cols - j < 16 ? n_cols - j : 16;
      float* at = c + r * stride + j;
      Lanes::Float sum = Lanes::load(sums + r * width + j);
      if (into == Into::add) sum = Lanes::add(Lanes::load_first(at, n), sum);
      if (into == Into::subtract) sum = Lanes::sub(Lanes::load_first(at, n), sum);
      Lanes::store_first(at, sum, n);
    }
  }
}

#ifndef SINTER_MATRIX

constexpr int kProductRows = Lanes::kTiles.widest;
constexpr int kProductPanels = Lanes::kTilePanels;
constexpr int kProductCols = 16 * kProductPanels;

template <int kWidth>
bool pack_strip(const Strip& from, uint8_t* to) {
  float* out = reinterpret_cast<float*>(to);
  const int64_t next_i = from.along_k ? from.stride : 1, next_k = from.along_k ? 1 : from.stride;
  for (int64_t k = 0; k < from.k; ++k, out += kWidth) {
    for (int64_t i = 0; i < from.width; ++i) out[i] = from.at[i * next_i + k * next_k];
    for (int64_t i = from.width; i < kWidth; ++i) out[i] = 0;
  }
  return true;
}

void multiply_strips(const PackedStrips& strips, float* sums) {
  const float* a = reinterpret_cast<const float*>(strips.a);
  const float* b = reinterpret_cast<const float*>(strips.b);
  Lanes::Float sum[kProductRows][kProductPanels];
#pragma GCC unroll 12
  for (int r = 0; r < kProductRows; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < kProductPanels; ++p) {
      sum[r][p] = Lanes::zero();
    }
  }
  for (int64_t i = 0; i < strips.k; ++i, a += kProductRows, b += kProductCols) {
    Lanes::Float right[kProductPanels];
#pragma GCC unroll 2
    for (int p = 0; p < kProductPanels; ++p) right[p] = Lanes::load(b + 16 * p);
#pragma GCC unroll 12
    for (int r = 0; r < kProductRows; ++r) {
      const Lanes::Float left = Lanes::broadcast(a[r]);
#pragma GCC unroll 2
      for (int p = 0; p < kProductPanels; ++p) Lanes::accumulate(left, right[p], sum[r][p]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kProductRows; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < kProductPanels; ++p) {
      Lanes::store(sums + r * kProductCols + 16 * p, sum[r][p]);
    }
  }
}

void store_tile(const float* sums, int64_t n_rows, int64_t n_cols, Into into, float* c,
                int64_t stride) {
  store_sums(sums, kProductCols, n_rows, n_cols, into, c, stride);
}

void nothing() {}

constexpr ProductKernels kFusedProducts = {.rows = kProductRows,
                                           .cols = kProductCols,
                                           .k_step = 1,
                                           .element_bytes = 4,
                                           .pack_a = pack_strip<kProductRows>,
                                           .pack_b = pack_strip<kProductCols>,
                                           .enter = nothing,
                                           .leave = nothing,
                                           .multiply = multiply_strips,
                                           .store = store_tile,
                                           .whole = nullptr,
                                           .rounded = nullptr};

#endif
