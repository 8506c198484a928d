// YAML as recipes use it, from hands we do not trust: a tree of scalars, lists and maps with the
// line of everything. Anchors, aliases and tags are refused (an alias bomb needs them), as are
// duplicate keys, a second document, and more than kMaxYamlBytes or kMaxYamlDepth.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

inline constexpr size_t kMaxYamlBytes = size_t{256} * 1024;
inline constexpr size_t kMaxYamlDepth = 32;

struct YamlNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  int line = 1;
  std::string text;               // of a scalar
  bool quoted = false;            // "8" is text, 8 a number
  std::vector<std::string> keys;  // of a map, in order; values are in items
  std::vector<YamlNode> items;
  const YamlNode* find(std::string_view key) const;  // null = absent, or not a map
};

// `where` is the file. Throws Error(bad_input, "recipe-syntax").
YamlNode parse_yaml(std::string_view text, const std::string& where);

// Reads a map's fields. Every complaint is Error(bad_input, "recipe-field") with file and line.
class YamlFields {
 public:
  // Refuses keys that are not in `known`, proposing the nearest that is.
  YamlFields(const YamlNode& node, const std::string& where,
             std::span<const std::string_view> known);
  bool has(std::string_view key) const;  // present and not null
  const YamlNode& at(std::string_view key) const;
  std::string string(std::string_view key) const;
  std::string string(std::string_view key, const std::string& fallback) const;
  int64_t integer(std::string_view key) const;
  double number(std::string_view key, double fallback, double least, double most) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::vector<std::string> strings(std::string_view key) const;  // a list, or one string
  std::string place(std::string_view key) const;                 // "recipe.yaml:7: targets"

 private:
  const YamlNode& node_;
  const std::string& where_;
};

// Of `known`, what `name` was probably meant to be: "; did you mean X?", or "".
std::string nearest(std::string_view name, std::span<const std::string_view> known);

}  // namespace sinter
