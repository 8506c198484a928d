// Attention over pages, over 16 lanes: see panel_kernels.h. A page's keys are panels whose rows are
// its tokens, its values panels whose rows are the head's dimensions, so both products are panel
// products. Online softmax (Milakov and Gimelshein, 2018) over blocks of pages in order of
// position: a score is one chain over the head's dimensions, an output one chain over the block's
// tokens.

constexpr int64_t kPageLanes = kAttendPageTokens / 16;
constexpr int64_t kBlockTokens = kAttendBlockPages * kAttendPageTokens;

// The keys or values that come next, asked for while others are multiplied. One line of each page
// of a block in turn: a core follows several runs of lines far better than one, and of requests
// that follow no run it keeps too few under way to fill the memory bus.
struct NextPages {
  const uint8_t* at[kAttendBlockPages];
  int64_t offset = 0;

  template <int64_t lines>
  SINTER_INLINE void prefetch() {
    static_assert(lines % kAttendBlockPages == 0);
    repeat<lines>([&](auto i) SINTER_INLINE {
      __builtin_prefetch(at[i % kAttendBlockPages] + offset + i / kAttendBlockPages * 64, 0, 2);
    });
    offset += lines / kAttendBlockPages * 64;
  }
};

// sum[panel][query] += a unit of P panels times N queries.
template <typename Codes, int P, int N, int row>
inline SINTER_INLINE void attend_unit(const uint8_t* const (&unit)[P], const Lookup& l,
                                      const float* x, NextPages& next, V (&sum)[P][N]) {
  constexpr int64_t kQuadBytes = Codes::kUnitBytes / 8, kLines = P * kQuadBytes / 64;
  for (int64_t i = 0; i < 8; ++i) {
    const uint8_t* at[P];
    repeat<P>([&](auto p) SINTER_INLINE { at[p] = unit[p] + i * kQuadBytes; });
    if constexpr (kLines >= kAttendBlockPages) {
      next.prefetch<kLines>();
    } else if (i % 2 == 0) {
      next.prefetch<2 * kLines>();
    }
    ExactMode::quad<Codes, P, N, 0, row>(at, l, x + 4 * i * (row == 0 ? N : 1), sum);
  }
}

// scores[query][token of the page] = scale * key . query
template <typename Codes, int P, int N>
inline void score_page(const uint8_t* keys, const Lookup& l, int64_t dims, float scale,
                       const float* queries, NextPages& next, float* scores) {
  const int64_t panel_bytes = dims * Codes::kUnitBytes / kUnitColumns;
  for (int64_t panel = 0; panel < kPageLanes; panel += P) {
    const uint8_t* unit[P];
    V sum[P][N];
    repeat<P>([&](auto p) SINTER_INLINE {
      unit[p] = keys + (panel + p) * panel_bytes;
      repeat<N>([&](auto n) SINTER_INLINE { sum[p][n] = Lanes::zero(); });
    });
    for (int64_t c = 0; c < dims; c += kUnitColumns) {
      attend_unit<Codes, P, N, 0>(unit, l, queries + c * N, next, sum);
      repeat<P>([&](auto p) SINTER_INLINE { unit[p] += Codes::kUnitBytes; });
    }
    repeat<P>([&](auto p) SINTER_INLINE {
      repeat<N>([&](auto n) SINTER_INLINE {
        Lanes::store(scores + n * kBlockTokens + 16 * (panel + p),
                     Lanes::mul(sum[p][n], Lanes::broadcast(scale)));
      });
    });
  }
}

// out[query][dim] += the page's values times its tokens' weights.
template <typename Codes, int P, int N>
inline void add_page(const uint8_t* values, const Lookup& l, int64_t dims, const float* weights,
                     NextPages& next, float* out) {
  for (int64_t d = 0; d < dims; d += 16 * P) {
    const uint8_t* unit[P];
    V sum[P][N];
    repeat<P>([&](auto p) SINTER_INLINE {
      unit[p] = values + (d / 16 + p) * Codes::kUnitBytes;
      repeat<N>([&](auto n)
                    SINTER_INLINE { sum[p][n] = Lanes::load(out + n * dims + d + 16 * p); });
    });
    attend_unit<Codes, P, N, kBlockTokens>(unit, l, weights, next, sum);
    repeat<P>([&](auto p) SINTER_INLINE {
      repeat<N>([&](auto n)
                    SINTER_INLINE { Lanes::store(out + n * dims + d + 16 * p, sum[p][n]); });
    });
  }
}

// What one query has seen so far: out = sum of exp(score - peak) * value, total = that of 1.
struct Softmax {
  float peak = -__builtin_inff();
  V total = Lanes::zero();

