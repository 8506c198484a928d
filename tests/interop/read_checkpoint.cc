// What the interop tests drive from Python: our reading of a checkpoint, to be compared with that
// of another implementation.
//   read_checkpoint unpack MODEL OUT.safetensors      every matrix, as float32
//   read_checkpoint logits MODEL ID,ID,... OUT.safetensors      [n, vocab] as "logits"
//   read_checkpoint copy IN.safetensors OUT.safetensors     read, and written again
#include <charconv>
#include <cstdio>

#include "artifact/artifact.h"
#include "artifact/manifest.h"
#include "base/error.h"
#include "model/model.h"

namespace sinter {
namespace {

// The modules with a weight matrix, and its shape: from the manifest, which names both.
void unpack(const std::string& model, const std::string& path) {
  const auto artifact = Artifact::open(model, {.weights_only = true});
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  for (const ManifestTensor& t : read_manifest(model).tensors) {
    const std::string suffix = ".weight";
    const std::string module =
        t.name.ends_with(suffix) ? t.name.substr(0, t.name.size() - suffix.size()) : t.name;
    const StoredTensor* plain = artifact->checkpoint().find(t.name);
    if (plain != nullptr && plain->shape.size() != 2) continue;
    const Weight w = artifact->matrix(module, t.rows, t.cols);
    values.emplace_back(static_cast<size_t>(w.rows * w.cols));
    for (int64_t r = 0; r < w.rows; ++r) {
      unpack_row(w, r,
                 std::span(values.back())
                     .subspan(static_cast<size_t>(r * w.cols), static_cast<size_t>(w.cols)));
    }
    tensors.push_back({module + suffix, DType::f32, {w.rows, w.cols}, {}});
  }
  for (size_t i = 0; i < tensors.size(); ++i)
    tensors[i].bytes = std::as_bytes(std::span(values[i]));
  write_safetensors(path, tensors);
}

void logits(const std::string& model, std::string_view ids, const std::string& path) {
  const auto backend = make_cpu_backend(0, "");
  Decoder decoder(Artifact::open(model), *backend, {});
  Batch batch;
  while (!ids.empty()) {
    Token id = 0;
    const char* end = std::from_chars(ids.data(), ids.data() + ids.size(), id).ptr;
    batch.logit_rows.push_back(static_cast<int32_t>(batch.tokens.size()));
    batch.tokens.push_back(id);
    ids.remove_prefix(static_cast<size_t>(end - ids.data()));
    if (!ids.empty()) ids.remove_prefix(1);
  }
  PageTable table(decoder.pages());
  batch.spans.push_back({.table = &table, .n_rows = static_cast<int32_t>(batch.tokens.size())});
  const MatView out = decoder.forward(batch);
  std::vector<float> values;
  for (int64_t r = 0; r < out.rows; ++r) {
    const auto row = out.row(r);
    values.insert(values.end(), row.begin(), row.end());
  }
  const TensorToWrite tensor = {
      "logits", DType::f32, {out.rows, out.cols}, std::as_bytes(std::span(values))};
  write_safetensors(path, {&tensor, 1});
}

void copy(const std::string& from, const std::string& to) {
  const auto checkpoint = Checkpoint::open_file(from);
  std::vector<TensorToWrite> tensors;
  for (const StoredTensor& t : checkpoint->tensors())
    tensors.push_back({t.name, t.dtype, t.shape, t.bytes});
  write_safetensors(to, tensors);
}

}  // namespace
}  // namespace sinter

int main(int argc, char** argv) {
  using namespace sinter;
  try {
    const std::string command = argc > 1 ? argv[1] : "";
    if (command == "unpack" && argc == 4) {
      unpack(argv[2], argv[3]);
    } else if (command == "logits" && argc == 5) {
      logits(argv[2], argv[3], argv[4]);
    } else if (command == "copy" && argc == 4) {
      copy(argv[2], argv[3]);
    } else {
      std::fprintf(stderr, "usage: unpack MODEL OUT | logits MODEL IDS OUT | copy IN OUT\n");
      return 2;
    }
  } catch (const Error& e) {
    std::fprintf(stderr, "%s: %s\n", e.code().c_str(), e.what());
    return exit_code(e.fault());
  }
  return 0;
}
