#include "compress/corpus/report.h"

#include <algorithm>
#include <cmath>

#include "base/digest.h"
#include "base/error.h"
#include "compress/corpus/coverage.h"

namespace sinter {
namespace {

// Below `good` a check is thin, below `thin` it is not enough; docs/corpus.md says where they come
// from.
struct Threshold {
  double good, thin;
};
constexpr Threshold kTokens = {65536, 8192};
constexpr Threshold kSamples = {128, 32};
constexpr Threshold kOccurrences = {0.99, 0.95};  // of the traces' tokens: share that is covered
constexpr Threshold kTokensPerChannel = {8, 1};   // tokens over the widest linear's inputs
constexpr Threshold kOutlierTokens = {100, 10};   // tokens that excite an outlier channel
// Differences between halves: above these.
constexpr Threshold kPeakDifference = {0.20, 0.40};
constexpr Threshold kMeanDifference = {0.10, 0.25};
// A cell of the traces matters from this share of their tokens on, and much from that.
constexpr double kCellMatters = 0.01;
constexpr double kCellMattersMuch = 0.05;

CorpusGrade at_least(double value, Threshold t) {
  return value >= t.good   ? CorpusGrade::good
         : value >= t.thin ? CorpusGrade::thin
                           : CorpusGrade::not_enough;
}
CorpusGrade at_most(double value, Threshold t) {
  return value <= t.good   ? CorpusGrade::good
         : value <= t.thin ? CorpusGrade::thin
                           : CorpusGrade::not_enough;
}

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

void add_check(CorpusReport& r, CorpusCheck check) {
  if (check.grade == CorpusGrade::good) check.advice.clear();
  r.checks.push_back(std::move(check));
}

// What to add for a cell that the traces have and the corpus has not.
std::string advice_for(const std::string& dimension, const std::string& cell) {
  if (dimension == "length")
    return fmt::format("requests of {} tokens (a larger --tokens holds long ones)", cell);
  if (dimension == "language") return fmt::format("text in {}", cell);
  return fmt::format("{}: {}", dimension, cell);
}

void check_cells(CorpusReport& r) {
  const JsonFields coverage(r.corpus.manifest.at("coverage"), "corpus.json: coverage");
  for (const Dimension& d : kDimensions) {
    const std::string name = d.name;
    if (!d.stratified || name == "template" || name == "source") continue;
    double traces = 0, corpus = 0;
    if (name == "structure") {
      traces = static_cast<double>(r.corpus.manifest.at("candidates").at("tokens").get<int64_t>());
      corpus = static_cast<double>(r.corpus.manifest.at("n_tokens").get<int64_t>());
    }
    for (const Json& cell : coverage.at(d.name)) {
      if (name == "structure") break;
      traces += cell.at("traces").at("tokens").get<double>();
      corpus += cell.at("corpus").at("tokens").get<double>();
    }
    CorpusCheck check{
        .name = "coverage: " + name,
        .grade = CorpusGrade::good,
        .found = {},
        .wanted = "tokens in every cell with 1 % of the traces, at least a quarter of its share",
        .advice = {}};
    std::vector<std::string> missing, scarce, add;
    for (const Json& cell : coverage.at(d.name)) {
      const auto of_traces = cell.at("traces").at("tokens").get<double>();
      const auto of_corpus = cell.at("corpus").at("tokens").get<double>();
      const double share = traces > 0 ? of_traces / traces : 0;
      const double got = corpus > 0 ? of_corpus / corpus : 0;
      if (share < kCellMatters || got >= share / 4) continue;
      const auto label = cell.at("cell").get<std::string>();
      (of_corpus == 0 ? missing : scarce)
          .push_back(fmt::format("{} ({:.1f} % of the traces, {:.1f} % here)", label, 100 * share,
                                 100 * got));
      add.push_back(advice_for(name, label));
      const bool much = of_corpus == 0 && share >= kCellMattersMuch;
      check.grade = std::max(check.grade, much ? CorpusGrade::not_enough : CorpusGrade::thin);
    }
    check.found = missing.empty() && scarce.empty() ? "every cell that matters" : "";
    if (!missing.empty()) check.found += fmt::format("missing: {}", fmt::join(missing, ", "));
    if (!scarce.empty()) {
      check.found +=
          fmt::format("{}scarce: {}", missing.empty() ? "" : "; ", fmt::join(scarce, ", "));
    }
    check.advice = fmt::format("raise --tokens, or add {}", fmt::join(add, "; "));
    add_check(r, std::move(check));
  }
}

void check_activations(CorpusReport& r) {
  const CorpusActivations& a = *r.activations;
  const auto worst_of = [&](auto value) {
    return *std::max_element(
        a.linears.begin(), a.linears.end(),
        [&](const LinearStability& l, const LinearStability& m) { return value(l) < value(m); });
  };
  const LinearStability widest =
      worst_of([](const LinearStability& l) { return static_cast<double>(l.n_channels); });
  const double per_channel =
      static_cast<double>(widest.n_tokens) / static_cast<double>(widest.n_channels);
  add_check(
      r,
      {.name = "tokens per input channel",
       .grade = at_least(per_channel, kTokensPerChannel),
       .found = fmt::format("{:.1f} for {} ({} channels)", per_channel, widest.module,
                            widest.n_channels),
       .wanted = fmt::format(">= {}, or a Hessian of it is mostly damping", kTokensPerChannel.good),
       .advice = "raise --tokens: second moments of n channels need many more than n tokens"});
  const LinearStability peak = worst_of([](const LinearStability& l) { return l.peak_difference; });
  add_check(
      r,
      {.name = "stability of peaks",
       .grade = at_most(peak.peak_difference, kPeakDifference),
       .found = fmt::format("halves differ by {:.1f} % in the median channel of {} (worst linear)",
                            100 * peak.peak_difference, peak.module),
       .wanted = fmt::format("<= {:.0f} %", 100 * kPeakDifference.good),
       .advice = "add tokens, of the kinds that the traces have: SmoothQuant and static scales "
                 "follow peaks"});
  const LinearStability mean = worst_of([](const LinearStability& l) { return l.mean_difference; });
  add_check(r, {.name = "stability of means",
                .grade = at_most(mean.mean_difference, kMeanDifference),
                .found = fmt::format(
                    "halves differ by {:.1f} % in the median channel of {} (worst linear)",
                    100 * mean.mean_difference, mean.module),
                .wanted = fmt::format("<= {:.0f} %", 100 * kMeanDifference.good),
                .advice = "add tokens: AWQ's scales follow means"});
  int64_t fewest = INT64_MAX, n = 0;
  std::string where;
  for (const LinearStability& l : a.linears) {
    for (const OutlierChannel& o : l.outliers) {
      ++n;
      if (o.tokens >= fewest) continue;
      fewest = o.tokens;
      where = fmt::format("{}, channel {}", l.module, o.channel);
    }
  }
  if (n == 0) {
    r.notes.push_back(fmt::format(
        "No input channel's peak is {} times its linear's median or more: no outlier channels.",
        kOutlierRatio));
    return;
  }
  add_check(
      r, {.name = "tokens per outlier channel",
          .grade = at_least(static_cast<double>(fewest), kOutlierTokens),
          .found = fmt::format("{} outlier channels; the least seen stands out in {} tokens ({})",
                               n, fewest, where),
          .wanted = fmt::format(">= {}", kOutlierTokens.good),
          .advice = "add requests like those that excite it, or its scale rests on chance"});
}

void add_notes(CorpusReport& r) {
  const Json& m = r.corpus.manifest;
  if (m.at("suites_checked").empty()) {
    r.notes.emplace_back(
        "NO SUITE WAS CHECKED for overlap: build with --suite for every suite that "
        "will judge what is calibrated on this.");
  } else {
    r.notes.push_back(
        fmt::format("Suites checked for overlap: {}; samples refused because they hold items: {}.",
                    m.at("suites_checked").size(), m.at("leaks").size()));
  }
  std::vector<std::string> unlicensed;
  int64_t bad = 0, passed_over = static_cast<int64_t>(m.at("passed_over").size());
  for (const Json& s : m.at("sources")) {
    if (s.at("licence").is_null()) unlicensed.push_back(s.at("name"));
    bad += s.at("n_bad").get<int64_t>();
  }
  if (!unlicensed.empty()) {
    r.notes.push_back(fmt::format("{} of {} sources have no licence on record (--licence): {}{}",
                                  unlicensed.size(), m.at("sources").size(), unlicensed.front(),
                                  unlicensed.size() > 1 ? " ..." : ""));
  }
  if (bad > 0) r.notes.push_back(fmt::format("{} bad lines were left out (--skip-bad).", bad));
  if (passed_over > 0) {
    r.notes.push_back(fmt::format("{} files in the directories were no traces.", passed_over));
  }
  if (const auto long_ones = m.at("candidates").at("too_long").get<int64_t>(); long_ones > 0) {
    r.notes.push_back(
        fmt::format("{} conversations are longer than {} tokens and were left out "
                    "(--max-sample-tokens, --tokens).",
                    long_ones, m.at("max_sample_tokens").get<int64_t>()));
  }
  int64_t longest = 0;
  bool tools = false, code = false, mathematics = false, structured = false;
  for (const CorpusSample& s : r.corpus.samples) {
    longest = std::max(longest, s.n_tokens);
    tools |= s.kind == "tool use";
    code |= s.kind == "code";
    mathematics |= s.kind == "mathematics";
    structured |= s.kind == "structured output";
  }
  const auto context = r.activations ? r.activations->context : m.at("context").get<int64_t>();
  if (context > 0 && 4 * longest < context) {
    r.notes.push_back(
        fmt::format("The longest sample has {} tokens, the model takes {}: if long "
                    "requests will come, add some.",
                    longest, context));
  }
  std::vector<std::string> none;
  if (!tools) none.emplace_back("tool use");
  if (!code) none.emplace_back("code");
  if (!mathematics) none.emplace_back("mathematics");
  if (!structured) none.emplace_back("structured output");
  if (!none.empty()) {
    r.notes.push_back(
        fmt::format("No sample of {}: what is never seen is what breaks first; if the "
                    "model will be asked for it, add traces of it.",
                    fmt::join(none, ", ")));
  }
}

std::string bar(double share) {
  const auto n = static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * 20));
  std::string out;
  for (size_t i = 0; i < 20; ++i) out += i < n ? "#" : ".";
  return out;
}

}  // namespace

