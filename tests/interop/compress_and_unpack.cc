// What the interop tests drive from Python: compress a checkpoint, and unpack every matrix of one
// to float32, so that another implementation's reading of the same files can be compared bit for
// bit.
//   compress_and_unpack compress MODEL RECIPE OUT
//   compress_and_unpack unpack MODEL OUT.safetensors
//   compress_and_unpack copy IN.safetensors OUT.safetensors     (read, and written again)
#include <cstdio>

#include "artifact/artifact.h"
#include "artifact/manifest.h"
#include "base/error.h"
#include "compress/compress.h"

namespace sinter {
namespace {

// The modules with a weight matrix, and its shape: from the manifest, which names both.
void unpack(const std::string& model, const std::string& path) {
  const auto artifact = Artifact::open(model);
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
      const auto row = std::span(values.back())
                           .subspan(static_cast<size_t>(r * w.cols), static_cast<size_t>(w.cols));
      w.format.codec->unpack_row(w.format, w.row_codes(r), w.row_params(r), row);
    }
    tensors.push_back(
        {module + suffix, DType::f32, {w.rows, w.cols}, std::as_bytes(std::span(values.back()))});
  }
  for (size_t i = 0; i < tensors.size(); ++i)
    tensors[i].bytes = std::as_bytes(std::span(values[i]));
  write_safetensors(path, tensors);
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
    if (command == "compress" && argc == 5) {
      compress(argv[2], read_recipe(argv[3]), argv[4]);
    } else if (command == "unpack" && argc == 4) {
      unpack(argv[2], argv[3]);
    } else if (command == "copy" && argc == 4) {
      copy(argv[2], argv[3]);
    } else {
      std::fprintf(stderr, "usage: compress MODEL RECIPE OUT | unpack MODEL OUT | copy IN OUT\n");
      return 2;
    }
  } catch (const Error& e) {
    std::fprintf(stderr, "%s: %s\n", e.code().c_str(), e.what());
    return exit_code(e.fault());
  }
  return 0;
}
