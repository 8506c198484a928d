// JUnit XML as CI servers read it (the Jenkins schema: counts on every suite, no times).
#include <fmt/format.h>

#include "gate/report.h"

namespace sinter {
namespace {

struct Cases {
  int64_t tests = 0;
  int64_t failures = 0;
  int64_t errors = 0;
  int64_t skipped = 0;
  std::string xml;

  void open(const std::string& classname, const std::string& name) {
    ++tests;
    xml += fmt::format("    <testcase classname=\"{}\" name=\"{}\"", escape_markup(classname),
                       escape_markup(name));
  }
  void pass() { xml += "/>\n"; }
  void inside(const char* element, int64_t& count, const std::string& message,
              const std::string& text) {
    ++count;
    xml += fmt::format(">\n      <{0} message=\"{1}\" type=\"{0}\">{2}</{0}>\n    </testcase>\n",
                       element, escape_markup(message), escape_markup(text));
  }
  std::string suite(const std::string& name) const {
    return fmt::format(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n{}"
        "  </testsuite>\n",
        escape_markup(name), tests, failures, errors, skipped, xml);
  }
};

std::string lost_text(const ItemResult& before, const ItemResult& after) {
  if (!before.answer || !after.answer) return after.score.detail;
  return fmt::format("baseline:\n{}\n\ncandidate:\n{}\n\n{}\n", shorten(before.answer->text, 4000),
                     shorten(after.answer->text, 4000), after.score.detail);
}

}  // namespace

std::string report_junit(const Report& report) {
  Cases rules;
  for (const Check& c : report.verdict.checks) {
    rules.open("gate.rules", c.title);
    const std::string text = fmt::format("limit: {}\nmeasured: {}\n", c.limit, c.measured);
    if (c.finding == Finding::fail) {
      rules.inside("failure", rules.failures, c.sentence, text);
    } else if (c.finding == Finding::inconclusive) {
      rules.inside("error", rules.errors, c.sentence, text);
    } else if (c.finding == Finding::not_applicable) {
      ++rules.skipped;
      rules.xml += fmt::format(">\n      <skipped message=\"{}\"/>\n    </testcase>\n",
                               escape_markup(c.sentence));
    } else {
      rules.pass();
    }
  }
  std::string suites = rules.suite("rules");
  Cases total = rules;
  for (const Tally& domain : report.verdict.domains) {
    Cases items;
    for (size_t i = 0; i < report.before.results.size(); ++i) {
      const ItemResult& before = report.before.results[i];
      const ItemResult& after = report.after.results[i];
      if (before.domain != domain.name) continue;
      items.open(domain.name + (before.behaviour.empty() ? "" : "." + before.behaviour), before.id);
      if (!before.error.empty() || !after.error.empty()) {
        items.inside("error", items.errors, "did not run",
                     fmt::format("baseline: {}\ncandidate: {}\n",
                                 before.error.empty() ? "ran" : before.error,
                                 after.error.empty() ? "ran" : after.error));
      } else if (before.score.pass && !after.score.pass) {
        items.inside("failure", items.failures,
                     after.score.detail.empty() ? "lost" : after.score.detail,
                     lost_text(before, after));
      } else {
        items.pass();
      }
    }
    suites += items.suite(domain.name);
    total.tests += items.tests;
    total.failures += items.failures;
    total.errors += items.errors;
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sinter gate: {}\" "
      "tests=\"{}\" failures=\"{}\" errors=\"{}\">\n{}</testsuites>\n",
      outcome_name(report.verdict.outcome), total.tests, total.failures, total.errors, suites);
}

}  // namespace sinter
