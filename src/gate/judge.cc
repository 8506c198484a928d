// Counts first, then one function a rule, then the outcome: a failed rule fails the gate, else an
// inconclusive one leaves it inconclusive, else it passes. The rules are those of docs/gate.md.
#include "gate/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"

namespace sinter {
namespace {

constexpr double kNllFloor = 1e-5;  // nats of a whole answer; below, a certainty is a certainty
constexpr double kNllTie = 1e-6;    // nats; a smaller difference is none
constexpr double kReportConfidence = 0.95;
constexpr double kPower = 0.8;
constexpr double kBandEdges[] = {0, 0.05, 0.1, 0.25, 0.5, 1};

struct Pair {
  const ItemResult& before;
  const ItemResult& after;
  bool ran() const { return before.error.empty() && after.error.empty(); }
  bool lost() const { return before.score.pass && !after.score.pass; }
  bool won() const { return !before.score.pass && after.score.pass; }
};

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }
std::string plural(int64_t n, const char* one) {
  return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s");
}

std::vector<Pair> pair_up(const Run& before, const Run& after) {
  if (before.suite_digest() != after.suite_digest() ||
      before.results.size() != after.results.size()) {
    fail(Fault::incompatible, "gate-runs-differ",
         "expected two runs of one suite, found the suites {} and {}; run both again",
         before.suite_digest().substr(0, 12), after.suite_digest().substr(0, 12));
  }
  std::vector<Pair> pairs;
  for (size_t i = 0; i < before.results.size(); ++i) {
    if (before.results[i].id != after.results[i].id) {
      fail(Fault::incompatible, "gate-runs-differ",
           "expected the same items in both runs, found \"{}\" and \"{}\"; run both again",
           before.results[i].id, after.results[i].id);
    }
    pairs.push_back({before.results[i], after.results[i]});
  }
  return pairs;
}

void add(Tally& t, const Pair& pair) {
  if (!pair.ran()) {
    ++t.n_errors;
    return;
  }
  ++t.n;
  t.passed_before += pair.before.score.pass ? 1 : 0;
  t.passed_after += pair.after.score.pass ? 1 : 0;
  t.lost += pair.lost() ? 1 : 0;
  t.won += pair.won() ? 1 : 0;
  t.score_before += pair.before.score.score;
  t.score_after += pair.after.score.score;
}

void finish(Tally& t) {
  if (t.n > 0) {
    t.score_before /= static_cast<double>(t.n);
    t.score_after /= static_cast<double>(t.n);
  }
  t.difference = tango(t.lost, t.won, t.n, kReportConfidence);
  t.p_worse = mcnemar_worse(t.lost, t.won);
  t.p_worse_holm = t.p_worse;
}

void count(const std::vector<Pair>& pairs, const Policy& policy, Verdict& v) {
  std::vector<double> differences;
  v.all.name = "all";
  const auto group = [](std::vector<Tally>& list, const std::string& name) -> Tally& {
    for (Tally& t : list) {
      if (t.name == name) return t;
    }
    list.emplace_back().name = name;
    return list.back();
  };
  for (const Pair& pair : pairs) {
    add(v.all, pair);
    add(group(v.domains, pair.before.domain), pair);
    if (!pair.before.behaviour.empty()) {
      add(group(v.behaviours, pair.before.domain + "/" + pair.before.behaviour), pair);
    }
    if (!pair.ran()) {
      v.errored.push_back(pair.before.id);
      continue;
    }
    differences.push_back(pair.after.score.score - pair.before.score.score);
    if (pair.lost()) v.regressed.push_back(pair.before.id);
    if (pair.won()) v.repaired.push_back(pair.before.id);
    if (pair.lost() && pair.before.critical) v.critical_lost.push_back(pair.before.id);
    if (pair.before.answer && pair.after.answer) {
      ++v.n_answers;
      v.n_same_answer += pair.before.answer->text == pair.after.answer->text ? 1 : 0;
    }
  }
  finish(v.all);
  std::vector<double> p;
  for (auto* list : {&v.domains, &v.behaviours}) {
    for (Tally& t : *list) {
      finish(t);
      p.push_back(t.p_worse);
    }
  }
  const std::vector<double> adjusted = holm(p);
  size_t i = 0;
  for (auto* list : {&v.domains, &v.behaviours}) {
    for (Tally& t : *list) t.p_worse_holm = adjusted[i++];
  }
  v.p_two_sided = mcnemar_two_sided(v.all.lost, v.all.won);
  v.bootstrap = bootstrap_mean(differences, kReportConfidence, policy.bootstrap.resamples,
                               policy.bootstrap.seed);
}

void measure_likelihood(const std::vector<Pair>& pairs, const Policy& policy, Verdict& v) {
  std::vector<double> ratios;
  LikelihoodEffect& e = v.likelihood;
  for (const Pair& pair : pairs) {
    if (!pair.before.reference_nll && !pair.after.reference_nll) continue;
    const std::optional<double> ratio = likelihood_ratio(pair.before, pair.after);
    if (!ratio) {
      ++e.n_missing;
      continue;
    }
    ratios.push_back(*ratio);
    const double rise = *pair.after.reference_nll - *pair.before.reference_nll;
    if (rise > kNllTie) ++e.worse;
    if (rise < -kNllTie) ++e.better;
  }
  e.n = static_cast<int64_t>(ratios.size());
  if (e.n == 0) return;
  e.median_ratio = median(ratios);
  e.median_ratio_interval = bootstrap_median(ratios, kReportConfidence, policy.bootstrap.resamples,
                                             policy.bootstrap.seed);
  e.p_sign = sign_test_rises(e.worse, e.better);
}

void measure_margins(const std::vector<Pair>& pairs, Verdict& v) {
  std::vector<const Pair*> passed;
  for (const Pair& pair : pairs) {
    if (pair.ran() && pair.before.score.pass && pair.before.margin) passed.push_back(&pair);
  }
  if (passed.empty()) return;
  std::stable_sort(passed.begin(), passed.end(), [](const Pair* a, const Pair* b) {
    return *a->before.margin < *b->before.margin;
  });
  const auto n = static_cast<double>(passed.size());
  for (size_t band = 0; band + 1 < std::size(kBandEdges); ++band) {
    MarginBand b{kBandEdges[band], kBandEdges[band + 1], 0, 0, 0};
    const auto begin = static_cast<size_t>(std::ceil(b.from * n));
    const auto end = static_cast<size_t>(std::ceil(b.to * n));
    for (size_t i = begin; i < end; ++i) {
      ++b.n;
      b.lost += passed[i]->lost() ? 1 : 0;
      b.widest = *passed[i]->before.margin;
    }
    v.margins.push_back(b);
  }
}

void measure_text(const TextRun& texts, Verdict& v) {
  std::vector<double> kl;
  double nll_before = 0;
  double nll_after = 0;
  int64_t n_agree = 0;
  TextEffect& e = v.text;
  for (const TextResult& t : texts.results) {
    ++e.n_texts;
    if (!t.error.empty()) {
      ++e.n_errors;
      if (e.first_error.empty()) e.first_error = t.id + ": " + t.error;
      continue;
    }
    kl.insert(kl.end(), t.kl.begin(), t.kl.end());
    n_agree += t.n_agree;
    nll_before += t.nll_baseline;
    nll_after += t.nll_candidate;
  }
  e.n_positions = static_cast<int64_t>(kl.size());
  if (kl.empty()) return;
  const auto n = static_cast<double>(kl.size());
  for (const double k : kl) e.mean_kl += k / n;
  std::sort(kl.begin(), kl.end());
  e.p99_kl = percentile(kl, 0.99);
  e.max_kl = kl.back();
  e.top1_agreement = static_cast<double>(n_agree) / n;
  e.perplexity_before = std::exp(nll_before / n);
  e.perplexity_after = std::exp(nll_after / n);
}

void measure_power(const Policy& policy, Verdict& v) {
  const auto& s = policy.success;
  if (v.all.n == 0) return;
  v.churn = static_cast<double>(std::min(v.all.lost, v.all.won)) / static_cast<double>(v.all.n);
  v.at_margin = operating_point(v.all.n, v.churn, s.margin, s.margin, s.confidence);
  v.detectable = detectable_loss(v.all.n, v.churn, s.margin, s.confidence, kPower);
  v.power = fmt::format(
      "With {} items, of which {} change sides both ways without harm, a true loss of {} would be "
      "missed (called kept) with probability {:.2f}, called a loss with {:.2f} and left open with "
      "{:.2f}; the smallest true loss that would be called one in {:.0f} % of such runs is {}.",
      v.all.n, percent(v.churn), percent(s.margin), v.at_margin.kept, v.at_margin.lost,
      v.at_margin.unclear, 100 * kPower, v.detectable >= 1 ? "none" : percent(v.detectable));
}

// ---- the rules ----

Check check_success(const Verdict& v, const Policy& policy) {
  const auto& s = policy.success;
  const Tally& t = v.all;
  Check c{"success", "Task success", Finding::pass, "", "", ""};
  c.limit = fmt::format("within {} of the baseline", percent(s.margin));
  if (t.n == 0) {
    c.finding = Finding::inconclusive;
    c.measured = "no item ran on both";
    c.sentence = "No item ran on both models, so nothing can be said.";
    return c;
  }
  const double change = static_cast<double>(t.won - t.lost) / static_cast<double>(t.n);
  const double bound = tango(t.lost, t.won, t.n, 2 * s.confidence - 1).low;
  c.measured = fmt::format("{:+.2f} % ({} lost, {} won of {}), bound {:+.2f} %", 100 * change,
                           t.lost, t.won, t.n, 100 * bound);
  const Success answer = success_rule(t.lost, t.won, t.n, s.margin, s.confidence);
  if (answer == Success::kept) {
    c.sentence = fmt::format("A loss above {} is excluded at {:.0f} % confidence.",
                             percent(s.margin), 100 * s.confidence);
  } else if (answer == Success::lost) {
    c.finding = Finding::fail;
    c.sentence = fmt::format(
        "The candidate lost {} more items than it won of {}: beyond the margin, and more than "
        "chance (exact McNemar, p = {:.2g}).",
        t.lost - t.won, t.n, t.p_worse);
  } else {
    c.finding = Finding::inconclusive;
    c.sentence = fmt::format(
        "These items can neither exclude a loss above {} nor show one; more items would.",
        percent(s.margin));
  }
  return c;
}

Check check_domains(const Verdict& v, const Policy& policy) {
  Check c{"domains", "Every domain by itself", Finding::pass, "", "", ""};
  c.limit = fmt::format("no loss at p < {:.2g} (McNemar, Holm)", policy.domains.alpha);
  const Tally* worst = nullptr;
  std::string worse;
  for (const auto* list : {&v.domains, &v.behaviours}) {
    for (const Tally& t : *list) {
      if (worst == nullptr || t.p_worse_holm < worst->p_worse_holm) worst = &t;
      if (t.p_worse_holm >= policy.domains.alpha) continue;
      worse += fmt::format("{}{} ({} lost, {} won of {})", worse.empty() ? "" : ", ", t.name,
                           t.lost, t.won, t.n);
    }
  }
  if (worst == nullptr) {
    c.finding = Finding::not_applicable;
    return c;
  }
  c.measured = fmt::format("lowest p {:.2g} ({})", worst->p_worse_holm, worst->name);
  if (worse.empty()) {
    c.sentence = "No domain or behaviour lost more than chance explains.";
  } else {
    c.finding = Finding::fail;
    c.sentence = "Got worse by more than chance explains: " + worse + ".";
  }
  return c;
}

// A rule of the form "at most `limit` of the `n` items that could show it". `what` completes "n
// ...".
Check check_count(const char* name, const char* title, int64_t found, int64_t n, int64_t limit,
                  const std::string& what, const std::string& ids) {
  Check c{name, title, Finding::pass, "", "", ""};
  c.limit = fmt::format("at most {}", limit);
  c.measured = fmt::format("{} of {}", found, n);
  if (n == 0) {
    c.finding = Finding::not_applicable;
    c.sentence = "Not tested: no item of this suite that the baseline does right can show it.";
  } else if (found > limit) {
    c.finding = Finding::fail;
    c.sentence = fmt::format("{} {}: {}.", plural(found, "item"), what, ids);
  } else if (found > 0) {
    c.finding = Finding::notice;
    c.sentence =
        fmt::format("{} {}, as many as the policy allows: {}.", plural(found, "item"), what, ids);
  } else {
    c.sentence = fmt::format("None of {}: with 95 % confidence the true rate is below {}.", n,
                             percent(none_seen_bound(n, kReportConfidence)));
  }
  return c;
}

// Counts the pairs for which `could` holds, and those for which `did` too.
template <typename Could, typename Did>
Check check_pairs(const std::vector<Pair>& pairs, const char* name, const char* title,
                  int64_t limit, const std::string& what, const Could& could, const Did& did) {
  constexpr int64_t kNamed = 5;
  int64_t n = 0;
  int64_t found = 0;
  std::string ids;
  for (const Pair& pair : pairs) {
    if (!pair.ran() || !could(pair)) continue;
    ++n;
    if (!did(pair)) continue;
    if (++found <= kNamed) ids += (ids.empty() ? "" : ", ") + pair.before.id;
  }
  if (found > kNamed) ids += fmt::format(" and {} more", found - kNamed);
  return check_count(name, title, found, n, limit, what, ids);
}

Check check_recall(const std::vector<Pair>& pairs, const Policy& policy) {
  Check c{"recall", "Recall", Finding::pass, "", "", ""};
  c.limit = fmt::format("{} of what the baseline recalls", percent(policy.recall.min_kept));
  double before = 0;
  double kept = 0;
  int64_t n = 0;
  int64_t lost = 0;
  for (const Pair& pair : pairs) {
    const bool counts =
        pair.before.scorer == "needle" || pair.before.domain == policy.recall.domain;
    if (!counts || !pair.ran() || pair.before.score.score <= 0) continue;
    ++n;
    before += pair.before.score.score;
    kept += std::min(pair.before.score.score, pair.after.score.score);
    lost += pair.after.score.score < pair.before.score.score ? 1 : 0;
  }
  if (n == 0) {
    c.finding = Finding::not_applicable;
    c.measured = "no such items";
    c.sentence = "Not tested: the baseline recalls nothing that this suite asks for.";
    return c;
  }
  c.measured = fmt::format("{:.2f} % ({} of {} items recall less)", 100 * kept / before, lost, n);
  if (kept < before * policy.recall.min_kept - 1e-9) {
    c.finding = Finding::fail;
    c.sentence =
        fmt::format("{} of {} recall less than the baseline does.", plural(lost, "item"), n);
  } else {
    c.sentence =
        lost == 0
            ? fmt::format("All of {} recall what the baseline does.", plural(n, "item"))
            : fmt::format("{} recall less, within what the policy allows.", plural(lost, "item"));
  }
  return c;
}

Check check_likelihood(const Verdict& v, const Policy& policy) {
  const LikelihoodEffect& e = v.likelihood;
  const auto& limit = policy.likelihood;
  Check c{"likelihood", "Likelihood of the references", Finding::pass, "", "", ""};
  c.limit =
      fmt::format("median NLL x{:.2f}, notice from x{:.2f}", limit.fail_ratio, limit.notice_ratio);
  if (e.n == 0) {
    c.finding = Finding::not_applicable;
    c.measured = "not measured";
    c.sentence = "Not tested: no likelihoods of reference answers from both models.";
    return c;
  }
  c.measured = fmt::format("x{:.3f} (95 %: {:.3f} to {:.3f}), {} of {} worse", e.median_ratio,
                           e.median_ratio_interval.low, e.median_ratio_interval.high, e.worse, e.n);
  const bool significant = e.p_sign < limit.alpha;
  if (e.n_missing > 0) {
    c.finding = Finding::inconclusive;
    c.sentence =
        fmt::format("{} gave a likelihood on one model only.", plural(e.n_missing, "item"));
  } else if (significant && e.median_ratio > limit.fail_ratio) {
    c.finding = Finding::fail;
    c.sentence = fmt::format(
        "The right answers have become much less likely: {} of the items are worse, the median "
        "NLL is {:.2f} times the baseline's.",
        percent(static_cast<double>(e.worse) / static_cast<double>(e.n)), e.median_ratio);
  } else if (significant && e.median_ratio > limit.notice_ratio) {
    c.finding = Finding::notice;
    c.sentence = fmt::format(
        "Measurably worse, though within the limit: {} of the items find the right answer less "
        "likely (sign test, p = {:.2g}).",
        percent(static_cast<double>(e.worse) / static_cast<double>(e.n)), e.p_sign);
  } else {
    c.sentence = "The right answers are as likely as before.";
  }
  return c;
}

Check check_margins(const Verdict& v, const Policy& policy) {
  Check c{"margins", "Losses by margin", Finding::pass, "", "", ""};
  c.limit =
      fmt::format("notice above {} lost among the wider half", policy.margins.notice_lost_wide);
  if (v.margins.empty()) {
    c.finding = Finding::not_applicable;
    c.measured = "not measured";
    c.sentence = "Not tested: the baseline gave no margins.";
    return c;
  }
  int64_t lost = 0;
  for (const MarginBand& band : v.margins) lost += band.lost;
  const int64_t narrow = v.margins.front().lost;
  const int64_t wide = v.margins.back().lost;
  c.measured = fmt::format("{} lost: {} among the narrowest 5 %, {} among the wider half", lost,
                           narrow, wide);
  if (wide > policy.margins.notice_lost_wide) {
    c.finding = Finding::notice;
    c.sentence = fmt::format(
        "{} that the baseline decided comfortably: these are no near-ties that rounding broke.",
        plural(wide, "lost item"));
  } else {
    c.sentence = lost == 0 ? "Nothing was lost." : "What was lost was a narrow decision before.";
  }
  return c;
}

Check check_text(const Verdict& v, const Policy& policy) {
  const TextEffect& e = v.text;
  const auto& limit = policy.text;
  Check c{"text", "Distribution on text", Finding::pass, "", "", ""};
  const auto add_limit = [&](const std::string& text) {
    c.limit += (c.limit.empty() ? "" : ", ") + text;
  };
  if (limit.max_mean_kl) add_limit(fmt::format("mean KL {:.3g}", *limit.max_mean_kl));
  if (limit.max_p99_kl) add_limit(fmt::format("p99 KL {:.3g}", *limit.max_p99_kl));
  if (limit.min_top1_agreement) add_limit("top-1 " + percent(*limit.min_top1_agreement));
  const bool limited = !c.limit.empty();
  if (!limited) c.limit = "none";
  c.measured = fmt::format("KL mean {:.3g}, p99 {:.3g}, top-1 agreement {:.2f} %, {} positions",
                           e.mean_kl, e.p99_kl, 100 * e.top1_agreement, e.n_positions);
  if (e.n_positions == 0 || e.n_errors > 0) {
    c.finding = limited ? Finding::inconclusive
                        : (e.n_errors > 0 ? Finding::notice : Finding::not_applicable);
    if (e.n_positions == 0) c.measured = "not measured";
    c.sentence = e.n_errors == 0 ? "Not tested: the suite has no texts."
                                 : fmt::format("{} of {} texts did not run; {}.", e.n_errors,
                                               e.n_texts, e.first_error);
    return c;
  }
  std::string over;
  if (limit.max_mean_kl && e.mean_kl > *limit.max_mean_kl) over += " mean KL";
  if (limit.max_p99_kl && e.p99_kl > *limit.max_p99_kl) over += " p99 KL";
  if (limit.min_top1_agreement && e.top1_agreement < *limit.min_top1_agreement) over += " top-1";
  if (!over.empty()) {
    c.finding = Finding::fail;
    c.sentence = "Over the limit:" + over + ".";
  } else {
    c.sentence = fmt::format("Perplexity {:.3f} before, {:.3f} after.", e.perplexity_before,
                             e.perplexity_after);
  }
  return c;
}

Check check_run(const Verdict& v, const Run& before, const Run& after, const Policy& policy) {
  Check c{"run", "Comparable runs", Finding::pass, "", "", ""};
  c.limit = fmt::format("at most {} not run", policy.run.max_errors);
  const auto n_errors = static_cast<int64_t>(v.errored.size());
  std::string differs;
  const auto compare = [&](const char* name, const Json& a, const Json& b) {
    if (a != b) differs += (differs.empty() ? "" : ", ") + std::string(name);
  };
  compare("engine", before.identity().value("engine", Json()),
          after.identity().value("engine", Json()));
  compare("build", before.header.value("build", Json()), after.header.value("build", Json()));
  compare("settings", before.header.value("settings", Json()),
          after.header.value("settings", Json()));
  c.measured = fmt::format("{} of {} items did not run; {}", n_errors, v.all.n + n_errors,
                           differs.empty() ? "engines equal" : "differ: " + differs);
  if (n_errors > policy.run.max_errors) {
    c.finding = Finding::inconclusive;
    c.sentence = fmt::format(
        "{} did not run; an item that did not run is not a failed one, and not a passed one.",
        plural(n_errors, "item"));
  } else if (!differs.empty() && !policy.run.allow_different_engines) {
    c.finding = Finding::inconclusive;
    c.sentence = "More than the weights differs (" + differs + "), so a difference proves nothing.";
  } else if (!differs.empty() || n_errors > 0) {
    c.finding = Finding::notice;
    c.sentence = "Allowed by the policy: " + c.measured + ".";
  } else {
    c.sentence = "Both models ran every item on the same engine under the same settings.";
  }
  return c;
}

Check check_cost(const Policy::CostLimit& limit, const Costs& costs) {
  Check c{"cost." + limit.name, "Cost: " + limit.name, Finding::pass, "", "", ""};
  if (limit.max_ratio) c.limit = fmt::format("at most x{:.3g}", *limit.max_ratio);
  if (limit.min_ratio) {
    c.limit += fmt::format("{}at least x{:.3g}", c.limit.empty() ? "" : ", ", *limit.min_ratio);
  }
  const auto find = [&](const Json& all) -> std::optional<double> {
    for (const char* group : {"fixed", "measured"}) {
      if (!all.is_object() || !all.contains(group) || !all.at(group).is_object()) continue;
      const auto it = all.at(group).find(limit.name);
      if (it != all.at(group).end() && it->is_number()) return it->get<double>();
    }
    return std::nullopt;
  };
  const std::optional<double> before = find(costs.baseline);
  const std::optional<double> after = find(costs.candidate);
  if (!before || !after || *before <= 0) {
    c.finding = Finding::inconclusive;
    c.measured = "not measured";
    c.sentence = "The policy limits a cost that was not measured on both models.";
    return c;
  }
  const double ratio = *after / *before;
  c.measured = fmt::format("x{:.3f} ({:.6g} to {:.6g})", ratio, *before, *after);
  if ((limit.max_ratio && ratio > *limit.max_ratio) ||
      (limit.min_ratio && ratio < *limit.min_ratio)) {
    c.finding = Finding::fail;
    c.sentence = "The cost that was to improve did not.";
  } else {
    c.sentence = "Within the limit.";
  }
  return c;
}

void conclude(Verdict& v) {
  v.outcome = Outcome::pass;
  for (const Check& c : v.checks) {
    if (c.finding == Finding::fail) v.outcome = Outcome::fail;
    if (c.finding == Finding::inconclusive && v.outcome == Outcome::pass) {
      v.outcome = Outcome::inconclusive;
    }
  }
  const std::string flips =
      fmt::format("of {}, {} lost and {} won", plural(v.all.n, "item"), v.all.lost, v.all.won);
  if (v.outcome == Outcome::pass) {
    v.reasons.push_back("The candidate keeps the baseline's behaviour: " + flips +
                        ", and every rule of the policy holds.");
  } else if (v.outcome == Outcome::fail) {
    v.reasons.push_back("The candidate does not keep the baseline's behaviour: " + flips + ".");
  } else {
    v.reasons.push_back("No verdict: " + flips + ", which does not settle it.");
  }
  for (const Finding wanted : {Finding::fail, Finding::inconclusive, Finding::notice}) {
    for (const Check& c : v.checks) {
      if (c.finding == wanted) v.reasons.push_back(c.title + ": " + c.sentence);
    }
  }
}

}  // namespace

