// Profiles: the figures by their definitions in double, on rows where the answer was planted; the
// pass by what must not change a byte.
#include "compress/profile/profile.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>

#include "artifact/artifact.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mutation.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/scratch_directory.h"
#include "compress/profile/measure.h"
#include "compress/profile/profile_pass.h"
#include "compress/profile/report.h"
#include "compress/random_tokens.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;
const std::string kPebble = std::string(SINTER_SOURCE_DIR) + "/models/pebble";

float noise(uint64_t i) {
  return static_cast<float>(static_cast<double>(random_bits(5, 7, i) % 20001) / 10000 - 1);
}

// Rows that measure_input() sees in pieces of two thirds of a group at most.
struct Rows {
  Matrix x;
  Calibration tokens;  // only their lengths count
  explicit Rows(std::initializer_list<int32_t> lengths, int64_t cols)
      : tokens(random_tokens(lengths)) {
    x.resize(tokens.n_tokens, cols);
    for (int64_t i = 0; i < x.rows() * cols; ++i) x.view().at[i] = noise(static_cast<uint64_t>(i));
  }
  VisitRows visit() {
    return [this](const LayerWalk::Rows& rows) {
      for (int64_t at = 0; at < x.rows();) {  // not where sequences end
        const int64_t n = std::min<int64_t>(37, x.rows() - at);
        rows(at, {x.row(at).data(), n, x.cols(), x.cols()});
        at += n;
      }
    };
  }
  MeasuredInput measure(int64_t rounded = 0, std::vector<ActivationMode> modes = input_modes(),
                        int32_t head_dim = 0, int n_threads = 2) {
    const auto backend = make_cpu_backend(n_threads, "");
    ThreadPool threads(n_threads);
    return measure_input(
        {.name = "x",
         .modules = {},
         .n_channels = x.cols(),
         .head_dim = head_dim,
         .modes = std::move(modes),
         .visit = visit()},
        RowPlan(tokens, rounded), [&](Activation a, MatMut m) { backend->round_inputs(a, m); },
        threads);
  }
  double at(int64_t i, int64_t j) const { return double{x.row(i)[static_cast<size_t>(j)]}; }
};

TEST(ProfileFigures, AreTheirDefinitionsInDouble) {
  Rows rows({64, 1, 130, 7}, 48);
  const MeasuredInput m = rows.measure();
  const int64_t n = rows.x.rows();
  ChannelStatistics both = m.halves[0];
  both.merge(m.halves[1]);
  EXPECT_EQ(both.n_tokens, n);
  double all = 0;
  std::vector<double> sizes;
  for (int64_t j = 0; j < 48; ++j) {
    double peak = 0, sum = 0, sum_abs = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) {
      peak = std::max(peak, std::abs(rows.at(i, j)));
      sum += rows.at(i, j);
      sum_abs += std::abs(rows.at(i, j));
      squares += rows.at(i, j) * rows.at(i, j);
      sizes.push_back(std::abs(rows.at(i, j)));
    }
    const auto c = static_cast<size_t>(j);
    EXPECT_EQ(double{both.peak[c]}, peak);
    EXPECT_NEAR(both.sum[c], sum, 1e-9);
    EXPECT_NEAR(both.sum_abs[c], sum_abs, 1e-9);
    EXPECT_NEAR(both.sum_squares[c], squares, 1e-9);
    all += squares;
  }
  std::sort(sizes.begin(), sizes.end());
  EXPECT_NEAR(m.figures.rms, std::sqrt(all / static_cast<double>(n * 48)), 1e-12);
  EXPECT_EQ(m.figures.peak, sizes.back());
  EXPECT_NEAR(m.figures.median, sizes[sizes.size() / 2], 0.01);
  const ProfiledRange& clipped = *m.figures.range(kClippedRange);
  EXPECT_LE(static_cast<double>(clipped.values), 1e-4 * static_cast<double>(sizes.size()));
  EXPECT_EQ(m.figures.range(kPeakRange)->values, 0);
}

