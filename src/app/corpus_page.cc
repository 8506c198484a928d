#include "app/corpus_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "compress/corpus/coverage.h"
#include "gate/report.h"
#include "gate/report_page.h"

namespace sinter {
namespace {

// What this page has that the gate's report has not.
constexpr const char* kStyle = R"css(
.cells { display: grid; grid-template-columns: minmax(120px, 230px) 1fr 116px; gap: 10px 16px; align-items: center; }
.cells .name { font-weight: 500; overflow-wrap: anywhere; }
.cells .pc { font-size: 13px; line-height: 15px; text-align: right; color: var(--soft); }
.cells .pc b { display: block; color: var(--ink); font-weight: 600; }
.panel h3 { font-size: 15px; font-weight: 600; } .panel h3 small { font-weight: 400; color: var(--soft); }
.panel .cells { margin-top: 14px; }
.notes li { margin-top: 8px; } .notes { margin: 0; padding-left: 20px; }
)css";

const char* style_of(CorpusGrade grade) {
  constexpr const char* kStyles[] = {"pass", "inconclusive", "fail"};
  return kStyles[static_cast<size_t>(grade)];
}

std::string bar(double y, double share, const char* style) {
  return fmt::format(
      "<rect x=\"0\" y=\"{0}\" width=\"100%\" height=\"10\" rx=\"3\" class=\"f-track\"/>"
      "<rect x=\"0\" y=\"{0}\" width=\"{1:.2f}%\" height=\"10\" rx=\"3\" class=\"{2}\"/>",
      y, std::clamp(100 * share, 0.0, 100.0), style);
}

std::string pair_of_bars(const std::string& name, double traces, double corpus) {
  return fmt::format(
      "<div class=\"name\">{0}</div><svg class=\"bars\" role=\"img\" aria-label=\"{0}: {1:.1f} % "
      "of "
      "the traces, {2:.1f} % of the corpus\">{3}{4}</svg><div class=\"pc\">{1:.1f} %<b>{2:.1f} "
      "%</b></div>\n",
      escape_markup(name), 100 * traces, 100 * corpus, bar(1, traces, "f-before"),
      bar(15, corpus, "f-after"));
}

double tokens(const Json& cell, const char* side) {
  return cell.at(side).at("tokens").get<double>();
}

std::string dimension_panel(const Dimension& d, const Json& cells) {
  constexpr size_t kShown = 14;
  double traces = 0, corpus = 0;
  for (const Json& c : cells) {
    traces += tokens(c, "traces");
    corpus += tokens(c, "corpus");
  }
  std::vector<Json> order(cells.begin(), cells.end());
  std::stable_sort(order.begin(), order.end(), [](const Json& a, const Json& b) {
    return tokens(a, "traces") > tokens(b, "traces");
  });
  std::string out =
      fmt::format("<div class=\"panel pad\"><h3>{} <small>{}</small></h3><div class=\"cells\">\n",
                  d.name, d.meaning);
  for (size_t i = 0; i < std::min(kShown, order.size()); ++i) {
    out += pair_of_bars(order[i].at("cell").get<std::string>(),
                        traces > 0 ? tokens(order[i], "traces") / traces : 0,
                        corpus > 0 ? tokens(order[i], "corpus") / corpus : 0);
  }
  if (order.size() > kShown) {
    out += fmt::format("<div class=\"name none\">and {} more</div>", order.size() - kShown);
  }
  return out + "</div></div>\n";
}

std::string checks_table(const CorpusReport& r) {
  std::string out =
      "<div class=\"panel scroll\"><table><thead><tr><th>Check</th><th></th><th>Found</th>"
      "<th>Good is</th></tr></thead><tbody>\n";
  for (const CorpusCheck& c : r.checks) {
    out += fmt::format(
        "<tr><th>{}</th><td><span class=\"pill {}\">{}</span></td><td>{}{}</td><td>{}</td></tr>\n",
        escape_markup(c.name), style_of(c.grade), to_string(c.grade), escape_markup(c.found),
        c.advice.empty() ? "" : fmt::format("<small>To do: {}</small>", escape_markup(c.advice)),
        escape_markup(c.wanted));
  }
  return out + "</tbody></table></div>\n";
}

std::string activations_section(const CorpusActivations& a) {
  std::string out = fmt::format(
      "<section><h2>What {} sees</h2><p class=\"lead\">{} tokens of the corpus, in two halves. "
      "Peaks "
      "and means are those of an input channel's absolute values; the table has the median "
      "channel's "
      "difference between the halves.</p><div class=\"panel "
      "scroll\"><table><thead><tr><th>Linear</th>"
      "<th class=\"n\">Tokens</th><th class=\"n\">Channels</th><th class=\"n\">Peaks differ</th>"
      "<th class=\"n\">Means differ</th><th class=\"n\">Correlation</th><th>Outlier channels "
      "(tokens that excite each)</th></tr></thead><tbody>\n",
      escape_markup(a.model), a.n_tokens);
  constexpr size_t kShownOutliers = 6;
  for (const LinearStability& l : a.linears) {
    std::vector<std::string> outliers;
    for (const OutlierChannel& o : l.outliers) {
      if (outliers.size() < kShownOutliers) {
        outliers.push_back(fmt::format("{} ({})", o.channel, o.tokens));
      }
    }
    if (l.outliers.size() > kShownOutliers) {
      outliers.push_back(fmt::format("{} more", l.outliers.size() - kShownOutliers));
    }
    out += fmt::format(
        "<tr><th>{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1f} %</td>"
        "<td class=\"n\">{:.1f} %</td><td class=\"n\">{:.4f}</td><td>{}</td></tr>\n",
        escape_markup(l.module), l.n_tokens, l.n_channels, 100 * l.peak_difference,
        100 * l.mean_difference, l.correlation, fmt::join(outliers, ", "));
  }
  return out + "</tbody></table></div></section>\n";
}

std::string tile(const std::string& number, const std::string& words) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>", number, words);
}

}  // namespace

