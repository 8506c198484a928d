// Measuring and choosing on the bundled model: what must not depend on threads or on being killed,
// and what the choice promises.
#include "compress/sensitivity.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <numeric>
#include <set>

#include "artifact/artifact.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mutation.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/scratch_directory.h"
#include "compress/output.h"
#include "compress/random_tokens.h"
#include "compress/spend_budget.h"
#include "model/logits.h"
#include "model/model.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;
const std::string kPebble = std::string(SINTER_SOURCE_DIR) + "/models/pebble";
constexpr const char* kSchemes =
    "[{scheme: W2A16_ASYM, group_size: 64}, {scheme: W3A16_ASYM, group_size: 128}, W4A16]";

Recipe budgeted(const std::string& limit, const std::string& step = "rtn: {scheme: W4A16}",
                const std::string& more = "") {
  return parse_recipe(fmt::format("name: test\nsteps:\n  - {}\nbudget:\n  {}\n  schemes: {}\n  "
                                  "tokens: 90\n{}",
                                  step, limit, kSchemes, more),
                      "test.yaml");
}

std::string code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    return e.code();
  }
  return "";
}

class Budgets : public testing::Test {
 protected:
  void SetUp() override {
    set_progress_mode(ProgressMode::none);
    base_ = Artifact::open(kPebble);
  }
  std::string out(const std::string& name) const { return dir_ / name; }

  MeasurementPlan plan(const Recipe& recipe) const {
    return plan_formats(*base_, recipe, plan_compression(*base_, recipe), &calibration_,
                        default_dialect());
  }
  Sensitivity measure(const Recipe& recipe, const std::string& name, int threads = 2) const {
    fs::create_directories(out(name));
    ThreadPool pool(threads);
    return measure_sensitivity(*base_, plan(recipe),
                               {.calibration = &calibration_, .directory = out(name)}, pool);
  }
  CompressResult run(const Recipe& recipe, const std::string& name, int threads = 2,
                     bool preflight = false) const {
    return compress(kPebble, recipe, out(name),
                    {.calibration = &calibration_, .threads = threads, .preflight = preflight});
  }

  Calibration calibration_ = random_tokens();
  const ScratchDirectory scratch_{"sinter-budgets"};
  const fs::path dir_ = scratch_.path();
  std::shared_ptr<const Artifact> base_;
};

TEST_F(Budgets, FusedMatricesAreOneGroupAndMoreBitsDoLessHarm) {
  const Sensitivity s = measure(budgeted("bits_per_weight: 3"), "a");
  ASSERT_EQ(s.groups.size(), 20u);
  EXPECT_EQ(s.groups[0].modules, (std::vector<std::string>{"model.layers.0.self_attn.q_proj",
                                                           "model.layers.0.self_attn.k_proj",
                                                           "model.layers.0.self_attn.v_proj"}));
  EXPECT_EQ(s.groups[6].modules, (std::vector<std::string>{"model.layers.1.mlp.gate_proj",
                                                           "model.layers.1.mlp.up_proj"}));
  EXPECT_GT(s.scored_tokens, 0);
  EXPECT_EQ(s.scored_tokens + s.statistics_tokens, calibration_.n_tokens);
  for (const MatrixGroup& g : s.groups) {
    for (size_t i = 1; i < g.options.size(); ++i) {
      EXPECT_LT(g.options[i].kl, g.options[i - 1].kl) << g.modules[0];
      EXPECT_LT(g.options[i].output_error, g.options[i - 1].output_error) << g.modules[0];
      EXPECT_GT(g.options[i].bytes, g.options[i - 1].bytes) << g.modules[0];
    }
  }
}

TEST_F(Budgets, ThreadsChangeNothing) {
  const Recipe recipe = budgeted("bits_per_weight: 3", "gptq: {scheme: W4A16, observer: minmax}");
  EXPECT_EQ(to_line(to_json(measure(recipe, "one", 1))),
            to_line(to_json(measure(recipe, "two", 2))));
}

