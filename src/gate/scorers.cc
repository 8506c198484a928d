// The one list of scorers, and what several of them need.
#include "gate/scorers.h"

#include <algorithm>

#include "base/error.h"

namespace sinter {

extern const Scorer kExactScorer;
extern const Scorer kNumberScorer;
extern const Scorer kRegexScorer;
extern const Scorer kChoiceScorer;
extern const Scorer kLikelihoodScorer;
extern const Scorer kJsonSchemaScorer;
extern const Scorer kToolCallScorer;
extern const Scorer kXmlScorer;
extern const Scorer kRefusalScorer;
extern const Scorer kNeedleScorer;
extern const Scorer kProgramScorer;

std::span<const Scorer> all_scorers() {
  static const Scorer list[] = {
      kExactScorer,      kNumberScorer,     kRegexScorer,    kChoiceScorer,
      kLikelihoodScorer, kJsonSchemaScorer, kToolCallScorer, kXmlScorer,
      kRefusalScorer,    kNeedleScorer,     kProgramScorer,
  };
  return list;
}

const Scorer& scorer_of(const Item& item, const std::string& where) {
  const JsonFields fields(item.scorer, where + ": scorer");
  const std::string type = fields.string("type");
  std::string names;
  for (const Scorer& scorer : all_scorers()) {
    if (type == scorer.name) return scorer;
    names += (names.empty() ? "" : ", ") + std::string(scorer.name);
  }
  fail(Fault::bad_input, "suite-scorer", "{}: scorer: expected one of {}, found \"{}\"", where,
       names, type);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

void allow_only(const Item& item, const std::string& where,
                std::initializer_list<const char*> keys) {
  for (const auto& [key, value] : item.scorer.items()) {
    if (key == "type" || std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    fail(Fault::bad_input, "suite-scorer", "{}: scorer: the key \"{}\" is not one that \"{}\" has",
         where, key, item.scorer.value("type", ""));
  }
}

}  // namespace sinter
