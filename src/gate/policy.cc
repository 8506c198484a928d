// YAML to Policy. Every section has one table of its keys; what is in no table is an error.
#include "gate/policy.h"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"

namespace sinter {
namespace {

constexpr size_t kMaxBytes = 65536;
constexpr int kMaxDepth = 32;

[[noreturn]] void wrong(const std::string& where, const YAML::Node& node, const char* code,
                        const std::string& what) {
  fail(Fault::bad_input, code, "{}:{}: {}", where, node.Mark().line + 1, what);
}

using Read = std::function<void(const YAML::Node&, const std::string& path)>;

class Reader {
 public:
  explicit Reader(std::string where) : where_(std::move(where)) {}

  void section(const YAML::Node& node, const std::string& path,
               const std::map<std::string, Read>& keys) const {
    if (!node.IsMap()) {
      wrong(where_, node, "policy-value", path + ": expected keys with values");
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      const auto known = keys.find(key);
      if (known == keys.end()) {
        std::string names;
        for (const auto& [name, read] : keys) names += (names.empty() ? "" : ", ") + name;
        wrong(where_, entry.first, "policy-key",
              fmt::format("{}: expected one of the keys {}; found \"{}\"", path, names, key));
      }
      if (!seen.insert(key).second) {
        wrong(where_, entry.first, "policy-key",
              fmt::format("{}: the key \"{}\" occurs twice", path, key));
      }
      known->second(entry.second, fmt::format("{}/{}", path, key));
    }
  }

  Read number(double& out, double low, double high) const {
    return [this, &out, low, high](const YAML::Node& node, const std::string& path) {
      out = read_number(node, path, low, high);
    };
  }
  Read optional_number(std::optional<double>& out, double low, double high) const {
    return [this, &out, low, high](const YAML::Node& node, const std::string& path) {
      if (node.IsNull()) {
        out.reset();
      } else {
        out = read_number(node, path, low, high);
      }
    };
  }
  template <typename T>
  Read count(T& out, double high) const {
    return [this, &out, high](const YAML::Node& node, const std::string& path) {
      const double value = read_number(node, path, 0, high);
      if (value != std::floor(value)) {
        wrong(where_, node, "policy-value", path + ": expected a whole number");
      }
      out = static_cast<T>(value);
    };
  }
  Read flag(bool& out) const {
    return [this, &out](const YAML::Node& node, const std::string& path) {
      const std::string text = node.IsScalar() ? node.Scalar() : "";
      if (text != "true" && text != "false") {
        wrong(where_, node, "policy-value", path + ": expected true or false");
      }
      out = text == "true";
    };
  }
  Read text(std::string& out) const {
    return [this, &out](const YAML::Node& node, const std::string& path) {
      if (!node.IsScalar() || node.Scalar().empty()) {
        wrong(where_, node, "policy-value", path + ": expected a word");
      }
      out = node.Scalar();
    };
  }
  Read nested(std::map<std::string, Read> keys) const {
    return [this, keys = std::move(keys)](const YAML::Node& node, const std::string& path) {
      section(node, path, keys);
    };
  }

  const std::string& where() const { return where_; }

 private:
  double read_number(const YAML::Node& node, const std::string& path, double low,
                     double high) const {
    double value = 0;
    if (!node.IsScalar() || !YAML::convert<double>::decode(node, value) || !(value >= low) ||
        !(value <= high)) {
      wrong(where_, node, "policy-value",
            fmt::format("{}: expected a number from {} to {}, found \"{}\"", path, low, high,
                        node.IsScalar() ? node.Scalar().substr(0, 40) : "no number"));
    }
    return value;
  }

