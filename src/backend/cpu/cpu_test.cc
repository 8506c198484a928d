// Every instruction set's kernels are called directly, on odd sizes and exact-size heap blocks (so
// that a sanitizer sees an over-read), and compared with definitions in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "base/error.h"
#include "base/random.h"

namespace sinter {
namespace {

std::vector<float> random_floats(int64_t n, uint64_t stream, float size = 1) {
  std::vector<float> v(static_cast<size_t>(n));
  for (size_t i = 0; i < v.size(); ++i) {
    v[i] = size * static_cast<float>(2 * random_uniform(7, stream, i) - 1);
  }
  return v;
}

MatView view(const std::vector<float>& v, int64_t rows) {
  const auto cols = static_cast<int64_t>(v.size()) / rows;
  return {v.data(), rows, cols, cols};
}
MatMut mut(std::vector<float>& v, int64_t rows) {
  const auto cols = static_cast<int64_t>(v.size()) / rows;
  return {v.data(), rows, cols, cols};
}

// A weight of any codec, with its bytes.
struct Stored {
  Weight weight;
  std::unique_ptr<uint8_t[]> codes, params;  // exact size
  std::vector<float> exact;                  // what the codec says the values are
};

Stored store(const Format& format, int64_t rows, int64_t cols, uint64_t stream) {
  Stored s;
  s.weight = {.format = format, .rows = rows, .cols = cols};
  const int64_t row_bytes = s.weight.row_bytes(), param_bytes = s.weight.param_bytes();
  s.codes = std::make_unique<uint8_t[]>(static_cast<size_t>(rows * row_bytes));
  s.params = std::make_unique<uint8_t[]>(static_cast<size_t>(rows * param_bytes));
  s.weight.codes = s.codes.get();
  s.weight.params = format.codec->is_plain ? nullptr : s.params.get();
  const std::vector<float> w = random_floats(rows * cols, stream);
  s.exact.resize(w.size());
  for (int64_t r = 0; r < rows; ++r) {
    const std::span row(w.data() + r * cols, static_cast<size_t>(cols));
    uint8_t* params = s.params.get() + r * param_bytes;
    uint8_t* codes = s.codes.get() + r * row_bytes;
    if (!format.codec->is_plain) format.codec->fit_row(format, row, {}, params);
    format.codec->pack_row(format, row, params, codes);
    format.codec->unpack_row(format, codes, params,
                             {s.exact.data() + r * cols, static_cast<size_t>(cols)});
  }
  return s;
}

// Every codec, with the groups that its kernels treat differently.
std::vector<Format> formats_for(int64_t cols) {
  std::vector<Format> formats;
  for (const Codec* codec : codecs()) {
    const bool grouped = std::string_view(codec->name).find("_group") != std::string_view::npos;
    for (const int32_t group :
         grouped ? std::vector<int32_t>{0, 16, 32, 48, 96, 128} : std::vector<int32_t>{0}) {
      const Format format{.codec = codec, .group = group};
      if (cols % codec->col_multiple(format) == 0) formats.push_back(format);
    }
  }
  return formats;
}

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const IsaSupport& isa : cpu_isas()) {
    if (isa.supported) {
      names.push_back(isa.name);
    } else {
      std::printf("SKIPPED: this CPU does not run %s\n", isa.name.c_str());
    }
  }
  return names;
}

// y against sums in double of the codec's values times `x`, within the roundings of a float32 sum.
void expect_product(const Stored& s, const std::vector<float>& x, const std::vector<float>& y,
                    int64_t n, double slack, const std::string& what) {
  const int64_t rows = s.weight.rows, cols = s.weight.cols;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t r = 0; r < rows; ++r) {
      double want = 0, size = 0;
      for (int64_t k = 0; k < cols; ++k) {
        const double term = static_cast<double>(s.exact[static_cast<size_t>(r * cols + k)]) *
                            static_cast<double>(x[static_cast<size_t>(i * cols + k)]);
        want += term;
        size += std::abs(term);
      }
      ASSERT_NEAR(y[static_cast<size_t>(i * rows + r)], want, slack * size + 1e-30)
          << what << " row " << r << " input " << i;
    }
  }
}

