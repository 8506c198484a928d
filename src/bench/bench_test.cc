// The benchmark's arithmetic: cases, statistics, tables, what a forward costs, ratios. Timing
// itself is not tested, its book-keeping is.
#include "bench/bench.h"

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <sstream>

#include "base/error.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/scratch_directory.h"
#include "bench/compare.h"
#include "bench/machine.h"
#include "bench/synth.h"
#include "model/arch/shapes.h"

namespace sinter {
namespace {

TEST(Cases, AreParsed) {
  const auto cases = parse_cases("decode,prefill:512,batch:16,context:4096,decode");
  ASSERT_EQ(cases.size(), 4u);  // the second decode is the first
  EXPECT_EQ(cases[0].name, "decode");
  EXPECT_EQ(cases[1].prompt, 512);
  EXPECT_EQ(cases[1].longest(64), 512);
  EXPECT_EQ(cases[2].sequences, 16);
  EXPECT_EQ(cases[3].context, 4096);
  EXPECT_EQ(cases[3].longest(64), 4160);
  EXPECT_EQ(case_tokens(cases[2], 64), 1024);
  EXPECT_EQ(case_pages(cases[2], 33), 32);
  EXPECT_EQ(parse_cases("quick").size(), 2u);
  EXPECT_GE(parse_cases("standard,prefill:64").size(), 13u);
  for (const char* bad :
       {"", "decode:3", "prefill", "prefill:0", "prefill:-1", "batch:1000000", "prefill:5x",
        "decode,,decode", "nonsense", "context:99999999999999999999"}) {
    EXPECT_THROW(parse_cases(bad), Error) << bad;
  }
}

TEST(Machine, ReadsProc) {
  const char* stat = "cpu  100 20 30 4000 7 5 6 9 50 60\ncpu0 1 2 3\n";
  EXPECT_DOUBLE_EQ(busy_seconds(stat, 100), (100 + 20 + 30 + 5 + 6 + 9) / 100.0);
  EXPECT_DOUBLE_EQ(busy_seconds("intr 5", 100), 0);
  EXPECT_DOUBLE_EQ(busy_seconds("", 100), 0);
  const LoadNow load = parse_loadavg("6.41 7.2 6.89 4/97 13078\n");
  EXPECT_DOUBLE_EQ(load.loadavg_1m, 6.41);
  EXPECT_EQ(load.runnable, 4);
  EXPECT_EQ(parse_loadavg("").runnable, 0);
}

TEST(Machine, CountsWhatOthersUse) {
  const CpuClock before{.wall_s = 10, .machine_busy_s = 100, .own_s = 3};
  const CpuClock quiet{.wall_s = 12, .machine_busy_s = 103.9, .own_s = 6.85};  // 0.025 cores
  const CpuClock busy{.wall_s = 12, .machine_busy_s = 104, .own_s = 6.5};      // 0.25 cores
  EXPECT_NEAR(others_cores(before, quiet), 0.025, 1e-9);
  EXPECT_NEAR(others_cores(before, busy), 0.25, 1e-9);
  EXPECT_FALSE(too_busy(before, quiet));
  EXPECT_TRUE(too_busy(before, busy));
  EXPECT_FALSE(too_busy(before, before));
  // Own time that the system has not yet counted is no negative company.
  EXPECT_EQ(others_cores(before, {.wall_s = 11, .machine_busy_s = 100, .own_s = 4}), 0);
}

// A decoder of one layer, worked by hand: d 4, two heads of 2, one KV head, ff 8, vocabulary 10.
TEST(Costs, OfARowAreThoseWorkedByHand) {
  ModelConfig c;
  c.n_layers = 1;
  c.d_model = 4;
  c.d_ff = 8;
  c.n_heads = 2;
  c.n_kv_heads = 1;
  c.head_dim = 2;
  c.vocab = 10;
  c.sliding_window = {0};
  // q and o: 4x4 each, k and v: 4x2 each, gate, up, down: 4x8 each = 144 products.
  EXPECT_DOUBLE_EQ(row_ops(c, 0, false), 2 * 144 + 4 * 4 * 1);
  EXPECT_DOUBLE_EQ(row_ops(c, 9, true), 2 * (144 + 40) + 4 * 4 * 10);
  c.sliding_window = {3};
  EXPECT_DOUBLE_EQ(row_ops(c, 9, false), 2 * 144 + 4 * 4 * 3);
}

BenchReport sample_report() {
  BenchReport r;
  r.machine = {{"cpu", "a CPU"}, {"cores", 2}, {"memory_bytes", int64_t{8} << 30}, {"os", "an OS"}};
  r.build = "sinter 0 (x)";
  r.backend = "cpu/ref";
  r.activations = "exact";
  r.kv = "f32";
  r.threads = 2;
  r.model = "m";
  r.scheme = "bf16";
  r.parameters = 1000000;
  r.weight_bytes = 2000000;
  r.peak_name = "f32";
  for (const double read : {10e9, 20e9, 10e9}) {
    r.limits.push_back({.read = read, .memory = 5e9, .rates = {{"f32", 100e9}, {"int8", 400e9}}});
  }
  CaseFigures c{parse_cases("decode")[0], {}};
  for (const double seconds : {1.0, 2.0, 4.0}) {
    c.samples.push_back(
        {.seconds = seconds, .tokens = 8, .bytes = 16e9, .ops = 40e9, .others = 0.01});
  }
  r.cases.push_back(c);
  r.skipped.push_back({"context:4096", "skipped: too long"});
  return r;
}

TEST(Report, SharesAreOfTheSameRound) {
  const auto rows = rows_of(sample_report());
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_DOUBLE_EQ(rows[0].tokens_per_s.median, 4);
  EXPECT_DOUBLE_EQ(rows[0].tokens_per_s.min, 2);
  EXPECT_DOUBLE_EQ(rows[0].tokens_per_s.max, 8);
  // Rounds: 16/10, 8/20, 4/10 -> median 0.4; the ratio of medians would be 0.8.
  EXPECT_DOUBLE_EQ(rows[0].read_share, 0.4);
  EXPECT_DOUBLE_EQ(rows[0].peak_share, 0.2);
  EXPECT_DOUBLE_EQ(rows[0].bytes_per_token, 2e9);
  EXPECT_DOUBLE_EQ(spread_of({3, 1, 2, 10}).median, 2.5);
  EXPECT_DOUBLE_EQ(spread_of({}).median, 0);
}

TEST(Report, WritesEveryFormat) {
  const BenchReport r = sample_report();
  const std::string text = to_text(r), markdown = to_markdown(r), csv = to_csv(r);
  EXPECT_NE(text.find("4.00 (2.00-8.00)"), std::string::npos) << text;
  EXPECT_NE(text.find("activations exact, KV f32"), std::string::npos) << text;
  EXPECT_NE(text.find("context:4096: skipped: too long"), std::string::npos);
  EXPECT_EQ(text.find("UNDER LOAD"), std::string::npos);
  EXPECT_NE(markdown.find("| case | tok/s |"), std::string::npos) << markdown;
  EXPECT_NE(markdown.find("|---|---:|"), std::string::npos);
  EXPECT_NE(csv.find("\ndecode,4.0000,2.0000,8.0000,"), std::string::npos) << csv;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), 9) << line;
  }
  BenchReport loaded = r;
  loaded.under_load = true;
  EXPECT_NE(to_text(loaded).find("UNDER LOAD"), std::string::npos);
  EXPECT_NE(to_csv(loaded).find(",1\n"), std::string::npos);
}

