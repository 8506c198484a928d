#include "compress/profile/profile.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "artifact/safetensors.h"
#include "base/error.h"

namespace sinter {
namespace {

constexpr int64_t kSchema = 1;
constexpr int64_t kMostLayers = 1 << 16;

[[noreturn]] void fail_corrupt(const std::string& where, const std::string& what) {
  fail(Fault::corrupt, "profile-corrupt", "{}: {}; profile again, into another directory", where,
       what);
}

const Json& list_of(const JsonFields& f, const char* key) {
  const Json& list = f.at(key);
  if (!list.is_array()) fail_corrupt(f.where(), fmt::format("{}: expected a list", key));
  return list;
}

template <typename Read>
auto each_of(const JsonFields& f, const char* key, const Read& read) {
  std::vector<decltype(read(JsonFields(f.json(), "")))> out;
  const Json& list = list_of(f, key);
  for (size_t i = 0; i < list.size(); ++i) {
    out.push_back(read(JsonFields(list[i], fmt::format("{}: {} {}", f.where(), key, i))));
  }
  return out;
}

int64_t count(const JsonFields& f, const char* key) {
  const int64_t n = f.integer(key);
  if (n < 0 || n > int64_t{1} << 60) fail_corrupt(f.where(), fmt::format("{}: found {}", key, n));
  return n;
}

double size(const JsonFields& f, const char* key) {
  const double x = f.number(key);
  if (!(x >= 0) || !std::isfinite(x)) fail_corrupt(f.where(), fmt::format("{}: found {}", key, x));
  return x;
}

std::vector<double> sizes_of(const JsonFields& f, const char* key) {
  std::vector<double> out;
  for (const Json& x : list_of(f, key)) {
    if (!x.is_number()) fail_corrupt(f.where(), fmt::format("{}: expected numbers", key));
    out.push_back(x.get<double>());
  }
  return out;
}

std::vector<std::string> words_of(const JsonFields& f, const char* key) {
  std::vector<std::string> out;
  for (const Json& x : list_of(f, key)) {
    if (!x.is_string()) fail_corrupt(f.where(), fmt::format("{}: expected words", key));
    out.push_back(x.get<std::string>());
  }
  return out;
}

Json to_json(const ProfiledRange& r);
Json to_json(const ProfiledRounding& r);
Json to_json(const ProfiledHead& h);
Json to_json(const OutlierChannel& o);
Json to_json(const ProfiledInput& i);
Json to_json(const ProfiledMatrix& m);

template <typename Item>
Json list_json(const std::vector<Item>& items) {
  Json out = Json::array();
  for (const Item& item : items) out.push_back(to_json(item));
  return out;
}

Json to_json(const ProfiledRange& r) {
  return {{"range", r.name}, {"limit", r.limit}, {"values", r.values}, {"tokens", r.tokens}};
}

ProfiledRange range_from(const JsonFields& f) {
  return {.name = f.string("range"),
          .limit = size(f, "limit"),
          .values = count(f, "values"),
          .tokens = count(f, "tokens")};
}

Json to_json(const ProfiledRounding& r) {
  return {{"activations", r.activations},
          {"range", r.range},
          {"error", r.error},
          {"channel_error", r.channel_error}};
}

ProfiledRounding rounding_from(const JsonFields& f) {
  return {.activations = f.string("activations"),
          .range = f.string("range"),
          .error = size(f, "error"),
          .channel_error = size(f, "channel_error")};
}

Json to_json(const ProfiledHead& h) {
  return {{"peak", h.peak}, {"rms", h.rms}, {"errors", h.errors}};
}

ProfiledHead head_from(const JsonFields& f) {
  return {.peak = size(f, "peak"), .rms = size(f, "rms"), .errors = sizes_of(f, "errors")};
}

Json to_json(const OutlierChannel& o) {
  return {{"channel", o.channel}, {"peaks", o.peak}, {"tokens", o.tokens}};
}

OutlierChannel outlier_from(const JsonFields& f) {
  const std::vector<double> peaks = sizes_of(f, "peaks");
  if (peaks.size() != 2) fail_corrupt(f.where(), "peaks: expected two");
  return {
      .channel = count(f, "channel"), .peak = {peaks[0], peaks[1]}, .tokens = count(f, "tokens")};
}

Json to_json(const ProfiledInput& i) {
  const LinearStability& s = i.stability;
  return {{"input", i.name},
          {"modules", i.modules},
          {"channels", s.n_channels},
          {"tokens", s.n_tokens},
          {"peak", i.peak},
          {"rms", i.rms},
          {"worst_channel", i.worst_channel},
          {"peak_ratio", i.peak_ratio},
          {"median", i.median},
          {"top_share", i.top_share},
          {"unusable", i.unusable},
          {"dead_channels", s.n_dead},
          {"halves",
           {{"peak_difference", s.peak_difference},
            {"peak_difference_p95", s.worst_peak_difference},
            {"mean_difference", s.mean_difference},
            {"correlation", s.correlation}}},
          {"outliers", list_json(s.outliers)},
          {"ranges", list_json(i.ranges)},
          {"rounding", list_json(i.roundings)},
          {"heads", list_json(i.heads)}};
}

ProfiledInput input_from(const JsonFields& f) {
  const JsonFields halves = f.object("halves");
  const std::string name = f.string("input");
  ProfiledInput i{.name = name,
                  .modules = words_of(f, "modules"),
                  .peak = size(f, "peak"),
                  .rms = size(f, "rms"),
                  .worst_channel = count(f, "worst_channel"),
                  .peak_ratio = size(f, "peak_ratio"),
                  .median = size(f, "median"),
                  .top_share = size(f, "top_share"),
                  .unusable = count(f, "unusable"),
                  .stability = {.module = name,
                                .n_channels = count(f, "channels"),
                                .n_tokens = count(f, "tokens"),
                                .n_dead = count(f, "dead_channels"),
                                .peak_difference = size(halves, "peak_difference"),
                                .mean_difference = size(halves, "mean_difference"),
                                .worst_peak_difference = size(halves, "peak_difference_p95"),
                                .correlation = halves.number("correlation"),
                                .outliers = each_of(f, "outliers", outlier_from)},
                  .ranges = each_of(f, "ranges", range_from),
                  .roundings = each_of(f, "rounding", rounding_from),
                  .heads = each_of(f, "heads", head_from)};
  if (i.stability.n_channels == 0) fail_corrupt(f.where(), "channels: found none");
  for (const OutlierChannel& o : i.stability.outliers) {
    if (o.channel >= i.stability.n_channels) {
      fail_corrupt(f.where(),
                   fmt::format("outliers: channel {} of {}", o.channel, i.stability.n_channels));
    }
  }
  for (const ProfiledHead& h : i.heads) {
    if (h.errors.size() != i.roundings.size()) {
      fail_corrupt(f.where(), "heads: expected an error for each rounding");
    }
  }
  return i;
}

Json to_json(const ProfiledMatrix& m) {
  return {{"module", m.module}, {"rows", m.rows}, {"columns", m.cols},
          {"peak", m.peak},     {"rms", m.rms},   {"kurtosis", m.kurtosis}};
}

ProfiledMatrix matrix_from(const JsonFields& f) {
  return {.module = f.string("module"),
          .rows = count(f, "rows"),
          .cols = count(f, "columns"),
          .peak = size(f, "peak"),
          .rms = size(f, "rms"),
          .kurtosis = size(f, "kurtosis")};
}

// Of the same inputs, tried in the same ways.
bool are_alike(const ProfiledLayer& a, const ProfiledLayer& b) {
  return std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(),
                    [](const ProfiledInput& x, const ProfiledInput& y) {
                      return x.name == y.name && x.stability.n_channels == y.stability.n_channels &&
                             x.heads.size() == y.heads.size() &&
                             std::equal(x.roundings.begin(), x.roundings.end(), y.roundings.begin(),
                                        y.roundings.end(),
                                        [](const ProfiledRounding& r, const ProfiledRounding& t) {
                                          return r.activations == t.activations &&
                                                 r.range == t.range;
                                        });
                    });
}

}  // namespace

