// Order: what can be refused is refused before a model runs, and what was run is on disk before it
// is judged.
#include "gate/gate.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "gate/suite_lines.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuiteKind = "gate-suite";

std::string suite_copy(const Suite& suite) {
  std::string bytes = to_line({{"kind", kSuiteKind},
                               {"name", suite.name},
                               {"version", suite.version},
                               {"description", suite.description},
                               {"digest", suite.digest},
                               {"domains", suite.domains}}) +
                      "\n";
  for (const Item& item : suite.items) bytes += to_line(write_item(item)) + "\n";
  return bytes;
}

Suite read_suite_copy(const std::string& path) {
  Suite suite;
  bool first = true;
  for_each_line(read_file(path), path, [&](const Json& line, const std::string& where) {
    const JsonFields fields(line, where);
    if (!first) {
      suite.items.push_back(read_item(line, suite.domains, where));
      return;
    }
    first = false;
    if (fields.string("kind", "") != kSuiteKind) {
      fail(Fault::corrupt, "gate-journal", "{}: expected the gate's copy of a suite", where);
    }
    suite.name = fields.string("name");
    suite.version = fields.string("version");
    suite.description = fields.string("description", "");
    suite.digest = fields.string("digest");
    for (const Json& domain : fields.at("domains")) {
      suite.domains.push_back(domain.is_string() ? domain.get<std::string>() : "");
    }
  });
  return suite;
}

void check_items(const Report& report, const std::string& folder) {
  bool same = report.suite.items.size() == report.before.results.size() &&
              report.suite.digest == report.before.suite_digest();
  for (size_t i = 0; same && i < report.suite.items.size(); ++i) {
    same = report.suite.items[i].id == report.before.results[i].id;
  }
  if (!same) {
    fail(Fault::corrupt, "gate-journal",
         "{}: items.jsonl and baseline.jsonl are not of one suite; run the gate again", folder);
  }
}

void write_reports(const Report& report, const std::string& folder) {
  write_file_atomically(folder + "/report.json", report_json(report));
  write_file_atomically(folder + "/report.md", report_markdown(report));
  write_file_atomically(folder + "/report.html", report_html(report));
  write_file_atomically(folder + "/junit.xml", report_junit(report));
}

}  // namespace

Report run_gate(const GateOptions& options, Subject& baseline, Subject& candidate) {
  Report report;
  report.suite = load_suite(options.suite);
  if (!options.policy.empty()) report.policy = load_policy(options.policy);
  std::error_code error;
  fs::create_directories(options.report, error);
  if (error) {
    fail(Fault::io, "file-io", "{}: cannot create the report's folder: {}", options.report,
         error.message());
  }
  const std::string folder = options.report + "/";
  const RunSettings settings{.resume = options.resume, .batch_items = options.batch_items};
  const std::string copy = suite_copy(report.suite);
  if (!fs::exists(folder + "items.jsonl")) write_file_atomically(folder + "items.jsonl", copy);

  report.before =
      run_items(report.suite, baseline, folder + "baseline.jsonl", "baseline", settings);
  report.after =
      run_items(report.suite, candidate, folder + "candidate.jsonl", "candidate", settings);
  report.texts = run_texts(report.suite, baseline, candidate, folder + "text.jsonl", settings);
  report.costs = {baseline.costs(), candidate.costs()};
  const Json costs = {{"baseline", report.costs.baseline}, {"candidate", report.costs.candidate}};
  write_file_atomically(folder + "costs.json", costs.dump(1) + "\n");
  write_file_atomically(folder + "items.jsonl", copy);
  report.verdict = judge(report.before, report.after, report.texts, report.costs, report.policy);
  write_reports(report, options.report);
  return report;
}

Report judge_again(const std::string& folder, const std::string& policy) {
  Report report;
  report.suite = read_suite_copy(folder + "/items.jsonl");
  report.before = read_run(folder + "/baseline.jsonl");
  report.after = read_run(folder + "/candidate.jsonl");
  report.texts = read_texts(folder + "/text.jsonl");
  const Json costs = read_json_file(folder + "/costs.json");
  report.costs = {costs.value("baseline", Json()), costs.value("candidate", Json())};
  if (!policy.empty()) {
    report.policy = load_policy(policy);
  } else {
    const Json old = read_json_file(folder + "/report.json");
    // JSON is YAML: the recorded policy reads back like a policy file.
    report.policy = parse_policy(to_line(JsonFields(old, folder).at("policy")),
                                 folder + "/report.json: policy");
  }
  check_items(report, folder);
  report.verdict = judge(report.before, report.after, report.texts, report.costs, report.policy);
  write_reports(report, folder);
  return report;
}

int gate_exit_code(const Verdict& verdict) { return verdict.outcome == Outcome::pass ? 0 : 3; }

}  // namespace sinter