// The schema is a promise: scripts and `--against` older builds read it.
TEST(Report, JsonSchemaIsStable) {
  const auto keys = [](const Json& object) {
    std::string text;
    for (const auto& [key, value] : object.items()) text += key + " ";
    return text;
  };
  const Json json = to_json(sample_report());
  EXPECT_EQ(json["bench"], 1);
  EXPECT_EQ(
      keys(json),
      "bench build machine backend threads activations kv under_load model load_s first_token_s "
      "peak_rss_bytes weights_and_kv_bytes limits cases skipped ");
  EXPECT_EQ(keys(json["model"]), "path scheme parameters weight_bytes kv_bytes_per_token ");
  EXPECT_EQ(keys(json["limits"]), "read_GB_per_s memory_GB_per_s peak Gops_per_s ");
  EXPECT_EQ(keys(json["cases"][0]),
            "case tokens_per_s read_GB_per_s read_share peak_share bytes_per_token others_cores "
            "samples ");
  EXPECT_EQ(keys(json["cases"][0]["tokens_per_s"]), "median min max ");
  EXPECT_EQ(keys(json["cases"][0]["samples"][0]), "seconds tokens bytes ops others_cores ");
  BenchReport bare = sample_report();
  bare.limits.clear();
  EXPECT_TRUE(to_json(bare)["limits"].is_null());
}