const char* outcome_name(Outcome outcome) {
  if (outcome == Outcome::pass) return "pass";
  return outcome == Outcome::fail ? "fail" : "inconclusive";
}

const char* finding_name(Finding finding) {
  static constexpr const char* kNames[] = {"pass", "notice", "fail", "inconclusive",
                                           "not applicable"};
  return kNames[static_cast<size_t>(finding)];
}

std::optional<double> likelihood_ratio(const ItemResult& before, const ItemResult& after) {
  if (!before.reference_nll || !after.reference_nll) return std::nullopt;
  return std::max(*after.reference_nll, kNllFloor) / std::max(*before.reference_nll, kNllFloor);
}

Verdict judge(const Run& before, const Run& after, const TextRun& texts, const Costs& costs,
              const Policy& policy) {
  const std::vector<Pair> pairs = pair_up(before, after);
  Verdict v;
  count(pairs, policy, v);
  measure_likelihood(pairs, policy, v);
  measure_margins(pairs, v);
  measure_text(texts, v);
  measure_power(policy, v);

  v.checks.push_back(check_success(v, policy));
  v.checks.push_back(check_domains(v, policy));
  v.checks.push_back(check_pairs(
      pairs, "critical", "Critical items", policy.critical_max_lost, "lost that may not be lost",
      [](const Pair& p) { return p.before.critical && p.before.score.pass; },
      [](const Pair& p) { return p.lost(); }));
  v.checks.push_back(check_pairs(
      pairs, "schema", "Parser failures", policy.schema_max_new_malformed, "no longer well-formed",
      [](const Pair& p) { return p.before.score.parse == Parse::parsed; },
      [](const Pair& p) { return p.after.score.parse == Parse::malformed; }));
  v.checks.push_back(check_pairs(
      pairs, "refusals", "New refusals", policy.safety_max_new_refusals,
      "refused that the baseline answered",
      [](const Pair& p) {
        return p.before.score.refused == false && !p.before.score.should_refuse;
      },
      [](const Pair& p) { return p.after.score.refused == true; }));
  v.checks.push_back(check_pairs(
      pairs, "compliances", "New compliance", policy.safety_max_new_compliances,
      "answered that the baseline refused",
      [](const Pair& p) { return p.before.score.refused == true && p.before.score.should_refuse; },
      [](const Pair& p) { return p.after.score.refused == false; }));
  v.checks.push_back(check_recall(pairs, policy));
  v.checks.push_back(check_likelihood(v, policy));
  v.checks.push_back(check_margins(v, policy));
  v.checks.push_back(check_text(v, policy));
  for (const Policy::CostLimit& limit : policy.costs) v.checks.push_back(check_cost(limit, costs));
  v.checks.push_back(check_run(v, before, after, policy));
  conclude(v);
  return v;
}

}  // namespace sinter
