#include "compress/layer_walk.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <filesystem>

#include "base/error.h"

namespace sinter {
namespace {

// Tokens that run together: enough for packing weights to cost little beside multiplying them.
constexpr int64_t kGroupTokens = 2048;
// Of the probe. AWQ's search compares outputs, and a few thousand tokens rank scales as all do.
constexpr int64_t kProbeTokens = 2048;

constexpr std::array kAttnReaders = {LayerLinear::q, LayerLinear::k, LayerLinear::v};
constexpr std::array kOReaders = {LayerLinear::o};
constexpr std::array kFfnReaders = {LayerLinear::gate, LayerLinear::up};
constexpr std::array kDownReaders = {LayerLinear::down};

struct InputRow {
  const char* name;
  std::span<const LayerLinear> readers;
};
constexpr std::array<InputRow, kLayerInputs.size()> kInputs = {InputRow{"attention", kAttnReaders},
                                                               {"o", kOReaders},
                                                               {"mlp", kFfnReaders},
                                                               {"down", kDownReaders}};

// What is no number would make a scale that is none.
float finite_peak(const Matrix& x) {
  float peak = 0;
  for (int64_t i = 0; i < x.rows(); ++i) {
    for (const float v : x.row(i)) {
      if (std::isfinite(v)) peak = std::max(peak, std::abs(v));
    }
  }
  return peak;
}

}  // namespace

const char* to_string(LayerInput input) { return kInputs[static_cast<size_t>(input)].name; }

std::span<const LayerLinear> readers_of(LayerInput input) {
  return kInputs[static_cast<size_t>(input)].readers;
}

LayerInput input_of(LayerLinear linear) {
  for (const LayerInput input : kLayerInputs) {
    const auto readers = readers_of(input);
    if (std::find(readers.begin(), readers.end(), linear) != readers.end()) return input;
  }
  SINTER_CHECK(false);
}

InputStatistics::InputStatistics(int64_t k, bool with_gram)
    : peak(static_cast<size_t>(k)), sum_abs(static_cast<size_t>(k)) {
  if (!with_gram) return;
  gram.resize(k, k);
  std::fill_n(gram.view().at, k * k, 0.0f);
}

// Columns are split over threads and rows taken in order, so threads change nothing.
void InputStatistics::add(ThreadPool& threads, MatView x, Precision precision) {
  constexpr int64_t kRun = 32;  // rows that are summed in floats
  n_tokens += x.rows;
  threads.run(x.cols, 64, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(static_cast<size_t>(end - begin));
    for (int64_t first = 0; first < x.rows; first += kRun) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      for (int64_t i = first; i < std::min(first + kRun, x.rows); ++i) {
        const float* row = x.at + i * x.stride + begin;
        float* most = peak.data() + begin;
        for (size_t j = 0; j < sums.size(); ++j) {
          const float magnitude = std::abs(row[j]);
          most[j] = most[j] < magnitude ? magnitude : most[j];
          sums[j] += magnitude;
        }
      }
      for (size_t j = 0; j < sums.size(); ++j) {
        sum_abs[static_cast<size_t>(begin) + j] += double{sums[j]};
      }
    }
  });
  if (!gram.empty()) add_gram_lower(threads, x, gram.view(), precision);
}

void InputStatistics::complete(ThreadPool& threads) {
  if (!gram.empty()) mirror_lower(threads, gram.view());
}

void InputStatistics::divide(std::span<const float> s) {
  for (size_t j = 0; j < s.size(); ++j) {
    peak[j] /= s[j];
    sum_abs[j] /= double{s[j]};
  }
  if (gram.empty()) return;
  for (int64_t i = 0; i < gram.rows(); ++i) {
    const std::span<float> row = gram.row(i);
    for (size_t j = 0; j < row.size(); ++j) row[j] /= s[j] * s[static_cast<size_t>(i)];
  }
}

struct LayerWalk::Group {
  int64_t first_row = 0, n_rows = 0;
  Batch batch;
  std::vector<PageTable> tables;
  std::vector<AttentionSpan> spans;
  Matrix cos, sin;

