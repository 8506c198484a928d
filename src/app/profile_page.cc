#include "app/profile_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "compress/profile/report.h"
#include "gate/report.h"
#include "gate/report_page.h"

namespace sinter {
namespace {

// What this page has that the gate's report has not. Shades: --shade is the share of the darkest.
constexpr const char* kStyle = R"css(
.banner.plain { background: var(--faint); } .banner.plain h1 { color: var(--ink); }
.shades { margin-bottom: 0; }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); gap: 18px; margin-top: 18px; }
.maps .panel { margin-top: 0; min-width: 0; }
.map rect { fill: var(--after); } .map rect.out { fill: var(--lost); }
.map .back { fill: var(--faint); }
.key { display: inline-flex; gap: 2px; align-items: center; } .key i { width: 22px; height: 12px; border-radius: 2px; background: var(--after); }
.key i.out { background: var(--lost); }
.advice dt { font-weight: 600; margin-top: 16px; } .advice dt:first-child { margin-top: 0; }
.advice dd { color: var(--soft); } .advice dd b { color: var(--ink); font-weight: 500; }
@media (max-width: 900px) { .maps { grid-template-columns: 1fr; } .tiles { grid-template-columns: repeat(2, 1fr); } }
)css";

constexpr size_t kRanks = 36;  // columns of a map of channels

struct Cell {
  double shade = 0;  // 0 to 1
  bool stands_out = false;
  std::string words;
};

// Rows are layers. `cell(row, column)`; labels below the first, the middle and the last column.
std::string heat_map(const std::string& title, const std::string& caption, size_t rows,
                     size_t columns, const std::array<std::string, 3>& labels,
                     const std::function<Cell(size_t, size_t)>& cell) {
  constexpr double kWidth = 400, kLeft = 34, kLetters = 26;
  const double w = (kWidth - kLeft) / static_cast<double>(columns);
  const double h = std::clamp(240 / static_cast<double>(rows), 5.0, 22.0);
  const double height = h * static_cast<double>(rows);
  std::string out = fmt::format(
      "<div class=\"panel pad\"><figure><h3>{0}</h3><figcaption>{1}</figcaption><svg class=\"plot "
      "map\" viewBox=\"0 0 {2} {3:.0f}\" role=\"img\" aria-label=\"{0}, layer by layer\">\n",
      escape_markup(title), escape_markup(caption), kWidth, height + kLetters);
  out += fmt::format(
      "<rect class=\"back\" x=\"{}\" y=\"0\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"3\"/>\n",
      kLeft, kWidth - kLeft, height);
  const size_t step = rows <= 12 ? 1 : (rows + 11) / 12;
  for (size_t r = 0; r < rows; ++r) {
    const double y = h * static_cast<double>(r);
    if (r % step == 0) {
      out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", kLeft - 8,
                         y + h / 2 + 4, r);
    }
    for (size_t c = 0; c < columns; ++c) {
      const Cell one = cell(r, c);
      out += fmt::format(
          "<rect{} x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" "
          "fill-opacity=\"{:.2f}\"><title>{}</title></rect>\n",
          one.stands_out ? " class=\"out\"" : "", kLeft + w * static_cast<double>(c), y, w - 0.6,
          h - 0.6, one.shade, escape_markup(one.words));
    }
  }
  const std::array<double, 3> at = {kLeft, kLeft + (kWidth - kLeft) / 2, kWidth};
  constexpr std::array kAnchors = {"start", "middle", "end"};
  for (size_t i = 0; i < labels.size(); ++i) {
    out += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"{}\">{}</text>\n", at[i],
                       height + 18, kAnchors[i], escape_markup(labels[i]));
  }
  return out + "</svg></figure></div>\n";
}

// Ranks 0 ... n - 1 at even distances of their logarithms, for what matters is at the top.
size_t rank_of(size_t column, size_t n) {
  const double share = static_cast<double>(column) / static_cast<double>(kRanks - 1);
  const double rank = std::pow(static_cast<double>(n), share) - 1;
  return std::min(n - 1, static_cast<size_t>(std::llround(std::max(rank, 0.0))));
}

// From an eighth of the median to 10 times as much; outliers, from there to 64 times, have a colour
// and shades of their own.
double shade_of(double times) {
  if (times <= 0) return 0;
  const double size = std::log2(times), outlier = std::log2(kOutlierRatio);
  return size < outlier ? std::clamp((size + 3) / (outlier + 3), 0.04, 1.0)
                        : std::clamp(0.45 + 0.55 * (size - outlier) / (6 - outlier), 0.45, 1.0);
}

