// The CPU: threads over output rows, one unpack of a weight tile shared by all inputs of a batch.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "base/error.h"
#include "base/threads.h"
#include "format/scale.h"

namespace sinter {
namespace {

using cpu::Kernels;
using cpu::kTileRows;

// The one list of instruction sets, best first.
constexpr const Kernels* kAllKernels[] = {
#ifdef SINTER_X86
    &cpu::kAvx512Kernels,
    &cpu::kAvx2Kernels,
#endif
    &cpu::kRefKernels,
};

const Kernels& choose_kernels(const std::string& isa) {
  for (const Kernels* k : kAllKernels) {
    if (isa.empty() ? k->supported() : isa == k->name) {
      if (!k->supported()) {
        fail(Fault::unsupported, "isa-unsupported",
             "--isa {}: this CPU cannot run it; leave the flag out to use the best it can", isa);
      }
      return *k;
    }
  }
  fail(Fault::bad_input, "isa-unsupported", "--isa {}: expected ref, avx2 or avx512", isa);
}

// Codecs whose rows are unpacked by an instruction set's own code, where it has one; all others go
// through Codec::unpack_row.
struct FastUnpack {
  const char* codec;
  void (*Kernels::*integer)(const cpu::UnpackRow&, float*);
  void (*Kernels::*plain)(const uint8_t*, int64_t, float*);
};
constexpr FastUnpack kFastUnpack[] = {
    {"bf16", nullptr, &Kernels::unpack_bf16},  {"f16", nullptr, &Kernels::unpack_f16},
    {"i8_row", &Kernels::unpack_8, nullptr},   {"i8_group", &Kernels::unpack_8, nullptr},
    {"u8_group", &Kernels::unpack_8, nullptr}, {"i4_group", &Kernels::unpack_4, nullptr},
    {"u4_group", &Kernels::unpack_4, nullptr},
};

class CpuWeight final : public PreparedWeight {
 public:
  CpuWeight(const Weight& weight, ActivationMode mode, const Kernels& kernels)
      : weight_(weight), mode_(mode) {
    for (const FastUnpack& f : kFastUnpack) {
      if (std::string_view(f.codec) != weight.format.codec->name) continue;
      if (f.plain != nullptr) unpack_plain_ = kernels.*f.plain;
      if (f.integer != nullptr) unpack_integer_ = kernels.*f.integer;
    }
    // A row of 4-bit codes whose groups are odd would have bytes that span two groups.
    if (weight.format.group % 2 != 0) unpack_integer_ = nullptr;
    if (!weight.format.codec->is_plain) read_params();
    SINTER_CHECK(weight.cols < (1 << 17));  // so that an int8 sum fits int32; the config checks it
    if (mode == ActivationMode::int8_token &&
        std::string_view(weight.format.codec->name) != "i8_row") {
      fail(Fault::unsupported, "activation-unsupported",
           "int8 activations need weights in i8_row, found {}", to_string(weight.format));
    }
  }

  int64_t rows() const override { return weight_.rows; }
  int64_t cols() const override { return weight_.cols; }
  int64_t bytes() const override { return weight_.bytes(); }
  ActivationMode mode() const { return mode_; }
  const uint8_t* codes(int64_t row) const { return weight_.row_codes(row); }
  float row_scale(int64_t row) const { return scales_[static_cast<size_t>(row)]; }

  // Row r as float32, exactly as the codec defines it.
  void unpack(int64_t r, float* out) const {
    if (unpack_plain_ != nullptr) {
      unpack_plain_(weight_.row_codes(r), weight_.cols, out);
    } else if (unpack_integer_ != nullptr) {
      unpack_integer_({.codes = weight_.row_codes(r),
                       .scales = scales_.data() + r * n_groups_,
                       .zeros = zeros_.data() + r * n_groups_,
                       .cols = weight_.cols,
                       .group = group_},
                      out);
    } else {
      weight_.format.codec->unpack_row(weight_.format, weight_.row_codes(r), weight_.row_params(r),
                                       {out, static_cast<size_t>(weight_.cols)});
    }
  }

 private:
  void read_params() {
    const Format& f = weight_.format;
    group_ = f.group > 0 ? f.group : weight_.cols;
    n_groups_ = weight_.cols / group_;
    const auto n = static_cast<size_t>(weight_.rows * n_groups_);
    const auto offset = static_cast<float>(1 << (static_cast<int>(f.codec->bits) - 1));
    scales_.resize(n);
    zeros_.resize(n, offset);
    for (int64_t r = 0; r < weight_.rows; ++r) {
      const uint8_t* params = weight_.row_params(r);
      for (int64_t g = 0; g < n_groups_; ++g) {
        const auto at = static_cast<size_t>(r * n_groups_ + g);
        scales_[at] = load_scale(f.scale, params + g * traits(f.scale).bytes);
        if (f.codec->has_zero_point) {
          zeros_[at] = static_cast<float>(params[n_groups_ * traits(f.scale).bytes + g]);
        }
      }
    }
  }

