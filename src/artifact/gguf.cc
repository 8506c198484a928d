#include "artifact/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>

#include "base/error.h"

namespace sinter {
namespace {

constexpr size_t kMaxNameBytes = 63;  // ggml's own bound
constexpr uint32_t kMaxRank = 4;
constexpr int64_t kDefaultAlignment = 32;

constexpr std::array kTypes = {
    GgufType{0, "F32", "f32", 1, 4, 0},
    GgufType{1, "F16", "f16", 1, 2, 1},
    GgufType{2, "Q4_0", "q4_0", 32, 18, 2},
    GgufType{3, "Q4_1", "q4_1", 32, 20, 3},
    GgufType{6, "Q5_0", "q5_0", 32, 22, 8},
    GgufType{7, "Q5_1", "", 32, 24, 9},
    GgufType{8, "Q8_0", "q8_0", 32, 34, 7},
    GgufType{9, "Q8_1", "", 32, 36, 0},
    GgufType{10, "Q2_K", "", 256, 84, 0},
    GgufType{11, "Q3_K", "", 256, 110, 0},
    GgufType{12, "Q4_K", "q4_k", 256, 144, 15},
    GgufType{13, "Q5_K", "q5_k", 256, 176, 17},
    GgufType{14, "Q6_K", "q6_k", 256, 210, 18},
    GgufType{15, "Q8_K", "", 256, 292, 0},
    GgufType{16, "IQ2_XXS", "", 256, 66, 0},
    GgufType{17, "IQ2_XS", "", 256, 74, 0},
    GgufType{18, "IQ3_XXS", "", 256, 98, 0},
    GgufType{19, "IQ1_S", "", 256, 50, 0},
    GgufType{20, "IQ4_NL", "iq4_nl", 32, 18, 25},
    GgufType{21, "IQ3_S", "", 256, 110, 0},
    GgufType{22, "IQ2_S", "", 256, 82, 0},
    GgufType{23, "IQ4_XS", "iq4_xs", 256, 136, 30},
    GgufType{24, "I8", "", 1, 1, 0},
    GgufType{25, "I16", "", 1, 2, 0},
    GgufType{26, "I32", "", 1, 4, 0},
    GgufType{27, "I64", "", 1, 8, 0},
    GgufType{28, "F64", "", 1, 8, 0},
    GgufType{29, "IQ1_M", "", 256, 56, 0},
    GgufType{30, "BF16", "bf16", 1, 2, 32},
    GgufType{34, "TQ1_0", "", 256, 54, 0},
    GgufType{35, "TQ2_0", "", 256, 66, 0},
    GgufType{39, "MXFP4", "", 32, 17, 0},
    GgufType{40, "NVFP4", "", 64, 36, 0},
};

// Bytes of a value of each kind, in the order of GgufKind; 0 = of varying size.
constexpr std::array<size_t, 13> kKindBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

GgufValue load_number(GgufKind kind, const std::byte* at) {
  switch (kind) {
    case GgufKind::u8:
      return uint64_t{load<uint8_t>(at)};
    case GgufKind::i8:
      return int64_t{load<int8_t>(at)};
    case GgufKind::u16:
      return uint64_t{load<uint16_t>(at)};
    case GgufKind::i16:
      return int64_t{load<int16_t>(at)};
    case GgufKind::u32:
      return uint64_t{load<uint32_t>(at)};
    case GgufKind::i32:
      return int64_t{load<int32_t>(at)};
    case GgufKind::f32:
      return static_cast<double>(load<float>(at));
    case GgufKind::boolean:
      return load<uint8_t>(at) != 0;
    case GgufKind::u64:
      return load<uint64_t>(at);
    case GgufKind::i64:
      return load<int64_t>(at);
    case GgufKind::f64:
      return load<double>(at);
    case GgufKind::string:
    case GgufKind::array:
      break;
  }
  SINTER_CHECK(false);
}

}  // namespace

const GgufType* gguf_type(uint32_t id) {
  for (const GgufType& t : kTypes) {
    if (t.id == id) return &t;
  }
  return nullptr;
}

const GgufType* gguf_type_of(const Codec& codec) {
  for (const GgufType& t : kTypes) {
    if (t.codec == codec.name) return &t;
  }
  return nullptr;
}

std::vector<std::string> gguf_formats() {
  std::vector<std::string> names;
  for (const Codec* codec : codecs()) {
    if (gguf_type_of(*codec) != nullptr) names.emplace_back(codec->name);
  }
  return names;
}

// Walks over the header.
class GgufReader {
 public:
  explicit GgufReader(const std::string& path) : path_(path), map_(MappedFile::open(path)) {}

