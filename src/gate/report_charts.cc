// A plot is 520 by 300 units with a frame inside; numbers are printed with two decimals, so the
// same evidence draws the same bytes.
#include "gate/report_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace sinter {
namespace {

constexpr double kWidth = 520;
constexpr double kHeight = 300;
constexpr double kLeft = 46;
constexpr double kRight = 510;
constexpr double kTop = 10;
constexpr double kBottom = 258;
constexpr size_t kMaxDots = 4000;

std::string begin_plot(const std::string& description) {
  return fmt::format(
      "<svg class=\"plot\" viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n", kWidth,
      kHeight, escape_markup(description));
}

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return fmt::format(
      "<line x1=\"{:.2f}\" y1=\"{:.2f}\" x2=\"{:.2f}\" y2=\"{:.2f}\" class=\"{}\"/>\n", x1, y1, x2,
      y2, style);
}

std::string text(double x, double y, const char* anchor, const std::string& words,
                 const char* style = "") {
  return fmt::format("<text x=\"{:.2f}\" y=\"{:.2f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n",
                     x, y, anchor, style, escape_markup(words));
}

std::string rect(double x, double y, double width, double height, const char* style) {
  return fmt::format(
      "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" class=\"{}\"/>\n", x, y,
      std::max(0.0, width), std::max(0.0, height), style);
}

// A logarithmic axis over whole decades that hold all values.
struct Decades {
  int low = 0;
  int high = 1;
  Decades(double smallest, double largest) {
    low = static_cast<int>(std::floor(std::log10(smallest) + 1e-9));
    high = std::max(low + 1, static_cast<int>(std::ceil(std::log10(largest) - 1e-9)));
  }
  double part(double value) const {
    const double p = (std::log10(value) - low) / (high - low);
    return std::clamp(p, 0.0, 1.0);
  }
  int step() const { return 1 + (high - low) / 7; }
};

std::string power_of_ten(int exponent) {
  if (exponent >= -3 && exponent <= 3) return fmt::format("{:g}", std::pow(10.0, exponent));
  return fmt::format("1e{}", exponent);
}

double x_at(double part) { return kLeft + part * (kRight - kLeft); }
double y_at(double part) { return kBottom - part * (kBottom - kTop); }

std::string x_decades(const Decades& axis, const std::string& title) {
  std::string out;
  for (int e = axis.low; e <= axis.high; e += axis.step()) {
    const double x = x_at(axis.part(std::pow(10.0, e)));
    out += line(x, kTop, x, kBottom, "grid") + text(x, kBottom + 17, "middle", power_of_ten(e));
  }
  return out + line(kLeft, kBottom, kRight, kBottom, "axis") +
         text((kLeft + kRight) / 2, kHeight - 6, "middle", title);
}

// A round number not far above `value`, for the top of an axis of counts.
double round_up(double value) {
  const double unit = std::pow(10.0, std::floor(std::log10(std::max(1.0, value))));
  for (const double factor : {1.0, 2.0, 4.0, 5.0, 8.0, 10.0}) {
    if (value <= factor * unit) return factor * unit;
  }
  return 10 * unit;
}

std::string y_counts(double most) {
  std::string out;
  for (const double part : {0.0, 0.5, 1.0}) {
    if (part == 0.5 && most < 2) continue;
    out += line(kLeft, y_at(part), kRight, y_at(part), part == 0 ? "axis" : "grid") +
           text(kLeft - 8, y_at(part) + 4, "end", fmt::format("{:.0f}", part * most));
  }
  return out;
}

std::string histogram(const std::vector<int64_t>& bins, double most, const char* style) {
  std::string out;
  const double width = (kRight - kLeft) / static_cast<double>(bins.size());
  for (size_t i = 0; i < bins.size(); ++i) {
    if (bins[i] == 0) continue;
    const double height = std::max(1.5, static_cast<double>(bins[i]) / most * (kBottom - kTop));
    out += rect(kLeft + static_cast<double>(i) * width + 0.75, kBottom - height, width - 1.5,
                height, style);
  }
  return out;
}

size_t bin_of(double part, size_t n_bins) {
  return std::min(n_bins - 1, static_cast<size_t>(part * static_cast<double>(n_bins)));
}

double share(int64_t k, int64_t n) {
  return n == 0 ? 0 : static_cast<double>(k) / static_cast<double>(n);
}

struct Ran {
  const ItemResult* before;
  const ItemResult* after;
};

std::vector<Ran> items_that_ran(const Report& report) {
  std::vector<Ran> list;
  for (size_t i = 0; i < report.before.results.size(); ++i) {
    const ItemResult& before = report.before.results[i];
    const ItemResult& after = report.after.results[i];
    if (before.error.empty() && after.error.empty()) list.push_back({&before, &after});
  }
  return list;
}

}  // namespace

