// Judges JSON values against a JSON Schema (draft 2020-12, the part that tool and answer schemas
// use). It is the gate's own validator, independent of the grammar that may have shaped the answer.
// A keyword that it does not judge is an error when the schema is read, never ignored.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "gate/pattern.h"

namespace sinter {

class JsonSchema {
 public:
  // Throws Error(unsupported, "schema-keyword") or Error(bad_input, "schema-syntax").
  JsonSchema(Json schema, std::string where);

  // The first thing wrong, as "/path: what" ("" = valid). Throws Error(exhausted,
  // "schema-too-deep") where a $ref never ends, Error(exhausted, "pattern-limit").
  std::string violation(const Json& value) const;

 private:
  // How deep the judging is, and how many schemas it has judged in all: alternatives that refer to
  // each other can double at every level.
  struct Effort {
    int depth;
    int64_t* steps;
    Effort deeper() const { return {depth + 1, steps}; }
  };
  void spend(Effort effort, int64_t steps) const;
  void read(const Json& schema, const std::string& path, int depth);
  std::string judge(const Json& schema, const Json& value, const std::string& path,
                    Effort effort) const;
  std::string judge_string(const Json& schema, const std::string& text,
                           const std::string& path) const;
  std::string judge_array(const Json& schema, const Json& value, const std::string& path,
                          Effort effort) const;
  std::string judge_object(const Json& schema, const Json& value, const std::string& path,
                           Effort effort) const;
  std::string judge_combined(const Json& schema, const Json& value, const std::string& path,
                             Effort effort) const;
  const Json& resolve(const std::string& reference) const;

  Json schema_;
  std::string where_;
  int n_nodes_ = 0;
  std::map<std::string, ItemPattern> patterns_;  // compiled once, by expression
};

}  // namespace sinter
