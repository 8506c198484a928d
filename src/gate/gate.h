// The gate as one call: both runs, the verdict, and every form of the report in one folder.
#pragma once

#include <string>

#include "gate/report.h"

namespace sinter {

struct GateOptions {
  std::string suite;   // folder of the suite
  std::string policy;  // file; empty = the envelope's defaults
  std::string report;  // folder; made if it is not there
  bool resume = false;
  size_t batch_items = 0;  // items handed to a subject at once; 0 = all
};

// Writes into the folder: items.jsonl (the suite as it was), baseline.jsonl, candidate.jsonl,
// text.jsonl, report.json, report.md, report.html, junit.xml, and costs.json, the only file that
// depends on the clock. Throws Error of load_suite, load_policy, run_items and run_texts.
Report run_gate(const GateOptions& options, Subject& baseline, Subject& candidate);

// Judges a finished folder again, from its files alone, under this policy, and writes the reports
// anew. `policy` empty = the one that the folder was judged by.
Report judge_again(const std::string& report, const std::string& policy);

// What the process exits with: 0 passed, 3 did not (failed, or could not tell).
int gate_exit_code(const Verdict& verdict);

}  // namespace sinter
