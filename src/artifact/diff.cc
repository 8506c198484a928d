#include "artifact/diff.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <tuple>

#include "artifact/dialect.h"
#include "artifact/gguf_artifact.h"
#include "artifact/manifest.h"
#include "artifact/quantized.h"
#include "base/digest.h"
#include "base/error.h"

namespace sinter {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kShownBytes = 120;  // of a value of config.json

// A matrix by its module, or another tensor by its name.
struct Part {
  const StoredTensor* tensor = nullptr;  // of a matrix: of its codes
  bool is_matrix = false;
  int64_t rows = 0, cols = 0;  // of a matrix
};
using Parts = std::map<std::string, Part>;

std::string_view without_weight(std::string_view name) {
  constexpr std::string_view kSuffix = ".weight";
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size())
                                 : std::string_view();
}

// [rows, cols] of a two-dimensional tensor of floats, or of blocks; {0, 0} for others.
std::array<int64_t, 2> dense_shape(const StoredTensor& t) {
  if (t.shape.size() != 2) return {0, 0};
  if (t.block.empty()) {
    if (plain_codec(t.dtype) == nullptr) return {0, 0};
    return {t.shape[0], t.shape[1]};
  }
  const Format format = format_named(t.block);
  const int64_t cols = format.codec->col_multiple(format);
  return {t.shape[0], t.shape[1] / format.codec->row_bytes(format, cols) * cols};
}

Parts parts_of(const Artifact& artifact, bool weights_only) {
  Dialect dialect;  // a GGUF file has none
  if (!is_gguf(artifact.directory())) {
    dialect = read_dialect(artifact.config(), artifact.directory(), weights_only);
  }
  const Checkpoint& checkpoint = artifact.checkpoint();
  Parts parts;
  for (const StoredTensor& t : checkpoint.tensors()) {
    const size_t dot = std::min(t.name.rfind('.'), t.name.size());
    const std::string module = t.name.substr(0, dot);
    const QuantGroup* group = dialect.group_of(module);
    if (group != nullptr && is_stored(checkpoint, module, *group) &&
        reads_tensor(group->layout, std::string_view(t.name).substr(dot))) {
      if (t.name.substr(dot) != tensors_of(group->layout).codes) continue;
      const auto shape = stored_shape(checkpoint, artifact.directory(), module, *group);
      parts[module] = {&t, true, shape[0], shape[1]};
      continue;
    }
    const auto shape = dense_shape(t);
    const std::string_view weight = without_weight(t.name);
    if (shape[0] > 0 && !weight.empty()) {
      parts[std::string(weight)] = {&t, true, shape[0], shape[1]};
    } else {
      parts[t.name] = {&t, false, 0, 0};
    }
  }
  return parts;
}

// What keys and values are kept as; "" = as they are.
std::string_view kv_of(const Artifact& artifact, bool weights_only) {
  if (is_gguf(artifact.directory())) return "";
  const auto kv = read_dialect(artifact.config(), artifact.directory(), weights_only).kv;
  return kv ? kv_codes(*kv).name : "";
}

// Sums over elements, of a row or of more.
struct Sums {
  double squared = 0;  // of B - A
  double aa = 0, bb = 0, ab = 0, largest = 0;
  bool equal = true;
  void add(std::span<const float> a, std::span<const float> b) {
    if (std::memcmp(a.data(), b.data(), a.size_bytes()) != 0) {
      for (size_t i = 0; i < a.size(); ++i) {
        const double d = double{b[i]} - double{a[i]};
        squared += d * d;
        largest = std::max(largest, std::abs(d));
        equal = equal && (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])));
      }
    }
    for (size_t i = 0; i < a.size(); ++i) {
      aa += double{a[i]} * double{a[i]};
      bb += double{b[i]} * double{b[i]};
      ab += double{a[i]} * double{b[i]};
    }
  }
  void add(const Sums& s) {
    squared += s.squared;
    aa += s.aa;
    bb += s.bb;
    ab += s.ab;
    largest = std::max(largest, s.largest);
    equal = equal && s.equal;
  }
  double relative() const {
    if (squared == 0) return 0;
    return aa > 0 ? std::sqrt(squared / aa) : std::numeric_limits<double>::infinity();
  }
  double cosine() const { return equal ? 1 : ab / std::sqrt(aa * bb); }
};

