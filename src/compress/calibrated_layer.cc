#include "compress/calibrated_layer.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/error.h"
#include "compress/block_error.h"
#include "compress/round.h"

namespace sinter {
namespace {

// Floats as a tensor of the checkpoint's type.
OwnedTensor dense_tensor(const std::string& name, const StoredTensor& like, MatView values) {
  const Codec& codec = *plain_codec(like.dtype);
  const Format format{.codec = &codec};
  OwnedTensor t{name, like.dtype, like.shape, {}};
  const int64_t row_bytes = codec.row_bytes(format, values.cols);
  t.bytes.resize(static_cast<size_t>(values.rows * row_bytes));
  for (int64_t r = 0; r < values.rows; ++r) {
    codec.pack_row(format, values.row(r), nullptr,
                   reinterpret_cast<uint8_t*>(t.bytes.data()) + r * row_bytes);
  }
  return t;
}

}  // namespace

struct LayerCompressor::Work {
  CalibratedLayer layer;
  LayerTargets targets;
  std::array<std::optional<RoundedMatrix>, kLayerLinears.size()> rounded;
  std::array<ManifestTensor, kLayerLinears.size()> records;
  std::array<float, kLayerLinears.size()> input_scales{};
  std::vector<ManifestNote> notes;
  StageSeconds seconds;
};

ShardContent LayerCompressor::run(const PlannedShard& shard) {
  const auto index = static_cast<int32_t>(shard.layer);
  Work work{.layer = walk_.load(index),
            .targets = targets_of(walk_.config(), walk_.names(), shard),
            .rounded = {},
            .records = {},
            .notes = {},
            .seconds = {}};
  transform_layer(base_, recipe_.transforms, work.targets, walk_, work.layer, work.notes,
                  work.seconds);
  for (const LayerInput input : kLayerInputs) {
    std::optional<InputStatistics> statistics = wanted(work.targets, input);
    InputStatistics* const known = statistics ? &*statistics : nullptr;
    {
      const StageTimer timer(work.seconds, kTokensStage);
      walk_.advance(work.layer, input, known);
    }
    round(work, input, known);
  }
  ShardContent content = store(work, shard);
  if (index + 1 < walk_.config().n_layers) {
    const StageTimer timer(work.seconds, kTokensStage);
    content.record.next_inputs = walk_.finish(work.layer);
  }
  content.seconds = std::move(work.seconds);
  if (const int64_t dropped = walk_.take_dropped(); dropped > 0) {
    content.record.notes.push_back({shard.label, fmt::format("{} activations set to zero", dropped),
                                    "they were not finite numbers"});
  }
  return content;
}

LayerCompressor::PassSeconds LayerCompressor::pass(const PlannedShard& shard) const {
  const CalibratedLayer layer = walk_.load(static_cast<int32_t>(shard.layer));
  const LayerTargets targets = targets_of(walk_.config(), walk_.names(), shard);
  StageSeconds seconds;
  {
    const StageTimer timer(seconds, kTokensStage);
    if (!recipe_.transforms.empty()) inputs_of_transforms(recipe_.transforms, walk_, layer);
    for (const LayerInput input : kLayerInputs) {
      std::optional<InputStatistics> statistics = wanted(targets, input);
      walk_.advance(layer, input, statistics ? &*statistics : nullptr);
    }
  }
  PassSeconds out{.parts = std::exchange(seconds[kTokensStage], 0)};
  if (walk_.config().n_layers > 1) {
    const StageTimer timer(seconds, kTokensStage);
    walk_.finish(layer);
  }
  out.finish = seconds[kTokensStage];
  return out;
}

StageBytes LayerCompressor::bytes(const PlannedShard& shard) const {
  const LayerTargets targets = targets_of(walk_.config(), walk_.names(), shard);
  const auto shape = [&](LayerLinear l) {
    return layer_linear(walk_.config(), walk_.names(), static_cast<int32_t>(shard.layer), l);
  };
  const auto gram_bytes = [&](LayerInput input) {
    return 4 * walk_.input_size(input) * walk_.input_size(input);
  };
  StageBytes bytes;
  const auto raise = [&](const std::string& stage, int64_t to) {
    bytes[stage] = std::max(bytes[stage], to);
  };
  int64_t held = 0;  // the layer, and what rounding leaves
  for (const LayerLinear l : kLayerLinears) held += 4 * shape(l).rows * shape(l).cols;
  if (!recipe_.transforms.empty()) {
    int64_t grams = 0;
    for (const LayerInput input : kLayerInputs) {
      if (want_gram(recipe_.transforms, input)) grams += gram_bytes(input);
      raise(kTokensStage, held + grams + walk_.group_bytes(input));
    }
    for (const auto& step : recipe_.transforms) {
      raise(step->method(), held + grams + step->scratch_bytes(walk_));
    }
  }
  for (const LayerInput input : kLayerInputs) {
    const auto readers = readers_of(input);
    const bool gram = std::any_of(readers.begin(), readers.end(), [&](LayerLinear l) {
      const RoundStep* step = targets[static_cast<size_t>(l)].step;
      return step != nullptr && step->needs_gram();
    });
    const int64_t inputs = gram ? gram_bytes(input) : 0;
    raise(kTokensStage, held + inputs + walk_.group_bytes(input));
    for (const LayerLinear l : readers) {
      const RoundTarget& target = targets[static_cast<size_t>(l)];
      if (target.step == nullptr) continue;
      const int64_t rows = shape(l).rows, cols = shape(l).cols;
      const Codec& codec = *target.format.codec;
      held +=
          rows * (codec.row_bytes(target.format, cols) + codec.param_bytes(target.format, cols));
      // Afterwards the rounded weights, and with a Gram matrix what it makes of their error.
      const int64_t scratch = std::max(target.step->scratch_bytes(target.format, rows, cols),
                                       4 * rows * cols * (gram ? 2 : 1));
      raise(target.step->method(), held + inputs + scratch);
    }
  }
  return bytes;
}

std::optional<InputStatistics> LayerCompressor::wanted(const LayerTargets& targets,
                                                       LayerInput input) const {
  bool any = false, gram = false;
  for (const LayerLinear l : readers_of(input)) {
    const RoundTarget& target = targets[static_cast<size_t>(l)];
    if (target.step == nullptr) continue;
    gram = gram || target.step->needs_gram();
    any = any || gram || has_input_scale(target.scheme);
  }
  if (!any) return std::nullopt;
  return InputStatistics(walk_.input_size(input), gram);
}

void LayerCompressor::round(Work& work, LayerInput input, const InputStatistics* statistics) const {
  ThreadPool& threads = walk_.threads();
  std::vector<LayerLinear> left;
  float matrix_peak = 0;
  for (const LayerLinear l : readers_of(input)) {
    const RoundTarget& target = work.targets[static_cast<size_t>(l)];
    if (target.step == nullptr) continue;
    left.push_back(l);
    if (!target.format.codec->has_matrix_scale) continue;
    const MatView w = std::as_const(work.layer).weight(l).view();
    matrix_peak = std::max(matrix_peak, peak_of(w.rows, w.cols, rows_of(w), threads));
  }
  while (!left.empty()) {
    // Matrices of one step go together, so that what it works out of the inputs serves them all.
    const RoundStep* step = work.targets[static_cast<size_t>(left[0])].step;
    const StageTimer timer(work.seconds, step->method());
    std::vector<LayerLinear> now;
    std::vector<RoundJob> jobs;
    for (const LayerLinear l : left) {
      const RoundTarget& target = work.targets[static_cast<size_t>(l)];
      if (target.step != step) continue;
      now.push_back(l);
      jobs.push_back(
          {.module = layer_linear(walk_.config(), walk_.names(), work.layer.index, l).module,
           .scheme = target.scheme,
           .format = target.format,
           .w = std::as_const(work.layer).weight(l).view(),
           .matrix_peak = matrix_peak,
           .codes = {},
           .params = {}});
    }
    std::erase_if(left,
                  [&](LayerLinear l) { return std::find(now.begin(), now.end(), l) != now.end(); });
    step->round(jobs, statistics, threads, work.notes);
    for (size_t i = 0; i < jobs.size(); ++i) {
      RoundJob& job = jobs[i];
      const auto at = static_cast<size_t>(now[i]);
      Matrix& w = work.layer.weight(now[i]);
      Matrix rounded(w.rows(), w.cols());
      unpack_matrix(job, threads, rounded.view());
      const RoundingError error =
          rounding_error(std::as_const(w).view(), std::as_const(rounded).view(), threads);
      ManifestTensor& record = work.records[at];
      record = {.name = job.module,
                .format = to_string(job.format),
                .rows = w.rows(),
                .cols = w.cols(),
                .relative_error = error.relative(),
                .max_error = error.largest,
                .sha256 = "",
                .method = step->method(),
                .damp = job.damp};
      if (statistics != nullptr && !statistics->gram.empty()) {
        const double size = output_error(std::as_const(w).view(), statistics->gram.view(),
                                         Precision::float32, threads);
        for (int64_t r = 0; r < w.rows(); ++r) {
          const std::span<float> from = w.row(r);
          const std::span<const float> to = std::as_const(rounded).row(r);
          for (size_t j = 0; j < from.size(); ++j) from[j] -= to[j];
        }
        const double off = output_error(std::as_const(w).view(), statistics->gram.view(),
                                        Precision::float32, threads);
        record.output_error = size > 0 ? std::sqrt(std::max(off, 0.0) / size) : 0;
      }
      if (has_input_scale(job.scheme)) {
        const std::vector<float>& peak = statistics->peak;
        work.input_scales[at] =
            input_scale(job.scheme, *std::max_element(peak.begin(), peak.end()));
      }
      work.rounded[at] = RoundedMatrix{.format = job.format,
                                       .rows = w.rows(),
                                       .cols = w.cols(),
                                       .codes = std::move(job.codes),
                                       .params = std::move(job.params)};
      record.sha256 = work.rounded[at]->sha256();
      std::swap(w, rounded);
    }
  }
}

void LayerCompressor::store_kv(const Work& work, ShardContent& content) const {
  const Scheme codes{.activation = kv_codes(*recipe_.kv).mode};
  const LayerWalk::KvPeaks& peaks = walk_.kv_peaks();
  const std::string k_proj =
      layer_linear(walk_.config(), walk_.names(), work.layer.index, LayerLinear::k).module;
  for (OwnedTensor& t :
       store_kv_scales(k_proj.substr(0, k_proj.rfind('.')), input_scale(codes, peaks.keys),
                       input_scale(codes, peaks.values))) {
    const StoredTensor stored{
        .name = t.name, .dtype = t.dtype, .shape = t.shape, .bytes = t.bytes, .block = {}};
    content.record.tensors.push_back(copied_tensor(stored, t.name));
    content.record.tensors.back().method = "kv_cache";
    std::vector<OwnedTensor> one;
    one.push_back(std::move(t));
    content.add(std::move(one));
  }
}

ShardContent LayerCompressor::store(const Work& work, const PlannedShard& shard) const {
  ShardContent content;
  content.record.notes = work.notes;
  const ModuleNames& names = walk_.names();
  const LayerVectors before = load_layer_vectors(base_, walk_.config(), names, work.layer.index);
  const std::string prefix = fmt::format(fmt::runtime(names.layer), work.layer.index);
  const LayerVectors& after = work.layer.vectors;
  struct Vector {
    std::string name;
    const std::vector<float>&was, &is;
  };
  const std::array vectors = {
      Vector{prefix + names.attn_norm, before.attn_norm, after.attn_norm},
      Vector{prefix + names.ffn_norm, before.ffn_norm, after.ffn_norm},
      Vector{prefix + names.attn_sub_norm, before.attn_sub_norm, after.attn_sub_norm},
      Vector{prefix + names.ffn_sub_norm, before.ffn_sub_norm, after.ffn_sub_norm}};
  const auto changed = [&](const PlannedTensor& t) -> std::optional<OwnedTensor> {
    for (const Vector& v : vectors) {
      if (t.name != v.name || v.was == v.is) continue;
      const auto n = static_cast<int64_t>(v.is.size());
      return dense_tensor(t.name, *t.source, {v.is.data(), 1, n, n});
    }
    if (recipe_.transforms.empty()) return std::nullopt;
    for (const LayerLinear l : kLayerLinears) {
      const std::string module = layer_linear(walk_.config(), names, work.layer.index, l).module;
      if (t.name == module + ".weight") {
        return dense_tensor(t.name, *t.source, work.layer.weight(l).view());
      }
      const std::vector<float>& bias = work.layer.bias(l);
      const auto n = static_cast<int64_t>(bias.size());
      if (t.name == module + ".bias" && n > 0) {
        return dense_tensor(t.name, *t.source, {bias.data(), 1, n, n});
      }
    }
    return std::nullopt;
  };
  for (const PlannedTensor& t : shard.tensors) {
    if (t.target.step != nullptr) {
      const auto linear = std::find_if(
          kLayerLinears.begin(), kLayerLinears.end(),
          [&](LayerLinear l) { return work.records[static_cast<size_t>(l)].name == t.module; });
      SINTER_CHECK(linear != kLayerLinears.end());
      const auto at = static_cast<size_t>(*linear);
      content.record.tensors.push_back(work.records[at]);
      const RoundedMatrix& m = *work.rounded[at];
      content.add(dialect_.store({.name = t.module,
                                  .scheme = t.target.scheme,
                                  .rows = m.rows,
                                  .cols = m.cols,
                                  .input_scale = work.input_scales[at]},
                                 m.weight()));
      continue;
    }
    std::optional<OwnedTensor> tensor = changed(t);
    if (!tensor) {
      content.keep(*t.source, t.name);
      continue;
    }
    const StoredTensor now{.name = t.name,
                           .dtype = tensor->dtype,
                           .shape = tensor->shape,
                           .bytes = tensor->bytes,
                           .block = {}};
    content.record.tensors.push_back(copied_tensor(now, t.name));
    content.record.tensors.back().method = "transformed";
    content.add({std::move(*tensor)});
  }
  if (recipe_.kv) store_kv(work, content);
  return content;
}

}  // namespace sinter
