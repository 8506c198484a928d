// Attention over pages, over 16 lanes: see panel_kernels.h. A page's keys are panels whose rows are
// its tokens, its values panels whose rows are the head's dimensions, so both products are panel
// products. Online softmax (Milakov and Gimelshein, 2018): pages in order of position; within a
// page a score is one chain over the head's dimensions, an output one chain over the page's tokens.

constexpr int64_t kPageLanes = kAttendPageTokens / 16;

// A unit of P panels by N queries, and from each quad on a look `ahead`: pages are far apart, so no
// hardware prefetcher sees the next one coming, and requests all at once would wait for each other.
template <typename Codes, int P, int N, int row>
inline SINTER_INLINE void attend_unit(const uint8_t* const (&unit)[P], const Lookup& l,
                                      const float* x, int64_t ahead, V (&sum)[P][N]) {
  constexpr int64_t kQuadBytes = Codes::kUnitBytes / 8;
  for (int64_t i = 0; i < 8; ++i) {
    const uint8_t* at[P];
    repeat<P>([&](auto p) SINTER_INLINE {
      at[p] = unit[p] + i * kQuadBytes;
      for (int64_t line = 0; line < kQuadBytes; line += 64) {
        __builtin_prefetch(at[p] + ahead + line, 0, 2);
      }
    });
    ExactMode::quad<Codes, P, N, 0, row>(at, l, x + 4 * i * (row == 0 ? N : 1), sum);
  }
}

// sum[panel][query] for P panels of keys: chains over `columns` from zero. queries: a tile.
template <typename Codes, int P, int N>
inline void key_scores(const uint8_t* keys, const Lookup& l, int64_t columns, int64_t panel_bytes,
                       const float* queries, int64_t ahead, V (&sum)[P][N]) {
  const uint8_t* unit[P];
  repeat<P>([&](auto p) SINTER_INLINE {
    unit[p] = keys + p * panel_bytes;
    repeat<N>([&](auto n) SINTER_INLINE { sum[p][n] = Lanes::zero(); });
  });
  for (int64_t c = 0; c < columns; c += kUnitColumns) {
    attend_unit<Codes, P, N, 0>(unit, l, queries + c * N, ahead, sum);
    repeat<P>([&](auto p) SINTER_INLINE { unit[p] += Codes::kUnitBytes; });
  }
}

// out += values times weights, P panels of dimensions by N queries.
template <typename Codes, int P, int N>
inline void add_values(const uint8_t* values, const Lookup& l, const float* weights, int64_t dims,
                       int64_t ahead, float* out) {
  const uint8_t* unit[P];
  V sum[P][N];
  repeat<P>([&](auto p) SINTER_INLINE {
    unit[p] = values + p * Codes::kUnitBytes;
    repeat<N>([&](auto n) SINTER_INLINE { sum[p][n] = Lanes::load(out + n * dims + 16 * p); });
  });
  attend_unit<Codes, P, N, kAttendPageTokens>(unit, l, weights, ahead, sum);
  repeat<P>([&](auto p) SINTER_INLINE {
    repeat<N>([&](auto n) SINTER_INLINE { Lanes::store(out + n * dims + 16 * p, sum[p][n]); });
  });
}

