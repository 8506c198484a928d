#include "compress/budget.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "compress/scheme_words.h"

namespace sinter {
namespace {

constexpr size_t kMaxSchemes = 32;
constexpr std::array<std::pair<Budget::Limit, const char*>, 3> kLimits = {
    {{Budget::Limit::bytes, "bytes"},
     {Budget::Limit::bits_per_weight, "bits_per_weight"},
     {Budget::Limit::tokens_per_second, "tokens_per_second"}}};

// "1500000", "900MiB", "1.5 GB".
double read_bytes(const YamlFields& fields) {
  const std::string text = fields.string("bytes");
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(end, text.data() + text.size());
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  constexpr std::array<std::pair<std::string_view, double>, 7> kUnits = {{{"", 1},
                                                                          {"KB", 1e3},
                                                                          {"MB", 1e6},
                                                                          {"GB", 1e9},
                                                                          {"KiB", 0x1p10},
                                                                          {"MiB", 0x1p20},
                                                                          {"GiB", 0x1p30}}};
  for (const auto& [name, factor] : kUnits) {
    const double bytes = number * factor;
    if (error == std::errc() && unit == name && bytes >= 1 && bytes <= 0x1p50) return bytes;
  }
  fail(Fault::bad_input, "recipe-field",
       "{}: expected a number of bytes, or of KB, MB, GB, KiB, MiB or GiB, found \"{}\"",
       fields.place("bytes"), text.substr(0, 60));
}

void read_limit(const YamlFields& fields, const YamlNode& node, const std::string& where,
                Budget& budget) {
  int n = 0;
  for (const auto& [limit, name] : kLimits) {
    if (!fields.has(name)) continue;
    ++n;
    budget.limit = limit;
    budget.amount =
        limit == Budget::Limit::bytes ? read_bytes(fields) : fields.number(name, 0, 1e-3, 1e9);
  }
  if (n != 1) {
    fail(Fault::bad_input, "recipe-field",
         "{}:{}: expected one of bytes, bits_per_weight and tokens_per_second, found {}", where,
         node.line, n);
  }
  if (budget.limit != Budget::Limit::tokens_per_second && fields.has("read_gb_per_second")) {
    fail(Fault::bad_input, "recipe-field", "{}: has no meaning without tokens_per_second",
         fields.place("read_gb_per_second"));
  }
  budget.read_gb_per_second = fields.number("read_gb_per_second", 0, 1e-3, 1e6);
}

Scheme read_one(const YamlNode& item, const std::string& where) {
  YamlNode words = item;
  if (item.kind == YamlNode::Kind::scalar) {
    words = {.kind = YamlNode::Kind::map,
             .line = item.line,
             .text = "",
             .quoted = false,
             .keys = {"scheme"},
             .items = {item}};
  }
  const YamlFields fields(words, where, kSchemeWords);
  const std::optional<Scheme> scheme = read_scheme(fields, Scheme{});
  if (!scheme || scheme->activation != ActivationMode::exact) {
    fail(Fault::bad_input, "recipe-field",
         "{}:{}: expected a scheme that rounds weights and leaves inputs as they are (W4A16 ...): "
         "what rounding inputs costs is not measured",
         where, item.line);
  }
  return *scheme;
}

// A node as text that is equal for equal meaning, whatever the layout of the file.
void dump(const YamlNode& node, std::string& out) {
  out += static_cast<char>('0' + static_cast<int>(node.kind));
  out += fmt::format("{}{}:{}", node.quoted ? "q" : "", node.text.size(), node.text);
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (i < node.keys.size()) out += fmt::format("{}:{}", node.keys[i].size(), node.keys[i]);
    dump(node.items[i], out);
  }
  out += '.';
}

}  // namespace

const char* to_string(Budget::Limit limit) {
  const auto at = std::find_if(kLimits.begin(), kLimits.end(),
                               [&](const auto& named) { return named.first == limit; });
  SINTER_CHECK(at != kLimits.end());
  return at->second;
}

Budget read_budget(const YamlNode& node, const YamlNode& steps, const std::string& where) {
  constexpr std::array<std::string_view, 7> kKeys = {
      "bytes", "bits_per_weight", "tokens_per_second", "read_gb_per_second", "schemes", "tokens",
      "flips"};
  const YamlFields fields(node, where, kKeys);
  Budget budget;
  read_limit(fields, node, where, budget);
  const YamlNode& schemes = fields.at("schemes");
  if (schemes.kind != YamlNode::Kind::list || schemes.items.size() < 2 ||
      schemes.items.size() > kMaxSchemes) {
    fail(Fault::bad_input, "recipe-field", "{}: expected a list of 2 to {} schemes to choose from",
         fields.place("schemes"), kMaxSchemes);
  }
  for (const YamlNode& item : schemes.items) {
    const Scheme scheme = read_one(item, where);
    if (std::find(budget.schemes.begin(), budget.schemes.end(), scheme) != budget.schemes.end()) {
      fail(Fault::bad_input, "recipe-field", "{}:{}: this scheme stands there twice", where,
           item.line);
    }
    budget.schemes.push_back(scheme);
  }
  budget.tokens =
      static_cast<int64_t>(fields.number("tokens", static_cast<double>(budget.tokens), 1, 1e9));
  budget.flips = fields.number("flips", 0, 0, 1e6);
  std::string words = fmt::format("{} ", budget.tokens);
  dump(steps, words);
  dump(schemes, words);
  budget.measured = sha256_hex(words);
  return budget;
}

}  // namespace sinter
