// Structural comparison of JSON. Depth is bounded by the parser that made the values.
#include "gate/json_equal.h"

#include <fmt/format.h>

#include <algorithm>

namespace sinter {
namespace {

std::string brief(const Json& value) {
  std::string text = to_line(value);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

std::string difference(const Json& a, const Json& b, const std::string& path) {
  const auto here = [&] {
    return fmt::format("{}: expected {}, found {}", path.empty() ? "/" : path, brief(a), brief(b));
  };
  if (a.is_number() && b.is_number()) {
    if (a.is_number_float() || b.is_number_float()) {
      return a.get<double>() == b.get<double>() ? "" : here();
    }
    return a == b ? "" : here();
  }
  if (a.type() != b.type()) return here();
  if (a.is_array()) {
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (auto d = difference(a[i], b[i], fmt::format("{}/{}", path, i)); !d.empty()) return d;
    }
    if (a.size() == b.size()) return "";
    return fmt::format("{}: expected {} elements, found {}", path.empty() ? "/" : path, a.size(),
                       b.size());
  }
  if (a.is_object()) {
    for (const auto& [key, value] : a.items()) {
      const auto it = b.find(key);
      if (it == b.end())
        return fmt::format("{}/{}: expected {}, found nothing", path, key, brief(value));
      if (auto d = difference(value, *it, fmt::format("{}/{}", path, key)); !d.empty()) return d;
    }
    for (const auto& [key, value] : b.items()) {
      if (!a.contains(key)) {
        return fmt::format("{}/{}: expected nothing, found {}", path, key, brief(value));
      }
    }
    return "";
  }
  return a == b ? "" : here();
}

}  // namespace

bool json_equal(const Json& a, const Json& b) { return difference(a, b, "").empty(); }

std::string json_difference(const Json& expected, const Json& found) {
  return difference(expected, found, "");
}

}  // namespace sinter
