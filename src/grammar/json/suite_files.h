// For the tests: the public suites that lie beside the project, and JSON as their peers write it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace sinter::suite {

inline std::string shared_folder() {
  const char* set = std::getenv("SINTER_SHARED");
  return set != nullptr ? set : std::string(SINTER_SOURCE_DIR) + "/../shared";
}

inline std::vector<std::string> json_files(const std::string& folder, bool recursive = true) {
  namespace fs = std::filesystem;
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const bool here = entry.path().parent_path() == fs::path(folder);
    if (entry.path().extension() == ".json" && (recursive || here)) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// What the cases of JSON-Schema-Test-Suite refer to.
inline std::map<std::string, Json> remotes() {
  std::map<std::string, Json> all;
  const std::string folder = shared_folder() + "/data/json_schema_test_suite/remotes/";
  for (const std::string& path : json_files(folder)) {
    all["http://localhost:1234/" + path.substr(folder.size())] = read_json_file(path);
  }
  return all;
}

// As json.dumps(ensure_ascii=False) writes it: one space behind ',' and ':', no exponents below
// 1e16.
inline void write_spaced(const Json& value, std::string& out) {
  if (value.is_number_float() && std::abs(value.get<double>()) < 1e16 &&
      std::abs(value.get<double>()) >= 1e15) {
    out += fmt::format("{:.1f}", value.get<double>());
    return;
  }
  if (!value.is_structured() || value.empty()) {
    out += value.dump();
    return;
  }
  out += value.is_array() ? '[' : '{';
  bool first = true;
  for (const auto& [key, inner] : value.items()) {
    if (!first) out += ", ";
    first = false;
    if (value.is_object()) out += Json(key).dump() + ": ";
    write_spaced(inner, out);
  }
  out += value.is_array() ? ']' : '}';
}

}  // namespace sinter::suite
