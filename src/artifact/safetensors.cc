// safetensors: reading checks everything before a byte is handed out; writing gives the reference
// library's bytes. Layout: uint64 header size, JSON header, then the tensors without a hole.
#include "artifact/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/json.h"

namespace sinter {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own bound
constexpr size_t kMaxRank = 16;
constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr const char* kSingleName = "model.safetensors";

// The reference writer sorts by this order, last first; then by name.
constexpr std::array kWriterOrder = {DType::boolean, DType::u8,  DType::i8,  DType::f8_e5m2,
                                     DType::f8_e4m3, DType::i16, DType::f16, DType::bf16,
                                     DType::i32,     DType::f32, DType::f64, DType::i64};

template <typename... Args>
[[noreturn]] void fail_corrupt(const std::string& path, fmt::format_string<Args...> format,
                               Args&&... args) {
  fail(Fault::corrupt, "safetensors-corrupt",
       "{}: {}; the file is damaged or was cut short, fetch it again", path,
       fmt::format(format, std::forward<Args>(args)...));
}

// A JSON number that is an integer in [0, 2^63).
int64_t natural(const JsonMap& value, const std::string& path, const std::string& tensor,
                const char* field) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > INT64_MAX) {
    fail_corrupt(path, "tensor \"{}\": {}: expected an integer from 0 to 2^63 - 1, found {}",
                 tensor, field,
                 value.dump(-1, ' ', false, JsonMap::error_handler_t::replace).substr(0, 40));
  }
  return value.get<int64_t>();
}

struct Header {
  std::vector<StoredTensor> tensors;
  std::map<std::string, std::string, std::less<>> metadata;
};

StoredTensor read_entry(const std::string& path, const std::string& name, const JsonMap& entry,
                        std::span<const std::byte> buffer) {
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry.contains("shape") || !entry.contains("data_offsets") || !entry["dtype"].is_string() ||
      !entry["shape"].is_array() || !entry["data_offsets"].is_array() ||
      entry["data_offsets"].size() != 2) {
    fail_corrupt(path, "tensor \"{}\": expected {{dtype, shape, data_offsets: [begin, end]}}",
                 name);
  }
  StoredTensor tensor;
  tensor.name = name;
  const auto& dtype_name = entry["dtype"].get_ref<const std::string&>();
  const auto dtype = dtype_named(dtype_name);
  if (!dtype) {
    fail(Fault::unsupported, "safetensors-dtype",
         "{}: tensor \"{}\": this version does not read elements of type {}", path, name,
         dtype_name.substr(0, 40));
  }
  tensor.dtype = *dtype;
  if (entry["shape"].size() > kMaxRank) {
    fail_corrupt(path, "tensor \"{}\": expected at most {} dimensions, found {}", name, kMaxRank,
                 entry["shape"].size());
  }
  int64_t size = 1;
  for (const JsonMap& n : entry["shape"]) {
    tensor.shape.push_back(natural(n, path, name, "shape"));
    if (__builtin_mul_overflow(size, tensor.shape.back(), &size)) {
      fail_corrupt(path, "tensor \"{}\": the shape has more than 2^63 elements", name);
    }
  }
  if (__builtin_mul_overflow(size, int64_t{traits(*dtype).bytes}, &size)) {
    fail_corrupt(path, "tensor \"{}\": the shape has more than 2^63 bytes", name);
  }
  const int64_t begin = natural(entry["data_offsets"][0], path, name, "data_offsets");
  const int64_t end = natural(entry["data_offsets"][1], path, name, "data_offsets");
  if (begin > end || end > static_cast<int64_t>(buffer.size())) {
    fail_corrupt(path,
                 "tensor \"{}\": expected offsets inside the {} bytes of data, found [{}, {}]",
                 name, buffer.size(), begin, end);
  }
  if (end - begin != size) {
    fail_corrupt(path, "tensor \"{}\": its type and shape need {} bytes, its offsets give {}", name,
                 size, end - begin);
  }
  tensor.bytes = buffer.subspan(static_cast<size_t>(begin), static_cast<size_t>(size));
  return tensor;
}