// What is measured of one group is what an artifact with only that group rounded does.
TEST_F(Budgets, WholeChoicesOfDenseAndOneGroupAgree) {
  const Recipe recipe = budgeted("bits_per_weight: 3");
  const MeasurementPlan p = plan(recipe);
  const Sensitivity s = measure(recipe, "a");
  // With all but one group in no format at all: a plan of that group alone.
  for (const size_t g : {size_t{0}, size_t{9}, size_t{19}}) {
    MeasurementPlan one = p;
    one.jobs = {p.jobs[g]};
    one.sensitivity.groups = {p.sensitivity.groups[g]};
    ThreadPool pool(2);
    const auto together = measure_together(
        *base_, one, {{0}, {2}}, {.calibration = &calibration_, .directory = out("a")}, pool);
    EXPECT_NEAR(together[0].kl, s.groups[g].options[0].kl, 1e-5 * s.groups[g].options[0].kl);
    EXPECT_NEAR(together[1].kl, s.groups[g].options[2].kl, 1e-5 * s.groups[g].options[2].kl);
    EXPECT_EQ(together[0].flip_rate, s.groups[g].options[0].flip_rate);
  }
}

TEST_F(Budgets, AKillLeavesTheSameMeasurement) {
  const Recipe recipe = budgeted("bits_per_weight: 3", "gptq: {scheme: W4A16, observer: minmax}");
  const std::string whole = to_line(to_json(measure(recipe, "whole")));
  const std::string journal = out("parts") + "/sensitivity.journal";
  const auto lines = [&] {
    if (!fs::exists(journal)) return int64_t{0};
    const std::string text = read_file(journal);
    return static_cast<int64_t>(std::count(text.begin(), text.end(), '\n'));
  };
  int kills = 0;
  for (const int64_t layers : {1, 3}) {
    const pid_t child = ::fork();
    if (child == 0) {
      measure(recipe, "parts", 1);
      ::_exit(0);
    }
    int status = 0;
    while (lines() < layers + 1 && ::waitpid(child, &status, WNOHANG) == 0) ::usleep(500);
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    kills += lines() < 6 ? 1 : 0;
  }
  EXPECT_EQ(kills, 2);
  EXPECT_EQ(to_line(to_json(measure(recipe, "parts"))), whole);
  // Even without what lay on disk between layers.
  fs::remove_all(out("parts") + "/sensitivity.scratch");
  EXPECT_EQ(to_line(to_json(measure(recipe, "parts"))), whole);
}