std::string chart_success(const Tally& t) {
  const double before = 100 * share(t.passed_before, t.n);
  const double after = 100 * share(t.passed_after, t.n);
  std::string out = fmt::format(
      "<svg class=\"bars\" role=\"img\" aria-label=\"{}: {:.1f} % before, {:.1f} % after\">",
      escape_markup(t.name), before, after);
  for (const auto& [y, value, style] :
       {std::tuple{1, before, "f-before"}, std::tuple{15, after, "f-after"}}) {
    out += fmt::format(
        "<rect x=\"0\" y=\"{0}\" width=\"100%\" height=\"10\" rx=\"3\" class=\"f-track\"/>"
        "<rect x=\"0\" y=\"{0}\" width=\"{1:.2f}%\" height=\"10\" rx=\"3\" class=\"{2}\"/>",
        y, value, style);
  }
  return out + "</svg>";
}

std::string chart_flips(const Tally& t, int64_t most) {
  const double unit = 38.0 / static_cast<double>(std::max<int64_t>(1, most));  // % of the width
  const double lost = unit * static_cast<double>(t.lost);
  const double won = unit * static_cast<double>(t.won);
  return fmt::format(
      "<svg class=\"flips\" role=\"img\" aria-label=\"{0}: {1} lost, {2} won\">"
      "<rect x=\"{3:.2f}%\" y=\"6\" width=\"{4:.2f}%\" height=\"12\" rx=\"3\" class=\"f-lost\"/>"
      "<rect x=\"50%\" y=\"6\" width=\"{5:.2f}%\" height=\"12\" rx=\"3\" class=\"f-won\"/>"
      "<line x1=\"50%\" x2=\"50%\" y1=\"0\" y2=\"24\" class=\"axis\"/>"
      "<text x=\"{6:.2f}%\" dx=\"-6\" y=\"16\" text-anchor=\"end\" class=\"{7}\">{1}</text>"
      "<text x=\"{8:.2f}%\" dx=\"6\" y=\"16\" class=\"{9}\">{2}</text></svg>",
      escape_markup(t.name), t.lost, t.won, 50 - lost, lost, won, 50 - lost,
      t.lost > 0 ? "t-lost" : "", 50 + won, t.won > 0 ? "t-won" : "");
}

std::string chart_likelihood(const Report& report) {
  constexpr double kFloor = 1e-5;
  double low = 1e300;
  double high = 0;
  std::vector<Ran> measured;
  for (const Ran& r : items_that_ran(report)) {
    if (!r.before->reference_nll || !r.after->reference_nll) continue;
    measured.push_back(r);
    for (const ItemResult* side : {r.before, r.after}) {
      low = std::min(low, std::max(kFloor, *side->reference_nll));
      high = std::max(high, std::max(kFloor, *side->reference_nll));
    }
  }
  if (measured.empty()) return "";
  const Decades axis(low, high);
  std::string out = begin_plot(fmt::format(
      "{} items by the negative log-likelihood of their reference, baseline against candidate; {} "
      "are above the diagonal (worse)",
      measured.size(), report.verdict.likelihood.worse));
  out += x_decades(axis, "baseline, nats");
  for (int e = axis.low; e <= axis.high; e += axis.step()) {
    const double y = y_at(axis.part(std::pow(10.0, e)));
    out += line(kLeft, y, kRight, y, "grid") + text(kLeft - 8, y + 4, "end", power_of_ten(e));
  }
  out += line(kLeft, kBottom, kRight, kTop, "axis s-soft");
  out += text(kLeft + 8, kTop + 16, "start", "worse \xE2\x86\x91");
  const size_t stride = 1 + measured.size() / kMaxDots;
  // Flipped items last, so that they lie on top.
  for (const bool flipped : {false, true}) {
    for (size_t i = 0; i < measured.size(); ++i) {
      const Ran& r = measured[i];
      const bool flips = r.before->score.pass != r.after->score.pass;
      if (flips != flipped || (!flipped && i % stride != 0)) continue;
      const char* style = !flips ? "f-after" : r.before->score.pass ? "f-lost" : "f-won";
      out += fmt::format("<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"{}\" class=\"{}\"{}/>\n",
                         x_at(axis.part(std::max(kFloor, *r.before->reference_nll))),
                         y_at(axis.part(std::max(kFloor, *r.after->reference_nll))),
                         flips ? "4" : "2.2", style, flips ? "" : " opacity=\"0.38\"");
    }
  }
  return out + "</svg>";
}

