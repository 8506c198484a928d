#include "artifact/artifact.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>

#include "artifact/dialect.h"
#include "artifact/gguf_artifact.h"
#include "artifact/quantized.h"
#include "base/digest.h"
#include "base/error.h"

namespace sinter {
namespace {

// Beside the weights, what decides how a prompt is read and an answer ended.
constexpr std::array kAnswerFiles = {"config.json",
                                     "generation_config.json",
                                     "tokenizer.json",
                                     "tokenizer_config.json",
                                     "special_tokens_map.json",
                                     "added_tokens.json",
                                     "vocab.json",
                                     "merges.txt",
                                     "tokenizer.model",
                                     "chat_template.jinja",
                                     "chat_template.json",
                                     "additional_chat_templates/tool_use.jinja"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string_view without_suffix(std::string_view name, std::string_view suffix) {
  return name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : std::string_view();
}

class DirectoryArtifact : public Artifact {
 public:
  DirectoryArtifact(const std::string& directory, const ArtifactOptions& options)
      : directory_(directory),
        config_(read_json_file(directory + "/config.json")),
        dialect_(read_dialect(config_, directory, options.weights_only)),
        checkpoint_(Checkpoint::open_directory(directory)) {
    bool quantised = dialect_.method.empty() || !dialect_.by_presence;
    for (const StoredTensor& t : checkpoint_->tensors()) {
      check_belongs(t);
      quantised = quantised || !coded_module(t).empty();
    }
    if (!quantised) {
      fail(Fault::corrupt, "quantized-corrupt",
           "{}: its configuration says \"{}\", but no tensor is stored so; the checkpoint and its "
           "configuration do not belong together",
           directory_, dialect_.method);
    }
    scheme_ = describe();
  }

  const std::string& directory() const override { return directory_; }
  const Json& config() const override { return config_; }
  const Checkpoint& checkpoint() const override { return *checkpoint_; }
  std::string scheme() const override { return scheme_; }

  std::optional<std::string> text_file(const std::string& name) const override {
    const std::string path = directory_ + "/" + name;
    if (!std::filesystem::exists(path)) return std::nullopt;
    return read_file(path);
  }

  bool has_tensor(std::string_view tensor) const override {
    return checkpoint_->find(tensor) != nullptr;
  }
  Activation activation(std::string_view module) const override {
    const QuantGroup* group = group_of(module);
    if (group == nullptr) return {};
    const ActivationMode mode = group->scheme.activation;
    if (mode != ActivationMode::int8_tensor && mode != ActivationMode::fp8_tensor) {
      return {.mode = mode};
    }
    return {.mode = mode,
            .scale = load_input_scale(*checkpoint_, directory_, std::string(module), *group)};
  }

  KvRounding kv_rounding(std::string_view attention) const override {
    if (!dialect_.kv) return {};
    const auto rounding = [&](const char* name) {
      const std::string tensor = fmt::format("{}.{}", attention, name);
      const float scale = vector(tensor, 1)[0];
      if (!(std::isfinite(scale) && scale > 0)) {
        fail(Fault::corrupt, "quantized-corrupt",
             "{}: tensor \"{}\": expected a positive scale, found {}", directory_, tensor, scale);
      }
      return Activation{.mode = kv_codes(*dialect_.kv).mode, .scale = scale};
    };
    return {rounding("k_scale"), rounding("v_scale")};
  }

  Weight matrix(std::string_view module, int64_t rows, int64_t cols) const override {
    const QuantGroup* group = group_of(module);
    if (group == nullptr) return dense(std::string(module), rows, cols);
    const std::lock_guard lock(mutex_);
    auto at = loaded_.find(module);
    if (at == loaded_.end()) {
      const std::string name(module);
      at = loaded_.emplace(name, load_quantized(*checkpoint_, directory_, name, *group, rows, cols))
               .first;
    }
    const Weight& weight = at->second.weight;
    if (weight.rows != rows || weight.cols != cols)
      fail_shape(std::string(module), rows, cols, {weight.rows, weight.cols});
    return weight;
  }

  void release(std::string_view module, bool in_use) const override {
    if (in_use) return;
    const std::lock_guard lock(mutex_);
    if (const auto at = loaded_.find(module); at != loaded_.end()) loaded_.erase(at);
    for (const char* suffix : code_suffixes()) {
      const StoredTensor* t = checkpoint_->find(std::string(module) + suffix);
      if (t != nullptr) checkpoint_->forget(*t);
    }
  }

  std::vector<float> vector(std::string_view tensor, int64_t size) const override {
    const StoredTensor& t = need(std::string(tensor));
    if (t.shape != std::vector{size}) {
      fail(Fault::corrupt, "tensor-shape", "{}: tensor \"{}\": expected [{}], found [{}]",
           directory_, t.name, size, fmt::join(t.shape, ", "));
    }
    const Codec& codec = plain(t);
    std::vector<float> out(static_cast<size_t>(size));
    codec.unpack_row({.codec = &codec}, reinterpret_cast<const uint8_t*>(t.bytes.data()), nullptr,
                     out);
    return out;
  }

  std::string digest() const override {
    const std::lock_guard lock(mutex_);
    if (digest_.empty()) digest_ = compute_digest();
    return digest_;
  }

 private:
  // The group that quantises a module of this checkpoint, or null.
  const QuantGroup* group_of(std::string_view module) const {
    const QuantGroup* group = dialect_.group_of(module);
    const bool dense =
        group != nullptr && dialect_.by_presence && !is_stored(*checkpoint_, module, *group);
    return dense ? nullptr : group;
  }

  // The quantised module whose codes a tensor holds, or "".
  std::string_view coded_module(const StoredTensor& t) const {
    const size_t dot = t.name.rfind('.');
    if (dot == std::string::npos) return {};
    const std::string_view module = std::string_view(t.name).substr(0, dot);
    const QuantGroup* group = group_of(module);
    if (group == nullptr || t.name.substr(dot) != tensors_of(group->layout).codes) return {};
    if (t.dtype != tensors_of(group->layout).dtype) return {};  // a norm, which is no linear
    return module;
  }

  [[noreturn]] void fail_shape(const std::string& name, int64_t rows, int64_t cols,
                               const std::vector<int64_t>& found) const {
    fail(Fault::corrupt, "tensor-shape",
         "{}: module \"{}\": expected a weight [{}, {}] as config.json implies, found [{}]",
         directory_, name, rows, cols, fmt::join(found, ", "));
  }

  const StoredTensor& need(const std::string& name) const {
    const StoredTensor* t = checkpoint_->find(name);
    if (t == nullptr) {
      fail(Fault::not_found, "tensor-not-found",
           "{}: expected tensor \"{}\", which the checkpoint does not have; is it of the "
           "architecture "
           "that config.json says, and complete?",
           directory_, name);
    }
    return *t;
  }

  const Codec& plain(const StoredTensor& t) const {
    const Codec* codec = plain_codec(t.dtype);
    if (codec == nullptr) {
      fail(Fault::unsupported, "tensor-type",
           "{}: tensor \"{}\": expected a dense tensor of type BF16, F16 or F32, found {}",
           directory_, t.name, traits(t.dtype).name);
    }
    return *codec;
  }

  Weight dense(const std::string& module, int64_t rows, int64_t cols) const {
    const StoredTensor& t = need(module + ".weight");
    if (t.shape != std::vector{rows, cols}) fail_shape(module, rows, cols, t.shape);
    return {.format = {.codec = &plain(t)},
            .rows = rows,
            .cols = cols,
            .codes = reinterpret_cast<const uint8_t*>(t.bytes.data())};
  }

  // A tensor that only a quantised module has must belong to one, and the other way round.
  void check_belongs(const StoredTensor& t) const {
    const std::string_view weight = without_suffix(t.name, ".weight");
    for (const char* suffix : code_suffixes()) {
      const std::string_view packed = without_suffix(t.name, suffix);
      if (packed.empty() || !weight.empty() || group_of(packed) != nullptr) continue;
      fail(Fault::corrupt, "quantized-corrupt",
           "{}: tensor \"{}\": its module is quantised, but nothing in config.json's "
           "quantization_config says so",
           directory_, t.name);
    }
    if (weight.empty() || t.shape.size() != 2 || plain_codec(t.dtype) == nullptr) return;
    if (const QuantGroup* group = group_of(weight)) {
      fail(Fault::corrupt, "quantized-corrupt",
           "{}: tensor \"{}\": expected quantised weights (\"{}\" of quantization_config names "
           "this module), found a dense {} matrix",
           directory_, t.name, group->name, traits(t.dtype).name);
    }
  }

  std::string describe() const {
    // How many matrices there are of each kind; the printed order is by first appearance.
    std::map<DType, int> dense_types;
    std::vector<std::string> kinds;
    for (const StoredTensor& t : checkpoint_->tensors()) {
      if (t.name.ends_with(".weight") && t.shape.size() == 2) ++dense_types[t.dtype];
      const std::string_view module = coded_module(t);
      if (module.empty()) continue;
      const QuantGroup& group = *group_of(module);
      const ActivationMode inputs = group.scheme.activation;
      const bool named = inputs == ActivationMode::exact || inputs == ActivationMode::int8_token;
      const std::string kind =
          fmt::format("{} ({}{}{})", scheme_name(group.scheme),
                      to_string(format_of(group.scheme, scale_type(*checkpoint_, module, group))),
                      named ? "" : ", inputs ", named ? "" : to_string(inputs));
      if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
    }
    if (!kinds.empty()) {
      const std::string kv =
          dialect_.kv ? fmt::format(", keys and values {}", kv_codes(*dialect_.kv).name) : "";
      return fmt::format("{} {}{}{}", dialect_.method, fmt::join(kinds, " + "), kv,
                         dialect_.left_out.empty() ? "" : ", weights only");
    }
    const auto most = std::max_element(dense_types.begin(), dense_types.end(),
                                       [](auto& a, auto& b) { return a.second < b.second; });
    return most == dense_types.end() ? "empty" : lower(traits(most->first).name);
  }

  std::string compute_digest() const {
    Sha256 all;
    std::vector<std::string> lines;
    const auto add = [&](const char* file) {
      const std::string path = directory_ + "/" + file;
      if (std::filesystem::exists(path))
        lines.push_back(fmt::format("file {} {}\n", file, sha256_file(path)));
    };
    for (const char* file : kAnswerFiles) add(file);
    for (const char* file : side_car_files()) add(file);  // how weights are meant, in some dialects
    for (const StoredTensor& t : checkpoint_->tensors()) {
      Sha256 content;
      content.add(t.bytes);
      lines.push_back(fmt::format("tensor {} {} [{}] {}\n", to_line(t.name), traits(t.dtype).name,
                                  fmt::join(t.shape, ","), content.hex()));
      checkpoint_->forget(t);
    }
    for (const std::string& line : lines) all.add(line);
    return all.hex();
  }

  std::string directory_;
  Json config_;
  Dialect dialect_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::string scheme_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, LoadedWeight, std::less<>> loaded_;
  mutable std::string digest_;
};

}  // namespace

std::span<const char* const> answer_files() { return kAnswerFiles; }

std::string tokenizer_digest(const Artifact& artifact) {
  const auto text = artifact.text_file("tokenizer.json");
  return text ? sha256_hex(*text) : "";
}

std::string template_digest(const Artifact& artifact) {
  if (const auto text = artifact.text_file("chat_template.jinja")) return sha256_hex(*text);
  const auto text = artifact.text_file("tokenizer_config.json");
  if (!text) return "";
  const Json config = parse_json(*text, artifact.directory() + "/tokenizer_config.json");
  if (!config.is_object() || !config.contains("chat_template")) return "";
  const Json& words = config["chat_template"];
  return words.is_null()
             ? ""
             : sha256_hex(words.is_string() ? words.get<std::string>() : to_line(words));
}

std::shared_ptr<const Artifact> Artifact::open(const std::string& path,
                                               const ArtifactOptions& options) {
  if (is_gguf(path)) return open_gguf(path);
  if (!std::filesystem::exists(path + "/config.json")) {
    fail(Fault::not_found, "artifact-not-found",
         "{}: expected a GGUF file, or a model directory with config.json, tokenizer.json and "
         "safetensors, found no config.json there",
         path);
  }
  return std::make_shared<DirectoryArtifact>(path, options);
}

}  // namespace sinter
