// program {output}: the answer says what the program in the prompt prints. Compared line by line,
// white space at the ends of lines and empty lines at both ends left out. Where the answer works
// its way there, what follows its last line that begins with "out:" counts, else its last lines.
#include <fmt/format.h>

#include "gate/scorers.h"

namespace sinter {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  text = trimmed(text);
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(trimmed(text.substr(0, end)));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

// What follows the last "out:" at the beginning of a line; the whole answer if there is none.
std::string_view stated_output(std::string_view text) {
  constexpr std::string_view kLabel = "out:";
  for (size_t at = text.rfind(kLabel); at != std::string_view::npos;
       at = text.rfind(kLabel, at - 1)) {
    if (at == 0 || text[at - 1] == '\n') return text.substr(at + kLabel.size());
  }
  return text;
}

void check(const Item& item, const std::string& where) {
  allow_only(item, where, {"output"});
  JsonFields(item.scorer, where + ": scorer").string("output");
}

Score score(const Item& item, const Evidence& evidence) {
  const std::string output = item.scorer.at("output").get<std::string>();
  const std::vector<std::string_view> expected = lines_of(stated_output(output));
  const std::vector<std::string_view> found = lines_of(stated_output(evidence.answer.text));
  Score s;
  if (found.size() < expected.size() || (expected.empty() && !found.empty())) {
    s.detail = fmt::format("expected {} lines of output, found {}", expected.size(), found.size());
  }
  for (size_t i = 0; i < expected.size() && s.detail.empty(); ++i) {
    const std::string_view line = found[found.size() - expected.size() + i];
    if (line != expected[i]) {
      s.detail = fmt::format("line {}: expected \"{}\", found \"{}\"", i + 1, expected[i],
                             line.substr(0, 200));
    }
  }
  s.pass = s.detail.empty();
  s.score = s.pass ? 1 : 0;
  return s;
}

}  // namespace

extern const Scorer kProgramScorer;
const Scorer kProgramScorer = {"program", true, check, nullptr, score};

}  // namespace sinter
