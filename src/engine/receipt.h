// What an answer depended on, and the answer: enough to give it again (`sinter replay`), or to say
// what is different now. JSON, one line.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "engine/request.h"

namespace sinter {

struct Receipt {
  std::string model;  // where it was; the digests say what it was
  // What ran, by name: "artifact", "tokenizer" (digests), "build", "instruction_set",
  // "activations", "kv", "kernels" ... Values are compared as they are.
  Json ran = Json::object();

  std::vector<Token> prompt;
  int32_t max_new_tokens = 0;
  std::vector<Token> stop;
  std::vector<std::string> stop_strings;
  bool skip_special = true;  // in the text that stop strings are looked for in
  uint32_t choice = 0;
  SamplingParams sampling;

  std::vector<Token> tokens;  // the answer
  Finish finish = Finish::none;

  Json to_json() const;
  // Throws Error(bad_input, ...) on a wrong field, Error(unsupported, "receipt-version"),
  // Error(corrupt, "receipt-digest") when tokens and their digest do not agree.
  static Receipt from_json(const Json& json, const std::string& where);
};

std::string digest_of(const std::vector<Token>& tokens);

struct ReceiptDifference {
  std::string part, was, is;
};
// The parts of `ran` that differ.
std::vector<ReceiptDifference> differences(const Json& was, const Json& is);

}  // namespace sinter
