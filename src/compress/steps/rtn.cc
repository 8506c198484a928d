// Round to nearest: each group's grid from its own weights, each weight to the nearest point. No
// calibration. `observer: mse` shrinks a group's range where that lowers its squared error; the
// grid of shrinks is llm-compressor's idea (its mse observer), the numbers are ours.
#include <algorithm>
#include <array>
#include <limits>

#include "artifact/dialect.h"
#include "artifact/name_pattern.h"
#include "base/error.h"
#include "compress/scheme_words.h"
#include "compress/steps.h"
#include "compress/yaml_tree.h"

namespace sinter {
namespace {

// Tried from the widest; the first best wins. Down to 0.5 because 2-bit grids clip that hard.
constexpr std::array<float, 21> kShrinks = {1.0f,   0.975f, 0.95f,  0.925f, 0.9f,   0.875f, 0.85f,
                                            0.825f, 0.8f,   0.775f, 0.75f,  0.725f, 0.7f,   0.675f,
                                            0.65f,  0.625f, 0.6f,   0.575f, 0.55f,  0.525f, 0.5f};

constexpr size_t kMaxPatterns = 1024;

struct Override {
  std::vector<NamePattern> match;
  std::optional<Scheme> scheme;  // nullopt = stays dense
};

struct RtnWords {
  Scheme scheme;
  std::vector<NamePattern> targets, ignore;
  std::vector<Override> overrides;
  bool mse = false;
  bool allow_split = false;
};

bool matches(const NamePattern& p, std::string_view module) {
  return p.matches(module) || p.text() == module_class(module);
}

bool any_matches(const std::vector<NamePattern>& patterns, std::string_view module) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const NamePattern& p) { return matches(p, module); });
}

class Rtn : public Step {
 public:
  explicit Rtn(RtnWords words) : words_(std::move(words)) {}
  StepKind kind() const override { return StepKind::round; }
  bool allows_split() const override { return words_.allow_split; }

  const Scheme* scheme_of(std::string_view module) const override {
    if (any_matches(words_.ignore, module)) return nullptr;
    if (const Override* o = override_of(module)) return o->scheme ? &*o->scheme : nullptr;
    return any_matches(words_.targets, module) ? &words_.scheme : nullptr;
  }

  std::vector<std::string> idle_patterns(std::span<const std::string> modules) const override {
    std::vector<std::string> idle;
    for (const auto* list : {&words_.targets, &words_.ignore}) {
      for (const NamePattern& p : *list) {
        if (std::none_of(modules.begin(), modules.end(),
                         [&](const std::string& m) { return matches(p, m); })) {
          idle.push_back(p.text());
        }
      }
    }
    for (const Override& o : words_.overrides) {
      const auto decides = [&](const std::string& m) {
        return !any_matches(words_.ignore, m) && override_of(m) == &o;
      };
      if (std::none_of(modules.begin(), modules.end(), decides)) idle.push_back(o.match[0].text());
    }
    return idle;
  }

  std::string problem(const Format&, int64_t) const override { return ""; }

  void round_row(const Format& format, std::span<const float> w, uint8_t* params,
                 uint8_t* codes) const override {
    format.codec->fit_row(format, w, {}, params);
    if (words_.mse) search(format, w, params, codes);
    format.codec->pack_row(format, w, params, codes);
  }

 private:
  const Override* override_of(std::string_view module) const {
    for (const Override& o : words_.overrides) {
      if (any_matches(o.match, module)) return &o;
    }
    return nullptr;
  }

