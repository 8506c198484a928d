// The CPU: threads over panels of rows, or over heads; every sum inside one of them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "backend/backend.h"
#include "backend/cpu/inputs.h"
#include "backend/cpu/instruction_sets.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/pack.h"
#include "base/error.h"
#include "base/huge_buffer.h"
#include "base/threads.h"

namespace sinter {
namespace {

using cpu::Kernels;
using cpu::kPanelRows;

static_assert(kPageTokens == cpu::kAttendPageTokens);

// What becomes of the inputs of a weight in panels of `kind` (nothing: row by row), and in words.
KernelChoice choose(std::optional<cpu::CodeKind> kind, const std::string& why_not,
                    const Kernels& kernels, Activation& activation) {
  const bool integers = kind && kernels.int8[static_cast<size_t>(*kind)] != nullptr;
  KernelChoice choice{
      .codes = kind ? cpu::to_string(*kind) : "rows", .activations = {}, .why_slow = why_not};
  if (activation.mode == ActivationMode::int8 && !integers) {
    activation.mode = ActivationMode::exact;  // the mode is for codes that are integers
  }
  if (kind && cpu::is_int8(activation.mode) && !integers) {
    choice.why_slow = "integer activations, but its codes are not integers";
  }
  choice.activations = to_string(activation.mode);
  return choice;
}

class CpuWeight final : public PreparedWeight {
 public:
  CpuWeight(const Weight& weight, Activation activation, const Kernels& kernels,
            ThreadPool& threads)
      : weight_(weight), activation_(activation) {
    SINTER_CHECK(weight.cols < (1 << 17));  // so that an int8 sum fits int32; the config checks it
    std::string why_not;
    packed_ = cpu::pack(weight, threads, why_not);
    kernel_ = choose(packed_ ? std::optional(packed_->panels.kind) : std::nullopt, why_not, kernels,
                     activation_);
  }

  int64_t rows() const override { return weight_.rows; }
  int64_t cols() const override { return weight_.cols; }
  int64_t bytes() const override {
    return packed_ ? packed_->codes.bytes() + packed_->factors.bytes() : weight_.bytes();
  }
  const KernelChoice& kernel() const override { return kernel_; }
  bool reads_stored() const override {
    return packed_ == nullptr || weight_.column_order != nullptr;
  }
  Activation activation() const { return activation_; }
  const Weight& stored() const { return weight_; }
  const cpu::Panels* panels() const { return packed_ ? &packed_->panels : nullptr; }