  void add(const std::vector<Token>& sequence) {
    batch.spans.push_back({.table = nullptr,
                           .first_row = static_cast<int32_t>(n_rows),
                           .n_rows = static_cast<int32_t>(sequence.size()),
                           .first_position = 0});
    batch.tokens.insert(batch.tokens.end(), sequence.begin(), sequence.end());
    n_rows += static_cast<int64_t>(sequence.size());
  }
  int64_t n_pages() const {
    int64_t n = 0;
    for (const BatchSpan& s : batch.spans) n += PageTable::pages_for(s.n_rows);
    return n;
  }
  // Takes pages and works out angles; close() gives them back.
  void open(PagePool& pool, const ModelConfig& config) {
    tables.clear();
    tables.reserve(batch.spans.size());
    for (BatchSpan& s : batch.spans) {
      s.table = &tables.emplace_back(pool);
      s.table->extend(s.n_rows);
    }
    find_spans(batch, spans);
    cos.resize(n_rows, config.head_dim / 2);
    sin.resize(n_rows, config.head_dim / 2);
    rotations(config.rope, spans, cos.view(), sin.view());
  }
  void close() { tables.clear(); }
};

LayerWalk::LayerWalk(const Artifact& artifact, const Calibration& calibration, std::string scratch,
                     Precision precision, ThreadPool& threads)
    : artifact_(artifact),
      calibration_(calibration),
      scratch_(std::move(scratch)),
      precision_(precision),
      threads_(threads),
      backend_(make_cpu_backend(threads.size(), "")) {
  const JsonFields json(artifact.config(), artifact.directory() + "/config.json");
  const Architecture& architecture = architecture_of(json);
  config_ = architecture.config(json);
  names_ = architecture.names;
  kv_ = {.n_kv_heads = config_.n_kv_heads, .head_dim = config_.head_dim, .dtype = DType::f32};

  int64_t row = 0, most_pages = 0;
  for (const auto& sequence : calibration.sequences) {
    const auto n = static_cast<int64_t>(sequence.size());
    if (groups_.empty() || groups_.back().n_rows + n > kGroupTokens) {
      groups_.emplace_back();
      groups_.back().first_row = row;
    }
    groups_.back().add(sequence);
    row += n;
  }
  // The probe: sequences at even distances.
  probe_group_ = std::make_unique<Group>();
  const int64_t stride =
      std::max<int64_t>(1, (calibration.n_tokens + kProbeTokens - 1) / kProbeTokens);
  row = 0;
  for (size_t i = 0; i < calibration.sequences.size(); ++i) {
    const auto& sequence = calibration.sequences[i];
    const bool fits = probe_group_->n_rows + static_cast<int64_t>(sequence.size()) <= kProbeTokens;
    if (static_cast<int64_t>(i) % stride == 0 && (fits || probe_group_->n_rows == 0)) {
      probe_group_->add(sequence);
      probe_rows_.push_back(row);
    }
    row += static_cast<int64_t>(sequence.size());
  }
  for (const Group& g : groups_) most_pages = std::max(most_pages, g.n_pages());
  pool_ = std::make_unique<PagePool>(kv_, 1, std::max(most_pages, probe_group_->n_pages()));
  std::filesystem::create_directories(scratch_);
  // The residual stream is a sum, and stays float32; these only go into products.
  const DType factors = precision == Precision::bfloat16 ? DType::bf16 : DType::f32;
  attended_ = std::make_unique<RowFile>(scratch_ + "/attended", input_size(LayerInput::o), factors);
  middle_ = std::make_unique<RowFile>(scratch_ + "/middle", config_.d_model, DType::f32);
  gated_ = std::make_unique<RowFile>(scratch_ + "/gated", input_size(LayerInput::down), factors);
}

LayerWalk::~LayerWalk() = default;

int64_t LayerWalk::input_size(LayerInput input) const {
  return layer_linear(config_, names_, 0, readers_of(input)[0]).cols;
}

int64_t LayerWalk::probe_tokens() const { return probe_group_->n_rows; }

int64_t LayerWalk::block_bytes(LayerInput input, int64_t n_tokens) const {
  const int64_t kv_dim = int64_t{config_.n_kv_heads} * config_.head_dim;
  if (input == LayerInput::ffn) return 4 * n_tokens * 2 * config_.d_ff;
  const int64_t pages = (n_tokens + kPageTokens - 1) / kPageTokens;
  return 4 * n_tokens * (2 * input_size(LayerInput::o) + 2 * kv_dim) + pages * kv_.layer_bytes();
}

int64_t LayerWalk::group_bytes(LayerInput to) const {
  int64_t n = 0;
  for (const Group& g : groups_) n = std::max(n, g.n_rows);
  const int64_t hidden = 4 * n * 2 * config_.d_model;
  if (to == LayerInput::attn) return hidden;
  if (to == LayerInput::o) return hidden + block_bytes(LayerInput::attn, n);
  if (to == LayerInput::ffn) return hidden + 4 * n * input_size(LayerInput::o);
  return hidden + block_bytes(LayerInput::ffn, n);
}