// Eight bits by the formula, in double, on the rows that are tried.
TEST(ProfileFigures, RoundingErrorsAreThoseOfTheFormula) {
  Rows rows({200, 31}, 32);
  constexpr int64_t kTried = 50;
  const MeasuredInput m = rows.measure(kTried);
  const auto n = static_cast<double>(rows.x.rows());
  double fixed = 0, token = 0, size = 0;
  int64_t tried = 0;
  for (int64_t i = 0; i < rows.x.rows(); ++i) {
    const auto before = std::floor(static_cast<double>(i) * kTried / n);
    if (std::floor(static_cast<double>(i + 1) * kTried / n) <= before) continue;
    ++tried;
    double peak = 0;
    for (int64_t j = 0; j < 32; ++j) peak = std::max(peak, std::abs(rows.at(i, j)));
    for (int64_t j = 0; j < 32; ++j) {
      const double x = rows.at(i, j), s = m.figures.peak / 127;
      const double t = peak / 127.5;  // as compressed-tensors: the range over 255 steps
      fixed += std::pow(std::nearbyint(x / s) * s - x, 2);
      token += std::pow(std::clamp(std::nearbyint(x / t), -128.0, 127.0) * t - x, 2);
      size += x * x;
    }
  }
  EXPECT_EQ(tried, kTried);
  EXPECT_NEAR(m.figures.rounding("int8_tensor", kPeakRange)->error, std::sqrt(fixed / size), 1e-5);
  EXPECT_NEAR(m.figures.rounding("int8_token", "")->error, std::sqrt(token / size), 1e-5);
}

TEST(ProfileFigures, EveryWayOfAPresetIsTried) {
  const MeasuredInput m = Rows({40}, 128).measure();
  for (const char* fixed : {"int8_tensor", "fp8_tensor"}) {
    EXPECT_NE(m.figures.rounding(fixed, kPeakRange), nullptr);
    EXPECT_NE(m.figures.rounding(fixed, kClippedRange), nullptr);
  }
  for (const char* dynamic : {"int8", "int8_token", "fp8_token", "fp8_group"}) {
    ASSERT_NE(m.figures.rounding(dynamic, ""), nullptr) << dynamic;
    EXPECT_GT(m.figures.rounding(dynamic, "")->error, 0);
    EXPECT_LT(m.figures.rounding(dynamic, "")->error, 0.05);
  }
}

TEST(ProfileFigures, APlantedOutlierIsFoundAndCostsTheOthers) {
  Rows rows({60, 60}, 64);
  const MeasuredInput before = rows.measure();
  EXPECT_TRUE(before.figures.stability.outliers.empty());
  for (int64_t i = 0; i < rows.x.rows(); ++i) rows.x.row(i)[17] *= 100;
  const MeasuredInput after = rows.measure();
  const auto& outliers = after.figures.stability.outliers;
  ASSERT_EQ(outliers.size(), 1U);
  EXPECT_EQ(outliers[0].channel, 17);
  EXPECT_EQ(after.figures.worst_channel, 17);
  EXPECT_NEAR(after.figures.peak_ratio, 100, 2);
  EXPECT_GT(after.figures.top_share, 0.9);
  EXPECT_GT(after.figures.rounding("int8_token", "")->channel_error,
            20 * before.figures.rounding("int8_token", "")->channel_error);
}

// In the one token of the shortest sequence, which is the first of its half.
TEST(ProfileFigures, AnOutlierOfTheShortestSequenceCounts) {
  Rows rows({300, 1, 250}, 16);
  rows.x.row(300)[3] = 50;
  const MeasuredInput m = rows.measure();
  EXPECT_EQ(m.figures.peak, 50);
  ASSERT_EQ(m.figures.stability.outliers.size(), 1U);
  EXPECT_EQ(m.figures.stability.outliers[0].channel, 3);
  EXPECT_EQ(m.figures.stability.outliers[0].tokens, 1);
  EXPECT_EQ(m.halves[0].n_tokens, 300);
  EXPECT_EQ(m.halves[1].n_tokens, 251);
}

