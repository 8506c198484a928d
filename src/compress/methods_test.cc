// What the methods compute, beside the formulas of their papers in double, and what they say where
// numbers leave them no choice.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "artifact/artifact.h"
#include "base/random.h"
#include "base/scratch_directory.h"
#include "compress/block_error.h"
#include "compress/recipe.h"
#include "compress/round.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;
const std::string kPebble = std::string(SINTER_SOURCE_DIR) + "/models/pebble";

Recipe recipe(const std::string& steps) {
  return parse_recipe("name: test\nsteps:\n" + steps, "test.yaml");
}

double normal(uint64_t seed, int64_t i, int64_t j) {
  double sum = -6;
  for (uint64_t k = 0; k < 12; ++k) {
    sum += random_uniform(seed, static_cast<uint64_t>(i), 12 * static_cast<uint64_t>(j) + k);
  }
  return sum;
}

Matrix random_matrix(uint64_t seed, int64_t rows, int64_t cols) {
  Matrix m(rows, cols);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      m.row(i)[static_cast<size_t>(j)] = static_cast<float>(normal(seed, i, j));
    }
  }
  return m;
}

// Of n tokens whose k columns hang together and differ in size, as a network's do. Columns in
// `dead` are zero.
InputStatistics inputs_of(int64_t n, int64_t k, ThreadPool& threads,
                          const std::vector<int64_t>& dead = {}) {
  constexpr int64_t kCauses = 12;
  const Matrix causes = random_matrix(11, n, kCauses), loads = random_matrix(12, k, kCauses);
  Matrix x = random_matrix(13, n, k);
  for (int64_t j = 0; j < k; ++j) {
    const auto at = static_cast<size_t>(j);
    const double size = std::exp2(4 * random_uniform(14, 0, at) - 2);
    const bool is_dead = std::find(dead.begin(), dead.end(), j) != dead.end();
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0.5 * double{x.row(i)[at]};
      for (size_t c = 0; c < kCauses; ++c)
        sum += double{causes.row(i)[c]} * double{loads.row(j)[c]};
      x.row(i)[at] = is_dead ? 0 : static_cast<float>(size * sum);
    }
  }
  InputStatistics s(k, true);
  s.add(threads, std::as_const(x).view(), Precision::float32);
  s.complete(threads);
  return s;
}

struct Rounded {
  RoundJob job;
  Matrix values;
  std::vector<ManifestNote> notes;
};

Rounded round_by(const std::string& step, const Matrix& w, const InputStatistics& inputs,
                 ThreadPool& threads) {
  const Recipe r = recipe("  - " + step + "\n");
  const Scheme& scheme = r.rounds[0]->words().scheme;
  Rounded out;
  out.job.module = "m";
  out.job.scheme = scheme;
  out.job.format = format_of(scheme, DType::bf16, w.cols());
  out.job.w = w.view();
  out.job.matrix_peak = peak_of(w.rows(), w.cols(), rows_of(w.view()), threads);
  r.rounds[0]->round({&out.job, 1}, &inputs, threads, out.notes);
  out.values.resize(w.rows(), w.cols());
  unpack_matrix(out.job, threads, out.values.view());
  return out;
}

bool same(const Matrix& a, const Matrix& b) {
  for (int64_t i = 0; i < a.rows(); ++i) {
    if (!std::equal(a.row(i).begin(), a.row(i).end(), b.row(i).begin())) return false;
  }
  return a.rows() == b.rows();
}

bool finite(const Matrix& m) {
  for (int64_t i = 0; i < m.rows(); ++i) {
    const auto row = m.row(i);
    if (!std::all_of(row.begin(), row.end(), [](float v) { return std::isfinite(v); }))
      return false;
  }
  return true;
}

// ---- GPTQ ----

using Square = std::vector<std::vector<double>>;

// By Gauss and Jordan; of a positive definite matrix, so without pivoting.
Square inverse(Square a) {
  const size_t n = a.size();
  Square b(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) b[i][i] = 1;
  for (size_t i = 0; i < n; ++i) {
    const double pivot = a[i][i];
    for (size_t j = 0; j < n; ++j) {
      a[i][j] /= pivot;
      b[i][j] /= pivot;
    }
    for (size_t r = 0; r < n; ++r) {
      const double f = a[r][i];
      if (r == i || f == 0) continue;
      for (size_t j = 0; j < n; ++j) {
        a[r][j] -= f * a[i][j];
        b[r][j] -= f * b[i][j];
      }
    }
  }
  return b;
}

