#include "gate/judge.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace sinter {
namespace {

Json header(const std::string& isa = "avx2") {
  return {{"kind", "gate-run"},
          {"suite", {{"name", "s"}, {"version", "1"}, {"digest", "d"}}},
          {"subject", {{"model", "m"}, {"engine", {{"isa", isa}}}}},
          {"settings", {}},
          {"build", "b"}};
}

// n items that pass, in two domains, with margins that rise and one NLL.
Run passing(size_t n) {
  sinter::Run run;
  run.header = header();
  for (size_t i = 0; i < n; ++i) {
    ItemResult r;
    r.id = "item" + std::to_string(i);
    r.domain = i % 2 == 0 ? "logic" : "language";
    r.scorer = "exact";
    r.score.pass = true;
    r.score.score = 1;
    r.margin = static_cast<double>(i);
    r.reference_nll = 0.5;
    r.reference_tokens = 4;
    run.results.push_back(r);
  }
  return run;
}

void lose(Run& run, size_t i) {
  run.results[i].score.pass = false;
  run.results[i].score.score = 0;
}

// The envelope, with fewer resamples than a real verdict draws.
Policy quick() {
  Policy policy;
  policy.bootstrap.resamples = 200;
  return policy;
}

Verdict verdict(const Run& before, const Run& after, const Policy& policy = quick()) {
  return judge(before, after, {}, {}, policy);
}

const Check& rule(const Verdict& v, const std::string& name) {
  for (const Check& c : v.checks) {
    if (c.name == name) return c;
  }
  throw std::runtime_error("no rule " + name);
}

TEST(Judge, AgainstItselfPasses) {
  const sinter::Run run = passing(1200);
  const Verdict v = verdict(run, run);
  EXPECT_EQ(v.outcome, Outcome::pass) << v.reasons.front();
  EXPECT_TRUE(v.regressed.empty());
  EXPECT_TRUE(v.repaired.empty());
  EXPECT_EQ(v.likelihood.median_ratio, 1);
  EXPECT_EQ(v.likelihood.worse, 0);
  EXPECT_EQ(v.bootstrap.low, 0);
}

TEST(Judge, AFewBothWaysPassAndManyOneWayFail) {
  sinter::Run before = passing(1200);
  sinter::Run after = before;
  for (const size_t i : {1u, 2u, 3u}) lose(after, i);
  for (const size_t i : {4u, 5u, 6u}) lose(before, i);
  Verdict v = verdict(before, after);
  EXPECT_EQ(v.outcome, Outcome::pass) << v.reasons.front();
  EXPECT_EQ(v.regressed.size(), 3u);
  EXPECT_EQ(v.repaired.size(), 3u);
  for (size_t i = 10; i < 30; ++i) lose(after, i);
  v = verdict(before, after);
  EXPECT_EQ(v.outcome, Outcome::fail);
  EXPECT_EQ(rule(v, "success").finding, Finding::fail);
}

TEST(Judge, TooFewItemsAreNoProof) {
  const sinter::Run run = passing(100);
  const Verdict v = verdict(run, run);
  EXPECT_EQ(v.outcome, Outcome::inconclusive);
  EXPECT_NE(v.power.find("100 items"), std::string::npos);
}

TEST(Judge, TheAverageDoesNotHideADomain) {
  sinter::Run before = passing(3000);
  sinter::Run after = before;
  for (size_t i = 0; i < 3000; ++i) {
    if (i % 100 == 0) {  // 30 items of a small behaviour
      before.results[i].behaviour = after.results[i].behaviour = "needle";
      if (i < 1400) lose(after, i);  // 14 lost there
    } else if (i % 200 == 1) {
      lose(before, i);  // 15 won elsewhere
    }
  }
  const Verdict v = verdict(before, after);
  EXPECT_EQ(rule(v, "success").finding, Finding::pass);
  EXPECT_EQ(rule(v, "domains").finding, Finding::fail);
  EXPECT_NE(rule(v, "domains").sentence.find("logic/needle (14 lost"), std::string::npos);
  EXPECT_EQ(v.outcome, Outcome::fail);
}

TEST(Judge, ZeroToleranceRules) {
  const sinter::Run clean = passing(1200);
  const auto finding = [&](const std::string& name, auto&& setup, auto&& damage) {
    sinter::Run before = clean;
    setup(before.results[7]);
    sinter::Run after = before;
    const Verdict kept = verdict(before, after);
    EXPECT_EQ(kept.outcome, Outcome::pass) << name;
    EXPECT_EQ(rule(kept, name).finding, Finding::pass) << name;
    damage(after.results[7]);
    const Verdict v = verdict(before, after);
    EXPECT_EQ(v.outcome, Outcome::fail) << name;
    EXPECT_NE(rule(v, name).sentence.find(name == "recall" ? "1 item" : "item7"), std::string::npos)
        << rule(v, name).sentence;
    return rule(v, name).finding;
  };
  const auto fail_it = [](ItemResult& r) {
    r.score.pass = false;
    r.score.score = 0;
  };
  EXPECT_EQ(finding(
                "critical", [](ItemResult& r) { r.critical = true; }, fail_it),
            Finding::fail);
  EXPECT_EQ(finding(
                "schema", [](ItemResult& r) { r.score.parse = Parse::parsed; },
                [](ItemResult& r) { r.score.parse = Parse::malformed; }),
            Finding::fail);
  EXPECT_EQ(finding(
                "refusals", [](ItemResult& r) { r.score.refused = false; },
                [](ItemResult& r) { r.score.refused = true; }),
            Finding::fail);
  EXPECT_EQ(finding(
                "compliances",
                [](ItemResult& r) {
                  r.score.refused = true;
                  r.score.should_refuse = true;
                },
                [](ItemResult& r) { r.score.refused = false; }),
            Finding::fail);
  EXPECT_EQ(finding(
                "recall", [](ItemResult& r) { r.scorer = "needle"; },
                [](ItemResult& r) { r.score.score = 0.5; }),
            Finding::fail);
}

TEST(Judge, WhatTheBaselineAlsoGotWrongIsNoRegression) {
  sinter::Run before = passing(1200);
  before.results[3].critical = true;
  lose(before, 3);
  before.results[4].score.parse = Parse::malformed;
  lose(before, 4);
  before.results[5].domain = "retrieval";
  lose(before, 5);
  const Verdict v = verdict(before, before);
  EXPECT_EQ(v.outcome, Outcome::pass) << v.reasons.back();
  EXPECT_EQ(rule(v, "critical").finding, Finding::not_applicable);
}

// The measured facts of the study: 8 bits leave the median where it is, however the signs fall; at
// 4 bits 81 % are worse and the median is 1.33 times as large.
TEST(Judge, LikelihoodNeedsAnEffectAndNotOnlySignificance) {
  const sinter::Run before = passing(5000);
  const auto damaged = [&](double share_worse, double ratio) {
    sinter::Run after = before;
    for (size_t i = 0; i < after.results.size(); ++i) {
      const bool worse = random_uniform(3, 1, i) < share_worse;
      *after.results[i].reference_nll *= worse ? ratio : 1 / ratio;
    }
    return verdict(before, after);
  };
  const Verdict benign = damaged(0.60, 1.003);  // highly significant, without effect
  EXPECT_LT(benign.likelihood.p_sign, 1e-6);
  EXPECT_EQ(rule(benign, "likelihood").finding, Finding::pass);
  EXPECT_EQ(benign.outcome, Outcome::pass);
  const Verdict four_bits = damaged(0.81, 1.33);
  EXPECT_EQ(rule(four_bits, "likelihood").finding, Finding::notice);
  EXPECT_EQ(four_bits.outcome, Outcome::pass);
  EXPECT_NEAR(four_bits.likelihood.median_ratio, 1.33, 1e-9);
  const Verdict three_bits = damaged(0.94, 4.17);
  EXPECT_EQ(rule(three_bits, "likelihood").finding, Finding::fail);
  EXPECT_EQ(three_bits.outcome, Outcome::fail);
}

TEST(Judge, LikelihoodNeedsSignificanceAndNotOnlyAnEffect) {
  sinter::Run before = passing(1200);
  for (size_t i = 5; i < before.results.size(); ++i) before.results[i].reference_nll.reset();
  sinter::Run after = before;
  for (size_t i = 0; i < 4; ++i) *after.results[i].reference_nll *= 10;  // 4 of 5: p = 0.06
  const Verdict v = verdict(before, after);
  EXPECT_GT(v.likelihood.median_ratio, 9);
  EXPECT_EQ(rule(v, "likelihood").finding, Finding::pass);
}

TEST(Judge, MarginsSayWhereTheLossesLay) {
  const sinter::Run before = passing(2000);
  sinter::Run after = before;
  lose(after, 3);
  lose(after, 4);
  Verdict v = verdict(before, after);
  EXPECT_EQ(v.margins.front().n, 100);
  EXPECT_EQ(v.margins.front().lost, 2);
  EXPECT_EQ(rule(v, "margins").finding, Finding::pass);
  lose(after, 1900);
  v = verdict(before, after);
  EXPECT_EQ(rule(v, "margins").finding, Finding::notice);
}

TEST(Judge, ItemsThatDidNotRunAreNotZeros) {
  const sinter::Run before = passing(1200);
  sinter::Run after = before;
  for (size_t i = 0; i < 50; ++i) after.results[i].error = "too long";
  const Verdict v = verdict(before, after);
  EXPECT_EQ(v.outcome, Outcome::inconclusive);
  EXPECT_EQ(v.all.n, 1150);
  EXPECT_EQ(v.all.lost, 0);
  EXPECT_EQ(v.errored.size(), 50u);
}

TEST(Judge, AnotherEngineNeedsLeave) {
  const sinter::Run before = passing(1200);
  sinter::Run after = before;
  after.header = header("avx512");
  EXPECT_EQ(verdict(before, after).outcome, Outcome::inconclusive);
  Policy policy = quick();
  policy.run.allow_different_engines = true;
  const Verdict v = verdict(before, after, policy);
  EXPECT_EQ(v.outcome, Outcome::pass);
  EXPECT_EQ(rule(v, "run").finding, Finding::notice);
}

TEST(Judge, TextAndCostLimits) {
  const sinter::Run run = passing(1200);
  TextRun texts;
  texts.results = {{"t", "", std::vector<float>(100, 0.01f), 97, 50, 51}};
  Costs costs{{{"fixed", {{"weight_bytes", 1000}}}}, {{"fixed", {{"weight_bytes", 700}}}}};
  Policy policy = quick();
  policy.text.max_mean_kl = 0.02;
  policy.costs = {{"weight_bytes", 0.75, std::nullopt}};
  Verdict v = judge(run, run, texts, costs, policy);
  EXPECT_EQ(v.outcome, Outcome::pass) << v.reasons.back();
  EXPECT_NEAR(v.text.mean_kl, 0.01, 1e-6);
  EXPECT_EQ(v.text.top1_agreement, 0.97);
  policy.text.min_top1_agreement = 0.98;
  EXPECT_EQ(rule(judge(run, run, texts, costs, policy), "text").finding, Finding::fail);
  policy.text.min_top1_agreement.reset();
  policy.costs[0].max_ratio = 0.5;
  EXPECT_EQ(judge(run, run, texts, costs, policy).outcome, Outcome::fail);
  policy.costs[0].name = "unheard_of";
  EXPECT_EQ(judge(run, run, texts, costs, policy).outcome, Outcome::inconclusive);
}

TEST(Judge, RunsOfDifferentSuitesDoNotCompare) {
  const sinter::Run before = passing(10);
  sinter::Run after = before;
  after.header["suite"]["digest"] = "other";
  EXPECT_THROW(verdict(before, after), Error);
  after = before;
  after.results[3].id = "another";
  EXPECT_THROW(verdict(before, after), Error);
}

// A candidate that only churns (2 % both ways, nothing worse on the whole) fails in at most alpha
// of the runs, all rules of the envelope that are statistical taken together.
TEST(Judge, ChurnAloneRarelyFails) {
  const sinter::Run clean = passing(600);
  Policy policy = quick();
  int fails = 0;
  constexpr int kRuns = 150;
  for (int run = 0; run < kRuns; ++run) {
    sinter::Run before = clean;
    sinter::Run after = clean;
    for (size_t i = 0; i < clean.results.size(); ++i) {
      const double u = random_uniform(11, static_cast<uint64_t>(run), i);
      if (u < 0.02) lose(before, i);
      if (u > 0.98) lose(after, i);
    }
    fails += verdict(before, after, policy).outcome == Outcome::fail ? 1 : 0;
  }
  EXPECT_LE(fails, kRuns * 5 / 100);
}

}  // namespace
}  // namespace sinter
