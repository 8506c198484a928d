// regex {pattern, fullmatch = false}: the pattern (PCRE2) matches somewhere in the answer, or all
// of it, white space at both ends left out.
#include "gate/pattern.h"
#include "gate/scorers.h"

namespace sinter {
namespace {

void check(const Item& item, const std::string& where) {
  allow_only(item, where, {"pattern", "fullmatch"});
  const JsonFields fields(item.scorer, where + ": scorer");
  fields.boolean("fullmatch", false);
  ItemPattern(fields.string("pattern"), where);
}

Score score(const Item& item, const Evidence& evidence) {
  const JsonFields fields(item.scorer, "scorer");
  const ItemPattern pattern(fields.string("pattern"), item.id);
  const std::string_view text = trimmed(evidence.answer.text);
  Score s;
  s.pass = fields.boolean("fullmatch", false) ? pattern.full_match(text) : pattern.search(text);
  s.score = s.pass ? 1 : 0;
  if (!s.pass) s.detail = "the answer does not match the pattern";
  return s;
}

}  // namespace

extern const Scorer kRegexScorer;
const Scorer kRegexScorer = {"regex", true, check, nullptr, score};

}  // namespace sinter