TEST(Report, BoundIsTheFastestRateOfTheArithmetic) {
  const std::vector<PeakRate> rates = {
      {"f32", 1}, {"int8", 4}, {"bf16", 2}, {"amx-int8", 30}, {"amx-bf16", 15}};
  EXPECT_EQ(bounding_rate(rates, "exact", "cpu/amx"), "f32");
  EXPECT_EQ(bounding_rate(rates, "int8", "cpu/amx"), "amx-int8");
  EXPECT_EQ(bounding_rate(rates, "int8", "cpu/avx512vnni"), "int8");
  EXPECT_EQ(bounding_rate(std::span(rates).first(1), "int8", "cpu/avx512"), "f32");
  EXPECT_EQ(bounding_rate({}, "int8", "cpu/amx"), "");
  EXPECT_EQ(bounding_rate(rates, "int8_token x 7, exact x 1", "cpu/amx"), "amx-int8");
  EXPECT_EQ(bounding_rate(rates, "fp8_token", "cpu/amx"), "f32");
}

TEST(Report, ActivationsAreThoseOfTheKernels) {
  const auto linear = [](const char* activations, int64_t rows) {
    LinearKernel k;
    k.rows = rows;
    k.cols = 8;
    k.kernel.activations = activations;
    return k;
  };
  const std::vector<LinearKernel> kernels = {linear("exact", 10), linear("int8", 30),
                                             linear("exact", 5)};
  EXPECT_EQ(activations_of(kernels), "int8 x 1, exact x 2");
  EXPECT_EQ(activations_of(std::span(kernels).first(1)), "exact");
}

Json round_of(double tokens_per_s) {
  return {{"bench", 1},
          {"cases", {{{"case", "decode"}, {"tokens_per_s", {{"median", tokens_per_s}}}}}}};
}

// B is 5 % faster on a machine whose speed drifts by a factor of two: pairs see it.
TEST(Compare, PairsCancelDrift) {
  std::vector<Json> a, b, same;
  for (uint64_t i = 0; i < 9; ++i) {
    const double drift = 10 + static_cast<double>(i);
    const double noise = 1 + 0.01 * (random_uniform(7, 0, i) - 0.5);
    a.push_back(round_of(drift));
    b.push_back(round_of(drift * 1.05 * noise));
    same.push_back(round_of(drift * (1 + 0.04 * (random_uniform(7, 1, i) - 0.5))));
  }
  const auto ratios = compare_rounds(a, b).ratios;
  ASSERT_EQ(ratios.size(), 1u);
  EXPECT_NEAR(ratios[0].ratio, 1.05, 0.005);
  EXPECT_GT(ratios[0].low, 1.04);
  EXPECT_LT(ratios[0].high, 1.06);
  EXPECT_EQ(ratios[0].rounds, 9);
  EXPECT_NE(verdict(ratios[0]).find("B is faster"), std::string::npos);
  EXPECT_NE(verdict(compare_rounds(b, a).ratios[0]).find("A is faster"), std::string::npos);
  EXPECT_EQ(verdict(compare_rounds(a, same).ratios[0]), "no difference seen");
  EXPECT_EQ(verdict(compare_rounds({a[0]}, {b[0]}).ratios[0]), "too few rounds to tell");
  const auto again = compare_rounds(a, b).ratios;
  EXPECT_EQ(again[0].low, ratios[0].low);
  b[3]["cases"][0]["case"] = "other";
  EXPECT_EQ(compare_rounds(a, b).ratios[0].rounds, 8);
}

TEST(Compare, NamesCasesWithoutAPair) {
  Json a = round_of(10), b = round_of(11);
  b["skipped"] = {{{"case", "context:9"}, {"why", "too long"}}};
  a["cases"].push_back({{"case", "context:9"}, {"tokens_per_s", {{"median", 3}}}});
  a["cases"].push_back({{"case", "batch:2"}, {"tokens_per_s", {{"median", 0}}}});
  const Comparison c = compare_rounds({a}, {b});
  ASSERT_EQ(c.ratios.size(), 1u);
  ASSERT_EQ(c.skipped.size(), 2u);
  EXPECT_EQ(c.skipped[0].name, "context:9");
  EXPECT_EQ(c.skipped[0].why, "A: measured; B: too long");
  EXPECT_EQ(c.skipped[1].why, "A: no figure; B: no figure");
}

