// Writes a model as one GGUF file, as llama.cpp's converter would: its names, its order of rows,
// norms and biases in float32, matrices in the format asked for. Streams tensor by tensor.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "artifact/artifact.h"
#include "base/threads.h"

namespace sinter {

struct GgufWriteOptions {
  // A plain or a GGUF block format, for every matrix whose columns it fits; null = as stored, or in
  // the smallest blocks that hold the same values (gguf_exact.h). Embedding and head may have their
  // own.
  const Codec* type = nullptr;
  const Codec* embedding_type = nullptr;  // null = `type`
  const Codec* head_type = nullptr;       // null = `type`
  bool tokenizer = true;
  std::string name;  // general.name
};

struct GgufWritten {
  int64_t bytes = 0;
  std::map<std::string, int64_t> matrices;  // of each type, how many
  int64_t n_exact = 0;  // matrices that changed their format and no value: compared when written
  std::vector<std::string> notes;  // what is not as it was asked for, for people
};

// The config must be one that model/config.h accepts: ask it first. Throws
// Error(unsupported, "gguf-architecture" | "gguf-tokenizer" | "gguf-write"), Error(corrupt,
// "convert-proof"), and Error(io) without leaving a file. `progress(done, total)` counts tensors.
GgufWritten write_gguf(const Artifact& artifact, const std::string& path,
                       const GgufWriteOptions& options, ThreadPool& pool,
                       const std::function<void(int64_t, int64_t)>& progress);

}  // namespace sinter