const char* to_string(CorpusGrade grade) {
  constexpr const char* kNames[] = {"good enough", "thin", "not enough"};
  return kNames[static_cast<size_t>(grade)];
}

std::array<std::vector<size_t>, 2> halves_of(const Corpus& corpus, int64_t max_tokens) {
  std::vector<std::pair<std::string, size_t>> order;
  for (size_t i = 0; i < corpus.samples.size(); ++i) {
    order.emplace_back(sha256_hex(corpus.samples[i].id), i);
  }
  std::sort(order.begin(), order.end());
  std::array<std::vector<size_t>, 2> halves;
  std::array<int64_t, 2> tokens{};
  for (const auto& [digest, i] : order) {
    if (max_tokens > 0 && tokens[0] + tokens[1] >= max_tokens) break;
    const size_t half = tokens[0] <= tokens[1] ? 0 : 1;
    halves[half].push_back(i);
    tokens[half] += corpus.samples[i].n_tokens;
  }
  return halves;
}

CorpusReport judge_corpus(Corpus corpus, std::optional<CorpusActivations> activations) {
  CorpusReport r;
  r.corpus = std::move(corpus);
  r.activations = std::move(activations);
  const JsonFields m(r.corpus.manifest, r.corpus.directory + "/" + kCorpusManifest);
  try {
    const auto n_tokens = static_cast<double>(m.integer("n_tokens"));
    const auto n_samples = static_cast<double>(r.corpus.samples.size());
    add_check(r, {.name = "tokens",
                  .grade = at_least(n_tokens, kTokens),
                  .found = fmt::format("{}", n_tokens),
                  .wanted = fmt::format(">= {}", kTokens.good),
                  .advice = "raise --tokens, or add traces if they are used up"});
    add_check(r, {.name = "samples",
                  .grade = at_least(n_samples, kSamples),
                  .found = fmt::format("{}", n_samples),
                  .wanted = fmt::format(">= {}", kSamples.good),
                  .advice = "add requests, or lower --max-sample-tokens"});
    const JsonFields vocabulary = m.object("vocabulary");
    const auto seen = static_cast<double>(vocabulary.integer("trace_occurrences"));
    const auto covered = static_cast<double>(vocabulary.integer("trace_occurrences_covered"));
    add_check(
        r, {.name = "vocabulary",
            .grade = at_least(seen > 0 ? covered / seen : 0, kOccurrences),
            .found = fmt::format("{:.2f} % of the traces' text is tokens that occur here ({} of {} "
                                 "different tokens)",
                                 percent(covered, seen), vocabulary.integer("corpus"),
                                 vocabulary.integer("traces")),
            .wanted = fmt::format(">= {:.0f} %", 100 * kOccurrences.good),
            .advice = "raise --tokens"});
    check_cells(r);
    if (r.activations && !r.activations->linears.empty()) check_activations(r);
    add_notes(r);
  } catch (const Json::exception& e) {
    fail(Fault::corrupt, "corpus-manifest",
         "{}: expected a manifest of sinter corpus build, found "
         "one that lacks something ({}); build the corpus again",
         m.where(), e.what());
  }
  for (const CorpusCheck& c : r.checks) r.grade = std::max(r.grade, c.grade);
  return r;
}