int64_t LayerWalk::disk_bytes() const {
  return calibration_.n_tokens *
         (3 * middle_->row_bytes() + attended_->row_bytes() + gated_->row_bytes());
}

std::string LayerWalk::hidden_path(int32_t i) const {
  return fmt::format("{}/hidden-{}", scratch_, i);
}

std::string LayerWalk::spare_path() const { return scratch_ + "/spare"; }

void LayerWalk::start() {
  const Weight table = artifact_.matrix(names_.embed, config_.vocab, config_.d_model);
  hidden_ = std::make_unique<RowFile>(hidden_path(0), config_.d_model, DType::f32);
  for (const Group& g : groups_) {
    x_.resize(g.n_rows, config_.d_model);
    backend_->embed(table, g.batch.tokens, x_.view());
    drop_unusable(x_.view());
    hidden_->write(g.first_row, x_.view(), threads_);
  }
  artifact_.release(names_.embed, false);
}

bool LayerWalk::resume(int32_t i, const std::string& digest) {
  if (!std::filesystem::exists(hidden_path(i))) return false;
  auto file = std::make_unique<RowFile>(hidden_path(i), config_.d_model, DType::f32, true);
  if (file->rows() != calibration_.n_tokens || file->digest() != digest) return false;
  hidden_ = std::move(file);
  return true;
}

CalibratedLayer LayerWalk::load(int32_t i) const {
  CalibratedLayer layer{.index = i,
                        .vectors = load_layer_vectors(artifact_, config_, names_, i),
                        .weights = {},
                        .biases = {}};
  for (const LayerLinear l : kLayerLinears) {
    const LinearShape shape = layer_linear(config_, names_, i, l);
    const Weight stored = artifact_.matrix(shape.module, shape.rows, shape.cols);
    Matrix& w = layer.weight(l);
    w.resize(shape.rows, shape.cols);
    threads_.run(shape.rows, 16, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) unpack_row(stored, r, w.row(r));
    });
    artifact_.release(shape.module, false);
    if (has_bias(config_, l)) layer.bias(l) = artifact_.vector(shape.module + ".bias", shape.rows);
  }
  return layer;
}

void LayerWalk::norm(std::span<const float> gain, MatView x, MatMut y) {
  backend_->rms_norm(gain, config_.norm_eps, x, y);
}

void LayerWalk::linear(const CalibratedLayer& layer, LayerLinear which, MatView x, MatMut y) {
  matmul_nt(threads_, x, layer.weight(which).view(), y, Into::set, precision_);
  const std::vector<float>& bias = layer.bias(which);
  for (int64_t i = 0; i < y.rows && !bias.empty(); ++i) {
    const std::span<float> row = y.row(i);
    for (size_t j = 0; j < row.size(); ++j) row[j] += bias[j];
  }
}

// A token that overflowed would make every statistic NaN.
void LayerWalk::drop_unusable(MatMut x) {
  std::atomic<int64_t> n{0};
  threads_.run(x.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const std::span<float> row = x.row(i);
      // The top bit where an exponent is all ones, in a loop that compilers make vectors of.
      uint32_t unusable = 0;
      for (const float v : row) unusable |= (std::bit_cast<uint32_t>(v) & 0x7F800000) + 0x00800000;
      if (unusable >> 31 == 0) continue;
      std::fill(row.begin(), row.end(), 0.0f);
      ++n;
    }
  });
  n_dropped_ += n;
}

void LayerWalk::run_attention(const CalibratedLayer& layer, Group& g, MatView normed,
                              MatMut attended) {
  const int64_t kv_dim = int64_t{config_.n_kv_heads} * config_.head_dim;
  q_.resize(normed.rows, input_size(LayerInput::o));
  k_.resize(normed.rows, kv_dim);
  v_.resize(normed.rows, kv_dim);
  linear(layer, LayerLinear::q, normed, q_.view());
  linear(layer, LayerLinear::k, normed, k_.view());
  linear(layer, LayerLinear::v, normed, v_.view());
  g.open(*pool_, config_);
  attend(*backend_, config_, layer.vectors,
         config_.sliding_window[static_cast<size_t>(layer.index)], kv_, 0,
         {g.spans, g.cos.view(), g.sin.view()}, q_.view(), k_.view(), v_.view(), attended);
  g.close();
}

void LayerWalk::run_gate_up(const CalibratedLayer& layer, MatView normed, MatMut gate) {
  up_.resize(normed.rows, config_.d_ff);
  linear(layer, LayerLinear::gate, normed, gate);
  linear(layer, LayerLinear::up, normed, up_.view());
  gated(*backend_, config_, layer.vectors, gate, up_.view());
}

