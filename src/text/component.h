// Reading one component of tokenizer.json ({"type": NAME, fields...}): the type picks a reader from
// the kind's list, and a field that the reader does not know is refused unless it says nothing.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace sinter {

constexpr int kMaxComponentDepth = 16;  // of Sequences within Sequences

// Error(unsupported, "tokenizer-field") for a field not in `known` whose value is not null or
// false.
inline void check_component_fields(const Json& json, const std::string& where,
                                   std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : json.items()) {
    bool is_known = key == "type" || value.is_null() || (value.is_boolean() && !value.get<bool>());
    for (const std::string_view name : known) is_known = is_known || key == name;
    if (!is_known) {
      fail(Fault::unsupported, "tokenizer-field",
           "{}: the field {} may change what the tokenizer does, and Sinter does not know it",
           where, key);
    }
  }
}

template <typename Reader>
struct ComponentKind {
  std::string_view type;
  Reader read;
};

template <typename Reader>
const ComponentKind<Reader>& find_component(std::span<const ComponentKind<Reader>> kinds,
                                            const Json& json, const std::string& where) {
  const std::string type = JsonFields(json, where).string("type");
  std::string known;
  for (const auto& kind : kinds) {
    if (kind.type == type) return kind;
    known += known.empty() ? "" : ", ";
    known += kind.type;
  }
  fail(Fault::unsupported, "tokenizer-component", "{}: expected one of {}; found the type {}",
       where, known, type);
}

// The array at `key`, e.g. the members of a Sequence.
inline const Json& component_array(const Json& json, const char* key, const std::string& where) {
  const Json& array = JsonFields(json, where).at(key);
  if (!array.is_array()) {
    fail(Fault::bad_input, "json-field", "{}: {}: expected an array, found {}", where, key,
         array.type_name());
  }
  return array;
}

}  // namespace sinter