TEST(ProfileFigures, PlantedSaturationIsCounted) {
  Rows rows({50, 50}, 16);  // a half each
  rows.x.row(60)[0] = 1.5;
  for (const int64_t i : {3, 4, 9}) {
    rows.x.row(i)[2] = 460;
    rows.x.row(i)[5] = -70000;
  }
  const MeasuredInput m = rows.measure();
  const ProfiledRange& half = *m.figures.range(kHalfRange);
  EXPECT_EQ(half.limit, 1.5);
  EXPECT_EQ(half.values, 6);
  EXPECT_EQ(half.tokens, 3);
  EXPECT_EQ(m.figures.range(kUnscaledFp8Range)->values, 6);
  EXPECT_EQ(m.figures.range(kHalfFloatRange)->values, 3);
  EXPECT_EQ(m.figures.range(kHalfFloatRange)->tokens, 3);
  // With one sequence there is no other half.
  EXPECT_EQ(Rows({50}, 16).measure().figures.range(kHalfRange), nullptr);
}

TEST(ProfileFigures, HeadsAreChannelsInARow) {
  Rows rows({90}, 32);
  for (int64_t i = 0; i < rows.x.rows(); ++i) {
    for (size_t j = 8; j < 16; ++j) rows.x.row(i)[j] *= 40;
  }
  const MeasuredInput m = rows.measure(0, cache_modes(), 8);
  ASSERT_EQ(m.figures.heads.size(), 4U);
  for (size_t h = 0; h < 4; ++h) {
    double peak = 0, squares = 0;
    for (int64_t i = 0; i < 90; ++i) {
      for (int64_t j = 0; j < 8; ++j) {
        const double x = rows.at(i, static_cast<int64_t>(h) * 8 + j);
        peak = std::max(peak, std::abs(x));
        squares += x * x;
      }
    }
    EXPECT_EQ(m.figures.heads[h].peak, peak);
    EXPECT_NEAR(m.figures.heads[h].rms, std::sqrt(squares / 720), 1e-9);
    ASSERT_EQ(m.figures.heads[h].errors.size(), m.figures.roundings.size());
  }
  // One scale for all heads: the wide one stretches it.
  EXPECT_GT(m.figures.heads[0].errors[0], 10 * m.figures.heads[1].errors[0]);
}

TEST(ProfileFigures, ThreadsChangeNothing) {
  Rows rows({64, 1, 130, 7}, 80);
  const auto text = [&](int threads) {
    ProfiledLayer layer;
    layer.inputs.push_back(rows.measure(100, input_modes(), 0, threads).figures);
    return to_line(to_json(layer));
  };
  EXPECT_EQ(text(1), text(5));
}

TEST(ProfileFigures, OfAMatrix) {
  Matrix w(3, 4);
  const std::array<float, 12> values = {1, -2, 3, 0, 0.5f, 0, 0, -4, 1, 1, 1, 1};
  std::copy(values.begin(), values.end(), w.view().at);
  ThreadPool threads(2);
  const ProfiledMatrix m = measure_matrix("w", std::as_const(w).view(), threads);
  double second = 0, fourth = 0;
  for (const float v : values) {
    second += std::pow(double{v}, 2) / 12;
    fourth += std::pow(double{v}, 4) / 12;
  }
  EXPECT_EQ(m.peak, 4);
  EXPECT_NEAR(m.rms, std::sqrt(second), 1e-12);
  EXPECT_NEAR(m.kurtosis, fourth / (second * second), 1e-12);
}

