// Checkpoints of real shapes with made-up weights, for speed work: what a kernel does is the same
// for weights that nobody trained, and no download is needed. Written straight to disk, a shard of
// memory at a time. The same shape, format and seed give the same bytes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "artifact/scheme.h"
#include "base/json.h"
#include "base/threads.h"
#include "format/format.h"
#include "model/config.h"

namespace sinter {

struct SynthOptions {
  std::string format = "bf16";  // a Format's printed name, or a preset ("W8A8")
  std::string head;             // of the output matrix; "" = as the rest
  uint64_t seed = 1;
  int32_t n_layers = 0;  // 0 = as many as the shape has
  int threads = 0;
};

// What fills a tensor: N(0, 0.02^2) for matrices and biases, 1 for the gains of norms.
struct SynthTensor {
  std::string name;  // a module for matrices, a tensor for vectors
  int64_t rows = 0;  // 0 = a vector of `cols`
  int64_t cols = 0;
  bool is_gain = false;
  Format format;  // of a matrix; vectors are stored as bf16
  ActivationMode activation = ActivationMode::exact;
  int64_t bytes() const;
};

// Every tensor of the shape, in the order of a forward. Throws Error(bad_input, "format-unknown" |
// "format-columns").
std::vector<SynthTensor> synth_tensors(const ModelConfig& config, const ModuleNames& names,
                                       const SynthOptions& options);

// Fills `codes` and `params` of a tensor; a vector is a matrix of one bf16 row. The draws are keyed
// by (seed, the tensor's name, row, column), so that nothing shifts them.
struct SynthBytes {
  std::vector<uint8_t> codes, params;
};
SynthBytes synth_bytes(const SynthTensor& tensor, uint64_t seed, ThreadPool& pool);

struct SynthResult {
  int64_t parameters = 0;
  int64_t bytes = 0;  // of weights
};

// Names of the formats that such a directory can hold: "bf16", "i4_group:N" ...
std::vector<std::string> directory_formats();

// Writes a Hugging Face directory: config.json (last: without it nothing takes the directory for a
// model), shards, and a byte-level tokenizer with the shape's vocabulary. `config` is config.json
// of a dense model. Throws Error(bad_input, "output-foreign") if `out` is there and not empty,
// Error(unsupported, "synth-format") for formats that such a directory cannot hold.
SynthResult synth_directory(const Json& config, const SynthOptions& options,
                            const std::string& out);

// The same as one GGUF file, with every matrix in the format (one of GGUF's; where its blocks do
// not fit a matrix, the next larger one, which `notes` then says).
struct SynthGguf {
  SynthResult made;
  std::vector<std::string> notes;
};
SynthGguf synth_gguf(const Json& config, const SynthOptions& options, const std::string& out);

// What stands beside the weights in either: tokenizer.json and so on, by file name.
std::vector<std::pair<std::string, std::string>> synth_text_files(const Json& config);

// tokenizer.json of a byte-level BPE: ids 0 to 2 are <|pad|>, <|bos|>, <|end|>, then the 256 bytes,
// one merge (some readers insist on one), and names that no text contains up to n_vocab. Throws
// Error(bad_input, "config-value") if n_vocab has no room for them.
JsonMap synth_tokenizer(int64_t n_vocab);

}  // namespace sinter