  // Fits each group by its best shrink. `codes` is scratch.
  static void search(const Format& format, std::span<const float> w, uint8_t* params,
                     uint8_t* codes) {
    const auto group = static_cast<size_t>(scale_columns(format, static_cast<int64_t>(w.size())));
    const size_t n_groups = w.size() / group;
    std::vector<float> back(w.size()), best(n_groups, 1.0f);
    std::vector<double> least(n_groups, std::numeric_limits<double>::infinity());
    for (const float shrink : kShrinks) {
      format.codec->fit_row(format, w, {.shrink = shrink}, params);
      format.codec->pack_row(format, w, params, codes);
      format.codec->unpack_row(format, codes, params, back);
      for (size_t g = 0; g < n_groups; ++g) {
        double error = 0;
        for (size_t i = g * group; i < (g + 1) * group; ++i) {
          const double d = double{back[i]} - double{w[i]};
          error += d * d;
        }
        if (error < least[g]) {
          least[g] = error;
          best[g] = shrink;
        }
      }
    }
    format.codec->fit_row(format, w, {.group_shrinks = best}, params);
  }

  RtnWords words_;
};

std::vector<NamePattern> read_patterns(const YamlFields& fields, std::string_view key) {
  std::vector<NamePattern> patterns;
  for (std::string& text : fields.strings(key)) {
    patterns.emplace_back(std::move(text), NamePattern::Globs::yes, fields.place(key));
  }
  if (patterns.size() > kMaxPatterns) {
    fail(Fault::bad_input, "recipe-field", "{}: expected at most {} patterns, found {}",
         fields.place(key), kMaxPatterns, patterns.size());
  }
  return patterns;
}

Override read_override(const YamlNode& node, const std::string& where, const Scheme& base) {
  std::vector<std::string_view> keys(kSchemeWords.begin(), kSchemeWords.end());
  keys.push_back("match");
  const YamlFields fields(node, where, keys);
  Override override{.match = read_patterns(fields, "match"), .scheme = read_scheme(fields, base)};
  if (override.match.empty()) {
    fail(Fault::bad_input, "recipe-field", "{}: expected a pattern", fields.place("match"));
  }
  return override;
}

}  // namespace

std::shared_ptr<const Step> read_rtn(const YamlNode& node, const std::string& where) {
  std::vector<std::string_view> keys(kSchemeWords.begin(), kSchemeWords.end());
  for (const char* key : {"targets", "ignore", "overrides", "observer", "allow_split"}) {
    keys.push_back(key);
  }
  const YamlFields fields(node, where, keys);
  RtnWords words;
  if (!fields.has("scheme") && !fields.has("num_bits")) {
    fail(Fault::bad_input, "recipe-field", "{}: expected a scheme (such as W4A16) or num_bits",
         fields.place("scheme"));
  }
  const std::optional<Scheme> scheme = read_scheme(fields, Scheme{});
  if (!scheme) {
    fail(Fault::bad_input, "recipe-field", "{}: dense is for overrides; a step must round",
         fields.place("scheme"));
  }
  words.scheme = *scheme;
  words.targets = fields.has("targets")
                      ? read_patterns(fields, "targets")
                      : std::vector{NamePattern("Linear", NamePattern::Globs::no, where)};
  words.ignore = fields.has("ignore")
                     ? read_patterns(fields, "ignore")
                     : std::vector{NamePattern("lm_head", NamePattern::Globs::no, where)};
  const std::string observer = fields.string("observer", "minmax");
  if (observer != "minmax" && observer != "mse") {
    fail(Fault::bad_input, "recipe-field", "{}: expected minmax or mse, found \"{}\"",
         fields.place("observer"), observer.substr(0, 60));
  }
  words.mse = observer == "mse";
  words.allow_split = fields.boolean("allow_split", false);
  if (fields.has("overrides")) {
    const YamlNode& list = fields.at("overrides");
    if (list.kind != YamlNode::Kind::list || list.items.size() > kMaxPatterns) {
      fail(Fault::bad_input, "recipe-field", "{}: expected a list of at most {} {{match, scheme}}",
           fields.place("overrides"), kMaxPatterns);
    }
    for (const YamlNode& item : list.items) {
      words.overrides.push_back(read_override(item, where, words.scheme));
    }
  }
  return std::make_shared<Rtn>(std::move(words));
}

}  // namespace sinter