TEST(CpuBackend, ExactLinearMatchesDoubleForEveryFormatAndIsa) {
  for (const std::string& isa : isas()) {
    const auto backend = make_cpu_backend(2, isa);
    for (const int64_t cols : {32, 96, 256, 384}) {
      for (const Format& format : formats_for(cols)) {
        for (const int64_t rows : {1, 16, 83}) {
          if (rows == 83 && cols == 384 && isa == "ref") continue;  // slow, and like the others
          const Stored s = store(format, rows, cols, static_cast<uint64_t>(rows * cols));
          const auto weight = backend->prepare(s.weight, {});
          EXPECT_EQ(weight->kernel().why_slow, "") << to_string(format);
          for (const int64_t n : {1, 2, 3, 4, 5, 29}) {
            const std::vector<float> x = random_floats(n * cols, 3);
            std::vector<float> y(static_cast<size_t>(n * rows));
            backend->linear(*weight, {}, view(x, n), mut(y, n));
            // A chain of at most 128 roundings, then one for each block. An offset is a term of its
            // own, some times larger than the value.
            const double slack = format.codec->has_zero_point ? 4e-5 : 8e-6;
            expect_product(s, x, y, n, slack,
                           isa + " " + to_string(format) + " cols " + std::to_string(cols));
          }
        }
      }
    }
  }
}

// What has no panels (groups that are no multiple of 16 columns) still runs, and says why it is
// slow.
TEST(CpuBackend, AWeightWithoutPanelsRunsRowByRow) {
  for (const std::string& isa : isas()) {
    const Stored s = store(format_named("i8_group:5"), 19, 60, 1);
    const auto backend = make_cpu_backend(2, isa);
    const auto weight = backend->prepare(s.weight, {});
    EXPECT_EQ(weight->kernel().codes, "rows");
    EXPECT_NE(weight->kernel().why_slow, "");
    const std::vector<float> x = random_floats(3 * 60, 3), bias = random_floats(19, 5);
    std::vector<float> y(3 * 19);
    backend->linear(*weight, bias, view(x, 3), mut(y, 3));
    for (size_t i = 0; i < y.size(); ++i) y[i] -= bias[i % 19];
    expect_product(s, x, y, 3, 1e-5, isa);
  }
}

TEST(CpuBackend, ColumnsStoredInAnotherOrderAreGathered) {
  const int64_t cols = 64;
  const Stored s = store(format_named("i4_group:32"), 20, cols, 1);
  std::vector<int32_t> order(static_cast<size_t>(cols));
  for (int32_t c = 0; c < cols; ++c) order[static_cast<size_t>(c)] = (c * 27 + 5) % 64;
  const std::vector<float> x = random_floats(6 * cols, 3);
  std::vector<float> gathered(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    gathered[i] = x[i / 64 * 64 + static_cast<size_t>(order[i % 64])];
  }
  Weight weight = s.weight;
  weight.column_order = order.data();
  const auto backend = make_cpu_backend(1, "");
  std::vector<float> y(6 * 20);
  backend->linear(*backend->prepare(weight, {}), {}, view(x, 6), mut(y, 6));
  expect_product(s, gathered, y, 6, 1e-5, "gathered");
}

// The inputs as the dynamic int8 mode rounds them: a scale for each run of columns.
std::vector<float> rounded_int8(const std::vector<float>& x, int64_t cols, int64_t run) {
  std::vector<float> out(x.size());
  for (size_t row = 0; row < x.size(); row += static_cast<size_t>(cols)) {
    for (int64_t at = 0; at < cols; at += run) {
      const auto begin = row + static_cast<size_t>(at);
      const auto end = row + static_cast<size_t>(std::min(cols, at + run));
      float peak = 0;
      for (size_t i = begin; i < end; ++i) peak = std::max(peak, std::abs(x[i]));
      const float scale = peak / 127.0f;
      for (size_t i = begin; i < end; ++i) out[i] = std::nearbyint(x[i] / scale) * scale;
    }
  }
  return out;
}