class Profiles : public testing::Test {
 protected:
  void SetUp() override {
    set_progress_mode(ProgressMode::none);
    base_ = Artifact::open(kPebble);
  }
  std::string out(const std::string& name) const { return scratch_.path() / name; }
  ProfileResult run(const std::string& name, int threads = 2, bool gram = false) const {
    ThreadPool pool(threads);
    return make_profile(*base_,
                        {.calibration = &calibration_,
                         .limits = limits_,
                         .directory = out(name),
                         .rounded_tokens = 64,
                         .gram = gram,
                         .stop = &stop_},
                        pool);
  }
  std::string code_of(const std::string& name, bool gram = false) {
    try {
      run(name, 1, gram);
    } catch (const Error& e) {
      message_ = e.what();
      return e.code();
    }
    return "";
  }
  void expect_same_files(const std::string& a, const std::string& b) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(out(a))) {
      names.push_back(entry.path().filename());
      EXPECT_TRUE(read_file(entry.path()) == read_file(out(b) + "/" + names.back()))
          << names.back();
    }
    EXPECT_EQ(names.size(), 6U);  // five layers and profile.json
    EXPECT_EQ(std::distance(fs::directory_iterator(out(b)), {}), 6);
  }

  ScratchDirectory scratch_{"sinter-profile"};
  std::shared_ptr<const Artifact> base_;
  Calibration calibration_ = random_tokens();
  CalibrationLimits limits_{.max_tokens = 0, .sequence_tokens = 512};
  std::atomic<bool> stop_ = false;
  std::string message_;
};

// What calibration of each sequence alone would see, of all of them: none is lost, none counts
// twice.
TEST_F(Profiles, EverySequenceCounts) {
  const Profile all = run("all").profile;
  EXPECT_EQ(all.n_tokens, 235);
  std::vector<Profile> alone;
  const Calibration whole = calibration_;
  for (size_t s = 0; s < whole.sequences.size(); ++s) {
    calibration_ = {.sequences = {whole.sequences[s]},
                    .n_tokens = static_cast<int64_t>(whole.sequences[s].size()),
                    .name = "one",
                    .digest = std::to_string(s)};
    alone.push_back(run(std::to_string(s)).profile);
  }
  ASSERT_EQ(all.layers.size(), 5U);
  for (size_t l = 0; l < 5; ++l) {
    ASSERT_EQ(all.layers[l].inputs.size(), 6U);
    for (size_t i = 0; i < 6; ++i) {
      const ProfiledInput& input = all.layers[l].inputs[i];
      EXPECT_EQ(input.stability.n_tokens, 235) << input.name;
      std::vector<float> peaks(static_cast<size_t>(input.stability.n_channels));
      double squares = 0;
      for (size_t s = 0; s < alone.size(); ++s) {
        const ProfiledInput& one = alone[s].layers[l].inputs[i];
        const auto some = channel_peaks(out(std::to_string(s)), alone[s].layers[l], one);
        for (size_t j = 0; j < peaks.size(); ++j) peaks[j] = std::max(peaks[j], some[j]);
        squares += one.rms * one.rms * static_cast<double>(one.stability.n_tokens);
      }
      EXPECT_EQ(channel_peaks(out("all"), all.layers[l], input), peaks) << input.name;
      EXPECT_NEAR(input.rms, std::sqrt(squares / 235), 1e-6 * input.rms) << input.name;
    }
  }
  EXPECT_EQ(linears_of(all).size(), 35U);
  EXPECT_NE(profile_text(all).find("What this suggests"), std::string::npos);
}

TEST_F(Profiles, ThreadsChangeNothing) {
  run("one", 1);
  run("three", 3);
  expect_same_files("one", "three");
}

TEST_F(Profiles, SecondMomentsAreThoseOfTheRows) {
  const Profile p = run("gram", 2, true).profile;
  const auto file = Checkpoint::open_file(out("gram") + "/" + p.layers[2].file);
  for (const LayerInput input : kLayerInputs) {
    const StoredTensor* gram = file->find(fmt::format("{}.gram", to_string(input)));
    const StoredTensor* rms = file->find(fmt::format("{}.rms", to_string(input)));
    ASSERT_NE(gram, nullptr);
    const auto n = static_cast<size_t>(rms->elements());
    ASSERT_EQ(gram->elements(), static_cast<int64_t>(n * n));
    std::vector<float> g(n * n), r(n);
    std::memcpy(g.data(), gram->bytes.data(), gram->bytes.size());
    std::memcpy(r.data(), rms->bytes.data(), rms->bytes.size());
    for (size_t j = 0; j < n; ++j) {
      const double want = 235 * std::pow(double{r[j]}, 2);
      EXPECT_NEAR(double{g[j * n + j]}, want, 1e-4 * want);
      EXPECT_EQ(g[j], g[j * n]);
    }
  }
}

