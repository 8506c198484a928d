// From a recipe's budget to a recipe without one: measures, chooses, and keeps both in the output
// directory (sensitivity.json), so that a killed run goes on where it was and a finished one shows
// what it went by.
#pragma once

#include <string>

#include "compress/compress.h"
#include "compress/format_choice.h"
#include "compress/output.h"

namespace sinter {

struct SpentBudget {
  Recipe recipe;             // with what was chosen
  Json record;               // for the manifest
  Preflight predicted = {};  // of measuring; empty where nothing was measured
  double seconds = 0;        // that it took
};

// `plain` is the recipe's plan. Before anything is measured it is found out whether that and what
// follows will fit (preflight.h). `options.sensitivity` may name a measurement that was made
// before. Throws as measuring does, Error(incompatible, "sensitivity-differs"), Error(bad_input,
// "output-foreign" | "output-resumable" | "output-busy").
SpentBudget spend_budget(const Artifact& base, const Recipe& recipe, const CompressPlan& plain,
                         const StoredDialect& dialect, const std::string& out_dir,
                         const CompressOptions& options, ThreadPool& threads);

// Reads what write_sensitivity wrote; a measurement of `expected`'s model, tokens and recipe.
Sensitivity read_sensitivity(const std::string& path, const Sensitivity& expected);
void write_sensitivity(const std::string& path, const Sensitivity& sensitivity);

}  // namespace sinter
