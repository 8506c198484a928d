// What rows share, against its definition: the largest magnitude of all that share it; and, where
// an observer searches, the shrink that no other beats.
#include "compress/fit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace sinter {
namespace {

std::vector<float> random_matrix(int64_t n) {
  std::vector<float> w(static_cast<size_t>(n));
  for (size_t i = 0; i < w.size(); ++i) {
    w[i] = static_cast<float>(random_uniform(3, 0, i) + random_uniform(3, 1, i) - 1);
  }
  return w;
}

SharedFit shared(const std::vector<float>& w, int64_t rows, const Scheme& scheme,
                 Observer observer = Observer::minmax, float matrix_peak = 0, int n_threads = 2) {
  const int64_t cols = static_cast<int64_t>(w.size()) / rows;
  ThreadPool threads(n_threads);
  return share_fit(rows, cols, rows_of({w.data(), rows, cols, cols}), scheme,
                   format_of(scheme, DType::f32, cols), observer, {}, matrix_peak, threads);
}

TEST(Fit, BlocksOfRowsAndColumns) {
  for (const int64_t cols : {100, 130, 192, 256}) {
    SCOPED_TRACE(cols);
    constexpr int64_t kRows = 150;
    const std::vector<float> w = random_matrix(kRows * cols);
    const Scheme& scheme = *preset_named("FP8_BLOCK");
    const SharedFit fit = shared(w, kRows, scheme);
    const int64_t group = format_of(scheme, DType::f32, cols).group;
    for (const int64_t r : {0, 127, 128, 149}) {
      const Fit row = fit.of_row(r);
      ASSERT_EQ(static_cast<int64_t>(row.group_peaks.size()), cols / group);
      for (int64_t g = 0; g < cols / group; ++g) {
        float peak = 0;
        for (int64_t i = r / 128 * 128; i < std::min(kRows, r / 128 * 128 + 128); ++i) {
          const int64_t first = g * group / 128 * 128;
          for (int64_t c = first; c < std::min(cols, first + 128); ++c) {
            peak = std::max(peak, std::abs(w[static_cast<size_t>(i * cols + c)]));
          }
        }
        ASSERT_EQ(row.group_peaks[static_cast<size_t>(g)], peak) << r << " " << g;
      }
    }
  }
}

TEST(Fit, OneForTheMatrix) {
  std::vector<float> w = random_matrix(3 * 64);
  w[100] = -7;
  const SharedFit eight = shared(w, 3, *preset_named("FP8"));
  for (int64_t r = 0; r < 3; ++r) {
    EXPECT_EQ(eight.of_row(r).group_peaks.size(), 1u);
    EXPECT_EQ(eight.of_row(r).group_peaks[0], 7);
  }
  const SharedFit four = shared(w, 3, *preset_named("NVFP4A16"));
  EXPECT_EQ(four.of_row(2).matrix_peak, 7);
  EXPECT_TRUE(four.of_row(2).group_peaks.empty());  // its blocks are its own
  EXPECT_EQ(shared(w, 3, *preset_named("NVFP4A16"), Observer::mse, 9).of_row(0).matrix_peak, 9);
  const SharedFit own = shared(w, 3, *preset_named("FP8_DYNAMIC"));
  EXPECT_TRUE(own.of_row(0).group_peaks.empty());
  EXPECT_EQ(own.of_row(0).matrix_peak, 0);
}

// 4-bit integers with one scale, which no recipe has, because there a search pays.
TEST(Fit, TheSharedSearchFindsTheBestShrink) {
  constexpr int64_t kRows = 6, kCols = 64;
  std::vector<float> w = random_matrix(kRows * kCols);
  w[77] = 2;
  const Scheme scheme{.bits = 4, .per_tensor = true};
  const Format format = format_of(scheme, DType::f32, kCols);
  const auto error = [&](float peak) {
    const std::vector<float> peaks = {peak};
    double sum = 0;
    for (int64_t r = 0; r < kRows; ++r) {
      const auto row = std::span<const float>(w).subspan(static_cast<size_t>(r * kCols), kCols);
      std::vector<uint8_t> params(4), codes(kCols / 2);
      std::vector<float> back(kCols);
      format.codec->fit_row(format, row, {.group_peaks = peaks}, params.data());
      format.codec->pack_row(format, row, params.data(), codes.data());
      format.codec->unpack_row(format, codes.data(), params.data(), back);
      for (size_t i = 0; i < back.size(); ++i) sum += std::pow(double{back[i]} - row[i], 2);
    }
    return sum;
  };
  const SharedFit fit = shared(w, kRows, scheme, Observer::mse);
  const float chosen = fit.of_row(0).group_peaks[0];
  EXPECT_LT(chosen, 2);
  EXPECT_LT(error(chosen), error(2));
  for (const float shrink : shrinks()) EXPECT_LE(error(chosen), error(2 * shrink)) << shrink;
}

TEST(Fit, ThreadsChangeNothing) {
  const std::vector<float> w = random_matrix(300 * 192);
  for (const char* preset : {"FP8", "FP8_BLOCK", "NVFP4A16"}) {
    const SharedFit one = shared(w, 300, *preset_named(preset), Observer::mse, 0, 1);
    const SharedFit four = shared(w, 300, *preset_named(preset), Observer::mse, 0, 4);
    EXPECT_EQ(one.peaks, four.peaks);
    EXPECT_EQ(one.matrix_peak, four.matrix_peak);
  }
}

// The 2.4th power, from the smallest errors to the largest.
TEST(GroupErrors, NormIsThePower) {
  const std::vector<float> zeros(100);
  std::vector<float> d(zeros.size());
  for (size_t i = 0; i < d.size(); ++i) {
    const double exponent = 24 * random_uniform(5, 0, i) - 12;
    d[i] = static_cast<float>(std::pow(10.0, exponent)) * (i % 2 == 0 ? 1.0f : -1.0f);
  }
  d[7] = 0;
  for (size_t i = 0; i < d.size(); ++i) {
    double error = 0;
    group_errors(Observer::norm, std::span(zeros).first(1), std::span(d).subspan(i, 1), {},
                 {&error, 1});
    const double expected = std::pow(std::abs(double{d[i]}), 2.4);
    EXPECT_NEAR(error, expected, 1e-6 * expected) << d[i];
  }
}

}  // namespace
}  // namespace sinter