TEST(Compare, ChildrenMustSpeakJson) {
  const auto code = [](const std::vector<std::string>& command) -> std::string {
    try {
      run_for_json(command);
      return "";
    } catch (const Error& e) {
      return e.code();
    }
  };
  EXPECT_EQ(code({"/nonexistent/program"}), "bench-child");
  EXPECT_EQ(code({"false"}), "bench-child");
  EXPECT_EQ(code({"echo", "{"}), "json-syntax");
  EXPECT_EQ(code({"echo", R"({"bench":2,"cases":[]})"}), "bench-child");
  EXPECT_EQ(code({"echo", R"({"bench":1,"cases":[]})"}), "");
  EXPECT_EQ(code({"sh", "-c", "exit 130"}), "interrupted");
  // Whoever started these tests may have had the signal ignored, which children inherit.
  const auto before = std::signal(SIGINT, SIG_DFL);
  EXPECT_EQ(code({"sh", "-c", "kill -INT $$"}), "interrupted");
  std::signal(SIGINT, before);
}

// A real model, however small: every kind of case runs, and the book-keeping adds up.
TEST(Bench, MeasuresATinyModel) {
  set_progress_mode(ProgressMode::none);
  const ScratchDirectory scratch("sinter-bench");
  const std::string path = scratch.path() / "model";
  synth_directory(config_of(shape_named("tiny"), 1), {}, path);
  BenchOptions options;
  options.model = path;
  options.cases = parse_cases("decode,prefill:70,batch:3,context:300,context:4097,prefill:4097");
  options.steps = 4;
  options.chunk = 32;
  options.rounds = 2;
  options.allow_load = true;
  options.measure_limits = false;
  options.threads = 1;
  options.decoder.activations = ActivationMode::int8;  // in vain: bf16 codes are no integers
  size_t linears = 0;
  options.loaded = [&](const Decoder& d, const Backend&) { linears = d.kernels().size(); };
  const BenchReport r = bench_model(options);
  EXPECT_EQ(r.activations, "exact");
  EXPECT_EQ(r.kv, "f32");
  EXPECT_EQ(linears, 8u);
  ASSERT_EQ(r.cases.size(), 4u);
  ASSERT_EQ(r.skipped.size(), 2u);  // the model was made for 4096
  EXPECT_EQ(r.skipped[0].name, "context:4097");
  EXPECT_EQ(r.skipped[1].name, "prefill:4097");
  const auto weights = static_cast<double>(r.weight_bytes);
  const auto tokens = [&](size_t i) { return r.cases[i].samples[0].tokens; };
  const auto bytes = [&](size_t i) { return r.cases[i].samples[0].bytes; };
  EXPECT_EQ(tokens(0), 4);
  EXPECT_EQ(tokens(1), 70);
  EXPECT_EQ(tokens(2), 12);
  EXPECT_EQ(tokens(3), 4);
  // KV: 1+2+3+4 tokens; 32+64+70 of three chunks; thrice the first; 301+302+303+304.
  const double kv = r.kv_bytes_per_token;
  EXPECT_DOUBLE_EQ(bytes(0), 4 * weights + 10 * kv);
  EXPECT_DOUBLE_EQ(bytes(1), 3 * weights + 166 * kv);
  EXPECT_DOUBLE_EQ(bytes(2), 4 * weights + 30 * kv);
  EXPECT_DOUBLE_EQ(bytes(3), 4 * weights + 1210 * kv);
  EXPECT_GT(r.first_token_s, r.load_s);
  EXPECT_GT(r.peak_rss_bytes, r.weight_bytes);
  for (const CaseFigures& c : r.cases) {
    ASSERT_EQ(c.samples.size(), 2u);
    EXPECT_GT(c.samples[0].seconds, 0);
  }
}

TEST(Peaks, AreMeasured) {
  PeakMeter meter(1, "ref");
  EXPECT_GT(meter.read_rate(int64_t{4} << 20, 1), 1e8);
  const auto rates = meter.arithmetic();
  ASSERT_FALSE(rates.empty());
  EXPECT_EQ(rates[0].name, "f32");
  EXPECT_GT(rates[0].ops_per_s, 1e8);
  EXPECT_THROW(PeakMeter(1, "avx9"), Error);
}

}  // namespace
}  // namespace sinter