// The whole of it: killed while measuring, and while choosing or compressing.
TEST_F(Budgets, AKillLeavesTheSameArtifact) {
  const Recipe recipe = budgeted("bits_per_weight: 3");
  run(recipe, "whole");
  for (const char* until : {"sensitivity.journal", "sensitivity.json", "compress.journal"}) {
    const pid_t child = ::fork();
    if (child == 0) {
      run(recipe, "parts", 1);
      ::_exit(0);
    }
    int status = 0;
    while (!fs::exists(out("parts") + "/" + until) && ::waitpid(child, &status, WNOHANG) == 0) {
      ::usleep(200);
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    EXPECT_FALSE(fs::exists(out("parts") + "/manifest.json")) << until;
  }
  run(recipe, "parts");
  for (const auto& entry : fs::recursive_directory_iterator(out("whole"))) {
    if (!entry.is_regular_file()) continue;
    const fs::path name = entry.path().lexically_relative(out("whole"));
    ASSERT_TRUE(fs::exists(out("parts") / name)) << name;
    EXPECT_TRUE(read_file(entry.path()) == read_file(out("parts") / name)) << name;
  }
  const auto entries = [](const fs::path& p) {
    return std::distance(fs::recursive_directory_iterator(p), {});
  };
  EXPECT_EQ(entries(out("whole")), entries(out("parts")));
}

TEST_F(Budgets, OtherTokensOrSchemesAreRefused) {
  measure(budgeted("bits_per_weight: 3"), "a");
  EXPECT_EQ(code_of([&] { measure(budgeted("bits_per_weight: 2.5"), "a"); }), "");
  EXPECT_EQ(code_of([&] {
              measure(budgeted("bits_per_weight: 3", "gptq: {scheme: W4A16, observer: minmax}"),
                      "a");
            }),
            "sensitivity-differs");
  calibration_.digest = "of others";
  EXPECT_EQ(code_of([&] { measure(budgeted("bits_per_weight: 3"), "a"); }), "sensitivity-differs");
}

TEST_F(Budgets, TheResultIsAsLargeAsWasSaidAndWithinTheBudget) {
  const int64_t limit = 1'800'000;  // of which the embedding takes 524,288
  const CompressResult r = run(budgeted(fmt::format("bytes: {}", limit)), "a");
  const Json& b = r.manifest.budget;
  EXPECT_EQ(b["limit_bytes"].get<int64_t>() + b["other_bytes"].get<int64_t>(), limit);
  EXPECT_EQ(r.bytes_after, b["mixed"]["bytes"].get<int64_t>() + b["other_bytes"].get<int64_t>());
  EXPECT_LE(r.bytes_after, limit);
  EXPECT_LE(b["mixed"]["bound"].get<double>(), b["mixed"]["predicted"].get<double>());
  EXPECT_TRUE(b["mixed"]["optimal"].get<bool>());
  EXPECT_EQ(b["taken"], "mixed");
  EXPECT_LT(b["mixed"]["together"]["kl"].get<double>(),
            b["uniform"]["together"]["kl"].get<double>());
  // Matrices that engines fuse share a format, and more than one format was chosen.
  std::set<std::string> formats;
  std::map<std::string, std::string> of;
  for (const ManifestTensor& t : r.manifest.tensors) {
    if (t.method.empty()) continue;
    of[t.name] = t.format;
    formats.insert(t.format);
  }
  EXPECT_GT(formats.size(), 1u);
  for (int i = 0; i < 5; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    EXPECT_EQ(of.at(layer + "self_attn.q_proj"), of.at(layer + "self_attn.k_proj"));
    EXPECT_EQ(of.at(layer + "self_attn.q_proj"), of.at(layer + "self_attn.v_proj"));
    EXPECT_EQ(of.at(layer + "mlp.gate_proj"), of.at(layer + "mlp.up_proj"));
  }
  EXPECT_TRUE(fs::exists(out("a") + "/sensitivity.json"));
  EXPECT_FALSE(fs::exists(out("a") + "/sensitivity.scratch"));
  EXPECT_FALSE(fs::exists(out("a") + "/sensitivity.journal"));
  EXPECT_EQ(read_manifest(out("a")).budget, b);
  // Run again, it is finished.
  EXPECT_EQ(run(budgeted(fmt::format("bytes: {}", limit)), "a").shards_made, 0);
}

// What an artifact stores of the modules that were rounded, as it lies there.
double stored_bits_per_weight(const Artifact& artifact, const Manifest& manifest) {
  int64_t bytes = 0, weights = 0;
  for (const ManifestTensor& t : manifest.tensors) {
    if (t.method.empty()) continue;
    weights += t.rows * t.cols;
    for (const StoredTensor& stored : artifact.checkpoint().tensors()) {
      if (stored.name.starts_with(t.name + ".weight")) bytes += std::ssize(stored.bytes);
    }
  }
  return 8 * static_cast<double>(bytes) / static_cast<double>(weights);
}

// Mean divergence of a whole model, by decoders.
double divergence_of(Decoder& dense, Decoder& other, const Calibration& tokens) {
  double sum = 0;
  for (const auto& sequence : tokens.sequences) {
    const auto logits = [&](Decoder& model) {
      PageTable table(model.pages());
      Batch batch{.tokens = sequence, .spans = {}, .logit_rows = {}};
      batch.spans.push_back({&table, 0, static_cast<int32_t>(sequence.size()), 0});
      batch.logit_rows.resize(sequence.size());
      std::iota(batch.logit_rows.begin(), batch.logit_rows.end(), 0);
      return model.forward(batch);
    };
    const MatView p = logits(dense), q = logits(other);
    for (int64_t i = 0; i < p.rows; ++i) sum += divergence(p.row(i), q.row(i));
  }
  return sum / static_cast<double>(tokens.n_tokens);
}

// Codes of four and eight bits that are floats, each with its own kind of scales, beside integers.
TEST_F(Budgets, SmallFloatsAreCandidates) {
  const Recipe recipe = parse_recipe(
      "steps:\n  - rtn: {scheme: W4A16}\nbudget:\n  bits_per_weight: 4.8\n  schemes: [NVFP4A16, "
      "MXFP4A16, FP8A16, {scheme: W3A16_ASYM, group_size: 128}]\n  tokens: 90\n",
      "test.yaml");
  const CompressResult r = run(recipe, "a", 2, true);
  EXPECT_EQ(r.predicted.output, r.bytes_after);
  for (const char* stage : {"measure", "rtn", "write"}) {
    EXPECT_GT(r.predicted.bytes.at(stage), 0) << stage;
    EXPECT_GT(r.predicted.seconds.at(stage), 0) << stage;
    EXPECT_GT(r.seconds.at(stage), 0) << stage;
  }
  const auto artifact = Artifact::open(out("a"));
  const double bits = stored_bits_per_weight(*artifact, r.manifest);
  EXPECT_LE(bits, 4.8);
  EXPECT_GT(bits, 4.6);
  const Json& b = r.manifest.budget;
  EXPECT_EQ(b["taken"], "mixed");
  EXPECT_NEAR(bits, b["mixed"]["bits_per_weight"].get<double>(), 1e-9);
  std::set<std::string> formats;
  for (const ManifestTensor& t : r.manifest.tensors) {
    if (t.method.empty()) continue;
    formats.insert(t.format);
    EXPECT_EQ(to_string(artifact->matrix(t.name, t.rows, t.cols).format), t.format) << t.name;
  }
  EXPECT_GE(formats.size(), 2u);
  // What was measured together is what the artifact does.
  const auto backend = make_cpu_backend(2, "");
  Decoder dense(base_, *backend, {}), made(artifact, *backend, {});
  const double kl = divergence_of(dense, made, split_calibration(calibration_, 90).scored);
  const double measured = b["mixed"]["together"]["kl"];
  EXPECT_NEAR(kl, measured, 1e-3 * measured);
}

// Steps that transform come before what is measured: the options are those of the weights that
// will be rounded.
TEST_F(Budgets, ChoosesAmongTransformedWeights) {
  const auto total = [](const Sensitivity& s, size_t format) {
    double sum = 0;
    for (const MatrixGroup& g : s.groups) sum += g.options[format].output_error;
    return sum;
  };
  const std::string rtn = "rtn: {scheme: W3A16_ASYM, group_size: 128}";
  const Sensitivity plain = measure(budgeted("bits_per_weight: 3", rtn), "plain");
  const Recipe scaled = budgeted("bits_per_weight: 3", "awq: {grid: 4}\n  - " + rtn);
  const Sensitivity awq = measure(scaled, "awq");
  for (size_t f = 0; f < plain.formats.size(); ++f) EXPECT_LT(total(awq, f), total(plain, f)) << f;
  // A killed run transforms as the first one did.
  const std::string journal = out("parts") + "/sensitivity.journal";
  const std::string whole = read_file(out("awq") + "/sensitivity.journal");
  fs::create_directories(out("parts"));
  size_t end = 0;
  for (int line = 0; line < 3; ++line) end = whole.find('\n', end) + 1;
  write_file_atomically(journal, whole.substr(0, end));
  EXPECT_EQ(to_line(to_json(measure(scaled, "parts"))), to_line(to_json(awq)));

  const CompressResult r = run(scaled, "made");
  const auto artifact = Artifact::open(out("made"));
  EXPECT_LE(stored_bits_per_weight(*artifact, r.manifest), 3);
  const auto backend = make_cpu_backend(2, "");
  Decoder dense(base_, *backend, {}), made(artifact, *backend, {});
  const double kl = divergence_of(dense, made, split_calibration(calibration_, 90).scored);
  const Json& budget = r.manifest.budget;
  const double measured = budget[budget["taken"].get<std::string>()]["together"]["kl"];
  EXPECT_GT(kl, 0.5 * measured);  // scales are searched again, for what was chosen
  EXPECT_LT(kl, 2 * measured);
}

// Before an hour is spent, not after.
TEST_F(Budgets, WhatDoesNotFitIsNotMeasured) {
  const Recipe recipe = budgeted("bits_per_weight: 3");
  CompressOptions options{.calibration = &calibration_, .threads = 1, .memory_limit = 1 << 20};
  try {
    compress(kPebble, recipe, out("a"), options);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "preflight-memory");
    EXPECT_EQ(e.fault(), Fault::exhausted);
  }
  EXPECT_TRUE(fs::is_empty(out("a")));
}

