// needle {needles}: the answer contains every fact that was buried in the prompt. Graded: the share
// of the needles found. A needle counts only where it is not part of a longer word or number.
#include <fmt/format.h>

#include <cctype>

#include "base/error.h"
#include "gate/scorers.h"

namespace sinter {
namespace {

constexpr size_t kMaxNeedles = 256;

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80;
}

bool contains(std::string_view text, std::string_view needle) {
  for (size_t at = text.find(needle); at != std::string_view::npos;
       at = text.find(needle, at + 1)) {
    const size_t end = at + needle.size();
    const bool joined_before = at > 0 && is_word(text[at - 1]) && is_word(needle.front());
    const bool joined_after = end < text.size() && is_word(text[end]) && is_word(needle.back());
    if (!joined_before && !joined_after) return true;
  }
  return false;
}

void check(const Item& item, const std::string& where) {
  allow_only(item, where, {"needles"});
  const Json& needles = JsonFields(item.scorer, where + ": scorer").at("needles");
  bool ok = needles.is_array() && !needles.empty() && needles.size() <= kMaxNeedles;
  for (size_t i = 0; ok && i < needles.size(); ++i) {
    ok = needles[i].is_string() && !needles[i].get_ref<const std::string&>().empty();
  }
  if (!ok) {
    fail(Fault::bad_input, "suite-scorer",
         "{}: scorer: needles: expected 1 to {} texts, none of them empty", where, kMaxNeedles);
  }
}

Score score(const Item& item, const Evidence& evidence) {
  const Json& needles = item.scorer.at("needles");
  size_t found = 0;
  Score s;
  for (const Json& needle : needles) {
    const auto& text = needle.get_ref<const std::string&>();
    if (contains(evidence.answer.text, text)) {
      ++found;
    } else if (s.detail.empty()) {
      s.detail = fmt::format("does not recall \"{}\"", text);
    }
  }
  s.pass = found == needles.size();
  s.score = static_cast<double>(found) / static_cast<double>(needles.size());
  return s;
}

}  // namespace

extern const Scorer kNeedleScorer;
const Scorer kNeedleScorer = {"needle", true, check, nullptr, score};

}  // namespace sinter
