#include "compress/profile/profile_pass.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>

#include "artifact/safetensors.h"
#include "base/build.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/progress.h"
#include "compress/layer_walk.h"
#include "compress/preflight.h"
#include "compress/profile/measure.h"
#include "compress/profile/profile_directory.h"

namespace sinter {
namespace {

constexpr const char* kKeys = "keys";
constexpr const char* kValues = "values";

// The numbers of a layer's channels, until they are written.
class LayerFile {
 public:
  void add(const std::string& name, std::vector<float> values, std::vector<int64_t> shape) {
    const std::vector<float>& kept = floats_.emplace_back(std::move(values));
    tensors_.push_back({name, DType::f32, std::move(shape), std::as_bytes(std::span(kept))});
  }
  void add(const std::string& name, std::vector<int32_t> values) {
    const auto n = static_cast<int64_t>(values.size());
    const std::vector<int32_t>& kept = counts_.emplace_back(std::move(values));
    tensors_.push_back({name, DType::i32, {n}, std::as_bytes(std::span(kept))});
  }
  void add(const std::string& name, Matrix matrix) {
    const Matrix& kept = matrices_.emplace_back(std::move(matrix));
    const MatView m = kept.view();
    tensors_.push_back({name,
                        DType::f32,
                        {m.rows, m.cols},
                        std::as_bytes(std::span(m.at, static_cast<size_t>(m.rows * m.cols)))});
  }
  void write(const std::string& path) const { write_safetensors(path, tensors_); }

 private:
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<int32_t>> counts_;
  std::deque<Matrix> matrices_;
  std::vector<TensorToWrite> tensors_;
};

std::vector<float> means(const std::vector<double>& sums, int64_t n) {
  std::vector<float> out;
  out.reserve(sums.size());
  for (const double s : sums) {
    out.push_back(static_cast<float>(s / static_cast<double>(std::max<int64_t>(n, 1))));
  }
  return out;
}

void add_channels(const MeasuredInput& input, LayerFile& file) {
  const std::string& name = input.figures.name;
  const auto k = static_cast<int64_t>(input.halves[0].peak.size());
  ChannelStatistics both = input.halves[0];
  both.merge(input.halves[1]);
  std::vector<float> rms = means(both.sum_squares, both.n_tokens), half_peaks, half_means;
  for (float& x : rms) x = std::sqrt(x);
  for (const ChannelStatistics& half : input.halves) {
    const std::vector<float> mean = means(half.sum_abs, half.n_tokens);
    half_peaks.insert(half_peaks.end(), half.peak.begin(), half.peak.end());
    half_means.insert(half_means.end(), mean.begin(), mean.end());
  }
  std::vector<int32_t> standing_out(both.standing_out.size());
  std::transform(both.standing_out.begin(), both.standing_out.end(), standing_out.begin(),
                 [](int64_t n) { return static_cast<int32_t>(std::min<int64_t>(n, INT32_MAX)); });
  file.add(name + ".peak", both.peak, {k});
  file.add(name + ".mean", means(both.sum, both.n_tokens), {k});
  file.add(name + ".mean_abs", means(both.sum_abs, both.n_tokens), {k});
  file.add(name + ".rms", std::move(rms), {k});
  file.add(name + ".half_peak", std::move(half_peaks), {2, k});
  file.add(name + ".half_mean_abs", std::move(half_means), {2, k});
  file.add(name + ".standing_out", std::move(standing_out));
}

// What is no number counts as 0. Returns how many there were.
int64_t clear_unusable(MatView x, Matrix& out) {
  int64_t n = 0;
  out.resize(x.rows, x.cols);
  for (int64_t i = 0; i < x.rows; ++i) {
    std::transform(x.row(i).begin(), x.row(i).end(), out.row(i).begin(), [&](float v) {
      n += std::isfinite(v) ? 0 : 1;
      return std::isfinite(v) ? v : 0.0f;
    });
  }
  return n;
}

// Keys or values of a layer, on disk, for they are looked at twice.
class CacheRows {
 public:
  CacheRows(const std::string& path, int64_t k, ThreadPool& threads)
      : threads_(threads), file_(path, k, DType::f32), k_(k) {}
  void add(int64_t first_row, MatView x) {
    unusable_ += clear_unusable(x, rows_);
    file_.write(first_row, std::as_const(rows_).view(), threads_);
    pieces_.emplace_back(first_row, x.rows);
  }
  void visit(const LayerWalk::Rows& rows) {
    for (const auto& [first, n] : pieces_) {
      rows_.resize(n, k_);
      file_.read(first, rows_.view(), threads_);
      rows(first, std::as_const(rows_).view());
    }
  }
  int64_t unusable() const { return unusable_; }

