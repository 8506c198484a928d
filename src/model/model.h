// A decoder as the engine sees it: one forward for prompts, prompt chunks, decoding and (later)
// verification of drafts, which differ only in how many rows a sequence has in the batch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/artifact.h"
#include "backend/backend.h"
#include "kv/page_pool.h"
#include "model/config.h"
#include "tensor/view.h"

namespace sinter {

using Token = int32_t;

// Consecutive new tokens of one sequence. The table must hold every token before them.
struct BatchSpan {
  PageTable* table = nullptr;
  int32_t first_row = 0;  // into Batch::tokens
  int32_t n_rows = 0;
  int32_t first_position = 0;
};

struct Batch {
  std::vector<Token> tokens;
  std::vector<BatchSpan> spans;
  std::vector<int32_t> logit_rows;  // rows whose logits are wanted, ascending
  void clear() {
    tokens.clear();
    spans.clear();
    logit_rows.clear();
  }
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelConfig& config() const = 0;
  virtual PagePool& pages() = 0;
  // Extends every span's table and writes its keys and values. Returns [logit_rows.size(), vocab],
  // valid until the next call. Requires the pages (see PageTable::pages_for) and tokens < vocab.
  virtual MatView forward(const Batch& batch) = 0;
};

// Sees the input of every linear: all that calibration needs. x: [n_tokens, in].
using Tap = std::function<void(std::string_view module, MatView x)>;

struct DecoderOptions {
  int64_t kv_bytes = int64_t{512} << 20;  // of the page pool, at most
  DType kv_dtype = DType::f32;            // of keys and values: f32, f16 or bf16
  // What linears do to their inputs where the checkpoint does not say it: exact or int8.
  ActivationMode activations = ActivationMode::exact;
};

// How one linear will be multiplied.
struct LinearKernel {
  std::string module;
  std::string matrix;  // the module whose matrix it is: of a tied head the embedding
  Format format;
  int64_t rows = 0, cols = 0;
  int64_t bytes = 0;  // read per forward
  KernelChoice kernel;
};

class Decoder final : public Model {
 public:
  // Loads every weight that the architecture names. Throws Error(corrupt | not_found | unsupported
  // | exhausted), naming the tensor.
  Decoder(std::shared_ptr<const Artifact> artifact, Backend& backend,
          const DecoderOptions& options);
  ~Decoder() override;

  const ModelConfig& config() const override;
  PagePool& pages() override;
  MatView forward(const Batch& batch) override;
  void set_tap(Tap tap);
  // Of every linear, in the order in which they run.
  std::vector<LinearKernel> kernels() const;
  int64_t bytes_per_token() const;  // of weights read to decode one token, the KV cache apart
  int64_t weight_bytes() const;     // those, and an embedding table that is not the head as well

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sinter
