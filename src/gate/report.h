// What a person and a machine read of a verdict. Every form is a pure function of the same
// evidence, and none holds a clock time: the same evidence gives the same bytes.
#pragma once

#include <map>
#include <string>

#include "gate/judge.h"

namespace sinter {

struct Report {
  Suite suite;  // items in the order of the runs
  Run before;
  Run after;
  TextRun texts;
  Costs costs;
  Policy policy;
  Verdict verdict;
};

// Verdict, domains, what broke; at most `width` columns where the words allow it.
std::string report_terminal(const Report& report, bool colours, int width);
std::string report_json(const Report& report);
// JUnit XML: the rules are one test suite, every domain another; a lost item is a failure, one that
// did not run an error.
std::string report_junit(const Report& report);
std::string report_markdown(const Report& report);
// One page that needs nothing but itself. Items are untrusted: everything is escaped, and the
// page's content policy allows no script but its own.
std::string report_html(const Report& report);

// ---- what the forms share ----

// Where two answers part: the first token that differs, and the bytes of it in each text. Where the
// subject gave no byte positions, the first character.
struct Divergence {
  size_t token = 0;
  size_t before_begin = 0, before_end = 0;
  size_t after_begin = 0, after_end = 0;
};
Divergence diverge(const Answer& before, const Answer& after);

// Text for HTML and XML: the five special characters escaped, what is not UTF-8 or not allowed in
// XML 1.0 replaced by U+FFFD.
std::string escape_markup(std::string_view text);

// Cuts to `bytes` at the boundary of a character, and says so with an ellipsis.
std::string shorten(std::string_view text, size_t bytes);

// An item's prompt as text: "user: ..." a message, then its tools by name.
std::string prompt_text(const Item& item);

// The short name of a subject: its model, or "baseline" where it has none.
std::string subject_name(const Run& run, const std::string& otherwise);

std::string percent_text(double share, int decimals = 1);
// The fixed costs of both, in the baseline's order: name -> (baseline, candidate).
std::vector<std::pair<std::string, std::pair<double, double>>> fixed_costs(const Costs& costs);

}  // namespace sinter