Json to_json(const ProfileKey& k) {
  return {{"base", k.base_digest},
          {"corpus", k.corpus_digest},
          {"build", k.build},
          {"calibration_tokens", k.limits.max_tokens},
          {"sequence_tokens", k.limits.sequence_tokens},
          {"rounded_tokens", k.rounded_tokens},
          {"gram", k.gram}};
}

ProfileKey profile_key_from(const Json& json, const std::string& where) {
  const JsonFields f(json, where);
  const int64_t sequence = count(f, "sequence_tokens");
  if (sequence > INT32_MAX) fail_corrupt(where, "sequence_tokens: out of range");
  return {.base_digest = f.string("base"),
          .corpus_digest = f.string("corpus"),
          .build = f.string("build"),
          .limits = {.max_tokens = count(f, "calibration_tokens"),
                     .sequence_tokens = static_cast<int32_t>(sequence)},
          .rounded_tokens = count(f, "rounded_tokens"),
          .gram = f.boolean("gram", false)};
}

std::string difference(const ProfileKey& a, const ProfileKey& b) {
  return a.base_digest != b.base_digest       ? "of another checkpoint"
         : a.corpus_digest != b.corpus_digest ? "over other calibration tokens"
         : a.limits.max_tokens != b.limits.max_tokens ||
                 a.limits.sequence_tokens != b.limits.sequence_tokens
             ? "with other limits of calibration tokens"
         : a.rounded_tokens != b.rounded_tokens ? "with other --rounded-tokens"
         : a.gram != b.gram                     ? (a.gram ? "with --gram" : "without --gram")
         : a.build != b.build                   ? "by another build of sinter"
                                                : "";
}