// The tensors must cover the data exactly: no hole, no overlap, no tail.
void check_cover(const std::string& path, std::vector<StoredTensor>& tensors,
                 std::span<const std::byte> buffer) {
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const StoredTensor& a, const StoredTensor& b) {
                     return std::pair(a.bytes.data(), a.bytes.size()) <
                            std::pair(b.bytes.data(), b.bytes.size());
                   });
  const std::byte* at = buffer.data();
  for (const StoredTensor& t : tensors) {
    if (t.bytes.data() != at) {
      fail_corrupt(path,
                   "tensor \"{}\": expected its data at offset {}, found {} (a hole or an overlap)",
                   t.name, at - buffer.data(), t.bytes.data() - buffer.data());
    }
    at += t.bytes.size();
  }
  const auto used = static_cast<size_t>(at - buffer.data());
  if (used != buffer.size()) {
    fail_corrupt(path, "the tensors end at byte {} of the data, the file has {}", used,
                 buffer.size());
  }
}

Header read_header(const std::string& path, std::span<const std::byte> file) {
  uint64_t header_bytes = 0;
  if (file.size() < sizeof header_bytes) {
    fail_corrupt(path, "expected at least 8 bytes, found {}", file.size());
  }
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes) {
    fail_corrupt(path, "expected a header of at most {} bytes, found {}", kMaxHeaderBytes,
                 header_bytes);
  }
  if (header_bytes > file.size() - sizeof header_bytes) {
    fail_corrupt(path, "the header should have {} bytes, but the file ends after {}", header_bytes,
                 file.size() - sizeof header_bytes);
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + sizeof header_bytes,
                              header_bytes);
  const size_t first = text.find_first_not_of(" \t\r\n");
  // A JSON library may skip a byte order mark, or stop at a NUL: other readers would see another
  // file.
  if (first == std::string_view::npos || text[first] != '{' ||
      text.find('\0') != std::string_view::npos) {
    fail_corrupt(path, "expected the header to be a JSON object");
  }
  const auto buffer = file.subspan(sizeof header_bytes + header_bytes);
  const JsonMap json =
      parse_json_map(text, path + " (header)", {.max_depth = 4, .max_keys = INT64_MAX});
  Header header;
  for (const auto& [name, entry] : json.items()) {
    if (name != "__metadata__") {
      header.tensors.push_back(read_entry(path, name, entry, buffer));
      continue;
    }
    if (!entry.is_object()) fail_corrupt(path, "__metadata__: expected an object");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail_corrupt(path, "__metadata__: \"{}\": expected a string", key);
      header.metadata.emplace(key, value.get<std::string>());
    }
  }
  check_cover(path, header.tensors, buffer);
  return header;
}

class MappedCheckpoint : public Checkpoint {
 public:
  // Returns the names that the file holds.
  std::vector<std::string> add(const std::string& path) {
    const auto file = MappedFile::open(path);
    Header header = read_header(path, file->bytes());
    std::vector<std::string> names;
    for (StoredTensor& t : header.tensors) {
      names.push_back(t.name);
      tensors_.push_back(std::move(t));
    }
    aliases_.merge(header.metadata);
    files_.push_back(file);
    return names;
  }

  // After the last add(): sorts, and refuses a name that occurs twice.
  void finish(const std::string& where) {
    std::sort(tensors_.begin(), tensors_.end(),
              [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
    for (size_t i = 1; i < tensors_.size(); ++i) {
      if (tensors_[i].name == tensors_[i - 1].name) {
        fail_corrupt(where, "tensor \"{}\" is in two shards", tensors_[i].name);
      }
    }
    // safetensors' save_model drops a tensor that shares its bytes with another, and leaves
    // {dropped name: kept name} in the metadata.
    std::erase_if(aliases_, [&](const auto& alias) {
      return find_stored(alias.first) != nullptr || find_stored(alias.second) == nullptr;
    });
  }

  const StoredTensor* find(std::string_view name) const override {
    if (const StoredTensor* t = find_stored(name)) return t;
    const auto alias = aliases_.find(name);
    return alias == aliases_.end() ? nullptr : find_stored(alias->second);
  }
  std::span<const StoredTensor> tensors() const override { return tensors_; }
  std::span<const std::shared_ptr<const MappedFile>> files() const override { return files_; }

 private:
  const StoredTensor* find_stored(std::string_view name) const {
    const auto at = std::lower_bound(
        tensors_.begin(), tensors_.end(), name,
        [](const StoredTensor& t, std::string_view wanted) { return t.name < wanted; });
    return at != tensors_.end() && at->name == name ? &*at : nullptr;
  }

  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::string, std::less<>> aliases_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
};

// {shard file: names that the index puts there}.
std::map<std::string, std::vector<std::string>> read_index(const std::string& path) {
  const JsonMap index =
      parse_json_map(read_file(path), path, {.max_depth = 16, .max_keys = INT64_MAX});
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    fail(Fault::corrupt, "index-corrupt", "{}: weight_map: expected an object of tensor: shard",
         path);
  }
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [name, shard] : index["weight_map"].items()) {
    const std::string file = shard.is_string() ? shard.get<std::string>() : "";
    if (file.empty() || file.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos ||
        file.find("..") != std::string::npos || !file.ends_with(".safetensors")) {
      fail(
          Fault::corrupt, "index-corrupt",
          "{}: weight_map/{}: expected the name of a .safetensors file of this directory, found {}",
          path, name, shard.dump(-1, ' ', false, JsonMap::error_handler_t::replace).substr(0, 80));
    }
    shards[file].push_back(name);
  }
  return shards;
}

}  // namespace