void LayerWalk::advance(const CalibratedLayer& layer, LayerInput to, InputStatistics* statistics) {
  using Part = void (LayerWalk::*)(const CalibratedLayer&, InputStatistics*);
  static constexpr std::array<Part, kLayerInputs.size()> kParts = {
      &LayerWalk::attn_inputs, &LayerWalk::attention, &LayerWalk::ffn_inputs,
      &LayerWalk::down_inputs};
  (this->*kParts[static_cast<size_t>(to)])(layer, statistics);
  if (statistics != nullptr) statistics->complete(threads_);
  release_group();
}

// Rounding, which follows, needs the memory more.
void LayerWalk::release_group() {
  for (Matrix* m : {&x_, &normed_, &q_, &k_, &v_, &gate_, &up_, &out_}) *m = Matrix();
}

void LayerWalk::attn_inputs(const CalibratedLayer& layer, InputStatistics* attn) {
  if (attn == nullptr) return;
  for (const Group& g : groups_) {
    x_.resize(g.n_rows, config_.d_model);
    normed_.resize(g.n_rows, config_.d_model);
    hidden_->read(g.first_row, x_.view(), threads_);
    norm(layer.vectors.attn_norm, x_.view(), normed_.view());
    attn->add(threads_, normed_.view(), precision_);
  }
}

void LayerWalk::attention(const CalibratedLayer& layer, InputStatistics* o) {
  kv_peaks_ = {};
  for (Group& g : groups_) {
    x_.resize(g.n_rows, config_.d_model);
    normed_.resize(g.n_rows, config_.d_model);
    out_.resize(g.n_rows, input_size(LayerInput::o));
    hidden_->read(g.first_row, x_.view(), threads_);
    norm(layer.vectors.attn_norm, x_.view(), normed_.view());
    run_attention(layer, g, normed_.view(), out_.view());
    kv_peaks_.keys = std::max(kv_peaks_.keys, finite_peak(k_));
    kv_peaks_.values = std::max(kv_peaks_.values, finite_peak(v_));
    if (kv_rows_) kv_rows_(g.first_row, k_.view(), v_.view());
    drop_unusable(out_.view());
    if (o != nullptr) o->add(threads_, out_.view(), precision_);
    attended_->write(g.first_row, out_.view(), threads_);
  }
}

void LayerWalk::ffn_inputs(const CalibratedLayer& layer, InputStatistics* ffn) {
  for (const Group& g : groups_) {
    x_.resize(g.n_rows, config_.d_model);
    normed_.resize(g.n_rows, config_.d_model);
    out_.resize(g.n_rows, input_size(LayerInput::o));
    attended_->read(g.first_row, out_.view(), threads_);
    hidden_->read(g.first_row, x_.view(), threads_);
    linear(layer, LayerLinear::o, out_.view(), normed_.view());
    backend_->add(normed_.view(), x_.view());
    drop_unusable(x_.view());
    middle_->write(g.first_row, x_.view(), threads_);
    if (ffn == nullptr) continue;
    norm(layer.vectors.ffn_norm, x_.view(), normed_.view());
    ffn->add(threads_, normed_.view(), precision_);
  }
}

void LayerWalk::down_inputs(const CalibratedLayer& layer, InputStatistics* down) {
  for (const Group& g : groups_) {
    x_.resize(g.n_rows, config_.d_model);
    normed_.resize(g.n_rows, config_.d_model);
    gate_.resize(g.n_rows, config_.d_ff);
    middle_->read(g.first_row, x_.view(), threads_);
    norm(layer.vectors.ffn_norm, x_.view(), normed_.view());
    run_gate_up(layer, normed_.view(), gate_.view());
    drop_unusable(gate_.view());
    if (down != nullptr) down->add(threads_, gate_.view(), precision_);
    gated_->write(g.first_row, gate_.view(), threads_);
  }
}

std::string LayerWalk::finish(const CalibratedLayer& layer) {
  const std::string path = hidden_path(layer.index + 1);
  std::error_code missing;
  std::filesystem::rename(spare_path(), path, missing);
  auto next = std::make_unique<RowFile>(path, config_.d_model, DType::f32, !missing);
  Sha256 digest;
  for (const Group& g : groups_) {
    x_.resize(g.n_rows, config_.d_model);
    normed_.resize(g.n_rows, config_.d_model);
    gate_.resize(g.n_rows, config_.d_ff);
    middle_->read(g.first_row, x_.view(), threads_);
    gated_->read(g.first_row, gate_.view(), threads_);
    linear(layer, LayerLinear::down, gate_.view(), normed_.view());
    backend_->add(normed_.view(), x_.view());
    drop_unusable(x_.view());
    next->write(g.first_row, x_.view(), threads_);
    digest.add(
        std::as_bytes(std::span(x_.view().at, static_cast<size_t>(g.n_rows * config_.d_model))));
  }
  hidden_ = std::move(next);
  release_group();
  return digest.hex();
}