 private:
  Weight weight_;
  Activation activation_;
  std::unique_ptr<cpu::PackedMatrix> packed_;
  KernelChoice kernel_;
};

// Memory of this thread that grows and stays, aligned to a cache line.
uint8_t* scratch(int64_t bytes) {
  thread_local HugeBuffer buffer;
  if (buffer.bytes() < bytes) buffer = HugeBuffer(bytes + bytes / 2);
  return buffer.at();
}

// Work below this many multiplications is not worth waking a thread.
constexpr int64_t kMinParallel = 1 << 17;
// Query vectors attended to at once: some tiles of the widest kernel.
constexpr int64_t kAttendQueries = 32;

cpu::CodeKind kind_of(DType dtype) {
  if (dtype == DType::bf16) return cpu::CodeKind::bf16;
  return dtype == DType::f16 ? cpu::CodeKind::f16 : cpu::CodeKind::f32;
}

// Writes one value into a panel whose lanes are `lane` and whose columns are `column`.
void put_value(DType dtype, uint8_t* panel, int64_t lane, int64_t column, float x) {
  if (dtype == DType::f32) {
    std::memcpy(panel + (column * kPanelRows + lane) * 4, &x, sizeof x);
  } else if (dtype == DType::bf16) {
    const uint16_t narrow = f32_to_bf16(x);
    std::memcpy(panel + (column / 2 * kPanelRows + lane) * 4 + column % 2 * 2, &narrow, 2);
  } else {
    const uint16_t narrow = f32_to_f16(x);
    std::memcpy(panel + (column * kPanelRows + lane) * 2, &narrow, 2);
  }
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(int n_threads, const Kernels& kernels) : pool_(n_threads), k_(kernels) {}

  std::string name() const override { return std::string("cpu/") + k_.name; }
  int n_threads() const override { return pool_.size(); }

  std::unique_ptr<PreparedWeight> prepare(const Weight& weight, Activation activation) override {
    return std::make_unique<CpuWeight>(weight, activation, k_, pool_);
  }

  KernelChoice predict(const Weight& weight, Activation activation) const override {
    std::string why_not;
    const auto kind = cpu::kind_of_panels(weight, why_not);
    return choose(kind, why_not, k_, activation);
  }

  void linears(std::span<const LinearOp> ops, MatView x) override {
    for (const LinearOp& op : ops) {
      SINTER_CHECK(x.cols == op.weight->cols() && op.y.cols == op.weight->rows());
      SINTER_CHECK(x.rows == op.y.rows);
    }
    for (auto left = ops; !left.empty();) {
      const auto form = form_of(left.front());
      size_t alike = 1;
      while (form && alike < left.size() && form_of(left[alike]) == form) ++alike;
      if (form) {
        multiply_panels(left.first(alike), *form, x);
      } else {
        multiply_rows(left.front(), x);
      }
      left = left.subspan(alike);
    }
    for (const LinearOp& op : ops) {
      for (int64_t i = 0; i < op.y.rows && !op.bias.empty(); ++i) {
        k_.add(op.bias.data(), op.y.cols, op.y.at + i * op.y.stride);
      }
    }
  }

  void round_inputs(Activation activation, MatMut x) override {
    const MatView in{x.at, x.rows, x.cols, x.stride};
    const MatView rounded = inputs_.as_floats(k_, pool_, activation, nullptr, x.cols, x.cols, in);
    for (int64_t i = 0; i < x.rows && rounded.at != x.at; ++i) {
      std::copy_n(rounded.at + i * rounded.stride, x.cols, x.at + i * x.stride);
    }
  }

  void embed(const Weight& w, std::span<const int32_t> tokens, MatMut y) override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      SINTER_CHECK(tokens[i] >= 0 && tokens[i] < w.rows);
      const auto row = y.row(static_cast<int64_t>(i));
      w.format.codec->unpack_row(w.format, w.row_codes(tokens[i]), w.row_params(tokens[i]), row);
      if (w.column_order != nullptr) {
        const std::vector<float> stored(row.begin(), row.end());
        for (size_t c = 0; c < stored.size(); ++c) {
          row[static_cast<size_t>(w.column_order[c])] = stored[c];
        }
      }
    }
  }

