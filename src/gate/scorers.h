// How an answer is judged. A scorer is one file in scorers/ and one line in the list of scorers.cc;
// it is pure, so a recorded answer can be judged again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gate/item.h"
#include "gate/subject.h"

namespace sinter {

// Whether an answer that has to be machine-readable is: it parses and has the shape asked for.
// A wrong value in a right shape is `parsed`.
enum class Parse { not_applicable, parsed, malformed };

struct Score {
  bool pass = false;
  double score = 0;  // in [0, 1]; 1 when it passes, in between for scorers that grade
  Parse parse = Parse::not_applicable;
  std::optional<bool> refused;  // of items that watch for refusals
  bool should_refuse = false;   // and what those expect
  std::string detail;           // for a person: why it did not pass
};

// What was measured on one item.
struct Evidence {
  Answer answer;                              // if the scorer generates
  std::span<const Likelihood> continuations;  // in the order of Scorer::continuations()
};

struct Scorer {
  const char* name;
  bool generates;  // needs an answer
  // Checks the item's parameters. Throws Error(bad_input | unsupported), the message beginning with
  // `where`.
  void (*check)(const Item& item, const std::string& where);
  // Texts whose likelihood after the prompt it needs; nullptr = none.
  std::vector<std::string> (*continuations)(const Item& item);
  // Throws Error where the answer cannot be judged (a regular expression out of steps): the item is
  // then one that did not run.
  Score (*score)(const Item& item, const Evidence& evidence);
};

// The one list.
std::span<const Scorer> all_scorers();
// Throws Error(bad_input, "suite-scorer").
const Scorer& scorer_of(const Item& item, const std::string& where);

// What several scorers need.
std::string_view trimmed(std::string_view text);  // without ASCII white space at both ends
// Every key of the item's scorer must be "type" or one of `keys`. Error(bad_input, "suite-scorer").
void allow_only(const Item& item, const std::string& where,
                std::initializer_list<const char*> keys);

}  // namespace sinter
