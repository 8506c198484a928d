// The one pass that calibration makes: layer by layer, every sequence through the layer as it now
// is. Memory is one layer in float32, its statistics and one batch of tokens; what flows between
// layers lies on disk (RowFile).
//
// A layer runs in parts, so that the statistics of an input come from linears before it that are
// rounded already (GPTQ's "true sequential" order), at the price of one forward and no more:
//
//   attn -> [round q k v] -> o -> [round o] -> ffn -> [round gate up] -> down -> [round down]
//   -> finish
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/matmul.h"
#include "base/threads.h"
#include "compress/calibration.h"
#include "compress/row_file.h"
#include "model/layer.h"
#include "tensor/matrix.h"

namespace sinter {

// The distinct inputs of a layer's linears.
enum class LayerInput : uint8_t { attn, o, ffn, down };
inline constexpr std::array kLayerInputs = {LayerInput::attn, LayerInput::o, LayerInput::ffn,
                                            LayerInput::down};
const char* to_string(LayerInput input);
std::span<const LayerLinear> readers_of(LayerInput input);
LayerInput input_of(LayerLinear linear);

// What calibration knows of an input of k columns.
struct InputStatistics {
  int64_t n_tokens = 0;
  std::vector<float> peak;      // [k]: largest |x|
  std::vector<double> sum_abs;  // [k]
  Matrix gram;                  // [k, k]: sum of x x^T; empty where nobody wants it

  InputStatistics(int64_t k, bool with_gram);
  // After the last add() and before anybody reads: complete().
  void add(ThreadPool& threads, MatView x, Precision precision);
  void complete(ThreadPool& threads);
  // x_j becomes x_j / s_j: the producer was folded.
  void divide(std::span<const float> s);
  float mean_abs(size_t j) const {
    return n_tokens == 0 ? 0 : static_cast<float>(sum_abs[j] / static_cast<double>(n_tokens));
  }
};

// A layer in float32, to be changed.
struct CalibratedLayer {
  int32_t index = 0;
  LayerVectors vectors;
  std::array<Matrix, kLayerLinears.size()> weights;             // [out, in]
  std::array<std::vector<float>, kLayerLinears.size()> biases;  // [out] or empty
  Matrix& weight(LayerLinear l) { return weights[static_cast<size_t>(l)]; }
  const Matrix& weight(LayerLinear l) const { return weights[static_cast<size_t>(l)]; }
  std::vector<float>& bias(LayerLinear l) { return biases[static_cast<size_t>(l)]; }
  const std::vector<float>& bias(LayerLinear l) const { return biases[static_cast<size_t>(l)]; }
};

class LayerWalk {
 public:
  // `scratch` is a directory of this walk's own. `precision`: of products, and of what lies on disk
  // between the parts of a layer. bfloat16 is what such models are served in and enough for
  // statistics; errors of some thousandths want float32. Throws Error(unsupported) for models that
  // the decoder does not know, Error(io).
  LayerWalk(const Artifact& artifact, const Calibration& calibration, std::string scratch,
            Precision precision, ThreadPool& threads);
  ~LayerWalk();

  const ModelConfig& config() const { return config_; }
  const ModuleNames& names() const { return names_; }
  ThreadPool& threads() { return threads_; }
  Precision precision() const { return precision_; }
  int64_t input_size(LayerInput input) const;
  int64_t n_tokens() const { return calibration_.n_tokens; }
  int64_t probe_tokens() const;
  // Bytes of memory: of what advance(layer, to, ...) holds beside the layer and the statistics; of
  // what a block that begins with `input` (attn or ffn) holds for so many tokens.
  int64_t group_bytes(LayerInput to) const;
  int64_t block_bytes(LayerInput input, int64_t n_tokens) const;
  // Bytes of disk at most: inputs of a layer and the next, and what its parts hand on.
  int64_t disk_bytes() const;
  // Activations that were set to zero, since the last call, because they were no finite numbers.
  int64_t take_dropped() { return std::exchange(n_dropped_, 0); }
  // The largest |x| of the keys, rotated as caches hold them, and of the values that the last
  // advance() to `o` computed.
  struct KvPeaks {
    float keys = 0, values = 0;
  };
  const KvPeaks& kv_peaks() const { return kv_peaks_; }