  // Turns `n` scores into weights, and brings out and total to the new peak.
  void add(int64_t n, float* scores, int64_t dims, float* out) {
    V top = Lanes::load(scores);
    for (int64_t t = 16; t < n; t += 16) top = Lanes::max(Lanes::load(scores + t), top);
    const float most = Lanes::top(top);
    if (most > peak) {
      const V shrink = Lanes::exp(Lanes::broadcast(peak - most));
      total = Lanes::mul(total, shrink);
      for (int64_t d = 0; d < dims; d += 16) {
        Lanes::store(out + d, Lanes::mul(Lanes::load(out + d), shrink));
      }
      peak = most;
    }
    // No token of this block is in reach and none was before: exp(-inf - -inf) would be NaN.
    const V shift = Lanes::broadcast(peak == -__builtin_inff() ? 0.0f : peak);
    for (int64_t t = 0; t < n; t += 16) {
      const V e = Lanes::exp(Lanes::sub(Lanes::load(scores + t), shift));
      total = Lanes::add(total, e);
      Lanes::store(scores + t, e);
    }
  }
};

template <typename Codes, int N>
void attend_queries(const AttendJob& job, int64_t first) {
  constexpr int P = Lanes::kAttendPanels;
  const Lookup l(Panels{});
  const int64_t dims = job.dims;  // padded to 32
  const int32_t* begins = job.begin + first;
  const int32_t* ends = job.end + first;
  float* out = job.out + first * dims;
  float* queries = job.scratch;
  Softmax softmax[N];
  int64_t begin = begins[0], end = ends[0];          // tokens that some query sees
  int64_t all_begin = begins[0], all_end = ends[0];  // and those that every one does
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t d = 0; d < dims; ++d) queries[d * N + n] = job.queries[(first + n) * dims + d];
    for (int64_t d = 0; d < dims; d += 16) Lanes::store(out + n * dims + d, Lanes::zero());
    if (begins[n] < begin) begin = begins[n];
    if (begins[n] > all_begin) all_begin = begins[n];
    if (ends[n] > end) end = ends[n];
    if (ends[n] < all_end) all_end = ends[n];
  }

  alignas(64) float weights[N][kBlockTokens];
  const int64_t n_pages = (end + kAttendPageTokens - 1) / kAttendPageTokens;
  // Keys (offset 0) or values of the block that begins with this page, or of the last page again.
  const auto pages_from = [&](int64_t page, int64_t offset) SINTER_INLINE {
    NextPages next;
    for (int64_t i = 0; i < kAttendBlockPages; ++i) {
      const int64_t wanted = page + i < n_pages ? page + i : n_pages - 1;
      next.at[i] = job.pages[wanted] + job.offset + offset;
    }
    return next;
  };
  int64_t page = begin / kBlockTokens * kAttendBlockPages;
  for (; page < n_pages; page += kAttendBlockPages) {
    const int64_t left = n_pages - page;
    const int64_t in_block = left < kAttendBlockPages ? left : kAttendBlockPages;
    const int64_t start = page * kAttendPageTokens, n_tokens = in_block * kAttendPageTokens;

    NextPages next = pages_from(page, job.value_offset);
    for (int64_t i = 0; i < in_block; ++i) {
      score_page<Codes, P, N>(job.pages[page + i] + job.offset, l, dims, job.scale, queries, next,
                              weights[0] + i * kAttendPageTokens);
    }
    const bool all_seen = start >= all_begin && start + n_tokens <= all_end;
    for (int64_t n = 0; n < N; ++n) {
      float* scores = weights[n];
      for (int64_t t = 0; !all_seen && t < n_tokens; ++t) {
        if (start + t < begins[n] || start + t >= ends[n]) scores[t] = -__builtin_inff();
      }
      softmax[n].add(n_tokens, scores, dims, out + n * dims);
    }
    next = pages_from(page + kAttendBlockPages, 0);
    for (int64_t i = 0; i < in_block; ++i) {
      add_page<Codes, P, N>(job.pages[page + i] + job.offset + job.value_offset, l, dims,
                            weights[0] + i * kAttendPageTokens, next, out);
    }
  }

  for (int64_t n = 0; n < N; ++n) {
    const V inverse = Lanes::broadcast(1.0f / Lanes::sum(softmax[n].total));
    for (int64_t d = 0; d < dims; d += 16) {
      float* at = out + n * dims + d;
      // + 0: a block wholly out of reach may have made +0 of -0.
      Lanes::store(at, Lanes::add(Lanes::mul(Lanes::load(at), inverse), Lanes::zero()));
    }
  }
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