bool same_bytes(const Weight& a, const Weight& b) {
  const auto equal = [](const auto* x, const auto* y, int64_t n) {
    return n == 0 || std::equal(x, x + n, y);
  };
  if (a.format != b.format || (a.column_order == nullptr) != (b.column_order == nullptr)) {
    return false;
  }
  if (a.column_order != nullptr && !equal(a.column_order, b.column_order, a.cols)) return false;
  return equal(a.codes, b.codes, a.rows * a.row_bytes()) &&
         equal(a.params, b.params, a.rows * a.param_bytes());
}

std::string inputs_of(const Artifact& artifact, const std::string& module) {
  const Activation inputs = artifact.activation(module);
  return inputs.scale > 0 ? fmt::format("{} x {}", to_string(inputs.mode), inputs.scale)
                          : to_string(inputs.mode);
}

class Comparison {
 public:
  Comparison(const Artifact& a, const Artifact& b, ThreadPool& threads)
      : a_(a), b_(b), threads_(threads) {}

  TensorDiff compare(const std::string& name, const Part* a, const Part* b) {
    TensorDiff diff;
    diff.name = name;
    if (a != nullptr && b != nullptr && a->is_matrix && b->is_matrix) {
      compare_matrices(*a, *b, diff);
    } else {
      compare_tensors(a, b, diff);
    }
    return diff;
  }
  double relative_error() const { return total_.relative(); }

 private:
  void set(const Sums& sums, bool bytes, TensorDiff& diff) {
    total_.add(sums);
    diff.relative_error = sums.relative();
    diff.max_error = sums.largest;
    diff.cosine = sums.cosine();
    diff.difference = bytes        ? Difference::none
                      : sums.equal ? Difference::format
                                   : Difference::values;
  }

  void without_numbers(Difference difference, TensorDiff& diff) {
    diff.difference = difference;
    diff.relative_error = diff.max_error = diff.cosine = kNone;
  }

  void compare_matrices(const Part& a, const Part& b, TensorDiff& diff) {
    const Weight wa = a_.matrix(diff.name, a.rows, a.cols);
    const Weight wb = b_.matrix(diff.name, b.rows, b.cols);
    diff.format_a = to_string(wa.format);
    diff.format_b = to_string(wb.format);
    diff.inputs_a = inputs_of(a_, diff.name);
    diff.inputs_b = inputs_of(b_, diff.name);
    if (a.rows != b.rows || a.cols != b.cols) {
      without_numbers(Difference::shape, diff);
    } else {
      std::vector<Sums> rows(static_cast<size_t>(a.rows));
      threads_.run(a.rows, 4, [&](int64_t begin, int64_t end) {
        std::vector<float> x(static_cast<size_t>(a.cols)), y(x.size());
        for (int64_t r = begin; r < end; ++r) {
          unpack_row(wa, r, x);
          unpack_row(wb, r, y);
          rows[static_cast<size_t>(r)].add(x, y);
        }
      });
      Sums sums;
      for (const Sums& row : rows) sums.add(row);
      set(sums, same_bytes(wa, wb), diff);
      if (diff.inputs_a != diff.inputs_b) diff.difference = Difference::values;
    }
    a_.release(diff.name, false);
    b_.release(diff.name, false);
  }

  static std::string type_of(const Artifact& artifact, const std::string& name, const Part* part) {
    if (part == nullptr) return "";
    if (part->is_matrix) {
      const std::string format = to_string(artifact.matrix(name, part->rows, part->cols).format);
      artifact.release(name, false);
      return format;
    }
    const StoredTensor& t = *part->tensor;
    const Codec* plain = plain_codec(t.dtype);
    return plain != nullptr ? plain->name : std::string(traits(t.dtype).name);
  }