std::string channel_map(const Profile& p, const std::string& directory, size_t input) {
  std::vector<std::vector<float>> peaks;  // [layer], falling
  for (const ProfiledLayer& layer : p.layers) {
    peaks.push_back(channel_peaks(directory, layer, layer.inputs[input]));
    std::sort(peaks.back().begin(), peaks.back().end(), std::greater<>());
  }
  const ProfiledInput& first = p.layers.front().inputs[input];
  const size_t n = peaks.front().size();
  return heat_map(
      first.name,
      fmt::format("{} channels, by falling peak; the largest at the left, on a logarithmic scale",
                  n),
      p.layers.size(), kRanks,
      {"largest", fmt::format("rank {}", rank_of(kRanks / 2, n) + 1), "smallest"},
      [&](size_t layer, size_t column) {
        const std::vector<float>& sorted = peaks[layer];
        const double median = double{sorted[sorted.size() / 2]};
        const size_t rank = rank_of(column, sorted.size());
        const double times = median > 0 ? double{sorted[rank]} / median : 0;
        return Cell{.shade = shade_of(times),
                    .stands_out = times >= kOutlierRatio,
                    .words = fmt::format("layer {}, rank {}: {:.4g}, {:.2f} times the median",
                                         layer, rank + 1, sorted[rank], times)};
      });
}

std::string head_map(const Profile& p, size_t input) {
  const ProfiledInput& first = p.layers.front().inputs[input];
  std::vector<double> all;
  for (const ProfiledLayer& layer : p.layers) {
    for (const ProfiledHead& h : layer.inputs[input].heads) all.push_back(h.peak);
  }
  const double median = quantile(all, 0.5);
  const size_t n = first.heads.size();
  return heat_map(
      first.name, "Largest |x| of each head, beside the median head's; a row is a layer",
      p.layers.size(), n, {"head 0", "", n > 1 ? fmt::format("head {}", n - 1) : ""},
      [&](size_t layer, size_t head) {
        const auto& heads = p.layers[layer].inputs[input].heads;
        if (head >= heads.size()) return Cell{};
        const double times = median > 0 ? heads[head].peak / median : 0;
        return Cell{.shade = shade_of(times),
                    .stands_out = times >= kOutlierRatio,
                    .words = fmt::format("layer {}, head {}: peak {:.4g}, rms {:.4g}", layer, head,
                                         heads[head].peak, heads[head].rms)};
      });
}

std::string key_of_shades() {
  std::string out = "<div class=\"legend shades\"><span>times the median: 1/8 <span class=\"key\">";
  for (const double times : {0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0}) {
    out += fmt::format("<i style=\"opacity:{:.2f}\"></i>", shade_of(times));
  }
  out += "</span> 8</span><span>outliers: 10 <span class=\"key\">";
  for (const double times : {10.0, 20.0, 64.0}) {
    out += fmt::format("<i class=\"out\" style=\"opacity:{:.2f}\"></i>", shade_of(times));
  }
  return out + "</span> 64</span></div>\n";
}

std::string rounding_table(const Profile& p, bool cache) {
  std::string out =
      "<div class=\"panel scroll\"><table><thead><tr><th>Rounded as</th><th>Scales</th><th "
      "class=\"n\">Mean error</th><th class=\"n\">Worst</th><th>In</th></tr></thead><tbody>\n";
  for (const RoundingSummary& s : summaries(p, cache)) {
    out += fmt::format(
        "<tr><th>{}</th><td>{}</td><td class=\"n\">{:.2f} %</td><td class=\"n\">{:.2f} "
        "%</td><td>{}</td></tr>\n",
        escape_markup(s.activations),
        s.range.empty() ? "found at run time" : escape_markup("fixed: " + s.range), 100 * s.mean,
        100 * s.worst, escape_markup(s.worst_input));
  }
  return out + "</tbody></table></div>\n";
}

std::string range_table(const Profile& p) {
  constexpr size_t kShown = 16;
  struct Row {
    std::string where;
    const ProfiledInput* input;
    const ProfiledRange* half;
  };
  std::vector<Row> rows;
  for (const ProfiledLayer& layer : p.layers) {
    for (const ProfiledInput& input : layer.inputs) {
      const ProfiledRange* half = input.range(kHalfRange);
      if (half != nullptr && half->values > 0) {
        rows.push_back({fmt::format("layer {}, {}", layer.layer, input.name), &input, half});
      }
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.half->tokens > b.half->tokens; });
  if (rows.empty()) return "<p class=\"lead\">Nothing: the halves have the same ranges.</p>\n";
  std::string out =
      "<div class=\"panel scroll\"><table><thead><tr><th>Input</th><th class=\"n\">Peak</th><th "
      "class=\"n\">Range of one half</th><th class=\"n\">Values beyond</th><th "
      "class=\"n\">Tokens</th><th class=\"n\">Share</th></tr></thead><tbody>\n";
  for (size_t i = 0; i < std::min(kShown, rows.size()); ++i) {
    const ProfiledRange& r = *rows[i].half;
    out += fmt::format(
        "<tr><th>{}</th><td class=\"n\">{:.4g}</td><td class=\"n\">{:.4g}</td><td "
        "class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.3f} %</td></tr>\n",
        escape_markup(rows[i].where), rows[i].input->peak, r.limit, r.values, r.tokens,
        100 * static_cast<double>(r.tokens) /
            static_cast<double>(std::max<int64_t>(1, p.n_tokens)));
  }
  out += "</tbody></table></div>\n";
  if (rows.size() > kShown) {
    out += fmt::format("<p class=\"lead\">And {} more.</p>\n", rows.size() - kShown);
  }
  return out;
}