template <typename Codes, int N>
void attend_queries(const AttendJob& job, int64_t first) {
  const int64_t dims = job.dims;  // padded to 32
  const Lookup l(Panels{});
  const int64_t panel_bytes = dims * Codes::kUnitBytes / kUnitColumns;
  float* queries = job.scratch;
  for (int64_t d = 0; d < dims; ++d) {
    for (int64_t n = 0; n < N; ++n) queries[d * N + n] = job.queries[(first + n) * dims + d];
  }
  float* out = job.out + first * dims;
  alignas(64) float weights[N][kAttendPageTokens];
  float peaks[N];
  V totals[N];
  int32_t begin = job.end[first], end = 0;  // tokens that some query sees
  repeat<N>([&](auto n) SINTER_INLINE {
    peaks[n] = -__builtin_inff();
    totals[n] = Lanes::zero();
    if (job.begin[first + n] < begin) begin = job.begin[first + n];
    if (job.end[first + n] > end) end = job.end[first + n];
    for (int64_t d = 0; d < dims; d += 16) Lanes::store(out + n * dims + d, Lanes::zero());
  });
  const int64_t value_bytes = job.value_offset;
  for (int64_t page = begin / kAttendPageTokens; page * kAttendPageTokens < end; ++page) {
    const uint8_t* keys = job.pages[page] + job.offset;
    const bool has_next = (page + 1) * kAttendPageTokens < end;
    const int64_t ahead = has_next ? job.pages[page + 1] - job.pages[page] : 0;
    for (int64_t panel = 0; panel < kPageLanes; panel += Lanes::kAttendPanels) {
      constexpr int P = Lanes::kAttendPanels;
      V sum[P][N];
      key_scores<Codes, P, N>(keys + panel * panel_bytes, l, dims, panel_bytes, queries, ahead,
                              sum);
      repeat<P>([&](auto p) SINTER_INLINE {
        repeat<N>([&](auto n) SINTER_INLINE {
          Lanes::store(weights[n] + 16 * (panel + p),
                       Lanes::mul(sum[p][n], Lanes::broadcast(job.scale)));
        });
      });
    }
    const int64_t start = page * kAttendPageTokens;
    repeat<N>([&](auto n) SINTER_INLINE {
      float* w = weights[n];
      const int64_t from = job.begin[first + n] - start, to = job.end[first + n] - start;
      for (int64_t t = 0; t < kAttendPageTokens && t < from; ++t) w[t] = -__builtin_inff();
      for (int64_t t = to < 0 ? 0 : to; t < kAttendPageTokens; ++t) w[t] = -__builtin_inff();
      V top = Lanes::load(w);
      for (int64_t i = 1; i < kPageLanes; ++i) top = Lanes::max(Lanes::load(w + 16 * i), top);
      const float most = Lanes::top(top);
      if (most > peaks[n]) {
        const V shrink = Lanes::exp(Lanes::broadcast(peaks[n] - most));
        totals[n] = Lanes::mul(totals[n], shrink);
        for (int64_t d = 0; d < dims; d += 16) {
          float* at = out + n * dims + d;
          Lanes::store(at, Lanes::mul(Lanes::load(at), shrink));
        }
        peaks[n] = most;
      }
      // No token of this page is in reach and none was before: exp(-inf - -inf) would be NaN.
      const V shift = Lanes::broadcast(peaks[n] == -__builtin_inff() ? 0.0f : peaks[n]);
      for (int64_t i = 0; i < kPageLanes; ++i) {
        const V e = Lanes::exp(Lanes::sub(Lanes::load(w + 16 * i), shift));
        totals[n] = Lanes::add(totals[n], e);
        Lanes::store(w + 16 * i, e);
      }
    });
    const uint8_t* values = keys + value_bytes;
    constexpr int P = Lanes::kAttendPanels;
    for (int64_t d = 0; d < dims; d += 16 * P) {
      add_values<Codes, P, N>(values + d / 16 * Codes::kUnitBytes, l, weights[0], dims, ahead,
                              out + d);
    }
  }
  repeat<N>([&](auto n) SINTER_INLINE {
    const V inverse = Lanes::broadcast(1.0f / Lanes::sum(totals[n]));
    for (int64_t d = 0; d < dims; d += 16) {
      float* at = out + n * dims + d;
      // + 0: a page wholly out of reach may have made +0 of -0.
      Lanes::store(at, Lanes::add(Lanes::mul(Lanes::load(at), inverse), Lanes::zero()));
    }
  });
}

template <typename Codes>
void attend(const AttendJob& job) {
  int64_t m = 0;
  constexpr int kMost = Lanes::kAttendQueries;
  for (; m + kMost <= job.n; m += kMost) attend_queries<Codes, kMost>(job, m);
  if constexpr (kMost > 4) {
    for (; m + 4 <= job.n; m += 4) attend_queries<Codes, 4>(job, m);
  }
  for (; m < job.n; ++m) attend_queries<Codes, 1>(job, m);
}

constexpr Kernels::Attend kAttendPages[kCodeKinds] = {
    nullptr, nullptr, nullptr,      nullptr,     nullptr,    nullptr,
    nullptr, nullptr, attend<Bf16>, attend<F16>, attend<F32>};
