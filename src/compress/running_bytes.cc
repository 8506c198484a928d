#include "compress/running_bytes.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "backend/backend.h"
#include "base/random.h"
#include "compress/round.h"
#include "model/layer.h"

namespace sinter {
namespace {

// A matrix as the backend prepares it takes bytes in proportion to its rows: so many are tried.
constexpr int64_t kSampleRows = 128;

// Some rows in a format. Random: what is all alike may be held in fewer bytes.
RoundedMatrix sample_of(const Format& format, int64_t cols) {
  const Codec& codec = *format.codec;
  RoundedMatrix m{.format = format, .rows = kSampleRows, .cols = cols, .codes = {}, .params = {}};
  const auto code_bytes = static_cast<size_t>(codec.row_bytes(format, cols));
  const auto param_bytes = static_cast<size_t>(codec.param_bytes(format, cols));
  m.codes.resize(kSampleRows * code_bytes);
  m.params.resize(kSampleRows * param_bytes);
  std::vector<float> row(static_cast<size_t>(cols));
  for (size_t r = 0; r < kSampleRows; ++r) {
    for (size_t j = 0; j < row.size(); ++j) {
      row[j] = static_cast<float>(random_uniform(r, 0, j) - 0.5);
    }
    uint8_t* params = m.params.data() + r * param_bytes;
    codec.fit_row(format, row, {}, params);
    codec.pack_row(format, row, params, m.codes.data() + r * code_bytes);
  }
  return m;
}

// Of a mapped table of which so many rows are read anywhere: the system maps this much around each.
int64_t touched_bytes(int64_t table, int64_t rows) {
  constexpr double kAround = 1 << 16;
  const double size = static_cast<double>(table);
  return static_cast<int64_t>(size * (1 - std::exp(-static_cast<double>(rows) * kAround / size)));
}

class PreparedBytes {
 public:
  int64_t of(const Format& format, Activation activation, int64_t rows, int64_t cols) {
    const std::string key =
        fmt::format("{} {} {}", to_string(format), cols, to_string(activation.mode));
    auto known = known_.find(key);
    if (known == known_.end()) {
      const RoundedMatrix sample = sample_of(format, cols);
      known = known_.emplace(key, backend_->prepare(sample.weight(), activation)->bytes()).first;
    }
    return (known->second * rows + kSampleRows - 1) / kSampleRows;
  }

 private:
  std::unique_ptr<Backend> backend_ = make_cpu_backend(1, "");
  std::map<std::string, int64_t> known_;
};

// What a matrix is, in the base or in what a plan makes of it.
struct RunMatrix {
  Format format;
  Activation activation;
  int64_t stored_bytes = 0;
};

std::map<std::string, RunMatrix> matrices_of(const CompressPlan& plan, bool compressed) {
  std::map<std::string, RunMatrix> found;
  for (const PlannedShard& shard : plan.shards) {
    for (const PlannedTensor& t : shard.tensors) {
      if (t.module.empty()) continue;
      RunMatrix m{.format = {.codec = plain_codec(t.source->dtype)}, .activation = {}};
      if (compressed && t.target.step != nullptr) {
        m.format = t.target.format;
        m.activation.mode = t.target.scheme.activation;
        if (has_input_scale(t.target.scheme)) m.activation.scale = 1;
      }
      const int64_t rows = t.source->shape[0], cols = t.source->shape[1];
      const Codec& codec = *m.format.codec;
      m.stored_bytes = rows * (codec.row_bytes(m.format, cols) + codec.param_bytes(m.format, cols));
      found[t.module] = m;
    }
  }
  return found;
}

}  // namespace

int64_t running_bytes(const Artifact& base, const CompressPlan& plan, const RunShape& run) {
  const JsonFields json(base.config(), base.directory() + "/config.json");
  const Architecture& architecture = architecture_of(json);
  const ModelConfig c = architecture.config(json);
  const KvShape kv{.n_kv_heads = c.n_kv_heads, .head_dim = c.head_dim, .dtype = DType::f32};
  int64_t pages = 0;
  for (const int64_t n : run.sequence_tokens) pages += (n + kPageTokens - 1) / kPageTokens;
  const int64_t q_dim = int64_t{c.n_heads} * c.head_dim;
  const int64_t kv_dim = int64_t{c.n_kv_heads} * c.head_dim;
  // As Decoder::forward has them, and the widest input as products read it.
  const int64_t of_token = 2 * (int64_t{c.d_model} + q_dim + kv_dim + c.d_ff) + c.head_dim +
                           std::max<int64_t>(q_dim, c.d_ff);
  const int64_t of_logits = 4 * run.logit_rows * (int64_t{c.vocab} + c.d_model);
  const int64_t of_either = std::min(pages * c.n_layers * kv.layer_bytes(), run.kv_bytes) +
                            4 * run.step_tokens * of_token + of_logits;
  PreparedBytes prepared;
  int64_t weights = 0;
  for (const bool compressed : {false, true}) {
    const auto matrices = matrices_of(plan, compressed);
    for (const LinearShape& l : linear_shapes(c, architecture.names)) {
      const auto at = matrices.find(l.matrix);
      if (at == matrices.end()) continue;
      weights += prepared.of(at->second.format, at->second.activation, l.rows, l.cols);
    }
    // A table that is the head, too, has been read whole, and stays mapped.
    const auto table = matrices.find(architecture.names.embed);
    if (table == matrices.end()) continue;
    const int64_t bytes = table->second.stored_bytes;
    weights += c.tied_embeddings ? bytes : touched_bytes(bytes, run.tokens);
  }
  // The dense model's logits wait for the other's.
  return weights + 2 * of_either + of_logits + run.text_bytes;
}

}  // namespace sinter