 private:
  ThreadPool& threads_;
  RowFile file_;
  int64_t k_, unusable_ = 0;
  std::vector<std::pair<int64_t, int64_t>> pieces_;
  Matrix rows_;
};

class Pass {
 public:
  Pass(const Artifact& base, const ProfileOptions& options, ProfileDirectory& directory,
       ThreadPool& threads)
      : options_(options),
        directory_(directory),
        threads_(threads),
        walk_(base, *options.calibration, directory.scratch(), Precision::float32, threads),
        plan_(*options.calibration, options.rounded_tokens) {}

  ProfileResult run() {
    const int32_t n = walk_.config().n_layers;
    const auto kept = static_cast<int32_t>(directory_.layers().size());
    require_room(n - kept);
    if (kept < n) go_to(kept);
    Progress progress("profile", n - kept, "layers");
    for (int32_t i = kept; i < n; ++i) {
      if (options_.stop != nullptr && options_.stop->load()) {
        fail(Fault::interrupted, "interrupted",
             "{}: stopped after {} of {} layers; the same command goes on from there",
             options_.directory, i, n);
      }
      const CalibratedLayer layer = walk_.load(i);
      JournalledLayer done{.layer = measure(layer), .next_inputs = ""};
      if (i + 1 < n) done.next_inputs = walk_.finish(layer);
      size_t outliers = 0;
      for (const ProfiledInput& input : done.layer.inputs) {
        outliers += input.stability.outliers.size();
      }
      directory_.add(std::move(done));
      walk_.remove_inputs(i);
      progress.advance(1, fmt::format("layer {}, {} outlier channels", i, outliers));
    }
    ProfileResult result{.profile = {}, .layers_kept = kept, .layers_made = n - kept};
    for (const JournalledLayer& l : directory_.layers()) result.profile.layers.push_back(l.layer);
    return result;
  }

  int64_t rounded_tokens() const { return plan_.rounded(); }

 private:
  // The walk before a layer: by what a killed run left, or else from the beginning.
  void go_to(int32_t layer) {
    if (layer > 0 && walk_.resume(layer, directory_.layers().back().next_inputs)) {
      walk_.remove_inputs(layer - 1);
      return;
    }
    walk_.start();
    for (int32_t i = 0; i < layer; ++i) {
      const CalibratedLayer weights = walk_.load(i);
      for (const LayerInput input : kLayerInputs) walk_.advance(weights, input, nullptr);
      walk_.finish(weights);
      walk_.remove_inputs(i);
    }
  }

  ProfiledLayer measure(const CalibratedLayer& layer) {
    ProfiledLayer out;
    out.layer = layer.index;
    out.file = fmt::format("layer-{:05}.safetensors", layer.index);
    for (const LayerLinear l : kLayerLinears) {
      const std::string module = layer_linear(walk_.config(), walk_.names(), layer.index, l).module;
      out.matrices.push_back(measure_matrix(module, layer.weight(l).view(), threads_));
      const ProfiledMatrix& m = out.matrices.back();
      if (std::isfinite(m.rms) && std::isfinite(m.peak)) continue;
      fail(Fault::corrupt, "weight-not-finite",
           "tensor \"{}\": a weight is not a usable number (NaN or infinity); the checkpoint is "
           "damaged",
           module);
    }
    const int64_t kv_dim = int64_t{walk_.config().n_kv_heads} * walk_.config().head_dim;
    LayerFile file;
    const RoundInputs round = [&](Activation a, MatMut x) { walk_.round_inputs(a, x); };
    const auto take = [&](const InputToMeasure& input, int64_t unusable) {
      MeasuredInput measured = measure_input(input, plan_, round, threads_);
      measured.figures.unusable = unusable;
      add_channels(measured, file);
      out.inputs.push_back(std::move(measured.figures));
    };
    CacheRows keys(directory_.scratch() + "/keys", kv_dim, threads_);
    CacheRows values(directory_.scratch() + "/values", kv_dim, threads_);
    walk_.watch_kv([&](int64_t first_row, MatView k, MatView v) {
      keys.add(first_row, k);
      values.add(first_row, v);
    });
    for (const LayerInput input : kLayerInputs) {
      const int64_t k = walk_.input_size(input);
      std::optional<InputStatistics> statistics;
      if (options_.gram) statistics.emplace(k, true);
      walk_.advance(layer, input, statistics ? &*statistics : nullptr);
      take({.name = to_string(input),
            .modules = modules_of(layer.index, input),
            .n_channels = k,
            .modes = input_modes(),
            .visit = [&](const LayerWalk::Rows& rows) { walk_.visit(layer, input, rows); }},
           0);
      if (statistics) {
        file.add(std::string(to_string(input)) + ".gram", std::move(statistics->gram));
      }
    }
    walk_.watch_kv(nullptr);
    for (CacheRows* cache : {&keys, &values}) {
      take({.name = cache == &keys ? kKeys : kValues,
            .modules = {},
            .n_channels = kv_dim,
            .head_dim = walk_.config().head_dim,
            .modes = cache_modes(),
            .visit = [&](const LayerWalk::Rows& rows) { cache->visit(rows); }},
           cache->unusable());
    }
    out.dropped = walk_.take_dropped();
    const std::string path = options_.directory + "/" + out.file;
    file.write(path);
    out.sha256 = sha256_file(path);
    return out;
  }

