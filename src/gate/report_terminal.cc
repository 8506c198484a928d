// For a terminal: the verdict first, then the rules that are not plainly met, the domains, and the
// items that broke, a line each.
#include <fmt/format.h>

#include <algorithm>

#include "gate/report.h"

namespace sinter {
namespace {

constexpr size_t kMaxItems = 12;

class Paint {
 public:
  explicit Paint(bool on) : on_(on) {}
  std::string operator()(const char* code, const std::string& text) const {
    return on_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  }
  const char* finding(Finding f) const {
    static constexpr const char* kCodes[] = {"32", "33", "31;1", "33;1", "2"};
    return kCodes[static_cast<size_t>(f)];
  }

 private:
  bool on_;
};

// What an item says is untrusted: no control characters reach the terminal, and all is one line.
std::string plain(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == '\n' || byte == '\t' || byte == '\r') {
      out += ' ';
    } else if (byte >= 0x20 && byte != 0x7F) {
      out += c;
    }
  }
  // C1 control characters are two bytes in UTF-8: C2 80 to C2 9F.
  for (size_t i = 0; i + 1 < out.size();) {
    const bool c1 = out[i] == '\xC2' && static_cast<unsigned char>(out[i + 1]) < 0xA0;
    if (c1) {
      out.erase(i, 2);
    } else {
      ++i;
    }
  }
  return out;
}

// Words on lines of at most `width` beyond the indent that all but the first get.
std::string wrapped(const std::string& text, size_t width, const std::string& indent) {
  std::string out;
  size_t column = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t end = std::min(text.find(' ', i), text.size());
    const size_t length = end - i;
    if (column > 0 && column + 1 + length > width) {
      out += "\n" + indent;
      column = 0;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out += text.substr(i, length);
    column += length;
    i = end + 1;
  }
  return out;
}

}  // namespace

std::string report_terminal(const Report& report, bool colours, int width) {
  const Verdict& v = report.verdict;
  const Paint paint(colours);
  const auto columns = static_cast<size_t>(std::clamp(width, 40, 120));
  static constexpr const char* kWords[] = {"PASS", "FAIL", "INCONCLUSIVE"};
  static constexpr const char* kCodes[] = {"32;1", "31;1", "33;1"};
  const auto outcome = static_cast<size_t>(v.outcome);

  std::string out = paint(kCodes[outcome], kWords[outcome]) + "  " +
                    wrapped(plain(v.reasons.front()), columns - 14, "  ") + "\n";
  out += paint("2", plain(fmt::format("{} -> {}, suite {} {}, policy {}",
                                      subject_name(report.before, "baseline"),
                                      subject_name(report.after, "candidate"), report.suite.name,
                                      report.suite.version, report.policy.name))) +
         "\n\n";
  for (const Check& c : v.checks) {
    const bool open = c.finding == Finding::fail || c.finding == Finding::inconclusive ||
                      c.finding == Finding::notice;
    out +=
        fmt::format("  {}  {}\n",
                    paint(paint.finding(c.finding), fmt::format("{:<14}", finding_name(c.finding))),
                    plain(c.title));
    if (!open) continue;
    out += std::string(18, ' ') +
           wrapped(plain(c.measured + ". " + c.sentence), columns - 18, std::string(18, ' ')) +
           "\n";
  }

  size_t name_width = 6;
  for (const Tally& t : v.domains) name_width = std::max(name_width, t.name.size());
  name_width = std::min<size_t>(name_width, 24);
  out += fmt::format("\n  {:<{}} {:>6} {:>9} {:>9} {:>5} {:>5} {:>8}\n", "domain", name_width,
                     "items", "baseline", "candid.", "lost", "won", "p worse");
  const auto row = [&](const Tally& t) {
    const double n = std::max<double>(1, static_cast<double>(t.n));
    const std::string line = fmt::format(
        "  {:<{}} {:>6} {:>9} {:>9} {:>5} {:>5} {:>8.2g}", shorten(plain(t.name), name_width),
        name_width, t.n, percent_text(static_cast<double>(t.passed_before) / n),
        percent_text(static_cast<double>(t.passed_after) / n), t.lost, t.won, t.p_worse);
    out += (t.lost > t.won ? paint("33", line) : line) + "\n";
  };
  for (const Tally& t : v.domains) row(t);
  row(v.all);

  size_t shown = 0;
  for (size_t i = 0; i < report.before.results.size(); ++i) {
    const ItemResult& before = report.before.results[i];
    const ItemResult& after = report.after.results[i];
    if (!before.error.empty() || !after.error.empty()) continue;
    if (!before.score.pass || after.score.pass) continue;
    if (shown == 0) out += "\n  lost\n";
    if (++shown > kMaxItems) continue;
    const std::string head =
        fmt::format("  {}{}", plain(before.id), before.critical ? " (critical)" : "");
    const std::string detail = plain(after.score.detail);
    const size_t room = columns > head.size() + 12 ? columns - head.size() - 2 : 10;
    out += head + "  " + paint("2", shorten(detail, room)) + "\n";
  }
  if (shown > kMaxItems) out += fmt::format("  and {} more\n", shown - kMaxItems);
  if (!v.errored.empty()) {
    out +=
        fmt::format("\n  did not run: {}{}\n", plain(v.errored.front()),
                    v.errored.size() > 1 ? fmt::format(" and {} more", v.errored.size() - 1) : "");
  }
  out += fmt::format("\n{}\n", wrapped(v.power, columns, ""));
  return out;
}

}  // namespace sinter
