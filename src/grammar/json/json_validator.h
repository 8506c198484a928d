// Validates JSON against JSON Schema (2020-12 and draft 7; 4, 6 and 2019-09 too), and knows nothing
// of grammars: what a constrained answer is checked with once more.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "grammar/json/schema_documents.h"

namespace sinter {

struct SchemaViolation {
  std::string pointer;  // of the value: "/items/0", "" for the whole
  std::string keyword;  // "#/properties/a/minimum"
  std::string message;
};

class JsonValidator {
 public:
  // Throws as SchemaDocuments does.
  explicit JsonValidator(JsonSchemaSource source, bool assert_formats = true);
  ~JsonValidator();

  struct Checks;  // json_validator.cc

  // Empty: valid. At most max_violations of them. Throws Error(bad_input, "schema-invalid" |
  // "schema-reference") for what is wrong with the schema, where it matters for this instance.
  std::vector<SchemaViolation> validate(const Json& instance, size_t max_violations = 20);

 private:
  std::unique_ptr<Checks> checks_;
};

std::vector<SchemaViolation> validate_json(const Json& schema, const Json& instance);

}  // namespace sinter
