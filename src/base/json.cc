#include "base/json.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace sinter {
namespace {

// "line 3, column 14" of a byte offset.
std::string place(std::string_view text, size_t offset) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t newline = before.rfind('\n');
  const size_t column = newline == std::string_view::npos ? offset : offset - newline - 1;
  return fmt::format("line {}, column {}", line, column);
}

template <typename J>
J parse(std::string_view text, std::string_view where, JsonLimits limits) {
  // The library takes a NUL for the end of its input, and would not look at what follows.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    fail(Fault::corrupt, "json-syntax", "{}: {}: a NUL byte is not JSON", where, place(text, nul));
  }
  std::vector<std::set<std::string, std::less<>>> keys;  // of the objects that are open
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, J& value) {
    using Event = nlohmann::json::parse_event_t;
    if (depth > limits.max_depth) {
      fail(Fault::corrupt, "json-too-deep", "{}: expected at most {} levels of nesting, found more",
           where, limits.max_depth);
    }
    if (event == Event::object_start) {
      keys.emplace_back();
    } else if (event == Event::object_end) {
      keys.pop_back();
    } else if (event == Event::key) {
      const auto& key = value.template get_ref<const std::string&>();
      if (!keys.back().insert(key).second) {
        fail(Fault::corrupt, "json-duplicate-key", "{}: the key \"{}\" occurs twice in one object",
             where, key);
      }
      if (static_cast<int64_t>(keys.back().size()) > limits.max_keys) {
        fail(Fault::corrupt, "json-too-large",
             "{}: expected at most {} keys in one object, found more", where, limits.max_keys);
      }
    }
    return true;
  };
  try {
    return J::parse(text.begin(), text.end(), watch);
  } catch (const nlohmann::json::parse_error& e) {
    std::string reason = e.what();
    if (const size_t at = reason.find("syntax error"); at != std::string::npos) {
      reason = reason.substr(at);
    }
    fail(Fault::corrupt, "json-syntax", "{}: {}: {}", where, place(text, e.byte), reason);
  } catch (const nlohmann::json::exception& e) {  // a number out of range
    fail(Fault::corrupt, "json-syntax", "{}: {}", where, e.what());
  }
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where, JsonLimits limits) {
  return parse<Json>(text, where, limits);
}

JsonMap parse_json_map(std::string_view text, std::string_view where, JsonLimits limits) {
  return parse<JsonMap>(text, where, limits);
}

Json read_json_file(const std::string& path, JsonLimits limits) {
  return parse_json(read_file(path), path, limits);
}

std::string to_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

JsonFields::JsonFields(const Json& object, std::string where)
    : object_(object), where_(std::move(where)) {
  if (!object_.is_object()) {
    fail(Fault::bad_input, "json-field", "{}: expected an object, found {}", where_,
         object_.type_name());
  }
}

bool JsonFields::has(const char* key) const {
  const auto it = object_.find(key);
  return it != object_.end() && !it->is_null();
}

void JsonFields::wrong(const char* key, const char* expected) const {
  const auto it = object_.find(key);
  fail(Fault::bad_input, "json-field", "{}: {}: expected {}, found {}", where_, key, expected,
       it == object_.end() ? "nothing" : to_line(*it).substr(0, 60));
}

const Json& JsonFields::at(const char* key) const {
  if (!has(key)) wrong(key, "a value");
  return *object_.find(key);
}

int64_t JsonFields::integer(const char* key) const {
  if (!has(key)) wrong(key, "an integer");
  const Json& v = at(key);
  if (v.is_number_unsigned() && v.get<uint64_t>() > INT64_MAX) wrong(key, "an integer below 2^63");
  if (v.is_number_integer()) return v.get<int64_t>();
  if (v.is_number_float() && std::nearbyint(v.get<double>()) == v.get<double>() &&
      std::abs(v.get<double>()) < 9e15) {
    return static_cast<int64_t>(v.get<double>());
  }
  wrong(key, "an integer");
}

int64_t JsonFields::integer(const char* key, int64_t fallback) const {
  return has(key) ? integer(key) : fallback;
}

double JsonFields::number(const char* key) const {
  if (!has(key) || !at(key).is_number()) wrong(key, "a number");
  return at(key).get<double>();
}

double JsonFields::number(const char* key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

bool JsonFields::boolean(const char* key, bool fallback) const {
  if (!has(key)) return fallback;
  if (!at(key).is_boolean()) wrong(key, "true or false");
  return at(key).get<bool>();
}

std::string JsonFields::string(const char* key) const {
  if (!has(key) || !at(key).is_string()) wrong(key, "a string");
  return at(key).get<std::string>();
}

std::string JsonFields::string(const char* key, const std::string& fallback) const {
  return has(key) ? string(key) : fallback;
}

JsonFields JsonFields::object(const char* key) const {
  if (!has(key) || !at(key).is_object()) wrong(key, "an object");
  return JsonFields(at(key), where_ + "/" + key);
}

}  // namespace sinter