// The values that place (row, col) can take, from what a grid's codes mean (format.h).
class Places {
 public:
  Places(const RoundJob& job, int64_t row) : grid_(*job.format.codec->grid) {
    const Format& f = job.format;
    const int64_t cols = job.w.cols;
    group_ = static_cast<size_t>(scale_columns(f, cols));
    const auto groups = static_cast<size_t>(cols) / group_;
    scale_.resize(groups);
    offset_.resize(grid_.has_offset ? groups : 0);
    std::vector<float> super, super_offset;
    if (grid_.super > 0) super.resize(static_cast<size_t>((cols + grid_.super - 1) / grid_.super));
    if (grid_.super > 0 && grid_.has_offset) super_offset.resize(super.size());
    std::vector<uint8_t> codes(static_cast<size_t>(cols));
    const uint8_t* params = job.params.data() + row * f.codec->param_bytes(f, cols);
    f.codec->grid_row(f, job.codes.data() + row * f.codec->row_bytes(f, cols), params,
                      {codes, scale_, offset_, super, super_offset});
    for (size_t g = 0; g < groups && grid_.super > 0; ++g) {
      const size_t s = g * group_ / static_cast<size_t>(grid_.super);
      scale_[g] *= super[s];
      if (grid_.has_offset) offset_[g] *= super_offset[s];
    }
  }
  double nearest(double x, size_t col) const {
    const size_t g = col / group_;
    double best = 0, least = INFINITY;
    for (int q = 0; q < 1 << grid_.bits; ++q) {
      double level = q - grid_.bias;
      if (grid_.levels == Grid::Levels::table) level = grid_.table[q];
      if (grid_.levels == Grid::Levels::e4m3) level = double{e4m3_to_f32(static_cast<uint8_t>(q))};
      const double value = double{scale_[g]} * level - (offset_.empty() ? 0 : double{offset_[g]});
      if (!(std::abs(x - value) < least)) continue;
      least = std::abs(x - value);
      best = value;
    }
    return best;
  }

 private:
  const Grid& grid_;
  size_t group_ = 1;
  std::vector<float> scale_, offset_;
};

// Optimal Brain Quantisation, as the paper derives GPTQ from it: the inverse Hessian itself, a
// column after the other taken out of it. What is rounded may be another value only where the
// weight stood between two, as far as floats can tell; from there on the row may differ.
void expect_obq(const std::string& words, int64_t cols, const std::vector<int64_t>& dead) {
  ThreadPool threads(2);
  const int64_t rows = 24;
  const Matrix w = random_matrix(21, rows, cols);
  const InputStatistics inputs = inputs_of(400, cols, threads, dead);
  const Rounded real = round_by("gptq: {" + words + ", observer: minmax}", w, inputs, threads);
  const Rounded nearest = round_by("rtn: {" + words + "}", w, inputs, threads);
  ASSERT_EQ(real.job.params, nearest.job.params);  // grids of the weights as they were
  ASSERT_FALSE(same(real.values, nearest.values));

  const auto k = static_cast<size_t>(cols);
  Square h(k, std::vector<double>(k));
  double mean = 0;
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = 0; j < k; ++j) h[i][j] = double{inputs.gram.row(static_cast<int64_t>(i))[j]};
    mean += h[i][i] / static_cast<double>(k);
  }
  std::vector<size_t> order(k);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return h[a][a] > h[b][b]; });
  for (size_t i = 0; i < k; ++i) h[i][i] = (h[i][i] > 0 ? h[i][i] : mean) + 0.01 * mean;
  Square inv = inverse(h);
  std::vector<std::vector<double>> spread;  // of each column in turn: how its error is made up for
  for (const size_t i : order) {
    std::vector<double> f(k);
    for (size_t j = 0; j < k; ++j) f[j] = inv[i][j] / inv[i][i];
    for (size_t r = 0; r < k; ++r) {
      const double c = inv[r][i];
      for (size_t j = 0; j < k; ++j) inv[r][j] -= c * f[j];
    }
    spread.push_back(std::move(f));
  }
  int ties = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const Places places(real.job, r);
    std::vector<double> row(w.row(r).begin(), w.row(r).end());
    for (size_t step = 0; step < k; ++step) {
      const size_t i = order[step];
      const double expected = places.nearest(row[i], i);
      const double found = double{real.values.row(r)[i]};
      const double apart = std::abs(expected - found);
      if (apart > 1e-6 + 1e-5 * std::abs(expected)) {
        const double lead = std::abs(row[i] - found) - std::abs(row[i] - expected);
        ASSERT_LT(lead, 2e-3 * apart) << words << ": row " << r << ", step " << step;
        ++ties;
        break;
      }
      const double error = row[i] - expected;
      for (size_t later = step; later < k; ++later) {
        row[order[later]] -= error * spread[step][order[later]];
      }
    }
  }
  EXPECT_LE(ties, rows / 4) << words;
}

