// Every instruction set's kernels are called directly, on odd sizes and exact-size heap blocks (so
// that a sanitizer sees an over-read), and compared with definitions in double.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
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
    if (!format.codec->is_plain) format.codec->fit_row(format, row, 1, params);
    format.codec->pack_row(format, row, params, codes);
    format.codec->unpack_row(format, codes, params,
                             {s.exact.data() + r * cols, static_cast<size_t>(cols)});
  }
  return s;
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

TEST(CpuBackend, LinearMatchesDoubleForEveryCodecAndIsa) {
  for (const std::string& isa : isas()) {
    const auto backend = make_cpu_backend(2, isa);
    for (const Codec* codec : codecs()) {
      for (const int64_t cols : {32, 64, 160}) {
        const std::string_view name = codec->name;
        const bool grouped = name.find("_group") != std::string_view::npos;
        const Format format{.codec = codec, .group = grouped ? 32 : 0};
        for (const int64_t rows : {1, 7, 8, 19}) {
          const Stored s = store(format, rows, cols, static_cast<uint64_t>(rows * cols));
          const auto weight = backend->prepare(s.weight, {});
          const std::vector<float> bias = random_floats(rows, 5);
          for (const int64_t n : {1, 2, 5, 6, 13}) {
            const std::vector<float> x = random_floats(n * cols, 3);
            std::vector<float> y(static_cast<size_t>(n * rows));
            backend->linear(*weight, bias, view(x, n), mut(y, n));
            for (int64_t i = 0; i < n; ++i) {
              for (int64_t r = 0; r < rows; ++r) {
                double want = static_cast<double>(bias[static_cast<size_t>(r)]);
                double size = std::abs(want);
                for (int64_t k = 0; k < cols; ++k) {
                  const double term =
                      static_cast<double>(s.exact[static_cast<size_t>(r * cols + k)]) *
                      static_cast<double>(x[static_cast<size_t>(i * cols + k)]);
                  want += term;
                  size += std::abs(term);
                }
                // A float32 sum of `cols` terms: at most cols roundings of the absolute sum.
                ASSERT_NEAR(y[static_cast<size_t>(i * rows + r)], want,
                            1e-7 * static_cast<double>(cols) * size)
                    << isa << " " << name << " cols " << cols << " row " << r << " input " << i;
              }
            }
          }
        }
      }
    }
  }
}

TEST(CpuBackend, UnpacksEveryCodecExactlyAsItIsDefined) {
  for (const std::string& isa : isas()) {
    const auto backend = make_cpu_backend(1, isa);
    for (const Codec* codec : codecs()) {
      const std::string_view name = codec->name;
      const bool grouped = name.find("_group") != std::string_view::npos;
      for (const DType scale : {DType::bf16, DType::f16, DType::f32}) {
        for (const int64_t cols : {32, 96, 1024}) {
          const Format format{.codec = codec, .group = grouped ? 32 : 0, .scale = scale};
          const Stored s = store(format, 5, cols, 11);
          const auto weight = backend->prepare(s.weight, {});
          const std::vector<int32_t> tokens = {4, 0, 3};
          std::vector<float> y(static_cast<size_t>(3 * cols));
          backend->embed(s.weight, tokens, mut(y, 3));
          for (size_t i = 0; i < tokens.size(); ++i) {
            for (size_t k = 0; k < static_cast<size_t>(cols); ++k) {
              ASSERT_EQ(y[i * static_cast<size_t>(cols) + k],
                        s.exact[static_cast<size_t>(tokens[i]) * static_cast<size_t>(cols) + k])
                  << isa << " " << name << " column " << k;
            }
          }
        }
      }
    }
  }
}

// Law 1 where it begins: a row's result does not depend on its neighbours, their number or the
// threads.
TEST(CpuBackend, ARowIsTheSameAloneAndInABatch) {
  const Stored s = store(format_named("bf16"), 37, 200, 1);
  const std::vector<float> x = random_floats(29 * 200, 2);
  for (const std::string& isa : isas()) {
    std::vector<float> want;
    for (const int threads : {1, 2, 3}) {
      const auto backend = make_cpu_backend(threads, isa);
      const auto weight = backend->prepare(s.weight, {});
      for (const int64_t chunk : {29, 1, 2, 5, 7, 11}) {
        std::vector<float> y(29 * 37);
        for (int64_t at = 0; at < 29; at += chunk) {
          const int64_t n = std::min<int64_t>(chunk, 29 - at);
          backend->linear(*weight, {}, {x.data() + at * 200, n, 200, 200},
                          {y.data() + at * 37, n, 37, 37});
        }
        if (want.empty()) want = y;
        ASSERT_EQ(y, want) << isa << " threads " << threads << " chunk " << chunk;
      }
    }
  }
}

