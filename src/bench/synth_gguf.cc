// A made-up checkpoint as GGUF: an Artifact whose tensors exist only while they are asked for, put
// through the ordinary writer.
#include <filesystem>

#include "artifact/gguf_write.h"
#include "base/error.h"
#include "base/progress.h"
#include "bench/synth.h"

namespace sinter {
namespace {

class NoCheckpoint final : public Checkpoint {
 public:
  const StoredTensor* find(std::string_view) const override { return nullptr; }
  std::span<const StoredTensor> tensors() const override { return {}; }
  std::span<const std::shared_ptr<const MappedFile>> files() const override { return {}; }
};

// Dense, in bf16. A narrower promise than other artifacts': a matrix lives until the next is asked
// for.
class SynthArtifact final : public Artifact {
 public:
  SynthArtifact(const Json& config, const SynthOptions& options, std::string path, ThreadPool& pool)
      : config_(config), seed_(options.seed), path_(std::move(path)), pool_(pool) {
    const JsonFields fields(config_, path_ + ": config.json");
    const Architecture& architecture = architecture_of(fields);
    SynthOptions dense = options;
    dense.format = "bf16";
    dense.head.clear();
    tensors_ = synth_tensors(architecture.config(fields), architecture.names, dense);
  }

  const std::string& directory() const override { return path_; }
  const Json& config() const override { return config_; }
  std::optional<std::string> text_file(const std::string& name) const override {
    for (const auto& [file, text] : synth_text_files(config_)) {
      if (file == name) return text;
    }
    return std::nullopt;
  }
  const Checkpoint& checkpoint() const override { return checkpoint_; }
  Weight matrix(std::string_view module, int64_t rows, int64_t cols) const override {
    const SynthTensor* t = find(module);
    SINTER_CHECK(t != nullptr && t->rows == rows && t->cols == cols);
    if (drawn_ != module) {
      bytes_ = synth_bytes(*t, seed_, pool_);
      drawn_ = module;
    }
    return {.format = t->format, .rows = rows, .cols = cols, .codes = bytes_.codes.data()};
  }
  void release(std::string_view, bool) const override {}
  Activation activation(std::string_view) const override { return {}; }
  std::vector<float> vector(std::string_view tensor, int64_t size) const override {
    const SynthTensor* t = find(tensor);
    SINTER_CHECK(t != nullptr && t->rows == 0 && t->cols == size);
    const SynthBytes bytes = synth_bytes(*t, seed_, pool_);
    std::vector<float> values(static_cast<size_t>(size));
    t->format.codec->unpack_row(t->format, bytes.codes.data(), nullptr, values);
    return values;
  }
  bool has_tensor(std::string_view tensor) const override { return find(tensor) != nullptr; }
  std::string digest() const override { return ""; }  // nobody asks: it has no content of its own
  std::string scheme() const override { return "bf16"; }

 private:
  const SynthTensor* find(std::string_view name) const {
    for (const SynthTensor& t : tensors_) {
      if (t.name == name) return &t;
    }
    return nullptr;
  }

  Json config_;
  uint64_t seed_;
  std::string path_;
  ThreadPool& pool_;
  std::vector<SynthTensor> tensors_;
  NoCheckpoint checkpoint_;
  mutable std::string drawn_;  // whose bytes these are
  mutable SynthBytes bytes_;
};

}  // namespace

SynthGguf synth_gguf(const Json& config, const SynthOptions& options, const std::string& out) {
  if (std::filesystem::exists(out)) {
    fail(Fault::bad_input, "output-foreign",
         "{}: expected nothing there, found a file; choose another name, or remove it yourself",
         out);
  }
  ThreadPool pool(options.threads);
  const SynthArtifact artifact(config, options, out, pool);
  const Codec* type = format_named(options.format).codec;
  const Codec* head = options.head.empty() ? type : format_named(options.head).codec;
  const bool tied = config.value("tie_word_embeddings", false);
  std::unique_ptr<Progress> progress;
  const GgufWritten written =
      write_gguf(artifact, out,
                 {.type = type,
                  .embedding_type = tied ? head : type,
                  .head_type = head,
                  .tokenizer = true,
                  .name = std::filesystem::path(out).stem()},
                 pool, [&](int64_t, int64_t total) {
                   if (!progress) progress = std::make_unique<Progress>("synth", total, "tensors");
                   progress->advance();
                 });
  const JsonFields fields(config, "config.json");
  return {.made = {.parameters = architecture_of(fields).config(fields).parameters(),
                   .bytes = written.bytes},
          .notes = written.notes};
}

}  // namespace sinter
