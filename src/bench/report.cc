#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "gate/statistics.h"

namespace sinter {
namespace {

constexpr double kGiga = 1e9;

Json to_json(const Spread& s) { return {{"median", s.median}, {"min", s.min}, {"max", s.max}}; }

template <typename F>
Spread over(const auto& list, const F& value) {
  std::vector<double> values;
  values.reserve(list.size());
  for (const auto& entry : list) values.push_back(value(entry));
  return spread_of(std::move(values));
}

double rate_called(const RoundLimits& limits, const std::string& name) {
  for (const PeakRate& r : limits.rates) {
    if (r.name == name) return r.ops_per_s;
  }
  return 0;
}

// Median over rounds of what the case reached, as a share of what the round's limit was.
template <typename Reached, typename Limit>
double share(const BenchReport& report, const CaseFigures& c, const Reached& reached,
             const Limit& limit) {
  std::vector<double> shares;
  for (size_t i = 0; i < c.samples.size() && i < report.limits.size(); ++i) {
    const double bound = limit(report.limits[i]);
    if (bound > 0) shares.push_back(reached(c.samples[i]) / bound);
  }
  return shares.empty() ? 0 : median(shares);
}

std::string range(const Spread& s, int digits) {
  if (s.min == s.max) return fmt::format("{:.{}f}", s.median, digits);
  return fmt::format("{:.{}f} ({:.{}f}-{:.{}f})", s.median, digits, s.min, digits, s.max, digits);
}

std::string percent(double share) {
  return share > 0 ? fmt::format("{:.0f} %", 100 * share) : std::string("-");
}

std::string bytes_text(double bytes) {
  return bytes >= 1 << 20 ? fmt::format("{:.1f} MiB", bytes / (1 << 20))
                          : fmt::format("{:.1f} KiB", bytes / (1 << 10));
}

TableCells case_cells(const BenchReport& report) {
  TableCells cells = {{"case", "tok/s", "GB/s", "of plain read",
                       "of peak " + (report.peak_name.empty() ? "ops" : report.peak_name),
                       "bytes/token"}};
  for (const CaseRow& r : rows_of(report)) {
    cells.push_back({r.name, range(r.tokens_per_s, r.tokens_per_s.median < 100 ? 2 : 1),
                     range(r.read_GB_per_s, 2), percent(r.read_share), percent(r.peak_share),
                     bytes_text(r.bytes_per_token)});
  }
  return cells;
}

// What stands above the table, a line each.
std::vector<std::string> heading(const BenchReport& r) {
  const auto memory = static_cast<double>(r.machine.value("memory_bytes", int64_t{0}));
  std::vector<std::string> lines = {
      fmt::format("{}: {}, {:.1f} M parameters, {:.1f} MiB of weights a forward, {:.1f} KiB of KV "
                  "a token",
                  r.model, r.scheme, static_cast<double>(r.parameters) / 1e6,
                  static_cast<double>(r.weight_bytes) / (1 << 20), r.kv_bytes_per_token / 1024),
      fmt::format("{}, {} cores, {:.0f} GiB, {}; {} threads, {}, activations {}, KV {}",
                  r.machine.value("cpu", "unknown"), r.machine.value("cores", 0),
                  memory / (1 << 30), r.machine.value("os", ""), r.threads, r.backend,
                  r.activations, r.kv),
      r.build,
      fmt::format("load {:.2f} s, first token after {:.2f} s; peak RSS {:.0f} MiB, {:.0f} MiB of "
                  "it weights and KV",
                  r.load_s, r.first_token_s, static_cast<double>(r.peak_rss_bytes) / (1 << 20),
                  static_cast<double>(r.resident_bytes) / (1 << 20))};
  if (!r.limits.empty()) {
    const Spread read = over(r.limits, [](const RoundLimits& l) { return l.read / kGiga; });
    const Spread far = over(r.limits, [](const RoundLimits& l) { return l.memory / kGiga; });
    std::string line = fmt::format("plain read {} GB/s of as many bytes, {} GB/s of memory; peaks",
                                   range(read, 1), range(far, 1));
    for (const PeakRate& rate : r.limits.front().rates) {
      const Spread s =
          over(r.limits, [&](const RoundLimits& l) { return rate_called(l, rate.name) / kGiga; });
      line += fmt::format(" {} {}", rate.name, range(s, 0));
    }
    lines.push_back(line + " Gop/s");
  }
  if (r.under_load) {
    lines.emplace_back("TAKEN UNDER LOAD: others were using this machine; not for quoting");
  }
  return lines;
}

std::string width_of(std::string_view text, size_t width, bool left) {
  return left ? fmt::format("{:<{}}", text, width) : fmt::format("{:>{}}", text, width);
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {median(values), *low, *high};
}

std::string activations_of(std::span<const LinearKernel> kernels) {
  struct Mode {
    std::string name;
    int64_t linears = 0, weights = 0;
  };
  std::vector<Mode> modes;
  for (const LinearKernel& k : kernels) {
    const auto same = [&](const Mode& m) { return m.name == k.kernel.activations; };
    auto mode = std::find_if(modes.begin(), modes.end(), same);
    if (mode == modes.end()) mode = modes.insert(modes.end(), {k.kernel.activations});
    ++mode->linears;
    mode->weights += k.rows * k.cols;
  }
  if (modes.size() == 1) return modes.front().name;
  std::stable_sort(modes.begin(), modes.end(),
                   [](const Mode& a, const Mode& b) { return a.weights > b.weights; });
  std::vector<std::string> texts;
  texts.reserve(modes.size());
  for (const Mode& m : modes) texts.push_back(fmt::format("{} x {}", m.name, m.linears));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string bounding_rate(std::span<const PeakRate> rates, const std::string& activations,
                          const std::string& backend) {
  constexpr std::string_view kTiles = "amx";
  const bool integer = activations.starts_with("int8");
  const bool has_tiles = backend.find(kTiles) != std::string::npos;
  const PeakRate* best = nullptr;
  for (const PeakRate& r : rates) {
    const bool fits = integer ? r.name.ends_with("int8") : r.name == "f32";
    if (!fits || (r.name.starts_with(kTiles) && !has_tiles)) continue;
    if (best == nullptr || r.ops_per_s > best->ops_per_s) best = &r;
  }
  if (best == nullptr && !rates.empty()) best = &rates.front();
  return best == nullptr ? "" : best->name;
}

std::vector<CaseRow> rows_of(const BenchReport& report) {
  std::vector<CaseRow> rows;
  for (const CaseFigures& c : report.cases) {
    const auto read = [](const Sample& s) { return s.bytes / s.seconds; };
    const auto ops = [](const Sample& s) { return s.ops / s.seconds; };
    CaseRow row;
    row.name = c.what.name;
    row.tokens_per_s =
        over(c.samples, [](const Sample& s) { return static_cast<double>(s.tokens) / s.seconds; });
    row.read_GB_per_s = over(c.samples, [&](const Sample& s) { return read(s) / kGiga; });
    row.read_share = share(report, c, read, [](const RoundLimits& l) { return l.read; });
    row.peak_share = share(report, c, ops,
                           [&](const RoundLimits& l) { return rate_called(l, report.peak_name); });
    row.bytes_per_token = over(c.samples, [](const Sample& s) {
                            return s.bytes / static_cast<double>(s.tokens);
                          }).median;
    row.others = over(c.samples, [](const Sample& s) { return s.others; }).max;
    rows.push_back(std::move(row));
  }
  return rows;
}

Json to_json(const BenchReport& r) {
  Json cases = Json::array(), skipped = Json::array(), limits = nullptr;
  const std::vector<CaseRow> rows = rows_of(r);
  for (size_t i = 0; i < rows.size(); ++i) {
    const CaseRow& row = rows[i];
    Json samples = Json::array();
    for (const Sample& s : r.cases[i].samples) {
      samples.push_back({{"seconds", s.seconds},
                         {"tokens", s.tokens},
                         {"bytes", s.bytes},
                         {"ops", s.ops},
                         {"others_cores", s.others}});
    }
    cases.push_back({{"case", row.name},
                     {"tokens_per_s", to_json(row.tokens_per_s)},
                     {"read_GB_per_s", to_json(row.read_GB_per_s)},
                     {"read_share", row.read_share},
                     {"peak_share", row.peak_share},
                     {"bytes_per_token", row.bytes_per_token},
                     {"others_cores", row.others},
                     {"samples", samples}});
  }
  for (const SkippedCase& s : r.skipped) skipped.push_back({{"case", s.name}, {"why", s.why}});
  if (!r.limits.empty()) {
    Json rates = Json::object();
    for (const PeakRate& rate : r.limits.front().rates) {
      rates[rate.name] = to_json(
          over(r.limits, [&](const RoundLimits& l) { return rate_called(l, rate.name) / kGiga; }));
    }
    limits = {
        {"read_GB_per_s", to_json(over(r.limits, [](const auto& l) { return l.read / kGiga; }))},
        {"memory_GB_per_s",
         to_json(over(r.limits, [](const auto& l) { return l.memory / kGiga; }))},
        {"peak", r.peak_name},
        {"Gops_per_s", rates}};
  }
  return {{"bench", 1},
          {"build", r.build},
          {"machine", r.machine},
          {"backend", r.backend},
          {"threads", r.threads},
          {"activations", r.activations},
          {"kv", r.kv},
          {"under_load", r.under_load},
          {"model",
           {{"path", r.model},
            {"scheme", r.scheme},
            {"parameters", r.parameters},
            {"weight_bytes", r.weight_bytes},
            {"kv_bytes_per_token", r.kv_bytes_per_token}}},
          {"load_s", r.load_s},
          {"first_token_s", r.first_token_s},
          {"peak_rss_bytes", r.peak_rss_bytes},
          {"weights_and_kv_bytes", r.resident_bytes},
          {"limits", limits},
          {"cases", cases},
          {"skipped", skipped}};
}

std::string plain_table(const TableCells& cells) {
  std::vector<size_t> width(cells.front().size(), 0);
  for (const auto& row : cells) {
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string text;
  for (const auto& row : cells) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += (i == 0 ? "" : "  ") + width_of(row[i], width[i], i == 0);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string markdown_table(const TableCells& cells) {
  std::string text;
  for (size_t r = 0; r < cells.size(); ++r) {
    text += fmt::format("| {} |\n", fmt::join(cells[r], " | "));
    if (r > 0) continue;
    text += "|---|";
    for (size_t i = 1; i < cells[r].size(); ++i) text += "---:|";
    text += "\n";
  }
  return text;
}

std::string to_text(const BenchReport& report) {
  std::string text;
  for (const std::string& line : heading(report)) text += line + "\n";
  text += "\n" + plain_table(case_cells(report));
  for (const SkippedCase& s : report.skipped) text += fmt::format("{}: {}\n", s.name, s.why);
  return text;
}

std::string to_markdown(const BenchReport& report) {
  std::string text;
  for (const std::string& line : heading(report)) text += "- " + line + "\n";
  text += "\n" + markdown_table(case_cells(report));
  if (!report.skipped.empty()) text += "\n";
  for (const SkippedCase& s : report.skipped) text += fmt::format("- {}: {}\n", s.name, s.why);
  return text;
}

std::string to_csv(const BenchReport& report) {
  std::string text =
      "case,tokens_per_s,tokens_per_s_min,tokens_per_s_max,read_GB_per_s,read_share,peak_share,"
      "bytes_per_token,others_cores,under_load\n";
  for (const CaseRow& r : rows_of(report)) {
    text += fmt::format("{},{:.4f},{:.4f},{:.4f},{:.4f},{:.4f},{:.4f},{:.0f},{:.3f},{}\n", r.name,
                        r.tokens_per_s.median, r.tokens_per_s.min, r.tokens_per_s.max,
                        r.read_GB_per_s.median, r.read_share, r.peak_share, r.bytes_per_token,
                        r.others, report.under_load ? 1 : 0);
  }
  return text;
}

}  // namespace sinter