TEST(Gptq, IsOptimalBrainQuantisation) {
  for (const char* words : {"scheme: W4A16, group_size: 64", "scheme: W4A16_ASYM, group_size: 32",
                            "scheme: W3A16, group_size: 64", "scheme: W8A16", "scheme: FP8A16",
                            "scheme: MXFP4A16", "scheme: NVFP4A16"}) {
    expect_obq(words, 192, {});  // a block of 128 columns and half of one
  }
}

TEST(Gptq, ColumnsThatNothingReachesAreRoundedToNearestAndNoted) {
  const std::vector<int64_t> dead = {3, 64, 150};
  expect_obq("scheme: W4A16, group_size: 64", 192, dead);
  ThreadPool threads(1);
  const Matrix w = random_matrix(22, 8, 192);
  const InputStatistics inputs = inputs_of(300, 192, threads, dead);
  const Rounded gptq =
      round_by("gptq: {scheme: W4A16, group_size: 64, observer: minmax}", w, inputs, threads);
  const Rounded rtn = round_by("rtn: {scheme: W4A16, group_size: 64}", w, inputs, threads);
  for (const int64_t j : dead) {
    for (int64_t r = 0; r < 8; ++r) {
      EXPECT_EQ(gptq.values.row(r)[static_cast<size_t>(j)],
                rtn.values.row(r)[static_cast<size_t>(j)]);
    }
  }
  ASSERT_EQ(gptq.notes.size(), 1u);
  EXPECT_EQ(gptq.notes[0].module, "m");
  EXPECT_EQ(gptq.notes[0].what, "3 of 192 columns rounded to nearest");
}

// A Gram matrix that no inputs can have: `off` between two columns of energy 1.
InputStatistics indefinite(int64_t k, float off) {
  InputStatistics s(k, true);
  s.n_tokens = 1;
  for (int64_t i = 0; i < k; ++i) {
    std::fill(s.gram.row(i).begin(), s.gram.row(i).end(), 0.0f);
    s.gram.row(i)[static_cast<size_t>(i)] = 1;
  }
  s.gram.row(0)[1] = s.gram.row(1)[0] = off;
  return s;
}

TEST(Gptq, DampsAsMuchAsItTakesAndSaysSo) {
  ThreadPool threads(1);
  const Matrix w = random_matrix(23, 4, 64);
  const std::string step = "gptq: {scheme: W4A16, group_size: 64}";
  const Rounded fine = round_by(step, w, indefinite(64, 0.5f), threads);
  EXPECT_TRUE(fine.notes.empty());
  EXPECT_FLOAT_EQ(static_cast<float>(fine.job.damp), 0.01f);
  const Rounded damped = round_by(step, w, indefinite(64, 1.05f), threads);
  EXPECT_FLOAT_EQ(static_cast<float>(damped.job.damp), 0.1f);
  ASSERT_EQ(damped.notes.size(), 1u);
  EXPECT_EQ(damped.notes[0].what, "damped by 0.1 of the mean");
  EXPECT_TRUE(finite(damped.values));
}

TEST(Gptq, RoundsToNearestWhereNoDampingHelpsAndSaysSo) {
  ThreadPool threads(1);
  const Matrix w = random_matrix(24, 4, 64);
  const std::string words = "scheme: W4A16, group_size: 64, observer: mse";
  InputStatistics nan = indefinite(64, 0.5f), inf = nan;
  nan.gram.row(5)[5] = NAN;
  inf.gram.row(7)[7] = INFINITY;
  for (const InputStatistics& s : {indefinite(64, 100), nan, inf}) {
    const Rounded gptq = round_by("gptq: {" + words + "}", w, s, threads);
    const Rounded rtn = round_by("rtn: {" + words + "}", w, s, threads);
    EXPECT_TRUE(same(gptq.values, rtn.values));
    ASSERT_FALSE(gptq.notes.empty());
    EXPECT_EQ(gptq.notes.back().what, "rounded to nearest");
  }
}

