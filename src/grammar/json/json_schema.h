// JSON Schema as a grammar: the texts of the grammar are JSON values that the schema accepts.
//
//   JsonSchemaGrammar made = compile_json_schema({.schema = parse_json(text, "schema")});
//   GrammarEngine engine(made.grammar, vocabulary);
//   made.certificate   // what is enforced, what is not, what was only an annotation
//
// It never lies. What a grammar cannot hold exactly is an Error with the JSON pointer of the
// keyword, or, where the caller is lenient, listed in the certificate. The texts may be fewer than
// JSON allows (one way to write a number in bounds, white space of a few kinds), never more.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/json/schema_documents.h"

namespace sinter {

enum class JsonWhitespace {
  compact,  // none
  // One space after ':', after ',' and inside brackets, or there a line end and an indentation of
  // up to 80 characters: what json.dumps, JSON.stringify and models write.
  bounded,
};

struct JsonSchemaOptions {
  bool lenient = false;  // what cannot be enforced is listed instead of refused
  // The formats of format_names() bind; otherwise `format` is an annotation, as 2020-12 has it by
  // default. Other formats are annotations in any case, and listed.
  bool assert_formats = true;
  // Members in any order; otherwise in the order of the schema, with those it does not name behind.
  bool any_order = false;
  JsonWhitespace whitespace = JsonWhitespace::bounded;
  // How much the rewriting of a schema may cost: alternatives at one place, and steps altogether.
  uint32_t max_alternatives = 4096;
  uint32_t max_steps = 400'000;
};

struct SchemaRemark {
  std::string pointer;  // of the keyword: "#/properties/a/uniqueItems"
  std::string why;
};

struct SchemaCertificate {
  std::vector<std::string> enforced;  // pointers of keywords, in the order in which they were met
  std::vector<SchemaRemark> not_enforced;  // lenient only
  std::vector<SchemaRemark> ignored;       // unknown keywords and formats: annotations
  std::vector<std::string> notes;
};
Json to_json(const SchemaCertificate& certificate);

struct JsonSchemaNode {
  GrammarNode node;
  SchemaCertificate certificate;
};
struct JsonSchemaGrammar {
  std::shared_ptr<const Grammar> grammar;
  SchemaCertificate certificate;
};

// Builds into a grammar that may have other parts; no white space around the value.
// Throws Error(bad_input, "schema-invalid" | "schema-reference" | "schema-unsatisfiable"),
// Error(unsupported, "schema-unsupported"), Error(exhausted, "grammar-limit").
JsonSchemaNode add_json_schema(GrammarBuilder& builder, JsonSchemaSource source,
                               const JsonSchemaOptions& options = {});
JsonSchemaGrammar compile_json_schema(JsonSchemaSource source,
                                      const JsonSchemaOptions& options = {},
                                      const GrammarLimits& limits = {});
// Any JSON object, as {"type": "json_object"} asks for it.
GrammarNode add_json_object(GrammarBuilder& builder, const JsonSchemaOptions& options = {});

}  // namespace sinter