TEST(CpuBackend, Int8LinearMatchesDoubleAndIsTheSameOnEveryIsa) {
  for (const int64_t cols : {32, 96, 256, 384}) {
    for (const Format& format : formats_for(cols)) {
      const Grid* grid = format.codec->grid;
      if (grid == nullptr || grid->levels == Grid::Levels::e4m3) continue;
      int64_t group = grid->group > 0 ? grid->group : format.group;
      if (group == 0) group = 128;
      const Stored s = store(format, 83, cols, 9);
      for (const int64_t n : {1, 4, 29}) {
        const std::vector<float> x = random_floats(n * cols, 4, 3);
        std::vector<float> first;
        for (const std::string& isa : isas()) {
          if (isa == "ref" && n == 29) continue;  // slow
          const auto backend = make_cpu_backend(2, isa);
          const auto weight = backend->prepare(s.weight, {ActivationMode::int8});
          EXPECT_EQ(weight->kernel().activations, "int8");
          std::vector<float> y(static_cast<size_t>(n * 83));
          backend->linear(*weight, {}, view(x, n), mut(y, n));
          if (group % 32 == 0 || group == 16) {
            const int64_t block = group % 128 == 0  ? 128
                                  : group % 96 == 0 ? 96
                                                    : std::max<int64_t>(32, group);
            expect_product(s, rounded_int8(x, cols, std::min(cols, block)), y, n, 4e-6,
                           isa + " " + to_string(format));
          }
          if (first.empty()) first = y;
          // Integers and a fused multiply-add: the same on all, but where "ref" rounds twice.
          if (isa == "ref") {
            for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], first[i], 1e-5);
          } else {
            ASSERT_EQ(y, first) << isa << " " << to_string(format);
          }
        }
      }
    }
  }
}

// Law 1 where it begins: a row's result does not depend on its neighbours, their number or the
// threads.
TEST(CpuBackend, ARowIsTheSameAloneAndInABatch) {
  for (const char* name : {"bf16", "f16", "i8_row", "i4_group:32", "u4_group:128", "i3_group:64"}) {
    const int64_t cols = 1408, rows = 75;  // more than a chunk of columns, a ragged last tile
    const Stored s = store(format_named(name), rows, cols, 1);
    const std::vector<float> x = random_floats(29 * cols, 2);
    for (const ActivationMode mode : {ActivationMode::exact, ActivationMode::int8}) {
      for (const std::string& isa : isas()) {
        if (isa == "ref") continue;  // one tile size: nothing to differ, and slow
        std::vector<float> want;
        for (const int threads : {1, 3}) {
          const auto backend = make_cpu_backend(threads, isa);
          const auto weight = backend->prepare(s.weight, {mode});
          for (const int64_t chunk : {29, 1, 2, 3, 5, 17}) {
            std::vector<float> y(static_cast<size_t>(29 * rows));
            for (int64_t at = 0; at < 29; at += chunk) {
              const int64_t n = std::min<int64_t>(chunk, 29 - at);
              backend->linear(*weight, {}, {x.data() + at * cols, n, cols, cols},
                              {y.data() + at * rows, n, rows, rows});
            }
            if (want.empty()) want = y;
            ASSERT_EQ(y, want) << isa << " " << name << " threads " << threads << " chunk "
                               << chunk;
          }
        }
      }
    }
  }
}

TEST(CpuBackend, Int8TokenMatchesItsDefinition) {
  for (const std::string& isa : isas()) {
    const auto backend = make_cpu_backend(2, isa);
    for (const int64_t cols : {31, 32, 100}) {
      const Stored s = store(format_named("i8_row"), 9, cols, 1);
      const auto weight = backend->prepare(s.weight, {ActivationMode::int8_token});
      for (const int64_t n : {3, 7}) {
        const std::vector<float> x = random_floats(n * cols, 2, 5);
        std::vector<float> rounded(x.size()), y(static_cast<size_t>(9 * n));
        for (int64_t i = 0; i < n; ++i) {
          const auto row = static_cast<size_t>(i * cols);
          float amax = 0;
          for (size_t k = 0; k < static_cast<size_t>(cols); ++k) {
            amax = std::max(amax, std::abs(x[row + k]));
          }
          const float scale = amax / 127.5f;
          for (size_t k = 0; k < static_cast<size_t>(cols); ++k) {
            rounded[row + k] =
                std::clamp(std::nearbyint(x[row + k] / scale), -128.0f, 127.0f) * scale;
          }
        }
        backend->linear(*weight, {}, view(x, n), mut(y, n));
        expect_product(s, rounded, y, n, 2e-6, isa);
      }
    }
  }
}