TEST(CpuBackend, Int8ActivationsMatchTheirDefinition) {
  for (const std::string& isa : isas()) {
    const auto backend = make_cpu_backend(2, isa);
    for (const int64_t cols : {31, 32, 100}) {
      const Stored s = store(format_named("i8_row"), 9, cols, 1);
      const auto weight = backend->prepare(s.weight, {ActivationMode::int8_token});
      const std::vector<float> x = random_floats(3 * cols, 2, 5);
      std::vector<float> y(27);
      backend->linear(*weight, {}, view(x, 3), mut(y, 3));
      for (int64_t i = 0; i < 3; ++i) {
        float amax = 0;
        for (int64_t k = 0; k < cols; ++k) {
          amax = std::max(amax, std::abs(x[static_cast<size_t>(i * cols + k)]));
        }
        const float scale = amax / 127.5f;
        for (int64_t r = 0; r < 9; ++r) {
          double want = 0;
          for (int64_t k = 0; k < cols; ++k) {
            const double q = std::nearbyint(x[static_cast<size_t>(i * cols + k)] / scale);
            want += std::clamp(q, -128.0, 127.0) * static_cast<double>(scale) *
                    static_cast<double>(s.exact[static_cast<size_t>(r * cols + k)]);
          }
          ASSERT_NEAR(y[static_cast<size_t>(i * 9 + r)], want, 1e-4) << isa << " cols " << cols;
        }
      }
    }
  }
}

// Called directly: through attention alone an error of a few ulp would not show.
TEST(CpuKernels, ExpIsWithinThreeUlp) {
  for (const cpu::Kernels* k : {&cpu::kRefKernels,
#ifdef SINTER_X86
                                &cpu::kAvx2Kernels, &cpu::kAvx512Kernels
#endif
       }) {
    if (!k->supported()) continue;
    for (const int64_t n : {1, 3, 8, 15, 16, 33}) {
      for (int trial = 0; trial < 200; ++trial) {
        std::vector<float> x = random_floats(n, static_cast<uint64_t>(trial), 90);
        std::vector<float> y = x;
        k->exp(0.5f, y.data(), n);
        for (size_t i = 0; i < x.size(); ++i) {
          const double want = std::exp(static_cast<double>(x[i] - 0.5f));
          if (want > 3.4e38) {
            EXPECT_TRUE(std::isinf(y[i]));
          } else {
            EXPECT_NEAR(y[i], want, 3 * 0x1p-24 * 2 * want + 3e-45) << k->name << " x " << x[i];
          }
        }
      }
    }
    std::vector<float> edge = {-INFINITY, INFINITY, NAN, -1000, 1000, 0};
    k->exp(0, edge.data(), 6);
    EXPECT_EQ(edge[0], 0) << k->name;
    EXPECT_TRUE(std::isinf(edge[1])) << k->name;
    EXPECT_TRUE(std::isnan(edge[2])) << k->name;
    EXPECT_EQ(edge[3], 0) << k->name;
    EXPECT_TRUE(std::isinf(edge[4])) << k->name;
    EXPECT_EQ(edge[5], 1) << k->name;
  }
}

TEST(CpuBackend, Int8ActivationsNeedInt8Weights) {
  const Stored s = store(format_named("bf16"), 2, 8, 1);
  EXPECT_THROW(make_cpu_backend(1, "")->prepare(s.weight, {ActivationMode::int8_token}), Error);
}

TEST(CpuBackend, AttentionMatchesDouble) {
  const AttentionShape shape{
      .n_heads = 4, .n_kv_heads = 2, .head_dim = 24, .sliding_window = 0, .scale = 0.2f};
  constexpr int32_t kPage = 8, kTokens = 27;
  const int64_t half = 2 * kPage * 24;
  std::vector<std::vector<float>> pages;
  std::vector<const float*> table;
  for (uint64_t p = 0; p < 4; ++p) pages.push_back(random_floats(2 * half, 20 + p, 2));
  for (const auto& p : pages) table.push_back(p.data());
  const std::vector<float> q = random_floats(kTokens * 96, 30, 3);
  for (const std::string& isa : isas()) {
    for (const int32_t window : {0, 5, 11}) {
      AttentionShape s = shape;
      s.sliding_window = window;
      std::vector<AttentionRow> rows;
      for (int32_t t = 0; t < kTokens; ++t) {
        rows.push_back(
            {.pages = table.data(), .layer_offset = 0, .page_tokens = kPage, .position = t});
      }
      std::vector<float> y(q.size());
      make_cpu_backend(2, isa)->attention(s, view(q, kTokens), rows, mut(y, kTokens));
      for (int32_t t = 0; t < kTokens; ++t) {
        for (int32_t h = 0; h < 4; ++h) {
          std::vector<double> out(24);
          double total = 0;
          for (int32_t u = window > 0 ? std::max(0, t - window + 1) : 0; u <= t; ++u) {
            const float* key =
                table[static_cast<size_t>(u / kPage)] + (h / 2 * kPage + u % kPage) * 24;
            double score = 0;
            for (int d = 0; d < 24; ++d) {
              score += static_cast<double>(q[static_cast<size_t>(t * 96 + h * 24 + d)]) *
                       static_cast<double>(key[d]);
            }
            const double weight = std::exp(0.2f * score);
            total += weight;
            for (int d = 0; d < 24; ++d) {
              out[static_cast<size_t>(d)] += weight * static_cast<double>(key[half + d]);
            }
          }
          for (int d = 0; d < 24; ++d) {
            ASSERT_NEAR(y[static_cast<size_t>(t * 96 + h * 24 + d)],
                        out[static_cast<size_t>(d)] / total, 2e-5)
                << isa << " window " << window << " token " << t;
          }
        }
      }
    }
  }
}

TEST(CpuBackend, AnUnknownInstructionSetIsAnError) {
  EXPECT_THROW(make_cpu_backend(1, "avx9"), Error);
}

}  // namespace
}  // namespace sinter