  std::shared_ptr<const GgufFile> read() {
    auto file = std::make_shared<GgufFile>();
    file->map_ = map_;
    check_version();
    const auto n_tensors = number<uint64_t>("the number of tensors");
    const auto n_keys = number<uint64_t>("the number of metadata keys");
    for (uint64_t i = 0; i < n_keys; ++i) read_key(*file);
    const int64_t alignment = file->integer("general.alignment", kDefaultAlignment);
    if (alignment < 1 || alignment > (1 << 20) ||
        !std::has_single_bit(static_cast<uint64_t>(alignment))) {
      wrong("general.alignment: expected a power of two up to 2^20, found {}", alignment);
    }
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < n_tensors; ++i) offsets.push_back(read_entry(*file));
    place(*file, offsets, static_cast<uint64_t>(alignment));
    return file;
  }

 private:
  template <typename... Args>
  [[noreturn]] void wrong(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Fault::corrupt, "gguf-corrupt",
         "{}: byte {}: {}; the file is damaged or was cut short, fetch it again", path_, at_,
         fmt::format(format, std::forward<Args>(args)...));
  }

  size_t left() const { return map_->bytes().size() - at_; }

  std::span<const std::byte> take(uint64_t n, const char* what) {
    if (n > left())
      wrong("expected {} bytes of {}, found the end of the file after {}", n, what, left());
    const auto part = map_->bytes().subspan(at_, n);
    at_ += n;
    return part;
  }

  template <typename T>
  T number(const char* what) {
    return load<T>(take(sizeof(T), what).data());
  }

  std::string_view string(const char* what) {
    const auto size = number<uint64_t>(what);
    return text_of(take(size, what));
  }

  GgufKind kind() {
    const auto id = number<uint32_t>("a type of value");
    if (id >= kKindBytes.size()) wrong("expected a type of value from 0 to 12, found {}", id);
    return static_cast<GgufKind>(id);
  }

  void check_version() {
    if (left() < 4 || text_of(take(4, "the magic")) != "GGUF") {
      at_ = 0;
      wrong("expected the file to begin with GGUF");
    }
    const auto version = number<uint32_t>("the version");
    if (version == 2 || version == 3) return;
    const bool swapped = version != 0 && (version & 0xFFFF) == 0;
    fail(
        Fault::unsupported, "gguf-version",
        "{}: expected GGUF version 2 or 3, little endian, found {}; convert the model again with a "
        "{}",
        path_, swapped ? "a big-endian file" : fmt::format("version {}", version),
        swapped ? "converter that writes little endian" : "newer llama.cpp");
  }

  void read_key(GgufFile& file) {
    const std::string key(string("a metadata key"));
    const GgufKind k = kind();
    GgufValue value;
    if (k == GgufKind::string) {
      value = string("a string");
    } else if (k == GgufKind::array) {
      value = read_array(key);
    } else {
      value = load_number(k, take(kKindBytes[static_cast<size_t>(k)], "a value").data());
    }
    if (!file.metadata_.emplace(key, value).second) wrong("the key \"{}\" occurs twice", key);
  }

  GgufArray read_array(const std::string& key) {
    GgufArray array{
        .kind = kind(), .size = number<uint64_t>("the length of an array"), .bytes = {}};
    if (array.kind == GgufKind::array) wrong("\"{}\": expected no array within an array", key);
    const size_t begin = at_, each = kKindBytes[static_cast<size_t>(array.kind)];
    if (array.size > left()) {
      wrong("\"{}\": expected {} elements, the file has {} more bytes", key, array.size, left());
    }
    if (each > 0) {
      array.bytes = take(array.size * each, "an array");  // at most 8 times the file: no overflow
      return array;
    }
    for (uint64_t i = 0; i < array.size; ++i) string("a string of an array");
    array.bytes = map_->bytes().subspan(begin, at_ - begin);
    return array;
  }

  // Appends a tensor without its bytes; returns the offset of these.
  uint64_t read_entry(GgufFile& file) {
    GgufTensor t;
    t.name = string("a tensor's name");
    if (t.name.empty() || t.name.size() > kMaxNameBytes) {
      wrong("expected a tensor's name of 1 to {} bytes, found {}", kMaxNameBytes, t.name.size());
    }
    const auto rank = number<uint32_t>("a number of dimensions");
    if (rank > kMaxRank) {
      wrong("tensor \"{}\": expected at most {} dimensions, found {}", t.name, kMaxRank, rank);
    }
    t.shape.resize(rank);
    int64_t elements = 1;
    for (uint32_t i = 0; i < rank; ++i) {
      const auto n = number<uint64_t>("a dimension");
      if (n > INT64_MAX || __builtin_mul_overflow(elements, static_cast<int64_t>(n), &elements)) {
        wrong("tensor \"{}\": the shape has more than 2^63 elements", t.name);
      }
      t.shape[rank - 1 - i] = static_cast<int64_t>(n);
    }
    const auto id = number<uint32_t>("a tensor's type");
    t.type = gguf_type(id);
    if (t.type == nullptr || t.type->codec.empty()) {
      fail(
          Fault::unsupported, "gguf-type",
          "{}: tensor \"{}\": this version does not read type {}{}; it reads {}: fetch or make the "
          "model in one of these",
          path_, t.name, id, t.type == nullptr ? "" : fmt::format(" ({})", t.type->name),
          fmt::join(gguf_formats(), ", "));
    }
    const int64_t cols = rank == 0 ? 1 : t.shape.back();
    if (cols % t.type->block_cols != 0) {
      wrong("tensor \"{}\": expected a multiple of {} columns for {}, found {}", t.name,
            t.type->block_cols, t.type->name, cols);
    }
    file.tensors_.push_back(std::move(t));
    return number<uint64_t>("a tensor's offset");
  }

  // Tensors lie in order, each padded to the alignment, without a hole or an overlap.
  void place(GgufFile& file, const std::vector<uint64_t>& offsets, uint64_t alignment) {
    std::set<std::string_view> names;
    const size_t total = map_->bytes().size();
    const auto padded = [&](uint64_t n) { return (n + alignment - 1) / alignment * alignment; };
    const uint64_t data = padded(at_);
    uint64_t next = 0;
    for (size_t i = 0; i < offsets.size(); ++i) {
      GgufTensor& t = file.tensors_[i];
      if (!names.insert(t.name).second) wrong("the tensor \"{}\" occurs twice", t.name);
      uint64_t elements = 1;
      for (const int64_t n : t.shape) elements *= static_cast<uint64_t>(n);
      const uint64_t blocks = elements / static_cast<uint64_t>(t.type->block_cols);
      uint64_t size = 0;
      if (offsets[i] != next) {
        wrong("tensor \"{}\": expected its data at offset {}, found {} (a hole or an overlap)",
              t.name, next, offsets[i]);
      }
      if (__builtin_mul_overflow(blocks, static_cast<uint64_t>(t.type->block_bytes), &size) ||
          data > total || next > total - data || size > total - data - next) {
        wrong("tensor \"{}\": its data should end after the {} bytes of the file", t.name, total);
      }
      t.bytes = map_->bytes().subspan(data + next, size);
      next = padded(next + size);
    }
  }

  const std::string& path_;
  std::shared_ptr<const MappedFile> map_;
  size_t at_ = 0;
};

