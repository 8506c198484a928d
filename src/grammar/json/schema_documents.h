// The documents that a schema consists of, and what references in them mean: $id, anchors, JSON
// pointers, and the dynamic ones. The compiler and the validator both stand on it; what keywords
// mean is theirs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"

namespace sinter {

enum class Draft : uint8_t { draft4, draft6, draft7, draft2019, draft2020 };

struct JsonSchemaSource {
  Json schema;
  Draft default_draft = Draft::draft2020;  // where no $schema says another
  std::map<std::string, Json> documents;   // by URI: what $ref may refer to beside the schema
};

using SchemaId = uint32_t;  // a schema at a place; ids are given as places are met

// Where one came from, as far as dynamic references need it: for each dynamic anchor the outermost
// resource that has it.
using ScopeId = uint32_t;

class SchemaDocuments {
 public:
  // Throws Error(bad_input, "schema-invalid") for $id that are not strings and the like, and
  // Error(unsupported, "schema-unsupported") for a $schema that is not known.
  explicit SchemaDocuments(JsonSchemaSource source);
  SchemaDocuments(const SchemaDocuments&) = delete;
  SchemaDocuments& operator=(const SchemaDocuments&) = delete;

  struct Place {
    SchemaId schema = 0;
    ScopeId scope = 0;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  Place root();
  // The schema that is `json`, inside of the one at `from`, under these pointer tokens.
  Place child(Place from, const Json& json, std::string_view tokens);
  // What the reference at `from` refers to. `keyword`: $ref, $dynamicRef or $recursiveRef.
  // Throws Error(bad_input, "schema-reference").
  Place resolve(Place from, std::string_view keyword, const std::string& reference);

  const Json& json(SchemaId id) const { return *schemas_[id].json; }
  Draft draft(SchemaId id) const { return schemas_[id].draft; }
  // "#/properties/a", or with the document's URI before it.
  const std::string& pointer(SchemaId id) const { return schemas_[id].pointer; }
  size_t size() const { return schemas_.size(); }
  bool uses(std::string_view keyword) const;  // somewhere in the documents

 private:
  struct Schema {
    const Json* json = nullptr;
    Draft draft = Draft::draft2020;
    std::string base;     // URI of its resource
    std::string pointer;  // for people
  };
  using Scope = std::map<std::string, SchemaId>;  // dynamic anchor -> schema that has it

  void add_document(const Json& json, const std::string& uri, const std::string& shown,
                    Draft draft);
  void index(const Json& json, Draft draft, const std::string& base, const std::string& pointer,
             int depth);
  SchemaId add(const Json& json, Draft draft, const std::string& base, const std::string& pointer);
  SchemaId resolve_static(SchemaId from, const std::string& reference);
  SchemaId walk(SchemaId from, std::string_view pointer, const std::string& reference);
  ScopeId entered(ScopeId scope, SchemaId schema);
  Draft draft_of(const Json& schema, Draft otherwise) const;
  [[noreturn]] void bad_reference(SchemaId from, const std::string& reference,
                                  std::string_view why) const;

  JsonSchemaSource source_;
  std::vector<Schema> schemas_;
  std::unordered_map<const Json*, SchemaId> ids_;
  std::unordered_map<std::string, SchemaId> by_uri_;        // resources, "base#anchor"
  std::unordered_map<std::string, Scope> dynamic_anchors_;  // of a resource
  std::vector<Scope> scopes_;
  std::map<Scope, ScopeId> scope_ids_;
  std::map<std::string, bool, std::less<>> keywords_;
};

// "~" and "/" as a JSON pointer writes them.
std::string pointer_token(std::string_view name);

}  // namespace sinter