TEST_F(Budgets, OverridesStayAndCount) {
  const std::string step =
      "rtn: {scheme: W4A16, overrides: [{match: '*.down_proj', scheme: W8A16}]}";
  const CompressResult r = run(budgeted("bits_per_weight: 4.6", step), "a");
  int64_t weights = 0, downs = 0;
  for (const ManifestTensor& t : r.manifest.tensors) {
    if (t.method.empty()) continue;
    weights += t.rows * t.cols;
    if (!t.name.ends_with("down_proj")) continue;
    ++downs;
    EXPECT_EQ(t.format, "i8_row");
  }
  EXPECT_EQ(downs, 5);
  const Json& b = r.manifest.budget;
  const int64_t bytes = b["mixed"]["bytes"].get<int64_t>() + b["other_bytes"].get<int64_t>();
  EXPECT_LE(8.0 * static_cast<double>(bytes) / static_cast<double>(weights), 4.6);
  EXPECT_GT(8.0 * static_cast<double>(bytes) / static_cast<double>(weights), 4.5);
}

TEST_F(Budgets, LimitsInBytesBitsAndSpeedAreTheSameLimit) {
  const Recipe bytes = budgeted("bytes: 2MB");
  const MeasurementPlan p = plan(bytes);
  int64_t weights = 0;
  for (const MatrixGroup& g : p.sensitivity.groups) weights += g.weights;
  const ByteLimit a = byte_limit(p, *bytes.budget, 0);
  EXPECT_EQ(a.groups + p.fixed_bytes, 2'000'000);
  const double bits = 8.0 * static_cast<double>(a.groups) / static_cast<double>(weights);
  const Recipe by_bits = budgeted(fmt::format("bits_per_weight: {}", bits));
  EXPECT_NEAR(static_cast<double>(byte_limit(p, *by_bits.budget, 0).groups),
              static_cast<double>(a.groups), 1);
  // Pebble's embedding is its head, so all of it is read.
  const Recipe speed = budgeted("tokens_per_second: 5000");
  EXPECT_EQ(byte_limit(p, *speed.budget, 1e10).groups, a.groups);
  const Recipe known = budgeted("tokens_per_second: 5000\n  read_gb_per_second: 10");
  EXPECT_EQ(byte_limit(p, *known.budget, 0).groups, a.groups);
  EXPECT_EQ(code_of([&] { byte_limit(p, *speed.budget, 0); }), "budget-bandwidth");
  EXPECT_EQ(code_of([&] { byte_limit(p, *budgeted("bits_per_weight: 2").budget, 0); }),
            "budget-too-small");
}

