// sinter bench: how fast a model runs here, against what the hardware could do; and whether another
// model, or another build, is faster.
#include <filesystem>

#include "app/command.h"
#include "app/loaded_model.h"
#include "base/error.h"
#include "base/progress.h"
#include "bench/bench.h"
#include "bench/compare.h"

namespace sinter {
namespace {

struct Options {
  std::vector<std::string> models;
  std::string against, cases = "standard";
  int64_t steps = 64, context = 0;
  int rounds = 5;
  bool allow_load = false, markdown = false, csv = false, no_limits = false;
  EngineOptions engine;
};

int print_report(const Options& o, const BenchReport& report) {
  if (globals().json) {
    print_json(to_json(report));
  } else {
    print_text(o.markdown ? to_markdown(report) : o.csv ? to_csv(report) : to_text(report));
  }
  return 0;
}

int bench_one(const Options& o) {
  install_interrupt();
  const std::string& model = o.models.front();
  return print_report(o, bench_model({.model = model,
                                      .cases = parse_cases(o.cases),
                                      .steps = o.steps,
                                      .chunk = o.engine.prefill_chunk,
                                      .rounds = o.rounds,
                                      .context_limit = o.context,
                                      .allow_load = o.allow_load,
                                      .measure_limits = !o.no_limits,
                                      .threads = o.engine.threads,
                                      .isa = o.engine.isa,
                                      .artifact = {.weights_only = o.engine.weights_only},
                                      .decoder = o.engine.decoder(),
                                      .loaded =
                                          [&](const Decoder& decoder, const Backend& backend) {
                                            report_kernels(model, decoder, backend, o.engine);
                                          },
                                      .stop = &interrupted()}));
}

// One round of `program` on `model`. The load is watched here, once a round for both.
std::vector<std::string> round_command(const Options& o, const std::string& program,
                                       const std::string& model) {
  std::vector<std::string> words = {program,
                                    "bench",
                                    model,
                                    "--cases",
                                    o.cases,
                                    "--tokens",
                                    fmt::format("{}", o.steps),
                                    "--context",
                                    fmt::format("{}", o.context),
                                    "--rounds",
                                    "1",
                                    "--no-limits",
                                    "--json",
                                    "--progress",
                                    "none",
                                    "--allow-load"};
  const std::vector<std::string> engine = o.engine.words();
  words.insert(words.end(), engine.begin(), engine.end());
  return words;
}

Json ratio_json(const RatioFigure& r) {
  return {{"case", r.name},     {"a_tokens_per_s", r.a}, {"b_tokens_per_s", r.b},
          {"ratio", r.ratio},   {"low", r.low},          {"high", r.high},
          {"rounds", r.rounds}, {"verdict", verdict(r)}};
}

int bench_two(const Options& o) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const bool builds = !o.against.empty();
  auto a = round_command(o, self, o.models.front());
  auto b = builds ? round_command(o, o.against, o.models.front())
                  : round_command(o, self, o.models.back());
  install_interrupt();
  std::vector<Json> rounds_a, rounds_b;
  bool loaded = false;
  Progress progress("bench", o.rounds, "rounds");
  for (int round = 0; round < o.rounds; ++round) {
    if (interrupted()) fail(Fault::interrupted, "interrupted", "bench: stopped; nothing was kept");
    if (round == 1) {  // once is enough
      std::erase(a, kShowKernels);
      std::erase(b, kShowKernels);
    }
    if (!o.allow_load) require_quiet_machine();
    const bool a_first = round % 2 == 0;
    Json x = run_for_json(a_first ? a : b), y = run_for_json(a_first ? b : a);
    loaded = loaded || x.value("under_load", false) || y.value("under_load", false);
    rounds_a.push_back(std::move(a_first ? x : y));
    rounds_b.push_back(std::move(a_first ? y : x));
    progress.advance();
  }
  const auto [ratios, skipped] = compare_rounds(rounds_a, rounds_b);
  if (globals().json) {
    Json list = Json::array(), left_out = Json::array();
    for (const RatioFigure& r : ratios) list.push_back(ratio_json(r));
    for (const SkippedCase& s : skipped) left_out.push_back({{"case", s.name}, {"why", s.why}});
    print_json({{"bench_ratio", 1},
                {"a",
                 {{"program", self},
                  {"model", o.models.front()},
                  {"build", rounds_a.front().value("build", "")}}},
                {"b",
                 {{"program", b.front()},
                  {"model", b[2]},
                  {"build", rounds_b.front().value("build", "")}}},
                {"under_load", loaded},
                {"ratios", list},
                {"skipped", left_out}});
    return 0;
  }
  TableCells cells = {{"case", "A tok/s", "B tok/s", "B / A", "95 %", "verdict"}};
  std::string csv = "case,a_tokens_per_s,b_tokens_per_s,ratio,low,high,rounds,under_load\n";
  for (const RatioFigure& r : ratios) {
    cells.push_back({r.name, fmt::format("{:.2f}", r.a), fmt::format("{:.2f}", r.b),
                     fmt::format("{:.3f}", r.ratio), fmt::format("{:.3f}-{:.3f}", r.low, r.high),
                     verdict(r)});
    csv += fmt::format("{},{:.4f},{:.4f},{:.4f},{:.4f},{:.4f},{},{}\n", r.name, r.a, r.b, r.ratio,
                       r.low, r.high, r.rounds, loaded ? 1 : 0);
  }
  const std::string who = fmt::format("A: {} {}\nB: {} {}\n{}\n", self, o.models.front(), b.front(),
                                      b[2], loaded ? "TAKEN UNDER LOAD: not for quoting\n" : "");
  std::string notes;
  for (const SkippedCase& s : skipped) notes += fmt::format("{}: {}\n", s.name, s.why);
  print_text(o.csv ? csv : who + (o.markdown ? markdown_table(cells) : plain_table(cells)) + notes);
  return 0;
}

int run(const Options& o) {
  parse_cases(o.cases);  // a mistyped case shows before anything is loaded
  if (o.models.size() == 2 && !o.against.empty()) {
    fail(Fault::bad_input, "bench-usage",
         "sinter bench: expected two models, or one model and --against, found both");
  }
  return o.models.size() == 2 || !o.against.empty() ? bench_two(o) : bench_one(o);
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->models,
                 "A model; with a second one, both take turns and their ratio is shown.")
      ->required()
      ->expected(1, 2);
  app.add_option("--against", o->against,
                 "Another build of sinter: it and this one take turns on the model.");
  app.add_option("--cases", o->cases,
                 "What to measure, with commas between: decode (one token at a time), prefill:N (a "
                 "prompt of N tokens), batch:N (N sequences decode together), context:N (decode "
                 "with N tokens in the KV cache); or the sets quick and standard.")
      ->capture_default_str();
  app.add_option("--tokens", o->steps, "Tokens that each decoding sequence takes.")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--rounds", o->rounds, "Times that every case runs; the median is shown.")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--context", o->context,
                 "Measure contexts up to so many tokens, even if the model was made for fewer; 0 = "
                 "what it was made for.")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
  app.add_flag("--allow-load", o->allow_load,
               "Measure even if others use the machine; the figures are marked.");
  app.add_flag("--no-limits", o->no_limits,
               "Leave out the plain reads and peak rates, and so the shares.");
  auto* markdown = app.add_flag("--markdown", o->markdown, "A Markdown table.");
  app.add_flag("--csv", o->csv, "Comma-separated values.")->excludes(markdown);
  o->engine.add_to(app);
  app.footer(
      "How to read it: decoding must read every weight once a token, so its bound is the plain\n"
      "read of memory; a prompt multiplies each weight many times, so its bound is the peak rate\n"
      "of multiply-adds. Both are measured in the same rounds, and the shares say how near a case\n"
      "came. docs/performance.md has more.\n"
      "Examples:  sinter bench MODEL --cases quick\n"
      "           sinter bench MODEL --activations int8 --markdown\n"
      "           sinter bench MODEL --against ../old/sinter --cases decode --rounds 9");
  return [o] { return run(*o); };
}

}  // namespace

const Command kBenchCommand = {
    "bench", "Measure speed against the limits of this machine, or against another model or build.",
    setup};

}  // namespace sinter
