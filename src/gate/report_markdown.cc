// Markdown for a pull request: verdict, rules, domains, and the items that broke, folded.
#include <fmt/format.h>

#include <algorithm>

#include "gate/report.h"

namespace sinter {
namespace {

constexpr size_t kMaxFlips = 50;
constexpr size_t kMaxAnswerBytes = 1500;

// A table's cell: one line, no pipes, no markup.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : escape_markup(text)) {
    if (c == '|' || c == '`' || c == '*' || c == '_' || c == '[' || c == ']') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

// A fence longer than any run of backticks inside.
std::string fenced(const std::string& text) {
  size_t longest = 0;
  size_t run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(std::max<size_t>(3, longest + 1), '`');
  return fmt::format("{}\n{}\n{}\n", fence, text, fence);
}

}  // namespace

std::string report_markdown(const Report& report) {
  const Verdict& v = report.verdict;
  std::string out =
      fmt::format("# Gate: {}\n\n{}\n\n", outcome_name(v.outcome), cell(v.reasons.front()));
  out += fmt::format("Baseline {}, candidate {}, suite {} {}, policy {}.\n\n",
                     cell(subject_name(report.before, "baseline")),
                     cell(subject_name(report.after, "candidate")), cell(report.suite.name),
                     cell(report.suite.version), cell(report.policy.name));
  for (size_t i = 1; i < v.reasons.size(); ++i) out += "- " + cell(v.reasons[i]) + "\n";
  out += "\n## Rules\n\n| Rule | Finding | Limit | Measured |\n|---|---|---|---|\n";
  for (const Check& c : v.checks) {
    out += fmt::format("| {} | {} | {} | {} |\n", cell(c.title), finding_name(c.finding),
                       cell(c.limit), cell(c.measured));
  }
  out +=
      "\n## Domains\n\n| Domain | Items | Baseline | Candidate | Lost | Won | p (worse) |\n"
      "|---|--:|--:|--:|--:|--:|--:|\n";
  const auto row = [&](const Tally& t) {
    const double n = std::max<double>(1, static_cast<double>(t.n));
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {:.2g} |\n", cell(t.name), t.n,
                       percent_text(static_cast<double>(t.passed_before) / n),
                       percent_text(static_cast<double>(t.passed_after) / n), t.lost, t.won,
                       t.p_worse);
  };
  for (const Tally& t : v.domains) row(t);
  row(v.all);
  out += "\n" + v.power + "\n";
  const std::vector<std::pair<std::string, std::pair<double, double>>> costs =
      fixed_costs(report.costs);
  if (!costs.empty()) {
    out += "\n## Costs\n\n| Cost | Baseline | Candidate |\n|---|--:|--:|\n";
    for (const auto& [name, pair] : costs) {
      out += fmt::format("| {} | {:.6g} | {:.6g} |\n", cell(name), pair.first, pair.second);
    }
  }
  if (v.regressed.empty()) return out;
  out += "\n## Lost items\n\n";
  size_t shown = 0;
  for (size_t i = 0; i < report.before.results.size(); ++i) {
    const ItemResult& before = report.before.results[i];
    const ItemResult& after = report.after.results[i];
    if (!before.error.empty() || !after.error.empty()) continue;
    if (!before.score.pass || after.score.pass) continue;
    if (++shown > kMaxFlips) continue;
    out += fmt::format("<details><summary>{} ({}{}): {}</summary>\n\n", escape_markup(before.id),
                       escape_markup(before.domain), before.critical ? ", critical" : "",
                       escape_markup(shorten(after.score.detail, 200)));
    out += fenced(shorten(prompt_text(report.suite.items[i]), kMaxAnswerBytes));
    if (before.answer && after.answer) {
      out += "\nBaseline:\n\n" + fenced(shorten(before.answer->text, kMaxAnswerBytes));
      out += "\nCandidate:\n\n" + fenced(shorten(after.answer->text, kMaxAnswerBytes));
    }
    out += "\n</details>\n\n";
  }
  if (shown > kMaxFlips) {
    out += fmt::format("{} more are in report.json.\n", shown - kMaxFlips);
  }
  return out;
}

}  // namespace sinter