  void rms_norm(std::span<const float> gain, float eps, MatView x, MatMut y) override {
    const auto n = static_cast<int64_t>(gain.size());
    over(x.rows, 8 * x.cols, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t at = 0; at < x.cols; at += n) {
          k_.rms_norm(x.at + i * x.stride + at, gain.data(), eps, n, y.at + i * y.stride + at);
        }
      }
    });
  }

  void rope(int32_t head_dim, MatView cos, MatView sin, MatMut x) override {
    over(x.rows, 4 * x.cols, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t at = 0; at < x.cols; at += head_dim) {
          k_.rope(cos.at + i * cos.stride, sin.at + i * sin.stride, cos.cols,
                  x.at + i * x.stride + at);
        }
      }
    });
  }

  void silu_mul(MatMut gate, MatView up) override {
    over(gate.rows, 32 * gate.cols, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        k_.silu_mul(up.at + i * up.stride, gate.cols, gate.at + i * gate.stride);
      }
    });
  }

  void add(MatView x, MatMut y) override {
    for (int64_t i = 0; i < y.rows; ++i) k_.add(x.at + i * x.stride, y.cols, y.at + i * y.stride);
  }

  void store_kv(const KvShape& kv, int64_t offset, std::span<const AttentionSpan> spans,
                MatView keys, MatView values) override {
    const int64_t panel_bytes = kPanelRows * kv.padded_dim() * traits(kv.dtype).bytes;
    const int64_t value_panel_bytes = kPanelRows * kPageTokens * traits(kv.dtype).bytes;
    for (const AttentionSpan& span : spans) {
      over(span.n_rows, 16 * keys.cols, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t position = span.first_position + i, t = position % kPageTokens;
          uint8_t* page = span.pages[position / kPageTokens] + offset;
          const float* key = keys.at + (span.first_row + i) * keys.stride;
          const float* value = values.at + (span.first_row + i) * values.stride;
          for (int64_t h = 0; h < kv.n_kv_heads; ++h) {
            uint8_t* k_at = page + 2 * h * kv.head_bytes() + t / kPanelRows * panel_bytes;
            uint8_t* v_at = page + (2 * h + 1) * kv.head_bytes();
            for (int64_t d = 0; d < kv.head_dim; ++d) {
              put_value(kv.dtype, k_at, t % kPanelRows, d, key[h * kv.head_dim + d]);
              put_value(kv.dtype, v_at + d / kPanelRows * value_panel_bytes, d % kPanelRows, t,
                        value[h * kv.head_dim + d]);
            }
          }
        }
      });
    }
  }

  void attention(const KvShape& kv, const AttentionShape& s, int64_t offset,
                 std::span<const AttentionSpan> spans, MatView q, MatMut y) override {
    const int64_t group = s.n_heads / kv.n_kv_heads;
    const int64_t tile_rows = std::max<int64_t>(1, kAttendQueries / group);
    // A task: some rows of a span, one head of keys and values.
    struct Task {
      const AttentionSpan* span;
      int64_t kv_head, first, n;
    };
    thread_local std::vector<Task> tasks;
    tasks.clear();
    int64_t work = 0;
    for (const AttentionSpan& span : spans) {
      work += int64_t{2} * span.n_rows * (span.first_position + span.n_rows) * q.cols;
      for (int64_t first = 0; first < span.n_rows; first += tile_rows) {
        for (int64_t h = 0; h < kv.n_kv_heads; ++h) {
          tasks.push_back({&span, h, first, std::min(tile_rows, span.n_rows - first)});
        }
      }
    }
    const auto n_tasks = static_cast<int64_t>(tasks.size());
    const Task* const first_task = tasks.data();  // the workers have task lists of their own
    over(n_tasks, n_tasks == 0 ? 0 : work / n_tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Task& t = first_task[i];
        attend(kv, s, offset, *t.span, t.kv_head, t.first, t.n, q, y);
      }
    });
  }

 private:
  template <typename Body>
  void over(int64_t n, int64_t work_each, int64_t grain, const Body& body) {
    const int64_t enough = kMinParallel / std::max<int64_t>(1, work_each);
    const int64_t step = std::max(grain, cpu::round_up(enough, grain));
    pool_.run(n, step, body);
  }

  static const CpuWeight& weight_of(const LinearOp& op) {
    return static_cast<const CpuWeight&>(*op.weight);
  }

  // Nothing for a weight without panels.
  std::optional<cpu::InputForm> form_of(const LinearOp& op) const {
    const CpuWeight& w = weight_of(op);
    if (w.panels() == nullptr) return std::nullopt;
    return cpu::input_form(k_, w.activation(), w.stored().column_order, w.cols(), *w.panels());
  }

  // Inputs in blocks that, unpacked weights beside them, stay in a core's cache.
  void multiply_panels(std::span<const LinearOp> ops, const cpu::InputForm& form, MatView x) {
    constexpr int64_t kInputs = 192;
    for (int64_t first = 0; first < x.rows; first += kInputs) {
      const int64_t n = std::min(kInputs, x.rows - first);
      multiply_block(ops, form, {x.at + first * x.stride, n, x.cols, x.stride}, first);
    }
  }

  // Inputs x are rows `first` .. of the outputs.
  void multiply_block(std::span<const LinearOp> ops, const cpu::InputForm& form, MatView x,
                      int64_t first) {
    cpu::PanelJob job{};
    inputs_.prepare(k_, pool_, form, x, job);
    int64_t n_panels = 0;
    for (const LinearOp& op : ops) n_panels += weight_of(op).panels()->n_panels;
    const int64_t scratch_bytes = cpu::panel_scratch_bytes(x.rows, form.columns);
    over(n_panels, x.rows * kPanelRows * form.cols, cpu::kPanelGrain,
         [&](int64_t begin, int64_t end) {
           cpu::PanelJob mine = job;
           mine.scratch = scratch(scratch_bytes);
           for (const LinearOp& op : ops) {  // whose panels follow one another
             mine.weight = weight_of(op).panels();
             mine.y = op.y.at + first * op.y.stride;
             mine.y_stride = op.y.stride;
             const auto kind = static_cast<size_t>(mine.weight->kind);
             const int64_t n = mine.weight->n_panels;
             if (begin < n && end > 0) {
               (form.integers ? k_.int8 : k_.exact)[kind](mine, std::max<int64_t>(begin, 0),
                                                          std::min(end, n));
             }
             begin -= n;
             end -= n;
           }
         });
  }

  // The plain path, for weights that have no panels.
  void multiply_rows(const LinearOp& op, MatView x) {
    const CpuWeight& w = weight_of(op);
    const Weight& stored = w.stored();
    const MatView in =
        inputs_.as_floats(k_, pool_, w.activation(), stored.column_order, w.cols(), w.cols(), x);
    over(w.rows(), x.rows * w.cols(), 1, [&](int64_t begin, int64_t end) {
      auto* row = reinterpret_cast<float*>(scratch(w.cols() * 4));
      for (int64_t r = begin; r < end; ++r) {
        stored.format.codec->unpack_row(stored.format, stored.row_codes(r), stored.row_params(r),
                                        {row, static_cast<size_t>(w.cols())});
        for (int64_t i = 0; i < in.rows; ++i) {
          op.y.at[i * op.y.stride + r] = k_.dot(row, in.at + i * in.stride, w.cols());
        }
      }
    });
  }

  // Rows [first, first + n) of a span, all heads that share kv_head.
  void attend(const KvShape& kv, const AttentionShape& s, int64_t offset, const AttentionSpan& span,
              int64_t kv_head, int64_t first, int64_t n, MatView q, MatMut y) {
    const int64_t d = kv.head_dim, dims = kv.padded_dim(), group = s.n_heads / kv.n_kv_heads;
    const int64_t n_queries = n * group;
    auto* mine = reinterpret_cast<float*>(
        scratch(n_queries * (8 * dims + 8) + 4 * cpu::attend_scratch_floats(dims)));
    float* queries = mine + cpu::attend_scratch_floats(dims);
    float* out = queries + n_queries * dims;
    auto* begins = reinterpret_cast<int32_t*>(out + n_queries * dims);
    int32_t* ends = begins + n_queries;
    for (int64_t i = 0; i < n_queries; ++i) {
      const int64_t row = first + i / group, head = kv_head * group + i % group;
      const float* from = q.at + (span.first_row + row) * q.stride + head * d;
      std::copy(from, from + d, queries + i * dims);
      std::fill(queries + i * dims + d, queries + (i + 1) * dims, 0.0f);
      ends[i] = static_cast<int32_t>(span.first_position + row + 1);
      begins[i] = s.sliding_window > 0 ? std::max(0, ends[i] - s.sliding_window) : 0;
    }
    k_.attend[static_cast<size_t>(kind_of(kv.dtype))](
        {.pages = span.pages,
         .offset = offset + 2 * kv_head * kv.head_bytes(),
         .value_offset = kv.head_bytes(),
         .dims = dims,
         .scale = s.scale,
         .n = n_queries,
         .queries = queries,
         .begin = begins,
         .end = ends,
         .out = out,
         .scratch = mine});
    for (int64_t i = 0; i < n_queries; ++i) {
      const int64_t row = first + i / group, head = kv_head * group + i % group;
      std::copy(out + i * dims, out + i * dims + d,
                y.at + (span.first_row + row) * y.stride + head * d);
    }
  }

  ThreadPool pool_;
  const Kernels& k_;
  cpu::Inputs inputs_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa) {
  return std::make_unique<CpuBackend>(n_threads, cpu::kernels_named(isa));
}

}  // namespace sinter