void LayerWalk::visit(const CalibratedLayer& layer, LayerInput input, const Rows& rows) {
  const std::array<const RowFile*, kLayerInputs.size()> files = {hidden_.get(), attended_.get(),
                                                                 middle_.get(), gated_.get()};
  const std::vector<float>* gain = input == LayerInput::attn  ? &layer.vectors.attn_norm
                                   : input == LayerInput::ffn ? &layer.vectors.ffn_norm
                                                              : nullptr;
  for (const Group& g : groups_) {
    x_.resize(g.n_rows, input_size(input));
    files[static_cast<size_t>(input)]->read(g.first_row, x_.view(), threads_);
    if (gain != nullptr) norm(*gain, x_.view(), x_.view());
    rows(g.first_row, std::as_const(x_).view());
  }
  release_group();
}

void LayerWalk::run_from(const CalibratedLayer& layer, LayerInput first, const RowFile* from,
                         RowFile& to) {
  SINTER_CHECK(from == nullptr || first == LayerInput::attn);
  const RowFile& inputs = from == nullptr ? *hidden_ : *from;
  for (Group& g : groups_) {
    x_.resize(g.n_rows, config_.d_model);
    normed_.resize(g.n_rows, config_.d_model);
    if (first <= LayerInput::o) {
      out_.resize(g.n_rows, input_size(LayerInput::o));
      inputs.read(g.first_row, x_.view(), threads_);
      if (first == LayerInput::attn) {
        norm(layer.vectors.attn_norm, x_.view(), normed_.view());
        run_attention(layer, g, normed_.view(), out_.view());
        drop_unusable(out_.view());
      } else {
        attended_->read(g.first_row, out_.view(), threads_);
      }
      linear(layer, LayerLinear::o, out_.view(), normed_.view());
      backend_->add(normed_.view(), x_.view());
      drop_unusable(x_.view());
    } else {
      middle_->read(g.first_row, x_.view(), threads_);
    }
    gate_.resize(g.n_rows, config_.d_ff);
    if (first <= LayerInput::ffn) {
      norm(layer.vectors.ffn_norm, x_.view(), normed_.view());
      run_gate_up(layer, normed_.view(), gate_.view());
      drop_unusable(gate_.view());
    } else {
      gated_->read(g.first_row, gate_.view(), threads_);
    }
    linear(layer, LayerLinear::down, gate_.view(), normed_.view());
    backend_->add(normed_.view(), x_.view());
    drop_unusable(x_.view());
    to.write(g.first_row, x_.view(), threads_);
  }
}

// Its room is written over: fresh pages of a file cost more than what is computed for them.
void LayerWalk::remove_inputs(int32_t i) {
  std::error_code missing;
  std::filesystem::rename(hidden_path(i), spare_path(), missing);
}

LayerWalk::Probe LayerWalk::probe(const CalibratedLayer& layer) {
  Group& g = *probe_group_;
  Probe p;
  Matrix x(g.n_rows, config_.d_model), out(g.n_rows, config_.d_model);
  for (size_t i = 0; i < probe_rows_.size(); ++i) {
    const BatchSpan& s = g.batch.spans[i];
    hidden_->read(probe_rows_[i], {x.row(s.first_row).data(), s.n_rows, x.cols(), x.cols()},
                  threads_);
  }
  p.attn.resize(g.n_rows, config_.d_model);
  norm(layer.vectors.attn_norm, x.view(), p.attn.view());
  attention_block(layer, p.attn.view(), out.view());
  backend_->add(out.view(), x.view());
  drop_unusable(x.view());
  p.ffn.resize(g.n_rows, config_.d_model);
  norm(layer.vectors.ffn_norm, x.view(), p.ffn.view());
  return p;
}

void LayerWalk::attention_block(const CalibratedLayer& layer, MatView attn, MatMut out) {
  out_.resize(attn.rows, input_size(LayerInput::o));
  run_attention(layer, *probe_group_, attn, out_.view());
  linear(layer, LayerLinear::o, out_.view(), out);
}

void LayerWalk::mlp_block(const CalibratedLayer& layer, MatView ffn, MatMut out) {
  gate_.resize(ffn.rows, config_.d_ff);
  run_gate_up(layer, ffn, gate_.view());
  linear(layer, LayerLinear::down, gate_.view(), out);
}

}  // namespace sinter