std::shared_ptr<const GgufFile> GgufFile::open(const std::string& path) {
  return GgufReader(path).read();
}

void GgufFile::wrong(std::string_view key, const char* expected) const {
  fail(Fault::corrupt, "gguf-key",
       "{}: metadata key \"{}\": expected {}, found {}; the file was not made as llama.cpp makes "
       "them",
       path(), key, expected, has(key) ? "something else" : "no such key");
}

const GgufValue& GgufFile::need(std::string_view key) const {
  const auto it = metadata_.find(key);
  if (it == metadata_.end()) wrong(key, "a value");
  return it->second;
}

namespace {

// An integer that fits int64; a list of one and the same counts as it (some converters write a
// value per layer).
const int64_t* as_integer(const GgufValue& value, int64_t& out) {
  if (const auto* i = std::get_if<int64_t>(&value))
    out = *i;
  else if (const auto* u = std::get_if<uint64_t>(&value); u != nullptr && *u <= INT64_MAX)
    out = static_cast<int64_t>(*u);
  else
    return nullptr;
  return &out;
}

GgufValue element(const GgufArray& array, size_t i) {
  return load_number(array.kind,
                     array.bytes.data() + i * kKindBytes[static_cast<size_t>(array.kind)]);
}

}  // namespace

int64_t GgufFile::integer(std::string_view key) const {
  const GgufValue& value = need(key);
  int64_t out = 0;
  if (as_integer(value, out) != nullptr) return out;
  const std::vector<int64_t> list = integers(key);
  if (list.empty() ||
      std::any_of(list.begin(), list.end(), [&](int64_t n) { return n != list[0]; })) {
    wrong(key, "an integer, the same for every layer");
  }
  return list[0];
}
int64_t GgufFile::integer(std::string_view key, int64_t fallback) const {
  return has(key) ? integer(key) : fallback;
}