std::string corpus_page(const CorpusReport& r) {
  const Json& m = r.corpus.manifest;
  int64_t replaced = 0;
  for (const Json& n : m.at("replaced")) replaced += n.get<int64_t>();
  std::string out = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><title>Corpus: "
      "{0}</title><style>{1}{2}</style>"
      "</head><body><main><p class=\"kicker\">Calibration corpus <b>{0}</b></p>\n"
      "<div class=\"banner {3}\"><h1>{4}</h1><p>{5} samples and {6} tokens, chosen from {7} "
      "samples and "
      "{8} tokens of traces.</p></div>\n<div class=\"tiles\">{9}{10}{11}{12}{13}</div>\n",
      escape_markup(r.corpus.directory), kReportStyle, kStyle, style_of(r.grade),
      std::string(to_string(r.grade)) == "thin" ? "Thin"
      : r.grade == CorpusGrade::good            ? "Good enough"
                                                : "Not enough",
      r.corpus.samples.size(), m.at("n_tokens").get<int64_t>(),
      m.at("candidates").at("samples").get<int64_t>(),
      m.at("candidates").at("tokens").get<int64_t>(),
      tile(fmt::format("{}", replaced), "pieces of personal data and secrets replaced"),
      tile(fmt::format("{}", m.at("duplicates").at("exact").get<int64_t>()),
           "exact duplicates left out"),
      tile(fmt::format("{}", m.at("duplicates").at("near").get<int64_t>()),
           "near duplicates left out"),
      tile(m.at("suites_checked").empty() ? "?" : fmt::format("{}", m.at("leaks").size()),
           m.at("suites_checked").empty() ? "leaks: no suite was checked"
                                          : "samples refused that hold items of a suite"),
      tile(fmt::format("{:.2f}", m.at("selection").at("value").get<double>()),
           fmt::format("coverage objective; a random choice has {:.2f}",
                       m.at("selection").at("random").get<double>())));
  out += "<section><h2>Checks</h2>" + checks_table(r);
  if (!r.notes.empty()) {
    out += "<div class=\"panel pad\"><ul class=\"notes\">";
    for (const std::string& note : r.notes) out += fmt::format("<li>{}</li>", escape_markup(note));
    out += "</ul></div>";
  }
  out +=
      "</section>\n<section><h2>Coverage</h2><p class=\"lead\">Share of tokens: "
      "<b>traces above, corpus below</b>. The choice lifts rare cells on purpose.</p>\n";
  for (const Dimension& d : kDimensions) {
    const Json& cells = m.at("coverage").at(d.name);
    if (!cells.empty()) out += dimension_panel(d, cells);
  }
  out +=
      "<div class=\"panel pad\"><h3>vocabulary <small>share of the traces' different tokens that "
      "the "
      "corpus has, by how often the traces have them</small></h3><div class=\"cells\">\n";
  for (const Json& b : m.at("vocabulary").at("bands")) {
    const auto traces = b.at("traces").get<double>(), corpus = b.at("corpus").get<double>();
    if (traces > 0) {
      out += pair_of_bars(fmt::format("{} times", b.at("occurrences").get<std::string>()), 1,
                          corpus / traces);
    }
  }
  out += "</div></div></section>\n";
  if (r.activations) out += activations_section(*r.activations);
  return out + fmt::format(
                   "<section><p class=\"lead\">Digest <code>{}</code>, {}</p></section></main>"
                   "</body></html>\n",
                   r.corpus.digest, escape_markup(m.at("build").get<std::string>()));
}

}  // namespace sinter
