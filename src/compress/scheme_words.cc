#include "compress/scheme_words.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"

namespace sinter {
namespace {

// Presets of compressed-tensors whose inputs cannot be had, and what to take instead.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kInputsOfFour = {
    {{"NVFP4", "NVFP4A16"}, {"MXFP4", "MXFP4A16"}}};

constexpr int32_t kBlock = 128;  // rows and columns, as every loader of FP8 blocks has them

// Who shares a scale: strategy and group_size.
void read_groups(const YamlFields& fields, Scheme& scheme) {
  const std::string strategy = fields.string("strategy", "");
  constexpr std::array<std::string_view, 4> kStrategies = {"group", "channel", "tensor", "block"};
  if (!strategy.empty() &&
      std::find(kStrategies.begin(), kStrategies.end(), strategy) == kStrategies.end()) {
    fail(Fault::bad_input, "recipe-field",
         "{}: expected group, channel, tensor or block, found "
         "\"{}\"",
         fields.place("strategy"), strategy.substr(0, 60));
  }
  if (fields.has("group_size")) {
    const int64_t size = fields.integer("group_size");
    const bool of_columns =
        size >= 1 && size <= INT32_MAX && (strategy.empty() || strategy == "group");
    const bool of_channel = size == -1 && (strategy.empty() || strategy == "channel");
    if (!of_columns && !of_channel) {
      fail(Fault::bad_input, "recipe-field",
           "{}: expected a number of columns (strategy: group) or -1 (one scale per channel), "
           "found {}{}",
           fields.place("group_size"), size,
           strategy.empty() ? "" : fmt::format(" with strategy: {}", strategy));
    }
    scheme.group = size == -1 ? 0 : static_cast<int32_t>(size);
    scheme.per_tensor = false;
    scheme.block_rows = 0;
  }
  if (strategy.empty()) return;
  if (strategy == "group" && (scheme.group == 0 || scheme.block_rows > 0)) {
    fail(Fault::bad_input, "recipe-field", "{}: group needs group_size", fields.place("strategy"));
  }
  scheme.per_tensor = strategy == "tensor";
  scheme.block_rows = strategy == "block" ? kBlock : 0;
  if (strategy != "group") scheme.group = strategy == "block" ? kBlock : 0;
}

}  // namespace

std::optional<Scheme> read_scheme(const YamlFields& fields, const Scheme& base) {
  Scheme scheme = base;
  if (fields.has("scheme")) {
    const std::string name = fields.string("scheme");
    if (name == "dense") {
      for (const std::string_view word : kSchemeWords) {
        if (word != "scheme" && fields.has(word)) {
          fail(Fault::bad_input, "recipe-field", "{}: has no meaning beside scheme: dense",
               fields.place(word));
        }
      }
      return std::nullopt;
    }
    std::vector<std::string_view> names = {"dense"};
    for (const Preset& p : presets()) names.push_back(p.name);
    const Scheme* preset = preset_named(name);
    for (const auto& [refused, instead] : kInputsOfFour) {
      if (name != refused) continue;
      fail(Fault::unsupported, "recipe-scheme",
           "{}: {} rounds inputs to 4 bits, which this version does not compute; {} has the same "
           "weights, and inputs as they are",
           fields.place("scheme"), name, instead);
    }
    if (preset == nullptr) {
      fail(Fault::bad_input, "recipe-field", "{}: expected one of {}, found \"{}\"{}",
           fields.place("scheme"), fmt::join(names, ", "), name.substr(0, 60),
           nearest(name, names));
    }
    scheme = *preset;
  }
  if (fields.has("num_bits")) {
    const int64_t bits = fields.integer("num_bits");
    scheme.bits = bits < 0 || bits > 64 ? 0 : static_cast<int>(bits);
  }
  scheme.symmetric = fields.boolean("symmetric", scheme.symmetric);
  read_groups(fields, scheme);
  if (const std::string problem = scheme_problem(scheme); !problem.empty()) {
    fail(Fault::bad_input, "recipe-field", "{}: {}", fields.place("scheme"), problem);
  }
  return scheme;
}

}  // namespace sinter