  void compare_tensors(const Part* a, const Part* b, TensorDiff& diff) {
    diff.format_a = type_of(a_, diff.name, a);
    diff.format_b = type_of(b_, diff.name, b);
    if (a == nullptr) return without_numbers(Difference::only_b, diff);
    if (b == nullptr) return without_numbers(Difference::only_a, diff);
    const StoredTensor &x = *a->tensor, &y = *b->tensor;
    if (a->is_matrix != b->is_matrix || x.shape != y.shape) {
      return without_numbers(Difference::shape, diff);
    }
    const bool bytes = x.dtype == y.dtype && x.bytes.size() == y.bytes.size() &&
                       std::equal(x.bytes.begin(), x.bytes.end(), y.bytes.begin());
    if (plain_codec(x.dtype) != nullptr && plain_codec(y.dtype) != nullptr && x.shape.size() == 1) {
      Sums sums;
      sums.add(a_.vector(diff.name, x.shape[0]), b_.vector(diff.name, y.shape[0]));
      set(sums, bytes, diff);
    } else if (bytes) {
      diff.difference = Difference::none;
    } else {
      without_numbers(Difference::values, diff);
    }
  }

  const Artifact &a_, &b_;
  ThreadPool& threads_;
  Sums total_;
};

std::string shown(const Json& value) {
  std::string text = to_line(value);
  if (text.size() > kShownBytes) text = text.substr(0, kShownBytes - 3) + "...";
  return text;
}

void diff_json(const Json& a, const Json& b, const std::string& at, std::vector<FieldDiff>& out) {
  if (a == b) return;
  if (!a.is_object() || !b.is_object()) {
    out.push_back({at, shown(a), shown(b)});
    return;
  }
  for (const auto& [key, value] : a.items()) {
    const auto other = b.find(key);
    if (other == b.end()) {
      out.push_back({fmt::format("{}/{}", at, key), shown(value), ""});
    } else {
      diff_json(value, *other, fmt::format("{}/{}", at, key), out);
    }
  }
  for (const auto& [key, value] : b.items()) {
    if (!a.contains(key)) out.push_back({fmt::format("{}/{}", at, key), "", shown(value)});
  }
}

Json without_quantisation(const Artifact& artifact) {
  Json config = artifact.config();
  if (config.is_object()) {
    config.erase("quantization_config");
    config.erase("compression_config");
  }
  return config;
}

void diff_files(const Artifact& a, const Artifact& b, std::vector<FieldDiff>& out) {
  const auto digest = [](const Artifact& artifact, const char* file) {
    const auto text = artifact.text_file(file);
    return text ? sha256_hex(*text) : "";
  };
  for (const char* file : answer_files()) {
    if (std::string_view(file) == "config.json") continue;
    std::string of_a = digest(a, file), of_b = digest(b, file);
    if (of_a != of_b) out.push_back({file, std::move(of_a), std::move(of_b)});
  }
}

// The fields that say what an artifact was made from; all "" without a manifest.
std::vector<FieldDiff> made_from(const Artifact& artifact) {
  std::optional<Manifest> m;
  if (std::filesystem::exists(artifact.directory() + "/" + kManifestName)) {
    m = read_manifest(artifact.directory());
  }
  const auto field = [&](const char* name, auto value) {
    return FieldDiff{name, m ? value(*m) : "", ""};
  };
  return {field("base", [](const Manifest& x) { return x.base_digest; }),
          field("base_scheme", [](const Manifest& x) { return x.base_scheme; }),
          field("recipe", [](const Manifest& x) { return x.recipe_digest; }),
          field("corpus", [](const Manifest& x) { return x.corpus.digest; }),
          field("build", [](const Manifest& x) { return x.build; }),
          field("notes",
                [](const Manifest& x) {
                  return x.notes.empty() ? "" : fmt::format("{}", x.notes.size());
                }),
          field("verified", [](const Manifest& x) { return x.verified; })};
}

int64_t tensor_bytes(const Artifact& artifact) {
  int64_t bytes = 0;
  for (const StoredTensor& t : artifact.checkpoint().tensors()) {
    bytes += static_cast<int64_t>(t.bytes.size());
  }
  return bytes;
}