// A mode whose integers a format cannot use rounds its inputs all the same, and is not silent.
TEST(CpuBackend, RoundedInputsOfFloatWeights) {
  const Stored s = store(format_named("bf16"), 9, 64, 1);
  const auto backend = make_cpu_backend(1, "");
  // Every non-negative value of E4M3, as its definition has them.
  std::set<double> grid;
  for (int code = 0; code < 0x7F; ++code) {
    const int exponent = code >> 3, mantissa = code & 7;
    grid.insert(exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10));
  }
  const std::vector<float> x = random_floats(5 * 64, 2, 700);
  for (const ActivationMode mode : {ActivationMode::fp8_tensor, ActivationMode::int8_tensor}) {
    const float scale = 1.5f;
    const auto weight = backend->prepare(s.weight, {mode, scale});
    EXPECT_EQ(weight->kernel().why_slow.empty(), mode == ActivationMode::fp8_tensor);
    std::vector<float> rounded(x.size()), y(5 * 9);
    for (size_t i = 0; i < x.size(); ++i) {
      const double v = static_cast<double>(x[i] / scale);
      double best = std::clamp(std::nearbyint(v), -128.0, 127.0);
      if (mode == ActivationMode::fp8_tensor) {
        double distance = 1e9;
        for (const double g : grid) {
          if (std::abs(g - std::abs(v)) >= distance) continue;
          distance = std::abs(g - std::abs(v));
          best = std::copysign(g, v);
        }
      }
      rounded[i] = static_cast<float>(best) * scale;
    }
    backend->linear(*weight, {}, view(x, 5), mut(y, 5));
    expect_product(s, rounded, y, 5, 1e-5, "rounded");
  }
}

TEST(CpuBackend, AnInputThatIsNoNumberIsSeenInTheOutput) {
  const Stored s = store(format_named("i4_group:32"), 20, 64, 1);
  const auto backend = make_cpu_backend(1, "");
  for (const ActivationMode mode :
       {ActivationMode::exact, ActivationMode::int8, ActivationMode::int8_token}) {
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      std::vector<float> x = random_floats(2 * 64, 3), y(40);
      x[70] = bad;
      backend->linear(*backend->prepare(s.weight, {mode}), {}, view(x, 2), mut(y, 2));
      EXPECT_TRUE(std::isfinite(y[0]));
      EXPECT_FALSE(std::isfinite(y[20])) << to_string(mode);
    }
  }
}

std::vector<const cpu::Kernels*> supported_kernels() {
  std::vector<const cpu::Kernels*> list;
  for (const cpu::Kernels* k :
       {&cpu::kRefKernels,
#ifdef SINTER_X86
        &cpu::kAvx2Kernels, &cpu::kAvx512Kernels, &cpu::kAvx512VnniKernels, &cpu::kAmxKernels
#endif
       }) {
    if (k->supported()) list.push_back(k);
  }
  return list;
}

TEST(CpuKernels, QuadraticFormsMatchDouble) {
  for (const cpu::Kernels* k : supported_kernels()) {
    for (const int64_t n : {1, 15, 16, 17, 64, 70, 128, 200}) {
      const int64_t stride = n + 3;
      const std::vector<float> d = random_floats(n, 1), g = random_floats(n * stride - 3, 2);
      double want = 0, size = 0;
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          const double term = double{d[static_cast<size_t>(i)]} *
                              double{g[static_cast<size_t>(i * stride + j)]} *
                              double{d[static_cast<size_t>(j)]};
          want += term;
          size += std::abs(term);
        }
      }
      EXPECT_NEAR(k->quadratic_form(d.data(), g.data(), stride, n), want, 0x1p-20 * size)
          << k->name << " n " << n;
    }
  }
}

