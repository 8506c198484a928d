// A device, as coarse operations: all that a decoder needs, one virtual call each. Matrices are
// float32 in memory; what a weight is made of is the device's business after prepare().
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
#include "tensor/view.h"

namespace sinter {

// A weight in the layout that this device likes. Made by Backend::prepare, used with it only.
class PreparedWeight {
 public:
  virtual ~PreparedWeight() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t cols() const = 0;
  virtual int64_t bytes() const = 0;  // read per use
};

struct AttentionShape {
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t sliding_window = 0;  // keys in reach, the token itself included; 0 = all
  float scale = 0;             // of the scores, usually head_dim^-1/2
};

// The keys and values that one query row may see, in one layer. Page p holds positions
// [p * page_tokens, ...): keys then values, each [n_kv_heads, page_tokens, head_dim] float32.
struct AttentionRow {
  const float* const* pages = nullptr;
  int64_t layer_offset = 0;  // floats from a page's start to this layer's keys
  int32_t page_tokens = 0;
  int32_t position = 0;  // of the query; it sees positions <= this
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "cpu/avx512"; part of every record of a run
  virtual int n_threads() const = 0;

  virtual std::unique_ptr<PreparedWeight> prepare(const Weight& weight, Activation activation) = 0;

  // y[i] = W x[i] (+ bias). x: [n, cols], y: [n, rows]; bias: [rows] or empty.
  virtual void linear(const PreparedWeight& weight, std::span<const float> bias, MatView x,
                      MatMut y) = 0;
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
  // y[i] = softmax(scale q[i] K) V per head. q, y: [n, n_heads * head_dim].
  virtual void attention(const AttentionShape& shape, MatView q, std::span<const AttentionRow> rows,
                         MatMut y) = 0;
};

// The one list of devices is short: "cpu". n_threads 0 = all cores; isa "" = the best the CPU has,
// else "ref", "avx2" or "avx512". Throws Error(unsupported, "isa-unsupported").
std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa);

// The instruction sets this program has kernels for, best first, and whether this CPU runs them.
struct IsaSupport {
  std::string name;
  bool supported;
};
std::vector<IsaSupport> cpu_isas();

}  // namespace sinter