  // The input of layer 0.
  void start();
  // The input of layer i, as an earlier process left it; false if it is not there whole.
  bool resume(int32_t i, const std::string& digest);

  CalibratedLayer load(int32_t i) const;

  // Runs the layer as far as the inputs of `to`'s readers, which `statistics` (may be null) then
  // has; in order of kLayerInputs. finish() writes the input of layer i + 1 and returns its digest;
  // the files of layer i stay until remove_inputs(i).
  void advance(const CalibratedLayer& layer, LayerInput to, InputStatistics* statistics);
  std::string finish(const CalibratedLayer& layer);
  void remove_inputs(int32_t i);

  // For who wants to see the tokens themselves: the inputs of `input`'s readers, to which advance()
  // brought the layer, some rows after another, as often as is asked before finish(); and what
  // advance() to `o` computes, keys rotated as caches hold them. Keys and values may be no numbers.
  using Rows = std::function<void(int64_t first_row, MatView x)>;
  void visit(const CalibratedLayer& layer, LayerInput input, const Rows& rows);
  using KvRows = std::function<void(int64_t first_row, MatView keys, MatView values)>;
  void watch_kv(KvRows rows) { kv_rows_ = std::move(rows); }

  // Runs hidden states that are not the calibration's own through the layer: those of `from`, or,
  // where that is null, the walk's, from the inputs of `first`'s readers on, to which advance()
  // brought it. `to` may be `from`.
  void run_from(const CalibratedLayer& layer, LayerInput first, const RowFile* from, RowFile& to);

  // For searches that look at a whole block's output: some sequences' inputs of the attention and
  // of the MLP, as the layer now is, and those blocks without what is added to them.
  struct Probe {
    Matrix attn, ffn;  // [n, d_model], normed
  };
  Probe probe(const CalibratedLayer& layer);
  void attention_block(const CalibratedLayer& layer, MatView attn, MatMut out);
  void mlp_block(const CalibratedLayer& layer, MatView ffn, MatMut out);
  // As a linear that rounds its inputs sees them.
  void round_inputs(Activation activation, MatMut x) { backend_->round_inputs(activation, x); }

 private:
  struct Group;  // sequences that run together
  void attn_inputs(const CalibratedLayer& layer, InputStatistics* attn);
  void attention(const CalibratedLayer& layer, InputStatistics* o);
  void ffn_inputs(const CalibratedLayer& layer, InputStatistics* ffn);
  void down_inputs(const CalibratedLayer& layer, InputStatistics* down);
  void release_group();
  std::string hidden_path(int32_t i) const;
  std::string spare_path() const;
  void linear(const CalibratedLayer& layer, LayerLinear which, MatView x, MatMut y);
  void run_attention(const CalibratedLayer& layer, Group& group, MatView normed, MatMut attended);
  void run_gate_up(const CalibratedLayer& layer, MatView normed, MatMut gate);
  void drop_unusable(MatMut x);
  void norm(std::span<const float> gain, MatView x, MatMut y);

  const Artifact& artifact_;
  const Calibration& calibration_;
  std::string scratch_;
  Precision precision_;
  ThreadPool& threads_;
  ModelConfig config_;
  ModuleNames names_;
  std::unique_ptr<Backend> backend_;
  KvShape kv_;
  std::unique_ptr<PagePool> pool_;
  std::vector<Group> groups_;
  std::unique_ptr<Group> probe_group_;
  std::vector<int64_t> probe_rows_;  // of the probe's sequences: first rows in the files
  std::unique_ptr<RowFile> hidden_, attended_, middle_, gated_;
  int64_t n_dropped_ = 0;
  KvPeaks kv_peaks_;
  KvRows kv_rows_;
  Matrix x_, normed_, q_, k_, v_, gate_, up_, out_;  // of a group; empty between parts
};

}  // namespace sinter
