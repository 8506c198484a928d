// json_schema {schema, expected?}: the answer is one JSON value, valid under the schema, and equal
// to `expected` where that is given. Not JSON, or JSON of another shape: malformed.
#include "gate/json_schema.h"

#include "base/error.h"
#include "gate/json_equal.h"
#include "gate/scorers.h"

namespace sinter {
namespace {

void check(const Item& item, const std::string& where) {
  allow_only(item, where, {"schema", "expected"});
  const JsonFields fields(item.scorer, where + ": scorer");
  const JsonSchema schema(fields.at("schema"), where + ": scorer: schema");
  if (!item.scorer.contains("expected")) return;
  if (const std::string wrong = schema.violation(item.scorer.at("expected")); !wrong.empty()) {
    fail(Fault::bad_input, "suite-scorer",
         "{}: scorer: expected: not valid under the item's own schema: {}", where, wrong);
  }
}

Score score(const Item& item, const Evidence& evidence) {
  const JsonSchema schema(item.scorer.at("schema"), item.id);
  Score s;
  s.parse = Parse::malformed;
  Json value;
  try {
    value = parse_json(trimmed(evidence.answer.text), "the answer", {.max_depth = 128});
  } catch (const Error& e) {
    s.detail = e.what();
    return s;
  }
  s.detail = schema.violation(value);
  if (!s.detail.empty()) return s;
  s.parse = Parse::parsed;
  if (item.scorer.contains("expected")) {
    s.detail = json_difference(item.scorer.at("expected"), value);
  }
  s.pass = s.detail.empty();
  s.score = s.pass ? 1 : 0;
  return s;
}

}  // namespace

extern const Scorer kJsonSchemaScorer;
const Scorer kJsonSchemaScorer = {"json_schema", true, check, nullptr, score};

}  // namespace sinter