Json corpus_report_json(const CorpusReport& r) {
  Json checks = Json::array();
  for (const CorpusCheck& c : r.checks) {
    checks.push_back({{"name", c.name},
                      {"grade", to_string(c.grade)},
                      {"found", c.found},
                      {"wanted", c.wanted},
                      {"advice", c.advice}});
  }
  const Json& m = r.corpus.manifest;
  Json out = {{"corpus", r.corpus.directory},
              {"digest", r.corpus.digest},
              {"verdict", to_string(r.grade)},
              {"n_samples", r.corpus.samples.size()},
              {"n_tokens", m.at("n_tokens")},
              {"checks", std::move(checks)},
              {"notes", r.notes},
              {"coverage", m.at("coverage")},
              {"vocabulary", m.at("vocabulary")},
              {"replaced", m.at("replaced")},
              {"duplicates", m.at("duplicates")},
              {"leaks", m.at("leaks").size()}};
  if (!r.activations) return out;
  Json linears = Json::array();
  for (const LinearStability& l : r.activations->linears) {
    Json outliers = Json::array();
    for (const OutlierChannel& o : l.outliers) {
      outliers.push_back({{"channel", o.channel}, {"peaks", o.peak}, {"tokens", o.tokens}});
    }
    linears.push_back({{"module", l.module},
                       {"channels", l.n_channels},
                       {"tokens", l.n_tokens},
                       {"dead_channels", l.n_dead},
                       {"peak_difference", l.peak_difference},
                       {"peak_difference_p95", l.worst_peak_difference},
                       {"mean_difference", l.mean_difference},
                       {"correlation", l.correlation},
                       {"outliers", std::move(outliers)}});
  }
  out["model"] = {{"model", r.activations->model},
                  {"tokens", r.activations->n_tokens},
                  {"context", r.activations->context},
                  {"linears", std::move(linears)}};
  return out;
}

