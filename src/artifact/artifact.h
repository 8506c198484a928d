// A model directory as Hugging Face writes it, or a GGUF file read as one, opened and checked:
// config.json, tensors (mapped, never trusted), and the dialect of the quantised ones. No
// arithmetic; the bytes stay on disk.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/safetensors.h"
#include "base/json.h"
#include "format/format.h"

namespace sinter {

struct ArtifactOptions {
  // Leave out what a checkpoint asks of inputs, keys and values that this version cannot do (NVFP4
  // inputs, an FP8 KV cache), and what it can: inputs stay as they are. scheme() says so.
  bool weights_only = false;
};

// What keys (after their rotation) and values go through before they are kept: exact, or one static
// scale each.
struct KvRounding {
  Activation keys, values;
  bool operator==(const KvRounding&) const = default;
};

class Artifact {
 public:
  // Opens a directory or a GGUF file. Throws Error(not_found | corrupt | unsupported) naming the
  // file and field.
  static std::shared_ptr<const Artifact> open(const std::string& path,
                                              const ArtifactOptions& options = {});
  virtual ~Artifact() = default;

  virtual const std::string& directory() const = 0;  // the path that was opened
  virtual const Json& config() const = 0;            // config.json, verbatim
  // A small file of the directory (tokenizer.json, generation_config.json ...), or what stands for
  // it in a GGUF file; nothing if there is none.
  virtual std::optional<std::string> text_file(const std::string& name) const = 0;
  virtual const Checkpoint& checkpoint() const = 0;

  // A linear or embedding by module name ("model.layers.0.self_attn.q_proj", no ".weight"): dense
  // or in whatever dialect the checkpoint uses. Throws Error(not_found | corrupt | unsupported).
  // The bytes live until release() of the module, or as long as this Artifact. `rows` x `cols` is
  // what the caller expects.
  virtual Weight matrix(std::string_view module, int64_t rows, int64_t cols) const = 0;
  // Nobody reads this module's matrix for now: its pages may leave memory, and what was converted
  // for it is dropped unless it is `in_use`. matrix() brings it back.
  virtual void release(std::string_view module, bool in_use) const = 0;
  // What its inputs go through, as the checkpoint says; static scales included. Throws as matrix().
  virtual Activation activation(std::string_view module) const = 0;
  // Of a layer's attention ("model.layers.0.self_attn"). Throws as matrix().
  virtual KvRounding kv_rounding(std::string_view) const { return {}; }
  // A small dense tensor (norm gain, bias) as float32. Throws Error(not_found | corrupt).
  virtual std::vector<float> vector(std::string_view tensor, int64_t size) const = 0;
  virtual bool has_tensor(std::string_view tensor) const = 0;

  // SHA-256 over the names and content digests of what determines answers: config, weights,
  // tokenizer, template, generation config. Computed once, on demand.
  virtual std::string digest() const = 0;
  // One line for people: "bf16", "compressed-tensors W4A16 (i4_group:64)".
  virtual std::string scheme() const = 0;
};

// Files beside the weights that decide how a prompt is read and an answer ended, config.json first.
std::span<const char* const> answer_files();

// SHA-256 of tokenizer.json, and of the chat template (chat_template.jinja, or the words of
// tokenizer_config.json); "" without one.
std::string tokenizer_digest(const Artifact& artifact);
std::string template_digest(const Artifact& artifact);

}  // namespace sinter
