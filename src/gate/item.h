// Suites as data: what an item asks and how its answer is judged.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace sinter {

// One question, in OpenAI's `messages` form. Immutable once loaded.
struct Item {
  std::string id;         // unique in its suite
  std::string domain;     // one of the suite's domains ("logic", "safety" ...)
  std::string behaviour;  // finer: "arithmetic", "refusal" ...
  std::string rung;       // "easy", "hard" or empty
  std::vector<std::string> tags;
  bool critical = false;
  Json messages;         // array of {role, content, ...}
  Json tools;            // array of OpenAI tools, or null
  Json response_format;  // or null
  int32_t max_tokens = 128;
  std::string reference;  // the expected answer; empty = none
  Json scorer;            // {"type": name, ...parameters}
};

struct Suite {
  std::string name;
  std::string version;
  std::string description;
  std::string digest;  // SHA-256 of the files' content: two runs compare only if these are equal
  std::vector<std::string> domains;
  std::vector<Item> items;
  struct Text {
    std::string id;
    std::string text;
  };
  std::vector<Text> texts;  // for KL and perplexity
};

// Reads DIR/suite.json and the files that it names. Throws Error naming the file and line.
Suite load_suite(const std::string& directory);

}  // namespace sinter
