#include "compress/measuring_needs.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "compress/head_score.h"

namespace sinter {
namespace {

constexpr int64_t kTrialTokens = 1024;  // of the trial that times the parts
// A candidate's own layer, from where its group is on: how much of a layer that is, on average.
constexpr double kPartOfLayer = 0.7;

class Measuring {
 public:
  Measuring(const Artifact& base, const MeasurementPlan& plan, const MeasuringOptions& options,
            ThreadPool& threads)
      : base_(base),
        plan_(plan),
        threads_(threads),
        scratch_(options.directory + "/preflight.scratch"),
        split_(split_calibration(*options.calibration, plan.scored_tokens)),
        statistics_(base, split_.statistics, scratch_ + "/statistics", Precision::bfloat16,
                    threads),
        scored_(base, split_.scored, scratch_ + "/scored", Precision::float32, threads),
        n_formats_(static_cast<int64_t>(plan.sensitivity.formats.size())) {}
  ~Measuring() {
    std::error_code ignored;
    std::filesystem::remove_all(scratch_, ignored);
  }
  Measuring(const Measuring&) = delete;
  Measuring& operator=(const Measuring&) = delete;

  int64_t memory() const {
    int64_t layer = 0;  // in float32
    for (const LayerLinear l : kLayerLinears) layer += 4 * elements(l);
    // What the walks keep between calls: a group's matrices of the one, pages of both.
    const int64_t kept = scored_.group_bytes(LayerInput::o) + scored_.group_bytes(LayerInput::down);
    int64_t most = 2 * layer;  // this layer and a later one
    int64_t grams = 0, inputs = 0;
    for (const LayerInput input : kLayerInputs) {
      inputs = std::max(inputs, statistics_.group_bytes(input));
      if (want_gram(plan_.transforms, input)) grams += gram_bytes(input);
    }
    for (const auto& step : plan_.transforms) {
      most = std::max(most, layer + grams + step->scratch_bytes(statistics_));
    }
    for (const GroupJob& group : plan_.jobs) most = std::max(most, layer + group_bytes(group));
    // Two whole choices, unpacked.
    most = std::max(most, 3 * layer + inputs);
    most = std::max(most, layer + HeadScore::bytes(base_, scored_.config(), scored_.names()));
    return most + kept + inputs;
  }

  int64_t disk() const {
    size_t groups = 0;  // of a layer
    for (int32_t i = 0; i < n_layers(); ++i) groups = std::max(groups, groups_of(i));
    const auto files = 1 + static_cast<int64_t>(groups) * n_formats_;
    return statistics_.disk_bytes() + scored_.disk_bytes() +
           files * 4 * split_.scored.n_tokens * scored_.config().d_model;
  }

  double seconds() {
    const Calibration few = first_of(split_.scored, kTrialTokens);
    const double to_scored = ratio(split_.scored, few);
    LayerWalk walk(base_, few, scratch_ + "/few", Precision::float32, threads_);
    walk.start();
    RowFile rows(scratch_ + "/rows", walk.config().d_model, DType::f32);
    double load = 0, run = 0, learn = 0, round = 0;
    {
      CalibratedLayer layer;
      load = timed([&] { layer = walk.load(0); });
      walk.run_from(layer, LayerInput::attn, nullptr, rows);
      run = to_scored * timed([&] { walk.run_from(layer, LayerInput::attn, nullptr, rows); });
      try_rounding(layer, learn, round);
    }
    std::vector<std::unique_ptr<RowFile>> other;
    other.push_back(
        std::make_unique<RowFile>(rows.path(), walk.config().d_model, DType::f32, true));
    HeadScore head(base_, walk.config(), walk.names(), threads_);
    const double score = to_scored * timed([&] { head.of(rows, other, few.n_tokens); }) / 2;

    const auto n = static_cast<double>(n_layers());
    double sum = n * (load + run);
    for (int32_t i = 0; i < n_layers(); ++i) {
      const auto candidates = static_cast<double>(groups_of(i)) * static_cast<double>(n_formats_);
      const double later = n - 1 - i;
      sum += load + learn + round * static_cast<double>(n_formats_) +
             candidates * run * (kPartOfLayer + later) + later * load + (candidates + 1) * score;
    }
    return sum + n * (load + learn + 2 * round + 2 * run) + 3 * score;
  }

 private:
  template <typename Body>
  static double timed(const Body& body) {
    StageSeconds seconds;
    {
      const StageTimer timer(seconds, "");
      body();
    }
    return seconds[""];
  }