TEST_F(Budgets, AMeasurementServesAnyBudgetOfItsSchemes) {
  const Recipe recipe = budgeted("bits_per_weight: 3");
  write_sensitivity(out("saved.json"), measure(recipe, "a"));
  const auto with = [&](const Recipe& r, const std::string& name) {
    return compress(
               kPebble, r, out(name),
               {.calibration = &calibration_, .sensitivity = out("saved.json"), .preflight = false})
        .manifest.budget;
  };
  EXPECT_EQ(with(recipe, "b"), run(recipe, "c").manifest.budget);
  EXPECT_GT(with(budgeted("bits_per_weight: 2.5"), "d")["mixed"]["predicted"],
            with(budgeted("bits_per_weight: 3.5"), "e")["mixed"]["predicted"]);
  EXPECT_EQ(code_of([&] {
              with(budgeted("bits_per_weight: 3", "gptq: {scheme: W4A16, observer: minmax}"), "f");
            }),
            "sensitivity-differs");
}

TEST_F(Budgets, WhereOneFormatIsBetterItIsTakenAndSaid) {
  const Recipe recipe = budgeted("bits_per_weight: 3.2");
  const MeasurementPlan p = plan(recipe);
  // Sensitivities that are the wrong way round mislead the optimiser, and measuring finds out.
  Sensitivity s = measure(recipe, "a");
  for (MatrixGroup& g : s.groups) {
    g.options[0].kl = g.layer == 0 || g.layer == 4 ? 0 : 1;
    g.options[1].kl = 0.5;
    g.options[2].kl = g.layer == 0 || g.layer == 4 ? 0 : 0.1;
  }
  ThreadPool pool(2);
  const FormatChoice c =
      choose_formats(*base_, p, s, *recipe.budget, byte_limit(p, *recipe.budget, 0),
                     {.calibration = &calibration_, .directory = out("a")}, pool);
  EXPECT_LT(c.mixed.cost, c.uniform->predicted);
  EXPECT_GT(c.mixed_together.kl, c.uniform_together.kl);
  EXPECT_TRUE(c.uniform_is_better);
  EXPECT_EQ(c.choice, std::vector<int32_t>(20, 1));
  const Json json = to_json(c, p, s, *recipe.budget);
  EXPECT_EQ(json["taken"], "uniform");
  EXPECT_NE(describe_choice(json).find("DOES NOT HELP"), std::string::npos);
}

