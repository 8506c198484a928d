// Measures sensitivities: two walks through the dense model side by side, one over the tokens that
// rounding learns from, one over those that divergence is measured on. At each layer, every group
// in every format is a candidate: its hidden states lie in a file of its own, and all of them go
// through the rest of the model together, so that each later layer is loaded once.
#include "compress/sensitivity_pass.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "compress/block_error.h"
#include "compress/head_score.h"
#include "compress/round.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;
constexpr const char* kJournal = "sensitivity.journal";
constexpr const char* kScratch = "sensitivity.scratch";

void add_sequence(Calibration& to, const std::vector<Token>& sequence) {
  to.sequences.push_back(sequence);
  to.n_tokens += static_cast<int64_t>(sequence.size());
}

// A group in some formats, packed; job.w is the layer's.
using PackedGroup = std::vector<RoundJob>;

// One a format. All go together, so that what a step works out of the inputs serves them all.
std::vector<PackedGroup> round_group(const CalibratedLayer& layer, const GroupJob& group,
                                     const std::vector<int32_t>& formats,
                                     const InputStatistics& statistics, ThreadPool& threads) {
  float peak = 0;
  for (const LayerLinear l : group.linears) {
    const MatView w = layer.weight(l).view();
    peak = std::max(peak, peak_of(w.rows, w.cols, rows_of(w), threads));
  }
  std::vector<PackedGroup> out(formats.size());
  std::vector<ManifestNote> notes;  // compress() will make its own
  for (size_t i = 0; i < group.linears.size(); ++i) {
    std::vector<RoundJob> jobs;
    for (const int32_t format : formats) {
      const RoundTarget& target = group.targets[static_cast<size_t>(format)][i];
      jobs.push_back({.module = "",
                      .scheme = target.scheme,
                      .format = target.format,
                      .w = layer.weight(group.linears[i]).view(),
                      .matrix_peak = target.format.codec->has_matrix_scale ? peak : 0,
                      .codes = {},
                      .params = {}});
    }
    group.targets[0][i].step->round(jobs, &statistics, threads, notes);
    for (size_t f = 0; f < jobs.size(); ++f) out[f].push_back(std::move(jobs[f]));
  }
  return out;
}

std::vector<Matrix> unpack_group(const PackedGroup& group, ThreadPool& threads) {
  std::vector<Matrix> weights;
  for (const RoundJob& job : group) {
    weights.emplace_back(job.w.rows, job.w.cols);
    unpack_matrix(job, threads, weights.back().view());
  }
  return weights;
}

// Of the group's outputs, relative.
double error_of(const PackedGroup& group, const std::vector<Matrix>& weights, MatView gram,
                ThreadPool& threads) {
  double off = 0, size = 0;
  for (size_t i = 0; i < group.size(); ++i) {
    const MatView w = group[i].w;
    Matrix difference(w.rows, w.cols);
    threads.run(w.rows, 16, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        std::transform(w.row(r).begin(), w.row(r).end(), weights[i].row(r).begin(),
                       difference.row(r).begin(), std::minus<>());
      }
    });
    off += output_error(std::as_const(difference).view(), gram, Precision::float32, threads);
    size += output_error(w, gram, Precision::float32, threads);
  }
  return size > 0 ? std::sqrt(std::max(off, 0.0) / size) : 0;
}

// Puts rounded weights into a layer, or takes them out again.
void swap_weights(CalibratedLayer& layer, const GroupJob& group, std::vector<Matrix>& weights) {
  for (size_t i = 0; i < group.linears.size(); ++i) {
    std::swap(layer.weight(group.linears[i]), weights[i]);
  }
}

class Pass {
 public:
  Pass(const Artifact& base, const MeasurementPlan& plan, const MeasuringOptions& options,
       ThreadPool& threads)
      : base_(base),
        options_(options),
        threads_(threads),
        scratch_(options.directory + "/" + kScratch),
        split_(split_calibration(*options.calibration, plan.scored_tokens)),
        plan_(plan) {
    fs::create_directories(scratch_);
    statistics_ = std::make_unique<LayerWalk>(base, split_.statistics, scratch_ + "/statistics",
                                              Precision::bfloat16, threads);
    scored_ = std::make_unique<LayerWalk>(base, split_.scored, scratch_ + "/scored",
                                          Precision::float32, threads);
    plan_.sensitivity.statistics_tokens = split_.statistics.n_tokens;
    plan_.sensitivity.scored_tokens = split_.scored.n_tokens;
  }

