// likelihood {max_nll_per_token = ln 2}: teacher-forced, the reference and the end of the turn cost
// at most so many nats a token. Graded: the score is the geometric mean of the probabilities.
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "gate/scorers.h"

namespace sinter {
namespace {

constexpr double kLn2 = 0.6931471805599453;  // the reference at even odds, token by token

void check(const Item& item, const std::string& where) {
  allow_only(item, where, {"max_nll_per_token"});
  const JsonFields fields(item.scorer, where + ": scorer");
  if (!(fields.number("max_nll_per_token", kLn2) > 0)) {
    fail(Fault::bad_input, "suite-scorer", "{}: scorer: max_nll_per_token: expected nats above 0",
         where);
  }
  if (item.reference.empty()) {
    fail(Fault::bad_input, "suite-scorer", "{}: \"likelihood\" expects a reference, found none",
         where);
  }
}

std::vector<std::string> reference_of(const Item& item) { return {item.reference}; }

Score score(const Item& item, const Evidence& evidence) {
  const JsonFields fields(item.scorer, "scorer");
  const double limit = fields.number("max_nll_per_token", kLn2);
  SINTER_CHECK(evidence.continuations.size() == 1);
  const Likelihood& reference = evidence.continuations[0];
  const double nll =
      -reference.total() / static_cast<double>(std::max<size_t>(1, reference.logprobs.size()));
  Score s;
  s.pass = nll <= limit;
  s.score = s.pass ? 1 : std::min(1.0, std::exp(-nll));
  if (!s.pass) {
    s.detail =
        fmt::format("the reference costs {:.3f} nats a token, expected at most {:.3f}", nll, limit);
  }
  return s;
}

}  // namespace

extern const Scorer kLikelihoodScorer;
const Scorer kLikelihoodScorer = {"likelihood", false, check, reference_of, score};

}  // namespace sinter