// Worst first. What has no numbers stands above what has.
bool worse(const TensorDiff& a, const TensorDiff& b) {
  const auto rank = [](const TensorDiff& d) {
    const bool open = std::isnan(d.relative_error);
    return std::tuple(d.difference == Difference::none, !open, open ? 0 : -d.relative_error);
  };
  return std::tuple_cat(rank(a), std::tie(a.name)) < std::tuple_cat(rank(b), std::tie(b.name));
}

Json to_json(const std::vector<FieldDiff>& fields) {
  Json list = Json::array();
  for (const FieldDiff& f : fields) {
    list.push_back({{"field", f.field},
                    {"a", f.a.empty() ? Json(nullptr) : Json(f.a)},
                    {"b", f.b.empty() ? Json(nullptr) : Json(f.b)}});
  }
  return list;
}

}  // namespace

const char* to_string(Difference difference) {
  constexpr std::array<const char*, kDifferences.size()> kNames = {
      "identical", "other format", "other values", "other shape", "only in A", "only in B"};
  return kNames.at(static_cast<size_t>(difference));
}

int64_t ArtifactDiff::count(Difference difference) const {
  return std::count_if(tensors.begin(), tensors.end(),
                       [&](const TensorDiff& t) { return t.difference == difference; });
}

bool ArtifactDiff::same() const {
  const auto n = static_cast<int64_t>(tensors.size());
  return count(Difference::none) + count(Difference::format) == n && config.empty() &&
         files.empty();
}

ArtifactDiff diff_artifacts(const Artifact& a, const Artifact& b, bool weights_only,
                            ThreadPool& threads,
                            const std::function<void(int64_t, int64_t)>& step) {
  ArtifactDiff diff;
  diff.scheme_a = a.scheme();
  diff.scheme_b = b.scheme();
  diff.bytes_a = tensor_bytes(a);
  diff.bytes_b = tensor_bytes(b);
  const Parts parts_a = parts_of(a, weights_only), parts_b = parts_of(b, weights_only);
  std::map<std::string, std::pair<const Part*, const Part*>> both;
  for (const auto& [name, part] : parts_a) both[name].first = &part;
  for (const auto& [name, part] : parts_b) both[name].second = &part;
  Comparison comparison(a, b, threads);
  for (const auto& [name, parts] : both) {
    diff.tensors.push_back(comparison.compare(name, parts.first, parts.second));
    if (step) step(static_cast<int64_t>(diff.tensors.size()), static_cast<int64_t>(both.size()));
  }
  std::sort(diff.tensors.begin(), diff.tensors.end(), worse);
  diff.relative_error = comparison.relative_error();
  diff_json(without_quantisation(a), without_quantisation(b), "", diff.config);
  if (kv_of(a, weights_only) != kv_of(b, weights_only)) {
    diff.config.push_back({"/quantization_config/kv_cache_scheme",
                           std::string(kv_of(a, weights_only)),
                           std::string(kv_of(b, weights_only))});
  }
  diff_files(a, b, diff.files);
  const auto of_a = made_from(a), of_b = made_from(b);
  for (size_t i = 0; i < of_a.size(); ++i) {
    if (of_a[i].a != of_b[i].a) diff.manifest.push_back({of_a[i].field, of_a[i].a, of_b[i].a});
  }
  return diff;
}

Json to_json(const ArtifactDiff& diff) {
  Json counts = Json::object(), tensors = Json::array();
  for (const Difference d : kDifferences) counts[to_string(d)] = diff.count(d);
  for (const TensorDiff& t : diff.tensors) {
    tensors.push_back({{"name", t.name},
                       {"difference", to_string(t.difference)},
                       {"format", {t.format_a, t.format_b}},
                       {"inputs", {t.inputs_a, t.inputs_b}},
                       {"relative_error", t.relative_error},
                       {"max_error", t.max_error},
                       {"cosine", t.cosine}});
  }
  return {{"same", diff.same()},
          {"scheme", {diff.scheme_a, diff.scheme_b}},
          {"bytes", {diff.bytes_a, diff.bytes_b}},
          {"relative_error", diff.relative_error},
          {"counts", counts},
          {"config", to_json(diff.config)},
          {"files", to_json(diff.files)},
          {"manifest", to_json(diff.manifest)},
          {"tensors", tensors}};
}

}  // namespace sinter