double GgufFile::number(std::string_view key) const {
  const GgufValue& value = need(key);
  if (const auto* x = std::get_if<double>(&value)) return *x;
  return static_cast<double>(integer(key));
}
double GgufFile::number(std::string_view key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

bool GgufFile::boolean(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  const auto* value = std::get_if<bool>(&need(key));
  if (value == nullptr) wrong(key, "true or false");
  return *value;
}

std::string GgufFile::string(std::string_view key) const {
  const auto* value = std::get_if<std::string_view>(&need(key));
  if (value == nullptr) wrong(key, "a string");
  return std::string(*value);
}
std::string GgufFile::string(std::string_view key, std::string_view fallback) const {
  return has(key) ? string(key) : std::string(fallback);
}

std::vector<std::string_view> GgufFile::strings(std::string_view key) const {
  std::vector<std::string_view> out;
  if (!has(key)) return out;
  const auto* array = std::get_if<GgufArray>(&need(key));
  if (array == nullptr || array->kind != GgufKind::string) wrong(key, "a list of strings");
  out.reserve(array->size);
  const std::byte* at = array->bytes.data();
  for (uint64_t i = 0; i < array->size; ++i) {
    const auto size = load<uint64_t>(at);
    out.push_back(text_of({at + sizeof size, size}));
    at += sizeof size + size;
  }
  return out;
}

std::vector<int64_t> GgufFile::integers(std::string_view key) const {
  std::vector<int64_t> out;
  if (!has(key)) return out;
  const auto* array = std::get_if<GgufArray>(&need(key));
  if (array == nullptr || array->kind == GgufKind::string) wrong(key, "a list of integers");
  out.resize(array->size);
  for (size_t i = 0; i < out.size(); ++i) {
    if (as_integer(element(*array, i), out[i]) == nullptr) wrong(key, "a list of integers");
  }
  return out;
}

std::vector<double> GgufFile::numbers(std::string_view key) const {
  std::vector<double> out;
  if (!has(key)) return out;
  const auto* array = std::get_if<GgufArray>(&need(key));
  if (array == nullptr || array->kind == GgufKind::string) wrong(key, "a list of numbers");
  out.resize(array->size);
  for (size_t i = 0; i < out.size(); ++i) {
    const GgufValue value = element(*array, i);
    const auto* x = std::get_if<double>(&value);
    if (x == nullptr) wrong(key, "a list of floating-point numbers");
    out[i] = *x;
  }
  return out;
}

}  // namespace sinter