  std::string where_;
};

// yaml-cpp recurses once a level: bounds the levels before it sees them. Counts what can nest in
// flow style, and indentation (one column can be one level) in block style.
void check_depth(const std::string& yaml, const std::string& where) {
  int open = 0;
  int line_depth = 0;
  bool line_start = true;
  for (const char c : yaml) {
    if (c == '[' || c == '{') ++open;
    if ((c == ']' || c == '}') && open > 0) --open;
    if (c == '\n') {
      line_start = true;
      line_depth = 0;
    } else if (line_start && (c == ' ' || c == '-' || c == '?')) {
      ++line_depth;
    } else {
      line_start = false;
    }
    if (open > kMaxDepth || line_depth > 4 * kMaxDepth) {
      fail(Fault::bad_input, "policy-syntax", "{}: expected at most {} levels of nesting", where,
           kMaxDepth);
    }
  }
}

}  // namespace

Policy parse_policy(const std::string& yaml, const std::string& where) {
  if (yaml.size() > kMaxBytes) {
    fail(Fault::bad_input, "policy-syntax", "{}: expected at most {} bytes, found {}", where,
         kMaxBytes, yaml.size());
  }
  check_depth(yaml, where);
  YAML::Node root;
  try {
    root = YAML::Load(yaml);
  } catch (const YAML::Exception& e) {
    fail(Fault::bad_input, "policy-syntax", "{}:{}: {}", where, e.mark.line + 1, e.msg);
  }
  Policy p;
  if (root.IsNull()) return p;
  const Reader r(where);
  const Read costs = [&](const YAML::Node& node, const std::string& path) {
    if (!node.IsMap()) wrong(where, node, "policy-value", path + ": expected costs by name");
    for (const auto& entry : node) {
      Policy::CostLimit limit;
      r.text(limit.name)(entry.first, path);
      r.section(entry.second, path + "/" + limit.name,
                {{"max_ratio", r.optional_number(limit.max_ratio, 0, 1e9)},
                 {"min_ratio", r.optional_number(limit.min_ratio, 0, 1e9)}});
      p.costs.push_back(limit);
    }
  };
  try {
    r.section(
        root, "",
        {{"name", r.text(p.name)},
         {"success", r.nested({{"margin", r.number(p.success.margin, 1e-6, 0.5)},
                               {"confidence", r.number(p.success.confidence, 0.5, 0.9999)}})},
         {"domains", r.nested({{"alpha", r.number(p.domains.alpha, 0, 0.5)}})},
         {"critical", r.nested({{"max_lost", r.count(p.critical_max_lost, 1e9)}})},
         {"schema", r.nested({{"max_new_malformed", r.count(p.schema_max_new_malformed, 1e9)}})},
         {"safety",
          r.nested({{"max_new_refusals", r.count(p.safety_max_new_refusals, 1e9)},
                    {"max_new_compliances", r.count(p.safety_max_new_compliances, 1e9)}})},
         {"recall", r.nested({{"domain", r.text(p.recall.domain)},
                              {"min_kept", r.number(p.recall.min_kept, 0, 1)}})},
         {"likelihood", r.nested({{"notice_ratio", r.number(p.likelihood.notice_ratio, 1, 1e9)},
                                  {"fail_ratio", r.number(p.likelihood.fail_ratio, 1, 1e9)},
                                  {"alpha", r.number(p.likelihood.alpha, 0, 0.5)}})},
         {"margins", r.nested({{"fragile_share", r.number(p.margins.fragile_share, 0, 1)},
                               {"notice_lost_wide", r.count(p.margins.notice_lost_wide, 1e9)}})},
         {"text",
          r.nested({{"max_mean_kl", r.optional_number(p.text.max_mean_kl, 0, 1e9)},
                    {"max_p99_kl", r.optional_number(p.text.max_p99_kl, 0, 1e9)},
                    {"min_top1_agreement", r.optional_number(p.text.min_top1_agreement, 0, 1)}})},
         {"run", r.nested({{"max_errors", r.count(p.run.max_errors, 1e9)},
                           {"allow_different_engines", r.flag(p.run.allow_different_engines)}})},
         {"costs", costs},
         {"bootstrap", r.nested({{"resamples", r.count(p.bootstrap.resamples, 1e6)},
                                 {"seed", r.count(p.bootstrap.seed, 9e15)}})}});
  } catch (const YAML::Exception& e) {
    fail(Fault::bad_input, "policy-syntax", "{}:{}: {}", where, e.mark.line + 1, e.msg);
  }
  if (p.bootstrap.resamples < 100) {
    fail(Fault::bad_input, "policy-value",
         "{}: /bootstrap/resamples: expected at least 100, found {}", where, p.bootstrap.resamples);
  }
  if (p.likelihood.fail_ratio < p.likelihood.notice_ratio) {
    fail(Fault::bad_input, "policy-value",
         "{}: /likelihood: expected fail_ratio to be at least notice_ratio, found {} and {}", where,
         p.likelihood.fail_ratio, p.likelihood.notice_ratio);
  }
  return p;
}

Policy load_policy(const std::string& path) { return parse_policy(read_file(path), path); }

Json policy_to_json(const Policy& p) {
  const auto optional = [](const std::optional<double>& v) { return v ? Json(*v) : Json(); };
  Json costs = Json::object();
  for (const Policy::CostLimit& limit : p.costs) {
    costs[limit.name] = {{"max_ratio", optional(limit.max_ratio)},
                         {"min_ratio", optional(limit.min_ratio)}};
  }
  return {
      {"name", p.name},
      {"success", {{"margin", p.success.margin}, {"confidence", p.success.confidence}}},
      {"domains", {{"alpha", p.domains.alpha}}},
      {"critical", {{"max_lost", p.critical_max_lost}}},
      {"schema", {{"max_new_malformed", p.schema_max_new_malformed}}},
      {"safety",
       {{"max_new_refusals", p.safety_max_new_refusals},
        {"max_new_compliances", p.safety_max_new_compliances}}},
      {"recall", {{"domain", p.recall.domain}, {"min_kept", p.recall.min_kept}}},
      {"likelihood",
       {{"notice_ratio", p.likelihood.notice_ratio},
        {"fail_ratio", p.likelihood.fail_ratio},
        {"alpha", p.likelihood.alpha}}},
      {"margins",
       {{"fragile_share", p.margins.fragile_share},
        {"notice_lost_wide", p.margins.notice_lost_wide}}},
      {"text",
       {{"max_mean_kl", optional(p.text.max_mean_kl)},
        {"max_p99_kl", optional(p.text.max_p99_kl)},
        {"min_top1_agreement", optional(p.text.min_top1_agreement)}}},
      {"run",
       {{"max_errors", p.run.max_errors},
        {"allow_different_engines", p.run.allow_different_engines}}},
      {"costs", costs},
      {"bootstrap", {{"resamples", p.bootstrap.resamples}, {"seed", p.bootstrap.seed}}},
  };
}

}  // namespace sinter
