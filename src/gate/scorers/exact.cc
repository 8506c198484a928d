// exact: the answer is the reference, byte for byte, but for white space at both ends.
#include "base/error.h"
#include "gate/scorers.h"

namespace sinter {
namespace {

void check(const Item& item, const std::string& where) {
  allow_only(item, where, {});
  if (item.reference.empty()) {
    fail(Fault::bad_input, "suite-scorer", "{}: \"exact\" expects a reference, found none", where);
  }
}

Score score(const Item& item, const Evidence& evidence) {
  Score s;
  s.pass = trimmed(evidence.answer.text) == trimmed(item.reference);
  s.score = s.pass ? 1 : 0;
  if (!s.pass) s.detail = "the answer is not the reference";
  return s;
}

}  // namespace

extern const Scorer kExactScorer;
const Scorer kExactScorer = {"exact", true, check, nullptr, score};

}  // namespace sinter