std::string chart_ratios(const Report& report) {
  constexpr size_t kBins = 40;
  constexpr double kSpan = 4;  // log2, either way; the outermost bins hold what is beyond
  std::vector<int64_t> bins(kBins);
  int64_t n = 0;
  for (const Ran& r : items_that_ran(report)) {
    const auto ratio = likelihood_ratio(*r.before, *r.after);
    if (!ratio) continue;
    ++n;
    ++bins[bin_of(std::clamp((std::log2(*ratio) + kSpan) / (2 * kSpan), 0.0, 1.0), kBins)];
  }
  if (n == 0) return "";
  const double most = round_up(static_cast<double>(*std::max_element(bins.begin(), bins.end())));
  const LikelihoodEffect& e = report.verdict.likelihood;
  std::string out = begin_plot(fmt::format(
      "Items by the ratio of candidate to baseline NLL; the median is {:.3f}", e.median_ratio));
  out += y_counts(most);
  for (const int power : {-4, -2, 0, 2, 4}) {
    const double x = x_at((power + kSpan) / (2 * kSpan));
    const std::string label =
        power < 0 ? fmt::format("1/{}", 1 << -power) : fmt::format("{}", 1 << power);
    out += text(x, kBottom + 17, "middle", "\xC3\x97" + label);
  }
  out += histogram(bins, most, "f-after");
  const double middle = x_at(0.5);
  out += line(middle, kTop, middle, kBottom, "s-soft");
  const double median_x =
      x_at(std::clamp((std::log2(e.median_ratio) + kSpan) / (2 * kSpan), 0.0, 1.0));
  out += line(median_x, kTop, median_x, kBottom, "s-open");
  const bool right = median_x < kWidth / 2 + 100;
  out += text(median_x + (right ? 6 : -6), kTop + 12, right ? "start" : "end",
              fmt::format("median \xC3\x97{:.3f}", e.median_ratio), "t-open");
  out += text((kLeft + kRight) / 2, kHeight - 6, "middle", "candidate / baseline, right is worse");
  return out + "</svg>";
}

std::string chart_margins(const Report& report) {
  constexpr size_t kBins = 32;
  std::vector<double> all;
  std::vector<double> lost;
  for (const Ran& r : items_that_ran(report)) {
    if (!r.before->score.pass || !r.before->margin) continue;
    all.push_back(*r.before->margin);
    if (!r.after->score.pass) lost.push_back(*r.before->margin);
  }
  if (all.empty()) return "";
  static constexpr double kFloor = 1e-3;  // below, a tie is a tie
  const auto floored = [](double margin) { return std::max(kFloor, margin); };
  const Decades axis(floored(*std::min_element(all.begin(), all.end())),
                     floored(*std::max_element(all.begin(), all.end())));
  std::vector<int64_t> bins(kBins);
  const auto part = [&](double margin) { return axis.part(floored(margin)); };
  for (const double m : all) ++bins[bin_of(part(m), kBins)];
  const double most = round_up(static_cast<double>(*std::max_element(bins.begin(), bins.end())));
  std::string out = begin_plot(fmt::format(
      "{} items that the baseline passed, by the narrowest margin of its answer; {} of them were "
      "lost",
      all.size(), lost.size()));
  out += y_counts(most) + x_decades(axis, "narrowest margin of the baseline's answer") +
         histogram(bins, most, "f-before");
  const double edge = percentile(all, 0.05);
  const double edge_x = x_at(part(edge));
  out += line(edge_x, kTop, edge_x, kBottom, "s-open");
  out += text(edge_x + 6, kTop + 12, "start", "narrowest 5 %", "t-open");
  for (const double m : lost) {
    out += fmt::format("<path d=\"M{0:.2f} {1:.2f} l4.5 9 h-9 z\" class=\"f-lost\"/>\n",
                       x_at(part(m)), kBottom - 11);
  }
  return out + "</svg>";
}

std::string chart_kl(const Report& report) {
  constexpr size_t kBins = 48;
  constexpr double kLow = 1e-8;
  std::vector<double> all;
  for (const TextResult& t : report.texts.results) {
    for (const float k : t.kl) all.push_back(std::max(kLow, static_cast<double>(k)));
  }
  if (all.empty()) return "";
  std::sort(all.begin(), all.end());
  const Decades axis(std::max(kLow, percentile(all, 0.02)),
                     std::max(1.0, *std::max_element(all.begin(), all.end())));
  std::vector<int64_t> bins(kBins);
  for (const double k : all) ++bins[bin_of(axis.part(k), kBins)];
  const double most = round_up(static_cast<double>(*std::max_element(bins.begin(), bins.end())));
  const TextEffect& e = report.verdict.text;
  std::string out = begin_plot(
      fmt::format("{} positions of text by KL divergence; mean {:.4g}, 99th percentile {:.4g} nats",
                  e.n_positions, e.mean_kl, e.p99_kl));
  out += y_counts(most) + x_decades(axis, "KL divergence at a position, nats");
  out += histogram(bins, most, "f-after");
  std::string labels;  // over both lines
  double y = kTop + 12;
  for (const auto& [name, value] : {std::pair{"mean", e.mean_kl}, std::pair{"99 %", e.p99_kl}}) {
    const double x = x_at(axis.part(std::max(kLow, value)));
    const bool right = x < kWidth - 80;
    out += line(x, kTop, x, kBottom, "s-open");
    labels += text(x + (right ? 6 : -6), y, right ? "start" : "end",
                   fmt::format("{} {:.2g}", name, value), "t-open");
    y += 18;
  }
  return out + labels + "</svg>";
}

}  // namespace sinter