TEST(Gptq, AGroupOfZerosIsNoTrouble) {
  ThreadPool threads(1);
  Matrix w = random_matrix(25, 4, 128);
  for (int64_t r = 0; r < 4; ++r) std::fill_n(w.row(r).begin(), 64, 0.0f);
  const InputStatistics inputs = inputs_of(300, 128, threads);
  for (const char* words : {"scheme: W4A16, group_size: 64", "scheme: W4A16_ASYM, group_size: 64",
                            "scheme: MXFP4A16", "scheme: NVFP4A16", "scheme: FP8A16"}) {
    for (const char* method : {"gptq", "rtn"}) {
      const Rounded r =
          round_by(std::string(method) + ": {" + words + ", observer: inputs}", w, inputs, threads);
      ASSERT_TRUE(finite(r.values)) << method << " " << words;
      // GPTQ may make up for other columns' errors even there, within what the row's weights span.
      EXPECT_LE(std::abs(r.values.row(0)[17]), method == std::string("rtn") ? 0.0f : 0.1f)
          << method << " " << words;
    }
  }
}

// ---- SmoothQuant and AWQ, on a layer of the bundled model ----

class OneLayer : public testing::Test {
 protected:
  void SetUp() override {
    for (const int32_t n : {40, 97, 64}) {
      auto& s = calibration_.sequences.emplace_back();
      for (int32_t i = 0; i < n; ++i) {
        s.push_back(static_cast<Token>(
            random_bits(1, static_cast<uint64_t>(n), static_cast<uint64_t>(i)) % 1024));
      }
      calibration_.n_tokens += n;
    }
    walk_ = std::make_unique<LayerWalk>(*base_, calibration_, dir_ / "scratch", Precision::float32,
                                        threads_);
    walk_->start();
    layer_ = walk_->load(0);
    types_.fill(DType::f32);
    for (const LayerInput i : kLayerInputs) {
      walk_->advance(layer_, i, &inputs_.emplace_back(walk_->input_size(i), true));
    }
  }

  // Applies a recipe's transform with its rounding as the target. Returns the scales of every
  // input, as the first of its readers shows them.
  std::vector<std::vector<double>> apply(const std::string& steps) {
    const Recipe r = recipe(steps);
    const Scheme& scheme = r.rounds[0]->words().scheme;
    for (const LayerLinear l : kLayerLinears) {
      const int64_t cols = layer_.weight(l).cols();
      targets_[static_cast<size_t>(l)] = {r.rounds[0].get(), scheme,
                                          format_of(scheme, DType::bf16, cols)};
    }
    const CalibratedLayer before = layer_;
    const LayerToTransform job{layer_, *walk_, inputs_, targets_, types_, notes_};
    r.transforms[0]->apply(job);
    std::vector<std::vector<double>> scales;
    for (const LayerInput i : kLayerInputs) {
      std::vector<double>& s = scales.emplace_back(static_cast<size_t>(walk_->input_size(i)), 0.0);
      for (const LayerLinear l : readers_of(i)) {
        for (size_t j = 0; j < s.size(); ++j) {
          // Of the largest weight of the column: the others' ratios are rounded more.
          int64_t largest = 0;
          const Matrix& was = before.weight(l);
          for (int64_t row = 0; row < was.rows(); ++row) {
            if (std::abs(was.row(row)[j]) > std::abs(was.row(largest)[j])) largest = row;
          }
          const double ratio =
              double{layer_.weight(l).row(largest)[j]} / double{was.row(largest)[j]};
          // Rows of up are divided by down's scales, and rows of v by o's; columns alone show here.
          if (s[j] == 0) s[j] = ratio;
        }
      }
    }
    return scales;
  }

  const ScratchDirectory scratch_{"sinter-methods"};
  const fs::path dir_ = scratch_.path();
  ThreadPool threads_{2};
  std::shared_ptr<const Artifact> base_ = Artifact::open(kPebble);
  Calibration calibration_{.sequences = {}, .n_tokens = 0, .name = "random", .digest = "random"};
  std::unique_ptr<LayerWalk> walk_;
  CalibratedLayer layer_;
  std::vector<InputStatistics> inputs_;
  std::array<RoundTarget, kLayerLinears.size()> targets_;
  std::array<DType, kLayerInputs.size()> types_{};
  std::vector<ManifestNote> notes_;
};