std::string tile(const std::string& number, const std::string& words) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>", number, words);
}

std::string tiles(const Profile& p) {
  size_t outliers = 0;
  double most = 0, widest = 0;
  int64_t dead = 0;
  for (const ProfiledLayer& layer : p.layers) {
    for (const ProfiledInput& input : layer.inputs) {
      if (!input.heads.empty()) {
        widest = std::max(widest, input.peak);
        continue;
      }
      outliers += input.stability.outliers.size();
      dead += input.stability.n_dead;
      most = std::max(most, input.peak_ratio);
    }
  }
  return "<div class=\"tiles\">" + tile(fmt::format("{}", p.layers.size()), "layers") +
         tile(fmt::format("{}", outliers), "outlier channels of linears' inputs") +
         tile(fmt::format("{:.1f} x", most), "the worst channel's peak, beside the median's") +
         tile(fmt::format("{}", dead), "dead channels") +
         tile(fmt::format("{:.4g}", widest), "the largest key or value") + "</div>\n";
}

std::string advice_list(const Profile& p) {
  std::string out = "<div class=\"panel pad\"><dl class=\"advice\">\n";
  for (const Advice& a : advice_of(p)) {
    out += fmt::format("<dt>{}</dt><dd>{}<br><b>{}</b></dd>\n", escape_markup(a.about),
                       escape_markup(a.finding), escape_markup(a.advice));
  }
  return out + "</dl></div>\n";
}

}  // namespace

std::string profile_page(const Profile& p, const std::string& directory) {
  std::string out = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><title>Profile: "
      "{0}</title><style>{1}{2}</style></head><body><main><p class=\"kicker\">Profile "
      "<b>{0}</b></p>\n<div class=\"banner plain\"><h1>What the model computes</h1><p>{3} "
      "tokens in {4} sequences of {5}; rounding was tried on {6} of the tokens, all else is of all "
      "of them.</p></div>\n",
      escape_markup(directory), kReportStyle, kStyle, p.n_tokens, p.n_sequences,
      escape_markup(p.corpus), p.rounded_tokens);
  if (!p.layers.empty()) {
    out += tiles(p);
    out +=
        "<section><h2>What this suggests</h2><p class=\"lead\">By the rules in docs/profile.md. A "
        "gate has the last word.</p>\n" +
        advice_list(p) + "</section>\n";
    out +=
        "<section><h2>Channels</h2><p class=\"lead\">Largest |x| of each channel of what linears "
        "read, beside the median channel's; a row is a layer. Outlier channels in red.</p>\n<div "
        "class=\"panel pad\">" +
        key_of_shades() + "</div><div class=\"maps\">\n";
    const std::vector<ProfiledInput>& inputs = p.layers.front().inputs;
    std::string heads;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].heads.empty()) {
        out += channel_map(p, directory, i);
      } else {
        heads += head_map(p, i);
      }
    }
    out +=
        "</div></section>\n<section><h2>Rounding what linears read</h2><p class=\"lead\">Relative "
        "error of the median channel: a scale that one channel stretches loses the others.</p>\n" +
        rounding_table(p, false) +
        "</section>\n<section><h2>Fixed ranges</h2><p class=\"lead\">What one half of the tokens "
        "has beyond the range of the other: what a fixed scale will meet in traffic that it was "
        "not calibrated on.</p>\n" +
        range_table(p) +
        "</section>\n<section><h2>Keys and values</h2><p class=\"lead\">Keys after rotation, as "
        "caches hold them.</p>\n<div class=\"maps\">" +
        heads + "</div>\n" + rounding_table(p, true) + "</section>\n";
  }
  return out + fmt::format(
                   "<section><p class=\"lead\">Weights <code>{}</code><br>tokens "
                   "<code>{}</code><br>{}</p></section></main></body></html>\n",
                   p.key.base_digest, p.key.corpus_digest, escape_markup(p.key.build));
}

}  // namespace sinter
