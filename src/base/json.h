// JSON as Sinter reads it: untrusted, so bounded in depth, with duplicate keys refused, and with
// line and column in every complaint. Only this header includes the JSON library.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sinter {

using Json =
    nlohmann::ordered_json;      // keeps the order of keys (schemas, tools); small objects only
using JsonMap = nlohmann::json;  // sorted keys, O(log n) look-up: for objects of many keys

struct JsonLimits {
  int max_depth = 256;
  int64_t max_keys =
      4096;  // of one object; ordered look-up is linear, so this bounds hostile input
};

// Parses one JSON value. `where` (a path, or "line 7 of suite.jsonl") begins every message.
// Throws Error(corrupt, "json-syntax" | "json-duplicate-key" | "json-too-deep" | "json-too-large").
Json parse_json(std::string_view text, std::string_view where, JsonLimits limits = {});
JsonMap parse_json_map(std::string_view text, std::string_view where,
                       JsonLimits limits = {.max_depth = 256, .max_keys = INT64_MAX});
Json read_json_file(const std::string& path, JsonLimits limits = {});

// One line, invalid UTF-8 replaced by U+FFFD, so that writing a result can never throw.
std::string to_line(const Json& value);

// Reads fields of a JSON object with errors that name the place ("config.json: /rope/factor").
// Missing (or null) with no default, or of another type: Error(bad_input, "json-field").
class JsonFields {
 public:
  JsonFields(const Json& object, std::string where);
  bool has(const char* key) const;  // present and not null
  const Json& at(const char* key) const;
  int64_t integer(const char* key) const;
  int64_t integer(const char* key, int64_t fallback) const;
  double number(const char* key) const;
  double number(const char* key, double fallback) const;
  bool boolean(const char* key, bool fallback) const;
  std::string string(const char* key) const;
  std::string string(const char* key, const std::string& fallback) const;
  JsonFields object(const char* key) const;
  const std::string& where() const { return where_; }
  const Json& json() const { return object_; }

 private:
  [[noreturn]] void wrong(const char* key, const char* expected) const;
  const Json& object_;
  std::string where_;
};

}  // namespace sinter
