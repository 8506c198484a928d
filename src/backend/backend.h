// A device, as coarse operations: all that a decoder needs, one virtual call each. Matrices are
// float32 in memory; what a weight or a page of keys and values is made of is the device's
// business.
//
// Law 1 holds at this seam: every output row depends on its own input row alone, bit for bit,
// whatever the number of rows or threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "format/format.h"
#include "tensor/dtype.h"
#include "tensor/view.h"

namespace sinter {

// How a weight will be multiplied: decided once, when it is prepared, and printed.
struct KernelChoice {
  std::string codes;        // "b4", "bf16"; "rows" = row by row through the codec
  std::string activations;  // "exact", "int8" ...: what really happens to the inputs
  std::string why_slow;     // empty = a fast kernel; else what was missing
};

// A weight in the layout that this device likes. Made by Backend::prepare, used with it only.
class PreparedWeight {
 public:
  virtual ~PreparedWeight() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t cols() const = 0;
  virtual int64_t bytes() const = 0;  // read per use
  virtual const KernelChoice& kernel() const = 0;
  // Whether it still points into the Weight that it was made from.
  virtual bool reads_stored() const = 0;
};

// Tokens of one page. Part of the arithmetic (the order of the softmax sums), so it is fixed.
inline constexpr int32_t kPageTokens = 32;

// One layer's keys and values, in a page.
struct KvShape {
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  DType dtype = DType::f32;  // f32, f16 or bf16: rounded once, when they are stored
  int64_t padded_dim() const { return (int64_t{head_dim} + 31) / 32 * 32; }
  int64_t head_bytes() const { return kPageTokens * padded_dim() * traits(dtype).bytes; }
  int64_t layer_bytes() const { return int64_t{2} * n_kv_heads * head_bytes(); }
};

struct AttentionShape {
  int32_t n_heads = 0;
  int32_t sliding_window = 0;  // keys in reach, the token itself included; 0 = all
  float scale = 0;             // of the scores, usually head_dim^-1/2
};

// Consecutive tokens of one sequence: rows first_row .. of the batch, at positions first_position
// .. of the sequence, whose pages hold everything before them. A row sees positions <= its own.
struct AttentionSpan {
  uint8_t* const* pages = nullptr;
  int32_t first_row = 0;
  int32_t n_rows = 0;
  int32_t first_position = 0;
};

// y[i] = W x[i] (+ bias). y: [n, rows]; bias: [rows] or empty.
struct LinearOp {
  const PreparedWeight* weight;
  std::span<const float> bias;
  MatMut y;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "cpu/avx512"; part of every record of a run
  virtual int n_threads() const = 0;

  // Throws Error(exhausted, "memory-exhausted").
  virtual std::unique_ptr<PreparedWeight> prepare(const Weight& weight, Activation activation) = 0;

  // What prepare() would choose, without doing it; codes that are NaN may yet make it slower.
  virtual KernelChoice predict(const Weight& weight, Activation activation) const = 0;

  // Linears of the same inputs, in one pass: they are rounded once where the weights want the same,
  // and threads meet once. x: [n, cols].
  virtual void linears(std::span<const LinearOp> ops, MatView x) = 0;
  void linear(const PreparedWeight& weight, std::span<const float> bias, MatView x, MatMut y) {
    const LinearOp op{&weight, bias, y};
    linears({&op, 1}, x);
  }
  // x as a weight of this mode, one without an order of columns, sees it: rounded and back.
  virtual void round_inputs(Activation activation, MatMut x) = 0;
  // y[i] = row tokens[i] of the table, as it is stored.
  virtual void embed(const Weight& table, std::span<const int32_t> tokens, MatMut y) = 0;
  // y[i] = x[i] / sqrt(mean(x[i]^2) + eps) * gain, on each of the row's chunks of gain.size().
  virtual void rms_norm(std::span<const float> gain, float eps, MatView x, MatMut y) = 0;
  // Rotates each head of x in place: halves (a, b) -> (a cos - b sin, b cos + a sin).
  // x: [n, n_heads * head_dim]; cos, sin: [n, head_dim / 2].
  virtual void rope(int32_t head_dim, MatView cos, MatView sin, MatMut x) = 0;
  // gate = silu(gate) * up.
  virtual void silu_mul(MatMut gate, MatView up) = 0;
  // y += x.
  virtual void add(MatView x, MatMut y) = 0;
  // Writes the spans' keys and values into their pages, at `offset` bytes from a page's start.
  // keys, values: [n, n_kv_heads * head_dim].
  virtual void store_kv(const KvShape& kv, int64_t offset, std::span<const AttentionSpan> spans,
                        MatView keys, MatView values) = 0;
  // y[i] = softmax(scale q[i] K) V per head. q, y: [n, n_heads * head_dim].
  virtual void attention(const KvShape& kv, const AttentionShape& shape, int64_t offset,
                         std::span<const AttentionSpan> spans, MatView q, MatMut y) = 0;
};

// The one list of devices is short: "cpu". n_threads 0 = all cores; isa "" = the best the CPU has
// (or what SINTER_ISA says), else a name from cpu_isas(). Throws Error(unsupported,
// "isa-unsupported").
std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa);

// The instruction sets this program has kernels for, best first, and whether this CPU runs them.
struct IsaSupport {
  std::string name;
  bool supported;
};
std::vector<IsaSupport> cpu_isas();

}  // namespace sinter