  Weight weight_;
  ActivationMode mode_;
  void (*unpack_plain_)(const uint8_t*, int64_t, float*) = nullptr;
  void (*unpack_integer_)(const cpu::UnpackRow&, float*) = nullptr;
  int64_t group_ = 0;
  int64_t n_groups_ = 0;
  std::vector<float> scales_;  // [rows, n_groups]
  std::vector<float> zeros_;   // [rows, n_groups]
};

// A buffer of this thread that grows and stays.
template <typename T>
T* scratch(int64_t n) {
  thread_local std::vector<T> buffer;
  if (buffer.size() < static_cast<size_t>(n)) buffer.resize(static_cast<size_t>(n));
  return buffer.data();
}

// Work below this many multiplications is not worth waking a thread.
constexpr int64_t kMinParallel = 1 << 17;

class CpuBackend final : public Backend {
 public:
  CpuBackend(int n_threads, const Kernels& kernels) : pool_(n_threads), k_(kernels) {}

  std::string name() const override { return std::string("cpu/") + k_.name; }
  int n_threads() const override { return pool_.size(); }

  std::unique_ptr<PreparedWeight> prepare(const Weight& weight, Activation activation) override {
    return std::make_unique<CpuWeight>(weight, activation.mode, k_);
  }

  void linear(const PreparedWeight& weight, std::span<const float> bias, MatView x,
              MatMut y) override {
    const auto& w = static_cast<const CpuWeight&>(weight);
    SINTER_CHECK(x.cols == w.cols() && y.cols == w.rows() && x.rows == y.rows);
    if (w.mode() == ActivationMode::int8_token) {
      linear_int8(w, x, y);
    } else {
      over_rows(w.rows(), x.rows * w.cols(), kTileRows, [&](int64_t begin, int64_t end) {
        float* tile = scratch<float>(kTileRows * w.cols());
        for (int64_t r = begin; r < end; r += kTileRows) {
          const int n = static_cast<int>(std::min<int64_t>(kTileRows, end - r));
          for (int i = 0; i < n; ++i) w.unpack(r + i, tile + i * w.cols());
          k_.dot_tile(tile, n, x.at, x.stride, x.rows, w.cols(), y.at + r, y.stride);
        }
      });
    }
    if (!bias.empty()) {
      for (int64_t i = 0; i < y.rows; ++i) {
        float* row = y.at + i * y.stride;
        for (int64_t j = 0; j < y.cols; ++j) row[j] += bias[static_cast<size_t>(j)];
      }
    }
  }

  void embed(const Weight& w, std::span<const int32_t> tokens, MatMut y) override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      SINTER_CHECK(tokens[i] >= 0 && tokens[i] < w.rows);
      w.format.codec->unpack_row(w.format, w.row_codes(tokens[i]), w.row_params(tokens[i]),
                                 y.row(static_cast<int64_t>(i)));
    }
  }