TEST_F(Profiles, AnEqualOneIsThereAlreadyAndAnotherIsRefused) {
  const ProfileResult first = run("p");
  EXPECT_EQ(first.layers_made, 5);
  const std::string before = read_file(out("p") + "/profile.json");
  const ProfileResult again = run("p");
  EXPECT_EQ(again.layers_made, 0);
  EXPECT_EQ(again.layers_kept, 5);
  EXPECT_EQ(to_line(to_json(again.profile)), to_line(to_json(first.profile)));
  EXPECT_EQ(read_file(out("p") + "/profile.json"), before);

  EXPECT_EQ(code_of("p", true), "output-differs");
  EXPECT_NE(message_.find("without --gram"), std::string::npos);
  calibration_.digest = "of others";
  EXPECT_EQ(code_of("p"), "output-differs");
  EXPECT_NE(message_.find("calibration tokens"), std::string::npos);
  calibration_.digest = "of random";
  limits_.sequence_tokens = 100;
  EXPECT_EQ(code_of("p"), "output-differs");
  limits_.sequence_tokens = 512;

  const std::string shard = out("p") + "/layer-00002.safetensors";
  std::string bytes = read_file(shard);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file_atomically(shard, bytes);
  EXPECT_EQ(code_of("p"), "output-damaged");

  fs::create_directories(out("foreign"));
  write_file_atomically(out("foreign") + "/notes.txt", "mine");
  EXPECT_EQ(code_of("foreign"), "output-foreign");
}

TEST_F(Profiles, InterruptedItGoesOn) {
  run("whole");
  stop_ = true;
  EXPECT_EQ(code_of("parts"), "interrupted");
  // With other tokens it does not.
  calibration_.digest = "of others";
  EXPECT_EQ(code_of("parts"), "output-differs");
  calibration_.digest = "of random";
  stop_ = false;
  run("parts");
  expect_same_files("whole", "parts");
}

TEST_F(Profiles, EveryKillLeavesTheSameBytes) {
  run("whole");
  const std::string journal = out("parts") + "/profile.journal";
  const auto lines = [&] {
    if (!fs::exists(journal)) return int64_t{0};
    const std::string text = read_file(journal);
    return static_cast<int64_t>(std::count(text.begin(), text.end(), '\n'));
  };
  int kills = 0;
  for (int64_t layers = 1; layers <= 4; ++layers) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {  // nothing may run on into the test from here
      try {
        run("parts", 1);
      } catch (...) {
        ::_exit(3);
      }
      ::_exit(0);
    }
    int status = 0;
    pid_t ended = 0;
    while (ended == 0 && lines() < layers + 1) {
      ::usleep(500);
      ended = ::waitpid(child, &status, WNOHANG);
    }
    if (ended == 0) {
      ::kill(child, SIGKILL);
      ended = ::waitpid(child, &status, 0);
    }
    ASSERT_EQ(ended, child);
    kills += WIFSIGNALED(status) && fs::exists(journal) ? 1 : 0;
    // What a layer hands on may be lost with it: it is made again.
    if (layers == 3) fs::remove_all(out("parts") + "/profile.scratch");
  }
  EXPECT_GE(kills, 2);
  // A layer's file that the disk damaged is made again, too.
  if (fs::exists(journal)) write_file_atomically(out("parts") + "/layer-00001.safetensors", "x");
  const ProfileResult last = run("parts", 2);
  EXPECT_GT(last.layers_made, 0);
  expect_same_files("whole", "parts");
}

TEST_F(Profiles, DamagedRecordsAreErrors) {
  run("p");
  const std::string valid = read_file(out("p") + "/profile.json");
  EXPECT_EQ(to_line(to_json(profile_from(parse_json(valid, "p"), "p"))),
            to_line(parse_json(valid, "p")));
  int refused = 0;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    try {
      const Profile p = profile_from(parse_json(mutated(valid, seed), "p"), "p");
      profile_text(p);
      linears_of(p);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
}

}  // namespace
}  // namespace sinter
