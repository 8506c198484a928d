#include "compress/sensitivity.h"

#include "base/error.h"

namespace sinter {
namespace {

constexpr int64_t kSchema = 1;

MeasuredOption option_from(const Json& json, const std::string& where) {
  const JsonFields f(json, where);
  return {.bytes = f.integer("bytes"),
          .kl = f.number("kl"),
          .flip_rate = f.number("flip_rate"),
          .output_error = f.number("output_error")};
}

[[noreturn]] void fail_corrupt(const std::string& where, const std::string& what) {
  fail(Fault::corrupt, "sensitivity-corrupt", "{}: {}; measure again", where, what);
}

const Json& list_of(const JsonFields& fields, const char* key) {
  const Json& list = fields.at(key);
  if (!list.is_array()) fail_corrupt(fields.where(), fmt::format("{}: expected a list", key));
  return list;
}

std::vector<std::string> strings_of(const JsonFields& fields, const char* key) {
  std::vector<std::string> out;
  for (const Json& item : list_of(fields, key)) {
    if (!item.is_string()) fail_corrupt(fields.where(), fmt::format("{}: expected words", key));
    out.push_back(item.get<std::string>());
  }
  return out;
}

}  // namespace

Json to_json(const MeasuredOption& o) {
  return {{"bytes", o.bytes},
          {"kl", o.kl},
          {"flip_rate", o.flip_rate},
          {"output_error", o.output_error}};
}

Json to_json(const MatrixGroup& g) {
  Json options = Json::array();
  for (const MeasuredOption& o : g.options) options.push_back(to_json(o));
  return {{"layer", g.layer},
          {"input", g.input},
          {"modules", g.modules},
          {"weights", g.weights},
          {"options", options}};
}

MatrixGroup matrix_group_from(const Json& json, const std::string& where) {
  const JsonFields f(json, where);
  MatrixGroup g{.layer = 0,
                .input = f.string("input"),
                .modules = strings_of(f, "modules"),
                .weights = f.integer("weights"),
                .options = {}};
  const int64_t layer = f.integer("layer");
  if (layer < 0 || layer > INT32_MAX) fail_corrupt(where, "layer: out of range");
  g.layer = static_cast<int32_t>(layer);
  for (const Json& o : list_of(f, "options")) {
    g.options.push_back(option_from(o, where));
    const MeasuredOption& option = g.options.back();
    if (option.bytes < 0 || option.bytes > int64_t{1} << 50 || !(option.kl >= 0) ||
        !(option.flip_rate >= 0)) {
      fail_corrupt(where, "options: a number out of range");
    }
  }
  return g;
}

Json to_json(const Sensitivity& s) {
  Json groups = Json::array();
  for (const MatrixGroup& g : s.groups) groups.push_back(to_json(g));
  return {
      {"schema", kSchema},
      {"base", s.base_digest},
      {"corpus", s.corpus_digest},
      {"build", s.build},
      {"measured", s.measured},
      {"tokens",
       {{"statistics", s.statistics_tokens}, {"scored", s.scored_tokens}, {"sure", s.sure_tokens}}},
      {"formats", s.formats},
      {"groups", groups}};
}

Sensitivity sensitivity_from(const Json& json, const std::string& where) {
  const JsonFields f(json, where);
  if (f.integer("schema") != kSchema) {
    fail(Fault::unsupported, "manifest-schema",
         "{}: expected schema {}, found {}; use a newer sinter", where, kSchema,
         f.integer("schema"));
  }
  const JsonFields tokens = f.object("tokens");
  Sensitivity s{.base_digest = f.string("base"),
                .corpus_digest = f.string("corpus"),
                .build = f.string("build"),
                .measured = f.string("measured"),
                .statistics_tokens = tokens.integer("statistics"),
                .scored_tokens = tokens.integer("scored"),
                .sure_tokens = tokens.integer("sure"),
                .formats = strings_of(f, "formats"),
                .groups = {}};
  for (const Json& g : list_of(f, "groups")) {
    s.groups.push_back(matrix_group_from(g, where));
    if (s.groups.back().options.size() != s.formats.size()) {
      fail_corrupt(where, fmt::format("groups: expected {} options, found {}", s.formats.size(),
                                      s.groups.back().options.size()));
    }
  }
  return s;
}

void require_same_measurement(const Sensitivity& found, const Sensitivity& expected,
                              const std::string& where) {
  const char* what = found.base_digest != expected.base_digest       ? "another checkpoint"
                     : found.corpus_digest != expected.corpus_digest ? "other calibration tokens"
                     : found.measured != expected.measured ? "other steps, schemes or tokens"
                     : found.build != expected.build       ? "another build of sinter"
                                                           : nullptr;
  if (what != nullptr) {
    fail(Fault::incompatible, "sensitivity-differs",
         "{}: this is a measurement with {}; use it with what it was made from, or measure again",
         where, what);
  }
  // The same by name; by shape, too, unless somebody wrote it by hand.
  bool same = found.formats == expected.formats && found.groups.size() == expected.groups.size();
  for (size_t i = 0; same && i < found.groups.size(); ++i) {
    const MatrixGroup &a = found.groups[i], &b = expected.groups[i];
    same = a.modules == b.modules && a.weights == b.weights;
    for (size_t j = 0; same && j < a.options.size(); ++j) {
      same = a.options[j].bytes == b.options[j].bytes;
    }
  }
  if (!same) fail_corrupt(where, "its groups are not those of this checkpoint and recipe");
}

}  // namespace sinter
