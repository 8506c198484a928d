#include "artifact/gguf_artifact.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "artifact/gguf.h"
#include "artifact/gguf_config.h"
#include "artifact/gguf_names.h"
#include "artifact/gguf_tokenizer.h"
#include "base/digest.h"
#include "base/error.h"

namespace sinter {
namespace {

constexpr int64_t kMaxParts = 999;

const uint8_t* bytes_of(const GgufTensor& t) {
  return reinterpret_cast<const uint8_t*>(t.bytes.data());
}

Format format_of(const GgufTensor& t) { return format_named(t.type->codec); }

// "model-00001-of-00003.gguf" with another number.
std::string part_name(const std::string& first, int64_t number, int64_t count) {
  const std::string tail = fmt::format("-{:05}-of-{:05}.gguf", 1, count);
  if (!first.ends_with(tail)) {
    fail(Fault::not_found, "gguf-parts",
         "{}: the first of {} parts: expected a name that ends in {}, so that the others can be "
         "found; give the first part, under the name that it was made with",
         first, count, tail);
  }
  return first.substr(0, first.size() - tail.size()) +
         fmt::format("-{:05}-of-{:05}.gguf", number, count);
}

std::vector<std::shared_ptr<const GgufFile>> open_parts(const std::string& path) {
  std::vector<std::shared_ptr<const GgufFile>> parts = {GgufFile::open(path)};
  const int64_t count = parts[0]->integer("split.count", 1);
  if (count <= 1) return parts;
  if (count > kMaxParts || parts[0]->integer("split.no") != 0) {
    fail(Fault::not_found, "gguf-parts",
         "{}: expected the first of {} parts (split.no 0), found {}", path, count,
         parts[0]->integer("split.no"));
  }
  for (int64_t i = 1; i < count; ++i) {
    parts.push_back(GgufFile::open(part_name(path, i + 1, count)));
    if (parts.back()->integer("split.no") != i || parts.back()->integer("split.count") != count) {
      fail(Fault::corrupt, "gguf-parts", "{}: expected split.no {} of {}, found {} of {}",
           parts.back()->path(), i, count, parts.back()->integer("split.no"),
           parts.back()->integer("split.count"));
    }
  }
  return parts;
}

// The tensors under their Hugging Face names. Rows of q and k are as in the file: an Artifact's
// matrix() is what puts them in order.
class GgufCheckpoint : public Checkpoint {
 public:
  explicit GgufCheckpoint(const std::vector<std::shared_ptr<const GgufFile>>& parts) {
    for (const auto& part : parts) {
      files_.push_back(part->map());
      for (const GgufTensor& t : part->tensors()) {
        const auto name = hugging_face_name(t.name);
        if (!name) continue;
        const Codec* codec = format_of(t).codec;
        StoredTensor stored{
            .name = *name, .dtype = DType::u8, .shape = t.shape, .bytes = t.bytes, .block = {}};
        for (const DType plain : {DType::f32, DType::f16, DType::bf16}) {
          if (plain_codec(plain) == codec) stored.dtype = plain;
        }
        if (!codec->is_plain) {
          stored.block = t.type->codec;
          if (!t.shape.empty()) {
            stored.shape.back() = t.shape.back() / t.type->block_cols * t.type->block_bytes;
          }
        }
        tensors_.push_back(std::move(stored));
      }
    }
    std::sort(tensors_.begin(), tensors_.end(),
              [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
  }

  const StoredTensor* find(std::string_view name) const override {
    const auto at = std::lower_bound(
        tensors_.begin(), tensors_.end(), name,
        [](const StoredTensor& t, std::string_view wanted) { return t.name < wanted; });
    return at != tensors_.end() && at->name == name ? &*at : nullptr;
  }
  std::span<const StoredTensor> tensors() const override { return tensors_; }
  std::span<const std::shared_ptr<const MappedFile>> files() const override { return files_; }

 private:
  std::vector<StoredTensor> tensors_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
};

class GgufArtifact : public Artifact {
 public:
  explicit GgufArtifact(const std::string& path) : path_(path), parts_(open_parts(path)) {
    for (const auto& part : parts_) {
      for (const GgufTensor& t : part->tensors()) add(*part, t);
    }
    GgufConfig config = read_gguf_config(*parts_[0], by_name_);
    SINTER_CHECK(config.head_dim > 0 && config.head_dim % 2 == 0);
    refuse_unread(config);
    interleaved_ = config.architecture->interleaved;
    head_dim_ = config.head_dim;
    config_ = std::move(config.json);
    checkpoint_ = std::make_shared<GgufCheckpoint>(parts_);
    scheme_ = describe();
  }

  const std::string& directory() const override { return path_; }
  const Json& config() const override { return config_; }
  const Checkpoint& checkpoint() const override { return *checkpoint_; }
  std::string scheme() const override { return scheme_; }
  Activation activation(std::string_view) const override { return {}; }

  std::optional<std::string> text_file(const std::string& name) const override {
    const std::lock_guard lock(mutex_);
    if (name == "config.json") return config_.dump(2) + "\n";
    if (!text_) text_ = read_gguf_text(*parts_[0]);
    return text_->file(name);
  }

  bool has_tensor(std::string_view tensor) const override { return by_name_.contains(tensor); }

  Weight matrix(std::string_view module, int64_t rows, int64_t cols) const override {
    const std::string name = std::string(module) + ".weight";
    const GgufTensor& t = need(name);
    if (t.shape != std::vector{rows, cols}) {
      fail(Fault::corrupt, "tensor-shape",
           "{}: tensor \"{}\": expected a weight [{}, {}] as the metadata implies, found [{}]",
           path_, t.name, rows, cols, fmt::join(t.shape, ", "));
    }
    Weight weight{.format = format_of(t), .rows = rows, .cols = cols, .codes = bytes_of(t)};
    if (!interleaved_ || !is_rotated(name)) return weight;
    const std::lock_guard lock(mutex_);
    auto at = in_order_.find(name);
    if (at == in_order_.end()) at = in_order_.emplace(name, in_order(t, weight.row_bytes())).first;
    weight.codes = at->second.data();
    return weight;
  }

  void release(std::string_view module, bool in_use) const override {
    if (in_use) return;
    const std::lock_guard lock(mutex_);
    const std::string name = std::string(module) + ".weight";
    in_order_.erase(name);
    if (const StoredTensor* t = checkpoint_->find(name)) checkpoint_->forget(*t);
  }

  std::vector<float> vector(std::string_view tensor, int64_t size) const override {
    const GgufTensor& t = need(tensor);
    if (t.shape != std::vector{size}) {
      fail(Fault::corrupt, "tensor-shape", "{}: tensor \"{}\": expected [{}], found [{}]", path_,
           t.name, size, fmt::join(t.shape, ", "));
    }
    std::vector<float> stored(static_cast<size_t>(size));
    const Format format = format_of(t);
    format.codec->unpack_row(format, bytes_of(t), nullptr, stored);
    if (!interleaved_ || !is_rotated(tensor)) return stored;
    check_heads(t);
    std::vector<float> out(stored.size());
    for (int64_t r = 0; r < size; ++r) {
      out[static_cast<size_t>(r)] = stored[static_cast<size_t>(gguf_row(r, head_dim_))];
    }
    return out;
  }

  std::string digest() const override {
    const std::lock_guard lock(mutex_);
    if (!digest_.empty()) return digest_;
    constexpr size_t kPiece = size_t{1} << 26;
    Sha256 all;
    for (const auto& part : parts_) {
      Sha256 content;
      std::span<const std::byte> rest = part->map()->bytes();
      while (!rest.empty()) {
        const auto piece = rest.subspan(0, std::min(kPiece, rest.size()));
        content.add(piece);
        part->map()->forget(piece);
        rest = rest.subspan(piece.size());
      }
      all.add(fmt::format("gguf {}\n", content.hex()));
    }
    return digest_ = all.hex();
  }

 private:
  // Tensors that are frequencies of RoPE are the config's business; any other must have a name.
  void add(const GgufFile& part, const GgufTensor& t) {
    const auto name = hugging_face_name(t.name);
    const std::string known = name ? *name : t.name;
    if (!name && t.name != kRopeFactors) {
      fail(
          Fault::unsupported, "gguf-tensor",
          "{}: tensor \"{}\": this version does not know what this one is for; the model may be of "
          "a kind that it does not compute",
          part.path(), t.name);
    }
    if (!by_name_.emplace(known, &t).second) {
      fail(Fault::corrupt, "gguf-corrupt", "{}: the tensor \"{}\" is in two parts", part.path(),
           t.name);
    }
  }

  void refuse_unread(const GgufConfig& config) const {
    const auto read = gguf_tensors(*config.architecture, JsonFields(config.json, path_));
    for (const auto& [name, t] : by_name_) {
      if (name == kRopeFactors || read.contains(name)) continue;
      fail(Fault::unsupported, "gguf-tensor",
           "{}: tensor \"{}\": a {} model of {} layers, with biases where layer 0 has them, has no "
           "such "
           "tensor; the file is damaged, or of a kind of model that this version does not know",
           path_, t->name, config.architecture->name,
           config.json["num_hidden_layers"].get<int64_t>());
    }
  }

  const GgufTensor& need(std::string_view name) const {
    const auto at = by_name_.find(name);
    if (at == by_name_.end()) {
      fail(Fault::not_found, "tensor-not-found",
           "{}: expected tensor \"{}\" ({} in GGUF's words), which the file does not have; is it "
           "complete?",
           path_, name, gguf_name(name).value_or("no name"));
    }
    return *at->second;
  }

  void check_heads(const GgufTensor& t) const {
    if (t.shape[0] % head_dim_ == 0) return;
    fail(Fault::corrupt, "tensor-shape",
         "{}: tensor \"{}\": expected whole heads of {} rows, found {} rows", path_, t.name,
         head_dim_, t.shape[0]);
  }

  std::vector<uint8_t> in_order(const GgufTensor& t, int64_t row_bytes) const {
    check_heads(t);
    std::vector<uint8_t> rows(t.bytes.size());
    for (int64_t r = 0; r < t.shape[0]; ++r) {
      std::memcpy(rows.data() + r * row_bytes, bytes_of(t) + gguf_row(r, head_dim_) * row_bytes,
                  static_cast<size_t>(row_bytes));
    }
    return rows;
  }

  // "gguf q4_k (29) + q6_k (5)": how many matrices there are of each kind.
  std::string describe() const {
    std::map<std::string_view, int> kinds;
    for (const auto& [name, t] : by_name_) {
      if (t->shape.size() == 2) ++kinds[t->type->codec];
    }
    std::vector<std::string> words;
    words.reserve(kinds.size());
    for (const auto& [kind, n] : kinds) {
      words.push_back(kinds.size() == 1 ? std::string(kind) : fmt::format("{} ({})", kind, n));
    }
    return fmt::format("gguf {}", fmt::join(words, " + "));
  }

  std::string path_;
  std::vector<std::shared_ptr<const GgufFile>> parts_;
  std::map<std::string, const GgufTensor*, std::less<>> by_name_;  // Hugging Face names
  Json config_;
  bool interleaved_ = false;
  int64_t head_dim_ = 1;
  std::shared_ptr<const GgufCheckpoint> checkpoint_;
  std::string scheme_;
  mutable std::mutex mutex_;
  mutable std::optional<GgufText> text_;
  mutable std::map<std::string, std::vector<uint8_t>, std::less<>> in_order_;
  mutable std::string digest_;
};

}  // namespace

bool is_gguf(const std::string& path) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return false;
  if (path.ends_with(".gguf")) return true;
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  return std::string_view(magic, sizeof magic) == "GGUF";
}

std::shared_ptr<const Artifact> open_gguf(const std::string& path) {
  return std::make_shared<GgufArtifact>(path);
}

}  // namespace sinter