  Sensitivity measure() {
    const std::string path = options_.directory + "/" + kJournal;
    const Resumed at = read_journal(path);
    LineJournal journal(path);
    if (at.layer == 0 && fs::file_size(path) == 0) {
      journal.append(to_line(to_json(unmeasured())));
    }
    run_dense();
    go_to(at);
    // A layer's work is its candidates' way to the end.
    const int32_t n = n_layers();
    Progress progress("measure", int64_t{n} * (n + 1) / 2, "layers");
    for (int32_t i = 0; i < at.layer; ++i) progress.advance(n - i);
    for (int32_t i = at.layer; i < n; ++i) {
      if (options_.stop != nullptr && options_.stop->load()) {
        fail(Fault::interrupted, "interrupted",
             "{}: stopped after measuring {} of {} layers; the same command goes on from there",
             options_.directory, i, n);
      }
      CalibratedLayer layer = load(i);
      Json line = measure_layer(layer);
      if (i + 1 < n) {
        line["next"] = {statistics_->finish(layer), scored_->finish(layer)};
      }
      journal.append(to_line(line));
      statistics_->remove_inputs(i);
      scored_->remove_inputs(i);
      progress.advance(n - i, fmt::format("layer {}, {}", i, worst_of(i)));
    }
    return plan_.sensitivity;
  }

  std::vector<MeasuredOption> together(const std::vector<std::vector<int32_t>>& choices) {
    run_dense();
    statistics_->start();
    scored_->start();
    std::vector<std::unique_ptr<RowFile>> files;
    for (size_t i = 0; i < choices.size(); ++i) files.push_back(candidate(i));
    Progress progress("measure together", n_layers(), "layers");
    for (int32_t i = 0; i < n_layers(); ++i) {
      CalibratedLayer layer = load(i);
      std::map<std::pair<size_t, int32_t>, std::vector<Matrix>> rounded;  // by group and format
      for (const LayerInput input : kLayerInputs) {
        const size_t g = group_at(i, input);
        InputStatistics statistics(statistics_->input_size(input), g < plan_.jobs.size());
        statistics_->advance(layer, input, &statistics);
        if (g == plan_.jobs.size()) continue;
        std::vector<int32_t> formats;
        for (const auto& choice : choices) {
          if (std::find(formats.begin(), formats.end(), choice[g]) == formats.end()) {
            formats.push_back(choice[g]);
          }
        }
        const auto packed = round_group(layer, plan_.jobs[g], formats, statistics, threads_);
        for (size_t f = 0; f < formats.size(); ++f) {
          rounded[{g, formats[f]}] = unpack_group(packed[f], threads_);
        }
      }
      if (i + 1 < n_layers()) statistics_->finish(layer);
      statistics_->remove_inputs(i);
      for (size_t c = 0; c < choices.size(); ++c) {
        const auto swap_all = [&] {
          for (const LayerInput input : kLayerInputs) {
            const size_t g = group_at(i, input);
            if (g == plan_.jobs.size()) continue;
            swap_weights(layer, plan_.jobs[g], rounded.at({g, choices[c][g]}));
          }
        };
        swap_all();
        scored_->run_from(layer, LayerInput::attn, i == 0 ? nullptr : files[c].get(), *files[c]);
        swap_all();
      }
      progress.advance(1);
    }
    const std::vector<Divergence> found = score(files);
    std::vector<MeasuredOption> out;
    for (size_t c = 0; c < choices.size(); ++c) {
      MeasuredOption& o = out.emplace_back();
      o.kl = found[c].kl;
      o.flip_rate = found[c].flip_rate();
      for (size_t g = 0; g < plan_.jobs.size(); ++g) {
        o.bytes += plan_.sensitivity.groups[g].options[static_cast<size_t>(choices[c][g])].bytes;
      }
    }
    return out;
  }

 private:
  struct Resumed {
    int32_t layer = 0;               // that is to be measured next
    std::string statistics, scored;  // digests of its inputs
  };

  int32_t n_layers() const { return scored_->config().n_layers; }

  Sensitivity unmeasured() const {
    Sensitivity s = plan_.sensitivity;
    s.groups.clear();
    return s;
  }

