// One subject's answers to one suite. A run is written item by item, so that a kill loses at most
// the batch in flight; when it is complete the journal is put in the suite's order, so that a run
// that was killed and resumed leaves the same bytes as one that was not. No clock time is in it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gate/item.h"
#include "gate/scorers.h"
#include "gate/subject.h"

namespace sinter {

// What one item gave on one subject. Where `error` is not empty the item did not run, and nothing
// else in here means anything.
struct ItemResult {
  std::string id;
  std::string domain;
  std::string behaviour;
  std::string scorer;
  bool critical = false;
  std::string error;
  Score score;
  std::optional<Answer> answer;         // of items that generate
  std::optional<double> reference_nll;  // nats, of the whole reference and the end of the turn
  int32_t reference_tokens = 0;
  std::optional<double> margin;  // how near the decision was: logits, or nats between choices
};

struct Run {
  Json header;  // what makes two runs comparable: suite, subject, settings, build
  std::vector<ItemResult> results;  // in the suite's order
  std::string suite_digest() const;
  Json identity() const;  // of the subject
};

// Teacher-forced text on both subjects, position by position.
struct TextResult {
  std::string id;
  std::string error;
  std::vector<float> kl;    // nats, of the baseline's distribution to the candidate's
  int64_t n_agree = 0;      // positions whose likeliest token is the same
  double nll_baseline = 0;  // nats, of the text
  double nll_candidate = 0;
};
struct TextRun {
  Json header;
  std::vector<TextResult> results;
};

struct RunSettings {
  bool resume = false;
  size_t batch_items = 0;  // items handed over at once; 0 = all that are pending
};

// The settings and identity that a run begins with.
Json run_header(const Suite& suite, const Json& identity);

// Runs what `path` does not yet hold, and completes it. Throws Error(bad_input,
// "gate-report-exists") where `path` exists and `resume` is false, Error(incompatible,
// "gate-resume-differs") where it was begun by another suite, subject or build, Error(corrupt,
// "gate-journal") where its lines contradict the suite. An error of one item is that item's result;
// it is tried again on resume.
Run run_items(const Suite& suite, Subject& subject, const std::string& path,
              const std::string& role, const RunSettings& settings);

// The same for the suite's texts, both subjects in lockstep.
TextRun run_texts(const Suite& suite, Subject& baseline, Subject& candidate,
                  const std::string& path, const RunSettings& settings);

// Reads complete runs. Throws Error(corrupt, "gate-journal").
Run read_run(const std::string& path);
TextRun read_texts(const std::string& path);

}  // namespace sinter
