// choice {choices, answer}: of the choices, each followed by the end of the turn, the one that the
// model finds likeliest is the answer. Nothing is generated; a tie is not a pass.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "gate/scorers.h"

namespace sinter {
namespace {

constexpr size_t kMaxChoices = 64;

std::vector<std::string> choices_of(const Item& item) {
  return item.scorer.at("choices").get<std::vector<std::string>>();
}

void check(const Item& item, const std::string& where) {
  allow_only(item, where, {"choices", "answer"});
  const JsonFields fields(item.scorer, where + ": scorer");
  const Json& list = fields.at("choices");
  bool strings = list.is_array() && list.size() >= 2 && list.size() <= kMaxChoices;
  for (size_t i = 0; strings && i < list.size(); ++i) {
    strings = list[i].is_string() && !list[i].get_ref<const std::string&>().empty();
    for (size_t j = 0; strings && j < i; ++j) strings = list[i] != list[j];
  }
  if (!strings) {
    fail(Fault::bad_input, "suite-scorer",
         "{}: scorer: choices: expected 2 to {} different texts, none of them empty", where,
         kMaxChoices);
  }
  if (std::find(list.begin(), list.end(), Json(fields.string("answer"))) == list.end()) {
    fail(Fault::bad_input, "suite-scorer",
         "{}: scorer: expected the answer to be one of the choices, found \"{}\"", where,
         fields.string("answer"));
  }
}

Score score(const Item& item, const Evidence& evidence) {
  const std::vector<std::string> choices = choices_of(item);
  const std::string answer = item.scorer.at("answer").get<std::string>();
  SINTER_CHECK(evidence.continuations.size() == choices.size());
  double right = 0;
  double best_other = -1e300;
  std::string other;
  for (size_t i = 0; i < choices.size(); ++i) {
    const double total = evidence.continuations[i].total();
    if (choices[i] == answer) {
      right = total;
    } else if (total > best_other) {
      best_other = total;
      other = choices[i];
    }
  }
  Score s;
  s.pass = right > best_other;
  s.score = s.pass ? 1 : 0;
  if (!s.pass) {
    s.detail = fmt::format("finds \"{}\" likelier than \"{}\" by {:.3f} nats", other, answer,
                           best_other - right);
  }
  return s;
}

}  // namespace

extern const Scorer kChoiceScorer;
const Scorer kChoiceScorer = {"choice", false, check, choices_of, score};

}  // namespace sinter