  // The group of a layer's input, or how many there are.
  size_t group_at(int32_t layer, LayerInput input) const {
    const auto at = std::find_if(plan_.jobs.begin(), plan_.jobs.end(), [&](const GroupJob& j) {
      return j.layer == layer && j.input == input;
    });
    return static_cast<size_t>(at - plan_.jobs.begin());
  }

  // As it will be rounded. The walk over the statistics must stand before it.
  CalibratedLayer load(int32_t i) {
    CalibratedLayer layer = statistics_->load(i);
    if (plan_.transforms.empty()) return layer;
    std::vector<ManifestNote> notes;  // compress() will make its own
    StageSeconds seconds;
    transform_layer(base_, plan_.transforms, plan_.targets[static_cast<size_t>(i)], *statistics_,
                    layer, notes, seconds);
    return layer;
  }

  std::unique_ptr<RowFile> candidate(size_t i) const {
    return std::make_unique<RowFile>(fmt::format("{}/candidate-{}", scratch_, i),
                                     scored_->config().d_model, DType::f32);
  }

  Resumed read_journal(const std::string& path) {
    Resumed at;
    if (!fs::exists(path)) return at;
    const std::string text = read_file(path);
    size_t line = 1;
    for (size_t from = 0, end = 0; (end = text.find('\n', from)) != std::string::npos;
         from = end + 1, ++line) {
      const std::string place = fmt::format("{}: line {}", path, line);
      const Json json = parse_json(std::string_view(text).substr(from, end - from), place);
      if (line == 1) {
        Sensitivity expected = unmeasured();
        require_same_measurement(sensitivity_from(json, place), expected, path);
        continue;
      }
      take_line(json, place, at);
    }
    return at;
  }

  void take_line(const Json& json, const std::string& place, Resumed& at) {
    const JsonFields fields(json, place);
    const Json& groups = fields.at("groups");
    for (const Json& g : groups) {
      const MatrixGroup found = matrix_group_from(g, place);
      for (MatrixGroup& group : plan_.sensitivity.groups) {
        if (group.modules == found.modules && group.options.size() == found.options.size()) {
          group = found;
        }
      }
    }
    plan_.sensitivity.sure_tokens = fields.integer("sure");
    at = {
        .layer = static_cast<int32_t>(fields.integer("layer")) + 1, .statistics = "", .scored = ""};
    if (!fields.has("next")) return;
    const Json& next = fields.at("next");
    if (!next.is_array() || next.size() != 2 || !next[0].is_string() || !next[1].is_string()) {
      fail(Fault::corrupt, "sensitivity-corrupt", "{}: next: expected two digests; measure again",
           place);
    }
    at.statistics = next[0].get<std::string>();
    at.scored = next[1].get<std::string>();
  }

  // The dense model's hidden states after the last layer.
  void run_dense() {
    dense_ = std::make_unique<RowFile>(scratch_ + "/dense", scored_->config().d_model, DType::f32);
    scored_->start();
    for (int32_t i = 0; i < n_layers(); ++i) {
      scored_->run_from(scored_->load(i), LayerInput::attn, i == 0 ? nullptr : dense_.get(),
                        *dense_);
    }
  }

  // Both walks before a layer: by what a killed run left, or from the beginning.
  void go_to(const Resumed& at) {
    if (at.layer > 0 && at.layer < n_layers() && statistics_->resume(at.layer, at.statistics) &&
        scored_->resume(at.layer, at.scored)) {
      return;
    }
    statistics_->start();
    scored_->start();
    for (int32_t i = 0; i < at.layer && at.layer < n_layers(); ++i) {
      const CalibratedLayer layer = load(i);
      for (LayerWalk* walk : {statistics_.get(), scored_.get()}) {
        for (const LayerInput input : kLayerInputs) walk->advance(layer, input, nullptr);
        walk->finish(layer);
        walk->remove_inputs(i);
      }
    }
  }

