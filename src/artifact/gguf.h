// GGUF, versions 2 and 3, little endian: metadata, tensor directory, aligned data. Mapped and never
// trusted: every count, length and offset is checked against the file before it is used. What the
// metadata means is gguf_artifact.h's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/file.h"
#include "format/format.h"

namespace sinter {

// A type of tensor elements, as GGUF numbers them.
struct GgufType {
  uint32_t id;
  std::string_view name;   // as ggml prints it: "Q4_K"
  std::string_view codec;  // ours, or "" if this version does not read the type
  int32_t block_cols, block_bytes;
  uint32_t file_type;  // general.file_type of a file that is mostly this; meaningless without codec
};
// The one list of types: those we know by name, and those that have a codec. Null = no such type.
const GgufType* gguf_type(uint32_t id);
const GgufType* gguf_type_of(const Codec& codec);
std::vector<std::string> gguf_formats();  // names of the codecs that have a type

struct GgufTensor {
  std::string name;
  const GgufType* type = nullptr;
  std::vector<int64_t> shape;  // as PyTorch has it: rows first; GGUF writes it the other way round
  std::span<const std::byte> bytes;
};

enum class GgufKind : uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};

// Points into the file's map.
struct GgufArray {
  GgufKind kind = GgufKind::u8;
  uint64_t size = 0;
  std::span<const std::byte> bytes;  // of strings: each with its length before it
};
using GgufValue = std::variant<int64_t, uint64_t, double, bool, std::string_view, GgufArray>;

class GgufFile {
 public:
  // Throws Error(corrupt, "gguf-corrupt"), Error(unsupported, "gguf-version" | "gguf-type").
  static std::shared_ptr<const GgufFile> open(const std::string& path);

  const std::string& path() const { return map_->path(); }
  const std::shared_ptr<const MappedFile>& map() const { return map_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }  // in the file's order
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }

  // Metadata by key. Without a fallback, or of another kind: Error(corrupt, "gguf-key").
  bool has(std::string_view key) const { return metadata_.contains(key); }
  int64_t integer(std::string_view key) const;
  int64_t integer(std::string_view key, int64_t fallback) const;
  double number(std::string_view key) const;
  double number(std::string_view key, double fallback) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::string string(std::string_view key) const;
  std::string string(std::string_view key, std::string_view fallback) const;
  // Arrays; empty if there is none.
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;

 private:
  friend class GgufReader;
  const GgufValue& need(std::string_view key) const;
  [[noreturn]] void wrong(std::string_view key, const char* expected) const;
  std::shared_ptr<const MappedFile> map_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace sinter