// Called directly: through a whole model an error of a few ulp would not show.
TEST(CpuKernels, VectorsMatchDouble) {
  for (const cpu::Kernels* k : supported_kernels()) {
    for (const int64_t n : {1, 3, 8, 15, 16, 17, 33, 100}) {
      const auto size = static_cast<size_t>(n);
      for (uint64_t trial = 0; trial < 20; ++trial) {
        const std::vector<float> x = random_floats(n, trial, 90), up = random_floats(n, trial + 50);
        std::vector<float> y = x;
        k->silu_mul(up.data(), n, y.data());
        double squares = 0, dot = 0;
        for (size_t i = 0; i < size; ++i) {
          const double v = x[i], want = v / (1 + std::exp(-v)) * up[i];
          EXPECT_NEAR(y[i], want, 8 * 0x1p-24 * std::abs(want) + 2e-37) << k->name << " x " << v;
          squares += v * v;
          dot += v * up[i];
        }
        EXPECT_NEAR(k->dot(x.data(), up.data(), n), dot, 1e-5 * squares) << k->name;
        k->rms_norm(x.data(), up.data(), 1e-5f, n, y.data());
        for (size_t i = 0; i < size; ++i) {
          const double want = x[i] / std::sqrt(squares / static_cast<double>(n) + 1e-5) * up[i];
          EXPECT_NEAR(y[i], want, 1e-6 * std::abs(want)) << k->name;
        }
        y = x;
        k->add(up.data(), n, y.data());
        for (size_t i = 0; i < size; ++i) EXPECT_EQ(y[i], x[i] + up[i]) << k->name;
        float peak = 0;
        for (const float v : x) peak = std::max(peak, std::abs(v));
        EXPECT_EQ(k->peak(x.data(), n), peak) << k->name;
      }
    }
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      std::vector<float> x(20, 1.0f);
      x[18] = bad;
      EXPECT_FALSE(std::isfinite(k->peak(x.data(), 20))) << k->name;
    }
    std::vector<float> edge = {-INFINITY, INFINITY, NAN, -1000, 1000, 0};
    const std::vector<float> ones(6, 1.0f);
    k->silu_mul(ones.data(), 6, edge.data());
    EXPECT_TRUE(std::isinf(edge[1]) && std::isnan(edge[2])) << k->name;
    EXPECT_EQ(edge[3], 0) << k->name;
    EXPECT_EQ(edge[4], 1000) << k->name;
    EXPECT_EQ(edge[5], 0) << k->name;
    std::vector<float> head = random_floats(2 * 19, 1), turned = head;
    const std::vector<float> c = random_floats(19, 2), s = random_floats(19, 3);
    k->rope(c.data(), s.data(), 19, turned.data());
    for (size_t i = 0; i < 19; ++i) {
      EXPECT_NEAR(turned[i], head[i] * c[i] - head[19 + i] * s[i], 1e-6) << k->name;
      EXPECT_NEAR(turned[19 + i], head[19 + i] * c[i] + head[i] * s[i], 1e-6) << k->name;
    }
    const std::vector<float> x = {0.5f, 1.5f,  2.5f, -0.5f, -1.5f, 300, -300, 127.4f,
                                  1,    -1.2f, 0,    3,     4,     5,   6,    7};
    const std::vector<int8_t> want = {0, 2, 2, 0, -2, 127, -128, 127, 1, -1, 0, 3, 4, 5, 6, 7};
    std::vector<int8_t> codes(16);
    EXPECT_EQ(k->round_codes(x.data(), 1, 16, codes.data()), 153) << k->name;
    EXPECT_EQ(codes, want) << k->name;
  }
}

// One sequence of kTokens in pages, written through the backend as a decoder does.
struct Context {
  KvShape kv;
  std::vector<std::vector<uint8_t>> pages;
  std::vector<uint8_t*> table;
  std::vector<float> keys, values;  // as rounded

  Context(Backend& backend, int32_t head_dim, DType dtype, int32_t n_tokens) {
    kv = {.n_kv_heads = 2, .head_dim = head_dim, .dtype = dtype};
    pages.resize(static_cast<size_t>((n_tokens + kPageTokens - 1) / kPageTokens));
    for (auto& page : pages) page.resize(static_cast<size_t>(3 * kv.layer_bytes()));
    for (auto& page : pages) table.push_back(page.data());
    keys = random_floats(int64_t{n_tokens} * 2 * head_dim, 20, 2);
    values = random_floats(int64_t{n_tokens} * 2 * head_dim, 21, 2);
    const AttentionSpan span{table.data(), 0, n_tokens, 0};
    backend.store_kv(kv, kv.layer_bytes(), {&span, 1}, view(keys, n_tokens),
                     view(values, n_tokens));
    for (auto* v : {&keys, &values}) {
      for (float& x : *v) {
        if (dtype == DType::bf16) x = bf16_to_f32(f32_to_bf16(x));
        if (dtype == DType::f16) x = f16_to_f32(f32_to_f16(x));
      }
    }
  }
};

