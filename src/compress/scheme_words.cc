#include "compress/scheme_words.h"

#include "base/error.h"

namespace sinter {

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
  const std::string strategy = fields.string("strategy", "");
  if (!strategy.empty() && strategy != "group" && strategy != "channel") {
    fail(Fault::bad_input, "recipe-field", "{}: expected group or channel, found \"{}\"",
         fields.place("strategy"), strategy.substr(0, 60));
  }
  if (fields.has("group_size")) {
    const int64_t size = fields.integer("group_size");
    if ((size < 1 && size != -1) || size > INT32_MAX || (size > 0 && strategy == "channel") ||
        (size == -1 && strategy == "group")) {
      fail(Fault::bad_input, "recipe-field",
           "{}: expected a number of columns (strategy: group) or -1 (one scale per channel), "
           "found {}",
           fields.place("group_size"), size);
    }
    scheme.group = size == -1 ? 0 : static_cast<int32_t>(size);
  } else if (strategy == "channel") {
    scheme.group = 0;
  }
  if (strategy == "group" && scheme.group == 0) {
    fail(Fault::bad_input, "recipe-field", "{}: group needs group_size", fields.place("strategy"));
  }
  if (const std::string problem = scheme_problem(scheme); !problem.empty()) {
    fail(Fault::bad_input, "recipe-field", "{}: {}", fields.place("scheme"), problem);
  }
  return scheme;
}

}  // namespace sinter
