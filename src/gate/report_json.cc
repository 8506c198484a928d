// The verdict as JSON: everything that the other forms show, by stable names.
#include "base/build.h"
#include "gate/report.h"

namespace sinter {
namespace {

Json tally_to_json(const Tally& t) {
  return {{"name", t.name},
          {"items", t.n},
          {"errors", t.n_errors},
          {"passed_baseline", t.passed_before},
          {"passed_candidate", t.passed_after},
          {"lost", t.lost},
          {"won", t.won},
          {"score_baseline", t.score_before},
          {"score_candidate", t.score_after},
          {"difference_95", {t.difference.low, t.difference.high}},
          {"p_worse", t.p_worse},
          {"p_worse_holm", t.p_worse_holm}};
}

Json tallies(const std::vector<Tally>& list) {
  Json out = Json::array();
  for (const Tally& t : list) out.push_back(tally_to_json(t));
  return out;
}

Json flip_to_json(const ItemResult& before, const ItemResult& after) {
  Json flip = {{"id", before.id},
               {"domain", before.domain},
               {"behaviour", before.behaviour},
               {"scorer", before.scorer},
               {"critical", before.critical},
               {"direction", before.score.pass ? "lost" : "won"},
               {"margin_baseline", before.margin ? Json(*before.margin) : Json()},
               {"detail_baseline", before.score.detail},
               {"detail_candidate", after.score.detail}};
  if (const auto ratio = likelihood_ratio(before, after)) flip["nll_ratio"] = *ratio;
  if (before.answer && after.answer) {
    const Divergence d = diverge(*before.answer, *after.answer);
    flip["answer_baseline"] = before.answer->text;
    flip["answer_candidate"] = after.answer->text;
    flip["first_different_token"] = d.token;
  }
  return flip;
}

}  // namespace

std::string report_json(const Report& report) {
  const Verdict& v = report.verdict;
  Json checks = Json::array();
  for (const Check& c : v.checks) {
    checks.push_back({{"name", c.name},
                      {"title", c.title},
                      {"finding", finding_name(c.finding)},
                      {"limit", c.limit},
                      {"measured", c.measured},
                      {"sentence", c.sentence}});
  }
  Json flips = Json::array();
  for (size_t i = 0; i < report.before.results.size(); ++i) {
    const ItemResult& before = report.before.results[i];
    const ItemResult& after = report.after.results[i];
    if (!before.error.empty() || !after.error.empty()) continue;
    if (before.score.pass != after.score.pass) flips.push_back(flip_to_json(before, after));
  }
  Json errors = Json::array();
  for (size_t i = 0; i < report.before.results.size(); ++i) {
    const ItemResult& before = report.before.results[i];
    const ItemResult& after = report.after.results[i];
    if (before.error.empty() && after.error.empty()) continue;
    errors.push_back({{"id", before.id}, {"baseline", before.error}, {"candidate", after.error}});
  }
  Json margins = Json::array();
  for (const MarginBand& b : v.margins) {
    margins.push_back(
        {{"from", b.from}, {"to", b.to}, {"widest", b.widest}, {"items", b.n}, {"lost", b.lost}});
  }
  Json costs = Json::object();
  for (const auto& [name, pair] : fixed_costs(report.costs)) {
    costs[name] = {{"baseline", pair.first}, {"candidate", pair.second}};
  }
  const LikelihoodEffect& l = v.likelihood;
  const TextEffect& t = v.text;
  const Json out = {
      {"kind", "gate-report"},
      {"version", 1},
      {"outcome", outcome_name(v.outcome)},
      {"reasons", v.reasons},
      {"suite", report.before.header.at("suite")},
      {"baseline", report.before.identity()},
      {"candidate", report.after.identity()},
      {"build", build_name()},
      {"policy", policy_to_json(report.policy)},
      {"checks", checks},
      {"all", tally_to_json(v.all)},
      {"p_two_sided", v.p_two_sided},
      {"bootstrap_95", {v.bootstrap.low, v.bootstrap.high}},
      {"domains", tallies(v.domains)},
      {"behaviours", tallies(v.behaviours)},
      {"regressed", v.regressed},
      {"repaired", v.repaired},
      {"critical_lost", v.critical_lost},
      {"errors", errors},
      {"same_answers", {{"same", v.n_same_answer}, {"of", v.n_answers}}},
      {"likelihood",
       {{"items", l.n},
        {"missing", l.n_missing},
        {"worse", l.worse},
        {"better", l.better},
        {"median_ratio", l.median_ratio},
        {"median_ratio_95", {l.median_ratio_interval.low, l.median_ratio_interval.high}},
        {"p_sign", l.p_sign}}},
      {"margins", margins},
      {"text",
       {{"texts", t.n_texts},
        {"errors", t.n_errors},
        {"positions", t.n_positions},
        {"mean_kl", t.mean_kl},
        {"p99_kl", t.p99_kl},
        {"max_kl", t.max_kl},
        {"top1_agreement", t.top1_agreement},
        {"perplexity_baseline", t.perplexity_before},
        {"perplexity_candidate", t.perplexity_after}}},
      {"power",
       {{"sentence", v.power},
        {"churn", v.churn},
        {"at_margin",
         {{"kept", v.at_margin.kept},
          {"lost", v.at_margin.lost},
          {"unclear", v.at_margin.unclear}}},
        {"detectable_loss", v.detectable}}},
      {"costs", costs},
      {"flips", flips},
  };
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sinter
