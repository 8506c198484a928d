// safetensors: header of names, types and offsets, then bytes. Mapped and never trusted: sizes,
// offsets, overflow, holes, duplicate names are checked before a byte is handed out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "tensor/dtype.h"

namespace sinter {

struct StoredTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;  // any alignment; owned by the checkpoint's map
  std::string_view block;  // the codec whose blocks the bytes are; dtype is then u8. Usually empty.
  int64_t elements() const;
};

// One .safetensors file or all shards of a directory's index.
class Checkpoint {
 public:
  static std::shared_ptr<const Checkpoint> open_file(const std::string& path);
  static std::shared_ptr<const Checkpoint> open_directory(const std::string& directory);
  virtual ~Checkpoint() = default;
  virtual const StoredTensor* find(std::string_view name) const = 0;  // null = absent
  virtual std::span<const StoredTensor> tensors() const = 0;          // sorted by name
  virtual std::span<const std::shared_ptr<const MappedFile>> files() const = 0;
  // Lets go of the memory behind a tensor of this checkpoint (MappedFile::forget).
  void forget(const StoredTensor& tensor) const;
};

// A tensor to be written: its bytes must be ready when write_safetensors is called.
struct TensorToWrite {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

// Writes the file as the reference library would, byte for byte (order, padding, metadata), under a
// temporary name that is renamed at the end. Throws Error(io).
void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors);

}  // namespace sinter