double column_peak(const CalibratedLayer& layer, LayerInput input, size_t j) {
  double peak = 1e-5;
  for (const LayerLinear l : readers_of(input)) {
    for (int64_t r = 0; r < layer.weight(l).rows(); ++r) {
      peak = std::max(peak, std::abs(double{layer.weight(l).row(r)[j]}));
    }
  }
  return peak;
}

TEST_F(OneLayer, SmoothQuantIsItsFormulaAndKeepsTheFunction) {
  const CalibratedLayer before = layer_;
  const std::vector<InputStatistics> x = inputs_;
  const LayerWalk::Probe probe = walk_->probe(layer_);
  Matrix attention(probe.attn.rows(), probe.attn.cols()), mlp = attention;
  walk_->attention_block(layer_, probe.attn.view(), attention.view());
  walk_->mlp_block(layer_, probe.ffn.view(), mlp.view());
  const double alpha = 0.7;
  const auto s = apply("  - smoothquant: {alpha: 0.7}\n  - rtn: {scheme: W8A8}\n");
  for (const LayerInput input : kLayerInputs) {
    const auto at = static_cast<size_t>(input);
    const bool behind_norm = input == LayerInput::attn || input == LayerInput::ffn;
    for (size_t j = 0; j < s[at].size(); ++j) {
      const double expected = behind_norm ? std::pow(double{x[at].peak[j]}, alpha) /
                                                std::pow(column_peak(before, input, j), 1 - alpha)
                                          : 1;
      ASSERT_NEAR(s[at][j], expected, 1e-5 * expected) << to_string(input) << " " << j;
    }
  }
  for (size_t j = 0; j < s[0].size(); ++j) {
    const double gain = double{before.vectors.attn_norm[j]} / s[0][j];
    ASSERT_NEAR(double{layer_.vectors.attn_norm[j]}, gain, 1e-5 * std::abs(gain));
  }
  const LayerWalk::Probe after = walk_->probe(layer_);
  Matrix attention2 = attention, mlp2 = mlp;
  walk_->attention_block(layer_, after.attn.view(), attention2.view());
  walk_->mlp_block(layer_, after.ffn.view(), mlp2.view());
  const auto apart = [&](const Matrix& a, const Matrix& b) {
    return rounding_error(a.view(), b.view(), threads_).relative();
  };
  EXPECT_LT(apart(attention, attention2), 1e-5);
  EXPECT_LT(apart(mlp, mlp2), 1e-5);
  EXPECT_GT(apart(probe.attn, after.attn), 0.1);
}

// tr(D G D^T) of D = Q(w s) / s - w, in double.
double scaled_error(const Matrix& w, const Matrix& gram, const RoundTarget& target,
                    const std::vector<double>& s) {
  const Format& f = target.format;
  const auto k = static_cast<size_t>(w.cols());
  std::vector<uint8_t> params(static_cast<size_t>(f.codec->param_bytes(f, w.cols())));
  std::vector<uint8_t> codes(static_cast<size_t>(f.codec->row_bytes(f, w.cols())));
  double sum = 0;
  for (int64_t r = 0; r < w.rows(); ++r) {
    std::vector<float> scaled(k), back(k);
    std::vector<double> d(k);
    for (size_t j = 0; j < k; ++j) scaled[j] = static_cast<float>(double{w.row(r)[j]} * s[j]);
    f.codec->fit_row(f, scaled, {}, params.data());
    f.codec->pack_row(f, scaled, params.data(), codes.data());
    f.codec->unpack_row(f, codes.data(), params.data(), back);
    for (size_t j = 0; j < k; ++j) d[j] = double{back[j]} / s[j] - double{w.row(r)[j]};
    for (size_t i = 0; i < k; ++i) {
      double dot = 0;
      for (size_t j = 0; j < k; ++j) dot += double{gram.row(static_cast<int64_t>(i))[j]} * d[j];
      sum += d[i] * dot;
    }
  }
  return sum;
}