std::string corpus_report_text(const CorpusReport& r) {
  const Json& m = r.corpus.manifest;
  std::string out = fmt::format(
      "{}: {} samples, {} tokens of {} in the traces ({} samples)\n  digest {}\n"
      "  replaced: {}\n  duplicates left out: {} exact, {} near; leaks refused: {}\n"
      "  coverage objective {:.4f} (a random choice of the same size: {:.4f})\n",
      r.corpus.directory, r.corpus.samples.size(), m.at("n_tokens").get<int64_t>(),
      m.at("candidates").at("tokens").get<int64_t>(),
      m.at("candidates").at("samples").get<int64_t>(), r.corpus.digest,
      m.at("replaced").empty() ? "nothing" : to_line(m.at("replaced")),
      m.at("duplicates").at("exact").get<int64_t>(), m.at("duplicates").at("near").get<int64_t>(),
      m.at("leaks").size(), m.at("selection").at("value").get<double>(),
      m.at("selection").at("random").get<double>());
  for (const Dimension& d : kDimensions) {
    const Json& cells = m.at("coverage").at(d.name);
    if (cells.empty()) continue;
    out += fmt::format("\n{} ({})\n  {:<34} {:>16} {:>16}\n", d.name, d.meaning, "", "traces",
                       "corpus");
    double traces = 0, corpus = 0;
    for (const Json& c : cells) {
      traces += c.at("traces").at("tokens").get<double>();
      corpus += c.at("corpus").at("tokens").get<double>();
    }
    std::vector<Json> order(cells.begin(), cells.end());
    std::stable_sort(order.begin(), order.end(), [](const Json& a, const Json& b) {
      return a.at("traces").at("tokens").get<double>() > b.at("traces").at("tokens").get<double>();
    });
    constexpr size_t kShown = 16;
    for (size_t i = 0; i < std::min(order.size(), kShown); ++i) {
      const Json& c = order[i];
      const double a = percent(c.at("traces").at("tokens").get<double>(), traces);
      const double b = percent(c.at("corpus").at("tokens").get<double>(), corpus);
      out += fmt::format("  {:<34} {:>14.1f} % {:>14.1f} %  {}\n",
                         c.at("cell").get<std::string>().substr(0, 34), a, b, bar(b / 100));
    }
    if (order.size() > kShown) out += fmt::format("  ... and {} more\n", order.size() - kShown);
  }
  out += "\ntokens of the vocabulary, by how often the traces have them\n";
  for (const Json& b : m.at("vocabulary").at("bands")) {
    const auto traces = b.at("traces").get<double>(), corpus = b.at("corpus").get<double>();
    out += fmt::format("  {:<34} {:>16} {:>16}  {}\n", b.at("occurrences").get<std::string>(),
                       traces, corpus, bar(traces > 0 ? corpus / traces : 0));
  }
  if (r.activations) {
    const CorpusActivations& a = *r.activations;
    out += fmt::format(
        "\n{}: {} tokens; two halves compared\n  {:<34} {:>9} {:>8} {:>8} {:>8} {:>9}\n", a.model,
        a.n_tokens, "linear", "tokens", "peaks", "means", "corr.", "outliers");
    std::vector<const LinearStability*> order;
    for (const LinearStability& l : a.linears) order.push_back(&l);
    std::stable_sort(order.begin(), order.end(),
                     [](const LinearStability* l, const LinearStability* k) {
                       return l->peak_difference > k->peak_difference;
                     });
    constexpr size_t kShown = 12;
    for (size_t i = 0; i < std::min(order.size(), kShown); ++i) {
      const LinearStability& l = *order[i];
      out += fmt::format("  {:<34} {:>9} {:>6.1f} % {:>6.1f} % {:>8.4f} {:>9}\n", l.module,
                         l.n_tokens, 100 * l.peak_difference, 100 * l.mean_difference,
                         l.correlation, l.outliers.size());
    }
    if (order.size() > kShown) {
      out += fmt::format("  ... and {} steadier ones (--json has all)\n", order.size() - kShown);
    }
  }
  out += "\nchecks\n";
  for (const CorpusCheck& c : r.checks) {
    out +=
        fmt::format("  {:<12} {}: {} (good: {})\n", to_string(c.grade), c.name, c.found, c.wanted);
    if (!c.advice.empty()) out += fmt::format("               -> {}\n", c.advice);
  }
  for (const std::string& note : r.notes) out += fmt::format("  note         {}\n", note);
  return out + fmt::format("\nverdict: {}\n", to_string(r.grade));
}

}  // namespace sinter