  static Calibration first_of(const Calibration& all, int64_t n_tokens) {
    Calibration some{.sequences = {}, .n_tokens = 0, .name = all.name, .digest = all.digest};
    for (const auto& sequence : all.sequences) {
      if (some.n_tokens >= n_tokens) break;
      some.sequences.push_back(sequence);
      some.n_tokens += static_cast<int64_t>(sequence.size());
    }
    return some;
  }
  static double ratio(const Calibration& all, const Calibration& some) {
    return static_cast<double>(all.n_tokens) / static_cast<double>(some.n_tokens);
  }

  int32_t n_layers() const { return scored_.config().n_layers; }
  int64_t elements(LayerLinear l) const {
    const LinearShape shape = layer_linear(scored_.config(), scored_.names(), 0, l);
    return shape.rows * shape.cols;
  }
  int64_t gram_bytes(LayerInput input) const {
    return 4 * scored_.input_size(input) * scored_.input_size(input);
  }
  size_t groups_of(int32_t layer) const {
    return static_cast<size_t>(std::count_if(plan_.jobs.begin(), plan_.jobs.end(),
                                             [&](const GroupJob& j) { return j.layer == layer; }));
  }

  // Of a group in all formats: packed, being rounded, then one of them unpacked and compared.
  int64_t group_bytes(const GroupJob& group) const {
    const int64_t cols = scored_.input_size(group.input);
    int64_t packed = 0, rounding = 0, unpacked = 0, largest = 0;
    for (size_t i = 0; i < group.linears.size(); ++i) {
      const int64_t rows = elements(group.linears[i]) / cols;
      unpacked += 4 * rows * cols;
      largest = std::max(largest, 4 * rows * cols);
      for (const auto& targets : group.targets) {
        const Format& format = targets[i].format;
        packed += rows *
                  (format.codec->row_bytes(format, cols) + format.codec->param_bytes(format, cols));
        rounding = std::max(rounding, targets[i].step->scratch_bytes(format, rows, cols));
      }
    }
    return gram_bytes(group.input) + packed + std::max(rounding, unpacked + 2 * largest);
  }

  // Seconds that the statistics of the first layer take, and its groups, each in its first format.
  void try_rounding(const CalibratedLayer& layer, double& learn, double& round) {
    const Calibration few = first_of(split_.statistics, kTrialTokens);
    LayerWalk walk(base_, few, scratch_ + "/learning", Precision::bfloat16, threads_);
    walk.start();
    for (const LayerInput input : kLayerInputs) {
      InputStatistics statistics(walk.input_size(input), true);
      learn +=
          ratio(split_.statistics, few) * timed([&] { walk.advance(layer, input, &statistics); });
      for (const GroupJob& group : plan_.jobs) {
        if (group.layer != 0 || group.input != input) continue;
        round += timed([&] { round_once(layer, group, statistics); });
      }
    }
  }

  void round_once(const CalibratedLayer& layer, const GroupJob& group,
                  const InputStatistics& statistics) {
    for (size_t i = 0; i < group.linears.size(); ++i) {
      const RoundTarget& target = group.targets[0][i];
      std::vector<RoundJob> jobs(1);
      jobs[0].scheme = target.scheme;
      jobs[0].format = target.format;
      jobs[0].w = layer.weight(group.linears[i]).view();
      std::vector<ManifestNote> notes;
      target.step->round(jobs, &statistics, threads_, notes);
    }
  }

  const Artifact& base_;
  const MeasurementPlan& plan_;
  ThreadPool& threads_;
  std::string scratch_;
  CalibrationSplit split_;
  LayerWalk statistics_, scored_;
  int64_t n_formats_;
};

}  // namespace

Preflight count_measuring(const Artifact& base, const MeasurementPlan& plan,
                          const MeasuringOptions& options, ThreadPool& threads) {
  const int64_t now = resident_bytes();
  Preflight needs;
  Measuring measuring(base, plan, options, threads);
  needs.memory = now + measuring.memory() + product_bytes(threads);
  needs.bytes[kMeasureStage] = needs.memory;
  needs.scratch = measuring.disk();
  return needs;
}

void time_measuring(const Artifact& base, const MeasurementPlan& plan,
                    const MeasuringOptions& options, ThreadPool& threads, Preflight& needs) {
  needs.seconds[kMeasureStage] = Measuring(base, plan, options, threads).seconds();
}

}  // namespace sinter