const ProfiledRange* ProfiledInput::range(const std::string& range_name) const {
  const auto at = std::find_if(ranges.begin(), ranges.end(),
                               [&](const ProfiledRange& r) { return r.name == range_name; });
  return at == ranges.end() ? nullptr : &*at;
}

const ProfiledRounding* ProfiledInput::rounding(const std::string& activations,
                                                const std::string& range_name) const {
  const auto at = std::find_if(roundings.begin(), roundings.end(), [&](const ProfiledRounding& r) {
    return r.activations == activations && r.range == range_name;
  });
  return at == roundings.end() ? nullptr : &*at;
}

Json to_json(const ProfiledLayer& l) {
  return {{"layer", l.layer},
          {"file", l.file},
          {"sha256", l.sha256},
          {"dropped_tokens", l.dropped},
          {"inputs", list_json(l.inputs)},
          {"matrices", list_json(l.matrices)}};
}

ProfiledLayer profiled_layer_from(const Json& json, const std::string& where) {
  const JsonFields f(json, where);
  const int64_t layer = count(f, "layer");
  if (layer >= kMostLayers) fail_corrupt(where, "layer: out of range");
  if (f.string("file").find('/') != std::string::npos) fail_corrupt(where, "file: found a path");
  return {.layer = static_cast<int32_t>(layer),
          .inputs = each_of(f, "inputs", input_from),
          .matrices = each_of(f, "matrices", matrix_from),
          .dropped = count(f, "dropped_tokens"),
          .file = f.string("file"),
          .sha256 = f.string("sha256")};
}

Json to_json(const Profile& p) {
  return {{"profile", kSchema},           {"key", to_json(p.key)},
          {"corpus", p.corpus},           {"tokens", p.n_tokens},
          {"sequences", p.n_sequences},   {"rounded_tokens", p.rounded_tokens},
          {"layers", list_json(p.layers)}};
}

Profile profile_from(const Json& json, const std::string& where) {
  const JsonFields f(json, where);
  if (const int64_t schema = f.integer("profile"); schema != kSchema) {
    fail_corrupt(where, fmt::format("profile: expected version {}, found {}", kSchema, schema));
  }
  Profile p{.key = profile_key_from(f.at("key"), where + ": key"),
            .corpus = f.string("corpus"),
            .n_tokens = count(f, "tokens"),
            .n_sequences = count(f, "sequences"),
            .rounded_tokens = count(f, "rounded_tokens"),
            .layers = {}};
  for (const Json& l : list_of(f, "layers")) {
    const auto i = static_cast<int32_t>(p.layers.size());
    p.layers.push_back(profiled_layer_from(l, fmt::format("{}: layer {}", where, i)));
    if (p.layers.back().layer != i) fail_corrupt(where, fmt::format("layer {} is not there", i));
    if (!are_alike(p.layers.front(), p.layers.back())) {
      fail_corrupt(where, fmt::format("layer {} has other inputs than layer 0", i));
    }
  }
  return p;
}

Profile read_profile(const std::string& directory) {
  const std::string path = directory + "/" + kProfileName;
  return profile_from(read_json_file(path), path);
}

std::vector<float> channel_peaks(const std::string& directory, const ProfiledLayer& layer,
                                 const ProfiledInput& input) {
  const std::string path = directory + "/" + layer.file;
  const auto file = Checkpoint::open_file(path);
  const std::string name = input.name + ".peak";
  const StoredTensor* t = file->find(name);
  const auto n = static_cast<size_t>(input.stability.n_channels);
  if (t == nullptr || t->dtype != DType::f32 || t->bytes.size() != n * sizeof(float)) {
    fail_corrupt(path, fmt::format("{}: expected {} floats", name, n));
  }
  std::vector<float> peaks(n);
  std::memcpy(peaks.data(), t->bytes.data(), t->bytes.size());
  return peaks;
}

std::vector<LinearStability> linears_of(const Profile& profile) {
  std::vector<LinearStability> out;
  for (const ProfiledLayer& layer : profile.layers) {
    for (const ProfiledInput& input : layer.inputs) {
      for (const std::string& module : input.modules) {
        out.push_back(input.stability);
        out.back().module = module;
      }
    }
  }
  return out;
}

}  // namespace sinter