  void rms_norm(std::span<const float> gain, float eps, MatView x, MatMut y) override {
    const auto n = static_cast<int64_t>(gain.size());
    over_rows(x.rows, 8 * x.cols, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t at = 0; at < x.cols; at += n) {
          const float* in = x.at + i * x.stride + at;
          float* out = y.at + i * y.stride + at;
          const float mean = k_.dot(in, in, n) / static_cast<float>(n);
          const float inverse = 1.0f / std::sqrt(mean + eps);
          for (int64_t j = 0; j < n; ++j) out[j] = in[j] * inverse * gain[static_cast<size_t>(j)];
        }
      }
    });
  }

  void rope(int32_t head_dim, MatView cos, MatView sin, MatMut x) override {
    const int64_t half = cos.cols;
    over_rows(x.rows, 4 * x.cols, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float* c = cos.at + i * cos.stride;
        const float* s = sin.at + i * sin.stride;
        for (int64_t at = 0; at < x.cols; at += head_dim) {
          float* a = x.at + i * x.stride + at;
          float* b = a + half;
          for (int64_t j = 0; j < half; ++j) {
            const float first = a[j];
            const float second = b[j];
            a[j] = first * c[j] - second * s[j];
            b[j] = second * c[j] + first * s[j];
          }
        }
      }
    });
  }

  void silu_mul(MatMut gate, MatView up) override {
    over_rows(gate.rows, 32 * gate.cols, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float* g = gate.at + i * gate.stride;
        const float* u = up.at + i * up.stride;
        float* e = scratch<float>(gate.cols);
        for (int64_t j = 0; j < gate.cols; ++j) e[j] = -g[j];
        k_.exp(0, e, gate.cols);
        for (int64_t j = 0; j < gate.cols; ++j) g[j] = g[j] / (1.0f + e[j]) * u[j];
      }
    });
  }

  void add(MatView x, MatMut y) override {
    for (int64_t i = 0; i < y.rows; ++i) {
      const float* from = x.at + i * x.stride;
      float* to = y.at + i * y.stride;
      for (int64_t j = 0; j < y.cols; ++j) to[j] += from[j];
    }
  }

  void attention(const AttentionShape& s, MatView q, std::span<const AttentionRow> rows,
                 MatMut y) override {
    const auto n_rows = static_cast<int64_t>(rows.size());
    int64_t longest = 0;
    for (const AttentionRow& r : rows) longest = std::max<int64_t>(longest, r.position + 1);
    over_rows(n_rows * s.n_heads, 2 * longest * s.head_dim, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i / s.n_heads;
        const int64_t head = i % s.n_heads;
        attend(s, q.at + row * q.stride + head * s.head_dim, rows[static_cast<size_t>(row)],
               head / (s.n_heads / s.n_kv_heads), y.at + row * y.stride + head * s.head_dim);
      }
    });
  }

 private:
  template <typename Body>
  void over_rows(int64_t n, int64_t work_per_row, int64_t grain, const Body& body) {
    const int64_t enough = std::max<int64_t>(1, kMinParallel / std::max<int64_t>(1, work_per_row));
    const int64_t shares = int64_t{4} * pool_.size();
    const int64_t even = (n + shares - 1) / shares;
    const int64_t step = (std::max(enough, even) + grain - 1) / grain * grain;
    pool_.run(n, step, body);
  }

  // Dynamic per-token int8 as compressed-tensors defines it: scale = amax / 127.5, codes rounded
  // half to even and clamped to [-128, 127]. The integer sum is exact, so its order cannot matter.
  void linear_int8(const CpuWeight& w, MatView x, MatMut y) {
    const int64_t k = x.cols;
    auto* codes = scratch<int8_t>(x.rows * k);
    auto* scales = scratch<float>(x.rows);
    for (int64_t i = 0; i < x.rows; ++i) {
      const float* row = x.at + i * x.stride;
      float amax = 0;
      bool finite = true;
      for (int64_t j = 0; j < k; ++j) {
        amax = std::max(amax, std::abs(row[j]));
        finite = finite && std::isfinite(row[j]);
      }
      if (!finite) {  // has no int8 form; NaN says so downstream, as it would have in float32
        scales[i] = std::numeric_limits<float>::quiet_NaN();
        std::fill(codes + i * k, codes + (i + 1) * k, int8_t{0});
        continue;
      }
      scales[i] = std::max(amax / 127.5f, std::numeric_limits<float>::epsilon());
      for (int64_t j = 0; j < k; ++j) {
        codes[i * k + j] =
            static_cast<int8_t>(std::clamp(std::nearbyint(row[j] / scales[i]), -128.0f, 127.0f));
      }
    }
    over_rows(w.rows(), x.rows * k, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        for (int64_t i = 0; i < x.rows; ++i) {
          const int32_t sum = k_.dot_i8(w.codes(r), codes + i * k, k);
          y.at[i * y.stride + r] = static_cast<float>(sum) * (scales[i] * w.row_scale(r));
        }
      }
    });
  }

  // Online softmax (Milakov and Gimelshein, 2018), page by page in order of position: the order of
  // every sum is fixed by the position and the page size.
  void attend(const AttentionShape& s, const float* q, const AttentionRow& row, int64_t kv_head,
              float* out) {
    const int64_t d = s.head_dim;
    const int64_t page_tokens = row.page_tokens;
    const int64_t keys_size = s.n_kv_heads * page_tokens * d;
    const int64_t first =
        s.sliding_window > 0 ? std::max<int64_t>(0, row.position - s.sliding_window + 1) : 0;
    float* scores = scratch<float>(page_tokens);
    float peak = -std::numeric_limits<float>::infinity();
    float total = 0;
    std::fill(out, out + d, 0.0f);
    for (int64_t page = first / page_tokens; page * page_tokens <= row.position; ++page) {
      const int64_t start = page * page_tokens;
      const int64_t begin = std::max(first, start) - start;
      const int64_t end = std::min<int64_t>(row.position + 1, start + page_tokens) - start;
      const float* keys = row.pages[page] + row.layer_offset + kv_head * page_tokens * d;
      const float* values = keys + keys_size;
      float page_peak = peak;
      for (int64_t t = begin; t < end; t += kTileRows) {
        const int n = static_cast<int>(std::min<int64_t>(kTileRows, end - t));
        k_.dot_tile(keys + t * d, n, q, 0, 1, d, scores + t, 0);
      }
      for (int64_t t = begin; t < end; ++t) {
        scores[t] *= s.scale;
        page_peak = std::max(page_peak, scores[t]);
      }
      if (page_peak > peak) {
        const float shrink = std::exp(peak - page_peak);
        total *= shrink;
        k_.scale(shrink, out, d);
        peak = page_peak;
      }
      k_.exp(peak, scores + begin, end - begin);
      for (int64_t t = begin; t < end; ++t) total += scores[t];
      k_.add_rows(scores + begin, values + begin * d, end - begin, d, out);
    }
    k_.scale(1.0f / total, out, d);
  }

  ThreadPool pool_;
  const Kernels& k_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa) {
  return std::make_unique<CpuBackend>(n_threads, choose_kernels(isa));
}

std::vector<IsaSupport> cpu_isas() {
  std::vector<IsaSupport> list;
  for (const Kernels* k : kAllKernels) list.push_back({k->name, k->supported()});
  return list;
}

}  // namespace sinter
