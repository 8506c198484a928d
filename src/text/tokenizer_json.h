// The two big parts of tokenizer.json, model.vocab and model.merges, read by a plain scanner (a
// vocabulary has up to a million strings, for which a JSON tree is too slow), and the rest as JSON.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/vocabulary.h"

namespace sinter {

struct TokenizerJson {
  Json rest;  // the whole file, with null in place of model.vocab and model.merges where split off
  std::string_view vocab;   // {"TOKEN": ID, ...}; empty if absent
  std::string_view merges;  // ["A B", ...] or [["A", "B"], ...]; empty if absent
};

// Throws Error(corrupt | bad_input).
TokenizerJson split_tokenizer_json(std::string_view json, const std::string& where);

// Throws Error(corrupt, "tokenizer-vocabulary" | "json-syntax").
void read_vocabulary(std::string_view json, const std::string& where, Vocabulary& out);

// Merges in order; the views point into `memory`.
std::vector<std::pair<std::string_view, std::string_view>> read_merges(std::string_view json,
                                                                       const std::string& where,
                                                                       std::string& memory);

}  // namespace sinter