// Of the inputs that are judged by their Gram matrix: among the scales of the paper's formula,
// those with the least error.
void expect_awq(const CalibratedLayer& layer, const std::vector<InputStatistics>& inputs,
                std::span<const RoundTarget> targets, const ModelConfig& config, LayerInput input,
                bool duo, const std::vector<double>& found) {
  const LayerLinear reader = readers_of(input)[0];
  const Matrix& w = layer.weight(reader);
  const InputStatistics& x = inputs[static_cast<size_t>(input)];
  const RoundTarget& target = targets[static_cast<size_t>(reader)];
  const auto k = static_cast<size_t>(w.cols());
  const auto group = static_cast<size_t>(scale_columns(target.format, w.cols()));
  std::vector<double> means(k);
  for (int64_t r = 0; r < w.rows(); ++r) {
    for (size_t j = 0; j < k; ++j) {
      double peak = 0;
      for (size_t i = j / group * group; i < j / group * group + group; ++i) {
        peak = std::max(peak, std::abs(double{w.row(r)[i]}));
      }
      means[j] += std::abs(double{w.row(r)[j]}) / peak / static_cast<double>(w.rows());
    }
  }
  constexpr int kGrid = 4;
  std::vector<double> best(k, 1.0);
  double least = scaled_error(w, x.gram, target, best);
  for (int i = duo ? 0 : 1; i < kGrid; ++i) {
    const double ratio = static_cast<double>(i) / kGrid;
    std::vector<double> s(k);
    for (size_t j = 0; j < k; ++j) {
      s[j] = std::pow(double{x.mean_abs(j)}, ratio);
      if (duo) s[j] /= std::pow(means[j], 1 - ratio) + 1e-4;
    }
    if (input == LayerInput::o) {  // heads that share a head of v share its scales
      const auto dim = static_cast<size_t>(config.head_dim);
      const auto sharing = static_cast<size_t>(config.n_heads / config.n_kv_heads);
      std::vector<double> shared = s;
      for (size_t j = 0; j < k; ++j) {
        double product = 1;
        for (size_t h = 0; h < sharing; ++h) {
          product *= s[(j / dim / sharing * sharing + h) * dim + j % dim];
        }
        shared[j] = std::pow(product, 1.0 / static_cast<double>(sharing));
      }
      s = shared;
    }
    const auto [low, high] = std::minmax_element(s.begin(), s.end());
    const double middle = std::sqrt(*low * *high);
    for (double& v : s) v /= middle;
    const double e = scaled_error(w, x.gram, target, s);
    if (e >= least) continue;
    least = e;
    best = s;
  }
  for (size_t j = 0; j < k; ++j) {
    ASSERT_NEAR(found[j], best[j], 1e-4 * best[j]) << to_string(input) << " " << j;
  }
}

TEST_F(OneLayer, AwqTakesTheBestScalesOfItsFormula) {
  for (const bool duo : {false, true}) {
    const CalibratedLayer before = layer_;
    const std::vector<InputStatistics> x = inputs_;
    const auto s =
        apply(fmt::format("  - awq: {{grid: 4, scales: {}}}\n"
                          "  - rtn: {{num_bits: 3, group_size: 32, symmetric: true}}\n",
                          duo ? "duo" : "inputs"));
    for (const LayerInput input : {LayerInput::o, LayerInput::down}) {
      expect_awq(before, x, targets_, walk_->config(), input, duo, s[static_cast<size_t>(input)]);
    }
    EXPECT_TRUE(notes_.empty());
    layer_ = before;
    inputs_ = x;
  }
}

TEST_F(OneLayer, ScalesThatAreNoNumbersAreLeftOutAndNoted) {
  const CalibratedLayer before = layer_;
  for (InputStatistics& x : inputs_) {
    std::fill(x.sum_abs.begin(), x.sum_abs.end(), NAN);
    for (int64_t i = 0; i < x.gram.rows(); ++i) x.gram.row(i)[0] = NAN;
  }
  apply("  - awq: {grid: 2}\n  - rtn: {scheme: W4A16, group_size: 32}\n");
  ASSERT_EQ(notes_.size(), 2u);  // the two that are judged by their Gram matrix
  for (const ManifestNote& n : notes_) EXPECT_EQ(n.what, "not scaled") << n.module;
  for (const LayerLinear l : kLayerLinears) EXPECT_TRUE(finite(layer_.weight(l)));
  for (const LayerLinear l : {LayerLinear::o, LayerLinear::down}) {
    EXPECT_TRUE(same(layer_.weight(l), before.weight(l)));
  }
}

}  // namespace
}  // namespace sinter
