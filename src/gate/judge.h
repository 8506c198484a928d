// The verdict on two runs: pure, so it can be computed again from the recorded files, under this
// policy or another.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gate/policy.h"
#include "gate/run.h"
#include "gate/statistics.h"

namespace sinter {

enum class Outcome { pass, fail, inconclusive };
const char* outcome_name(Outcome outcome);

// What one rule of the policy found. `notice` and `not_applicable` leave the verdict as it is.
enum class Finding { pass, notice, fail, inconclusive, not_applicable };
const char* finding_name(Finding finding);

struct Check {
  std::string name;   // stable: "success", "critical" ...
  std::string title;  // for a person
  Finding finding = Finding::pass;
  std::string limit;
  std::string measured;
  std::string sentence;
};

// Success of a group of items on both: all of them, a domain, a behaviour.
struct Tally {
  std::string name;
  int64_t n = 0;  // items that ran on both
  int64_t n_errors = 0;
  int64_t passed_before = 0;
  int64_t passed_after = 0;
  int64_t lost = 0;
  int64_t won = 0;
  double score_before = 0;  // mean
  double score_after = 0;
  Interval difference;      // Tango, of success after less before, 95 %
  double p_worse = 1;       // exact McNemar, one-sided
  double p_worse_holm = 1;  // adjusted over the groups of its kind
};

struct LikelihoodEffect {
  int64_t n = 0;          // items with a reference that both gave a likelihood for
  int64_t n_missing = 0;  // items with a reference without
  int64_t worse = 0;
  int64_t better = 0;
  double median_ratio = 1;  // candidate / baseline NLL
  Interval median_ratio_interval;
  double p_sign = 1;
};

// Losses by how narrow the baseline's decision was, narrowest first.
struct MarginBand {
  double from = 0;  // quantiles of the baseline's margins, of the items it passed
  double to = 0;
  double widest = 0;  // the largest margin in the band
  int64_t n = 0;
  int64_t lost = 0;
};

struct TextEffect {
  int64_t n_texts = 0;
  int64_t n_errors = 0;
  int64_t n_positions = 0;
  double mean_kl = 0;
  double p99_kl = 0;
  double max_kl = 0;
  double top1_agreement = 1;
  double perplexity_before = 0;
  double perplexity_after = 0;
  std::string first_error;
};

struct Verdict {
  Outcome outcome = Outcome::inconclusive;
  std::vector<std::string> reasons;  // the first is the verdict in one sentence, for a person
  std::vector<Check> checks;
  Tally all;
  double p_two_sided = 1;
  Interval bootstrap;  // of the mean score difference, 95 %
  std::vector<Tally> domains;
  std::vector<Tally> behaviours;       // "domain/behaviour"
  std::vector<std::string> regressed;  // ids: passed before, not after
  std::vector<std::string> repaired;
  std::vector<std::string> critical_lost;
  std::vector<std::string> errored;
  int64_t n_same_answer = 0;  // of n_answers that both generated, the very same text
  int64_t n_answers = 0;
  LikelihoodEffect likelihood;
  std::vector<MarginBand> margins;
  TextEffect text;
  OperatingPoint at_margin;  // if the true loss were the policy's margin, with the churn seen
  double churn = 0;          // share of the items that flip without getting worse on the whole
  double detectable = 1;     // smallest true loss found in 80 % of such runs
  std::string power;         // the same in a sentence
};

// Costs of both subjects as Subject::costs() gave them; null where nobody asked.
struct Costs {
  Json baseline;
  Json candidate;
};

// Throws Error(incompatible, "gate-runs-differ") where the two are not runs of one suite.
Verdict judge(const Run& before, const Run& after, const TextRun& texts, const Costs& costs,
              const Policy& policy);

// The ratio of an item's NLLs that everything about likelihoods uses: both floored, so that the
// noise of certainties does not count.
std::optional<double> likelihood_ratio(const ItemResult& before, const ItemResult& after);

}  // namespace sinter
