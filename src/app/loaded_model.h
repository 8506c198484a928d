// A model directory or GGUF file, opened and ready to run: artifact, text side, backend, decoder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/command.h"
#include "artifact/artifact.h"
#include "backend/backend.h"
#include "engine/engine.h"
#include "model/model.h"
#include "text/chat.h"

namespace sinter {

std::string isa_names();  // "avx2, ref": for help

constexpr const char* kShowKernels = "--show-kernels";

// How to run: the flags that every command with an engine has.
struct EngineOptions {
  int threads = 0;
  std::string isa;
  std::string activations = "exact";
  bool weights_only = false;
  std::string kv = "f32";
  bool require_kernel = false;
  bool show_kernels = false;
  int64_t kv_mib = 512;
  int32_t max_sequences = 32;
  int32_t prefill_chunk = 512;

  void add_to(CLI::App& app);
  // Flags that say the same to a child process.
  std::vector<std::string> words() const;
  EngineLimits limits() const;
  DecoderOptions decoder() const;
};

struct LoadedModel {
  std::shared_ptr<const Artifact> artifact;
  std::shared_ptr<const Chat> chat;  // null if there is no tokenizer
  std::shared_ptr<Backend> backend;
  std::unique_ptr<Decoder> decoder;
  std::string kv;           // type of keys and values
  std::string activations;  // as EngineOptions has it, and whether weights_only

  // `backend` may be shared by several models. Throws Error.
  static LoadedModel load(const std::string& directory, std::shared_ptr<Backend> backend,
                          const EngineOptions& options);
  // Throws Error(not_found, "tokenizer-missing").
  const Chat& need_chat() const;
  // What runs it, for records: {"build", "backend", "kv"}. Not the number of threads or the batch:
  // answers do not depend on them.
  Json engine_record() const;
};

// No slow path is silent: a warning on stderr, so that results stay alone on stdout; with
// show_kernels a line for each linear. Throws Error(unsupported, "kernel-missing") with
// require_kernel.
void report_kernels(const std::string& model, const Decoder& decoder, const Backend& backend,
                    const EngineOptions& options);

// The text side alone, of a model directory or a GGUF file (one with only a vocabulary will do).
std::shared_ptr<const Chat> load_chat(const std::string& path);

// Log-probabilities etc. need whole sequences of one text: forwards `tokens` in chunks and calls
// row(position, logits) for each position >= 1 with the logits that predict tokens[position].
// Throws Error as Engine::add does.
void for_each_row(Decoder& decoder, const EngineOptions& options, const std::vector<Token>& tokens,
                  const RowObserver& row);

}  // namespace sinter