TEST(CpuBackend, AttentionMatchesDouble) {
  constexpr int32_t kTokens = 75, kHeads = 6;
  for (const std::string& isa : isas()) {
    const auto backend = make_cpu_backend(2, isa);
    for (const int32_t dim : {8, 24, 64, 80}) {
      for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        const Context c(*backend, dim, dtype, kTokens);
        const std::vector<float> q = random_floats(int64_t{kTokens} * kHeads * dim, 30, 3);
        for (const int32_t window : {0, 5, 40}) {
          const AttentionShape shape{.n_heads = kHeads, .sliding_window = window, .scale = 0.2f};
          std::vector<float> y(q.size());
          const AttentionSpan span{c.table.data(), 0, kTokens, 0};
          backend->attention(c.kv, shape, c.kv.layer_bytes(), {&span, 1}, view(q, kTokens),
                             mut(y, kTokens));
          for (int32_t t = 0; t < kTokens; t += isa == "ref" ? 7 : 1) {
            for (int32_t h = 0; h < kHeads; ++h) {
              std::vector<double> out(static_cast<size_t>(dim));
              double total = 0;
              for (int32_t u = window > 0 ? std::max(0, t - window + 1) : 0; u <= t; ++u) {
                const auto at = static_cast<size_t>((u * 2 + h / 3) * dim);
                double score = 0;
                for (size_t d = 0; d < out.size(); ++d) {
                  score += static_cast<double>(q[static_cast<size_t>((t * kHeads + h) * dim) + d]) *
                           static_cast<double>(c.keys[at + d]);
                }
                const double weight = std::exp(0.2 * score);
                total += weight;
                for (size_t d = 0; d < out.size(); ++d) {
                  out[d] += weight * static_cast<double>(c.values[at + d]);
                }
              }
              for (size_t d = 0; d < out.size(); ++d) {
                ASSERT_NEAR(y[static_cast<size_t>((t * kHeads + h) * dim) + d], out[d] / total,
                            4e-5)
                    << isa << " dim " << dim << " window " << window << " token " << t;
              }
            }
          }
        }
      }
    }
  }
}

// A token's attention is the same in one span, token by token, and beside other sequences.
TEST(CpuBackend, AttentionOfATokenIsTheSameInAnyBatch) {
  constexpr int32_t kTokens = 70, kHeads = 6, kDim = 64;
  const AttentionShape shape{.n_heads = kHeads, .sliding_window = 33, .scale = 0.2f};
  for (const std::string& isa : isas()) {
    const auto backend = make_cpu_backend(3, isa);
    const Context c(*backend, kDim, DType::bf16, kTokens);
    const std::vector<float> q = random_floats(int64_t{kTokens} * kHeads * kDim, 30, 3);
    std::vector<float> together(q.size()), apart(q.size());
    const AttentionSpan span{c.table.data(), 0, kTokens, 0};
    backend->attention(c.kv, shape, c.kv.layer_bytes(), {&span, 1}, view(q, kTokens),
                       mut(together, kTokens));
    std::vector<AttentionSpan> spans;
    for (int32_t t = 0; t < kTokens;) {
      const int32_t n = std::min(kTokens - t, t % 3 == 0 ? 1 : 5);
      spans.push_back({c.table.data(), t, n, t});
      t += n;
    }
    backend->attention(c.kv, shape, c.kv.layer_bytes(), spans, view(q, kTokens),
                       mut(apart, kTokens));
    ASSERT_EQ(together, apart) << isa;
  }
}

TEST(CpuBackend, AnUnknownInstructionSetIsAnError) {
  EXPECT_THROW(make_cpu_backend(1, "avx9"), Error);
}

}  // namespace
}  // namespace sinter