  std::vector<std::string> modules_of(int32_t layer, LayerInput input) const {
    std::vector<std::string> modules;
    modules.reserve(readers_of(input).size());
    for (const LayerLinear l : readers_of(input)) {
      modules.push_back(layer_linear(walk_.config(), walk_.names(), layer, l).module);
    }
    return modules;
  }

  // What the layers, their inputs and their second moments take at least.
  void require_room(int64_t layers_left) const {
    if (layers_left == 0) return;
    int64_t weights = 0, grams = 0, group = 0, widest = 0;
    for (const LayerLinear l : kLayerLinears) {
      const LinearShape shape = layer_linear(walk_.config(), walk_.names(), 0, l);
      weights += 4 * shape.rows * shape.cols;
    }
    for (const LayerInput input : kLayerInputs) {
      const int64_t k = walk_.input_size(input);
      if (options_.gram) grams += 4 * k * k;
      group = std::max(group, walk_.group_bytes(input));
      widest = std::max(widest, k);
    }
    const int64_t kv_dim = int64_t{walk_.config().n_kv_heads} * walk_.config().head_dim;
    const int64_t disk = 4 * walk_.n_tokens() *
                             (3 * int64_t{walk_.config().d_model} +
                              walk_.input_size(LayerInput::o) + widest + 2 * kv_dim) +
                         layers_left * grams;
    const int64_t memory = resident_bytes() + weights + grams + group;
    const Room room = free_room(options_.directory, 0);
    constexpr int64_t kMiB = 1 << 20;
    if (memory > room.memory) {
      fail(Fault::exhausted, "preflight-memory",
           "{}: needs {} MiB of memory, found {} free; free some, give a smaller "
           "--sequence-tokens{}",
           options_.directory, memory / kMiB, room.memory / kMiB,
           options_.gram ? ", or leave --gram out" : "");
    }
    if (disk > room.disk) {
      fail(Fault::exhausted, "preflight-disk",
           "{}: needs {} MiB of disk, found {} free; free some, use fewer --calibration-tokens, or "
           "give an OUT on another disk{}",
           options_.directory, disk / kMiB, room.disk / kMiB,
           options_.gram ? "; without --gram it is less" : "");
    }
  }

  const ProfileOptions& options_;
  ProfileDirectory& directory_;
  ThreadPool& threads_;
  LayerWalk walk_;
  RowPlan plan_;
};

}  // namespace

ProfileResult make_profile(const Artifact& base, const ProfileOptions& options,
                           ThreadPool& threads) {
  refuse_nested(base.directory(), options.directory);
  const Calibration& calibration = *options.calibration;
  const ProfileKey key{.base_digest = base.digest(),
                       .corpus_digest = calibration.digest,
                       .build = build_name(),
                       .limits = options.limits,
                       .rounded_tokens = options.rounded_tokens,
                       .gram = options.gram};
  ProfileDirectory directory(options.directory, key);
  if (directory.finished()) {
    const auto n = static_cast<int64_t>(directory.finished()->layers.size());
    return {.profile = *directory.finished(), .layers_kept = n, .layers_made = 0};
  }
  Pass pass(base, options, directory, threads);
  ProfileResult result = pass.run();
  Profile& p = result.profile;
  p.key = key;
  p.corpus = calibration.name;
  p.n_tokens = calibration.n_tokens;
  p.n_sequences = static_cast<int64_t>(calibration.sequences.size());
  p.rounded_tokens = pass.rounded_tokens();
  directory.finish(p);
  return result;
}

}  // namespace sinter