int64_t StoredTensor::elements() const {
  return static_cast<int64_t>(bytes.size()) / traits(dtype).bytes;
}

std::shared_ptr<const Checkpoint> Checkpoint::open_file(const std::string& path) {
  auto checkpoint = std::make_shared<MappedCheckpoint>();
  checkpoint->add(path);
  checkpoint->finish(path);
  return checkpoint;
}

std::shared_ptr<const Checkpoint> Checkpoint::open_directory(const std::string& directory) {
  const std::string index_path = directory + "/" + kIndexName;
  const std::string single_path = directory + "/" + kSingleName;
  const bool has_index = std::filesystem::exists(index_path);
  if (!has_index && !std::filesystem::exists(single_path)) {
    fail(Fault::not_found, "checkpoint-not-found",
         "{}: expected {} or {}, found neither; give the directory of a Hugging Face checkpoint in "
         "safetensors",
         directory, kSingleName, kIndexName);
  }
  if (!has_index) return open_file(single_path);
  const auto shards = read_index(index_path);
  if (std::filesystem::exists(single_path) && !shards.contains(kSingleName)) {
    fail(Fault::corrupt, "index-corrupt",
         "{}: the directory also has {}, which the index does not name; other programs would load "
         "that one, so remove one of the two",
         index_path, kSingleName);
  }
  auto checkpoint = std::make_shared<MappedCheckpoint>();
  for (const auto& [shard, names] : shards) {
    std::vector<std::string> present = checkpoint->add(fmt::format("{}/{}", directory, shard));
    std::sort(present.begin(), present.end());
    for (const std::string& name : names) {
      if (!std::binary_search(present.begin(), present.end(), name)) {
        fail(Fault::corrupt, "index-corrupt",
             "{}: weight_map/{}: expected this tensor in {}, which does not have it", index_path,
             name, shard);
      }
    }
  }
  checkpoint->finish(index_path);
  return checkpoint;
}

void Checkpoint::forget(const StoredTensor& tensor) const {
  for (const auto& file : files()) {
    const auto map = file->bytes();
    if (tensor.bytes.data() >= map.data() && tensor.bytes.data() < map.data() + map.size()) {
      file->forget(tensor.bytes);
    }
  }
}

void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& t : tensors) order.push_back(&t);
  const auto rank = [](const TensorToWrite& t) {
    return std::find(kWriterOrder.begin(), kWriterOrder.end(), t.dtype) - kWriterOrder.begin();
  };
  std::sort(order.begin(), order.end(), [&](const TensorToWrite* a, const TensorToWrite* b) {
    return rank(*a) != rank(*b) ? rank(*a) > rank(*b) : a->name < b->name;
  });
  std::string header = R"({"__metadata__":{"format":"pt"})";
  size_t offset = 0;
  for (const TensorToWrite* t : order) {
    int64_t elements = 1;
    for (const int64_t n : t->shape) elements *= n;
    SINTER_CHECK(static_cast<size_t>(elements * traits(t->dtype).bytes) == t->bytes.size());
    header +=
        fmt::format(R"(,{}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", to_line(t->name),
                    traits(t->dtype).name, to_line(t->shape), offset, offset + t->bytes.size());
    offset += t->bytes.size();
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const uint64_t header_bytes = header.size();
  std::vector<std::string_view> pieces = {
      {reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes}, header};
  for (const TensorToWrite* t : order) {
    pieces.emplace_back(reinterpret_cast<const char*>(t->bytes.data()), t->bytes.size());
  }
  write_file_atomically(path, pieces);
}

}  // namespace sinter