TEST(Sensitivity, SurvivesMutation) {
  const Sensitivity s{.base_digest = "b",
                      .corpus_digest = "c",
                      .build = "d",
                      .measured = "m",
                      .statistics_tokens = 5,
                      .scored_tokens = 4,
                      .sure_tokens = 3,
                      .formats = {"i4_group:64", "i8_row"},
                      .groups = {{.layer = 1,
                                  .input = "o",
                                  .modules = {"x.o_proj"},
                                  .weights = 64,
                                  .options = {{40, 0.25, 0.5, 0.1}, {70, 0.125, 0, 0.01}}}}};
  const std::string valid = to_json(s).dump();
  EXPECT_EQ(to_json(sensitivity_from(parse_json(valid, "x"), "x")), to_json(s));
  int refused = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    try {
      const Sensitivity found = sensitivity_from(parse_json(mutated(valid, seed), "x"), "x");
      for (const MatrixGroup& g : found.groups) ASSERT_EQ(g.options.size(), found.formats.size());
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 3000);
}

TEST(Budget, IsReadAndRefused) {
  EXPECT_EQ(budgeted("bytes: 1.5 GiB").budget->amount, 1.5 * 0x1p30);
  EXPECT_TRUE(budgeted("bytes: 5MB").needs_calibration());
  for (const char* limit : {"bytes: -1", "bytes: 5 parsecs", "bits_per_weight: many",
                            "bits_per_weight: 3\n  bytes: 5MB", "flips: 1",
                            "bits_per_weight: 3\n  read_gb_per_second: 5", "bytes: nan",
                            "bytes: 1e300", "bits_per_weight: 3\n  nonsense: 1"}) {
    EXPECT_EQ(code_of([&] { budgeted(limit); }), "recipe-field") << limit;
  }
  for (const char* schemes :
       {"W4A16", "[W4A16]", "[W4A16, W4A16]", "[W4A16, W8A8]", "[W4A16, dense]", "[W4A16, W5A16]",
        "[W4A16, {scheme: W8A16, x: 1}]"}) {
    EXPECT_EQ(code_of([&] {
                parse_recipe(fmt::format("steps:\n  - rtn: {{scheme: W4A16}}\nbudget:\n  bytes: "
                                         "5MB\n  schemes: {}\n",
                                         schemes),
                             "test.yaml");
              }),
              "recipe-field")
        << schemes;
  }
  // What a measurement depends on: not the amount, not the layout of the file.
  const auto measured = [](const std::string& text) {
    return parse_recipe(text, "x").budget->measured;
  };
  const std::string a = measured(
      "steps:\n  - rtn: {scheme: W4A16}\nbudget:\n  bytes: 5MB\n  schemes: [W4A16, W8A16]\n");
  EXPECT_EQ(
      a,
      measured("steps: [{rtn: {scheme: W4A16}}]\nbudget: {bytes: 9MB, schemes: [W4A16, W8A16]}\n"));
  EXPECT_NE(a, measured("steps: [{rtn: {scheme: W4A16, observer: mse}}]\nbudget: {bytes: 9MB, "
                        "schemes: [W4A16, W8A16]}\n"));
  EXPECT_NE(
      a,
      measured("steps: [{rtn: {scheme: W4A16}}]\nbudget: {bytes: 9MB, schemes: [W8A16, W4A16]}\n"));
}

}  // namespace
}  // namespace sinter