  Json measure_layer(CalibratedLayer& layer) {
    const int32_t i = layer.index;
    std::vector<std::unique_ptr<RowFile>> files;
    std::vector<MeasuredOption*> options;
    Json groups = Json::array();
    for (const LayerInput input : kLayerInputs) {
      const size_t g = group_at(i, input);
      InputStatistics statistics(statistics_->input_size(input), g < plan_.jobs.size());
      statistics_->advance(layer, input, &statistics);
      scored_->advance(layer, input, nullptr);
      if (g == plan_.jobs.size()) continue;
      std::vector<int32_t> formats(plan_.sensitivity.formats.size());
      std::iota(formats.begin(), formats.end(), 0);
      const auto packed = round_group(layer, plan_.jobs[g], formats, statistics, threads_);
      for (size_t f = 0; f < packed.size(); ++f) {
        MeasuredOption& option = plan_.sensitivity.groups[g].options[f];
        std::vector<Matrix> weights = unpack_group(packed[f], threads_);
        option.output_error = error_of(packed[f], weights, statistics.gram.view(), threads_);
        files.push_back(candidate(files.size()));
        options.push_back(&option);
        swap_weights(layer, plan_.jobs[g], weights);
        scored_->run_from(layer, input, nullptr, *files.back());
        swap_weights(layer, plan_.jobs[g], weights);
      }
    }
    for (int32_t later = i + 1; later < n_layers(); ++later) {
      const CalibratedLayer next = scored_->load(later);
      for (auto& file : files) scored_->run_from(next, LayerInput::attn, file.get(), *file);
    }
    const std::vector<Divergence> found = score(files);
    for (size_t c = 0; c < files.size(); ++c) {
      options[c]->kl = found[c].kl;
      options[c]->flip_rate = found[c].flip_rate();
      plan_.sensitivity.sure_tokens = found[c].sure;
    }
    for (const MatrixGroup& group : plan_.sensitivity.groups) {
      if (group.layer == i) groups.push_back(to_json(group));
    }
    return {{"layer", i}, {"sure", plan_.sensitivity.sure_tokens}, {"groups", groups}};
  }

  std::vector<Divergence> score(std::span<const std::unique_ptr<RowFile>> files) {
    return HeadScore(base_, scored_->config(), scored_->names(), threads_)
        .of(*dense_, files, split_.scored.n_tokens);
  }

  std::string worst_of(int32_t layer) const {
    double worst = 0;
    for (const MatrixGroup& group : plan_.sensitivity.groups) {
      if (group.layer != layer) continue;
      for (const MeasuredOption& o : group.options) worst = std::max(worst, o.kl);
    }
    return fmt::format("most divergence {:.4f}", worst);
  }

  const Artifact& base_;
  const MeasuringOptions& options_;
  ThreadPool& threads_;
  std::string scratch_;
  CalibrationSplit split_;
  MeasurementPlan plan_;
  std::unique_ptr<LayerWalk> statistics_, scored_;
  std::unique_ptr<RowFile> dense_;
};

}  // namespace

CalibrationSplit split_calibration(const Calibration& all, int64_t tokens) {
  CalibrationSplit split;
  const int64_t wanted = std::min(tokens, all.n_tokens / 2);
  int64_t seen = 0;
  for (const auto& sequence : all.sequences) {
    seen += static_cast<int64_t>(sequence.size());
    const bool behind =
        static_cast<double>(split.scored.n_tokens) <
        static_cast<double>(wanted) * static_cast<double>(seen) / static_cast<double>(all.n_tokens);
    add_sequence(behind ? split.scored : split.statistics, sequence);
  }
  // One sequence cannot be in two parts; better measured on seen tokens than not at all.
  if (split.scored.sequences.empty()) split.scored = split.statistics;
  if (split.statistics.sequences.empty()) split.statistics = split.scored;
  return split;
}

Sensitivity measure_sensitivity(const Artifact& base, const MeasurementPlan& plan,
                                const MeasuringOptions& options, ThreadPool& threads) {
  return Pass(base, plan, options, threads).measure();
}

std::vector<MeasuredOption> measure_together(const Artifact& base, const MeasurementPlan& plan,
                                             const std::vector<std::vector<int32_t>>& choices,
                                             const MeasuringOptions& options, ThreadPool& threads) {
  return Pass(base, plan, options, threads).together(choices);
}

bool has_measuring(const std::string& directory) { return fs::exists(directory + "/" + kJournal); }

void remove_measuring(const std::string& directory) {
  fs::remove(directory + "/" + kJournal);
  fs::remove_all(directory + "/" + kScratch);
}

}  // namespace sinter
