// The page, section by section, top to bottom: verdict, figures, rules, domains, likelihood and
// margins, text, flipped items, costs, what the items can tell, where it comes from.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/build.h"
#include "base/digest.h"
#include "gate/report.h"
#include "gate/report_charts.h"
#include "gate/report_page.h"

namespace sinter {
namespace {

constexpr size_t kMaxFlips = 400;  // cards on the page; all are in report.json
constexpr size_t kOpenFlips = 3;   // shown unfolded
constexpr size_t kMaxPromptBytes = 12000;
constexpr size_t kMaxAnswerBytes = 12000;

std::string e(std::string_view text) { return escape_markup(text); }

// Prose: a percent sign stays with its number.
std::string words(std::string_view text) {
  std::string out;
  const std::string escaped = escape_markup(text);
  for (size_t i = 0; i < escaped.size(); ++i) {
    const bool joined = escaped[i] == ' ' && i + 1 < escaped.size() && escaped[i + 1] == '%';
    out += joined ? "\xC2\xA0" : escaped.substr(i, 1);
  }
  return out;
}

std::string dot(const char* style) {
  return fmt::format(
      "<svg class=\"dot\" aria-hidden=\"true\" viewBox=\"0 0 10 10\"><circle cx=\"5\" cy=\"5\" "
      "r=\"5\" "
      "class=\"{}\"/></svg>",
      style);
}

std::string base64(const std::string& hex) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  const auto nibble = [&](size_t i) -> uint32_t {
    if (i >= hex.size()) return 0;
    return static_cast<uint32_t>(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
  };
  for (size_t i = 0; i < hex.size(); i += 3) {  // 3 hexadecimal digits are 2 of base 64
    const uint32_t bits = (nibble(i) << 8) | (nibble(i + 1) << 4) | nibble(i + 2);
    out += kDigits[bits >> 6];
    out += kDigits[bits & 63];
  }
  out.resize((hex.size() * 4 + 5) / 6);
  while (out.size() % 4 != 0) out += '=';
  return out;
}

std::string icon(Outcome outcome) {
  static constexpr const char* kPaths[] = {"M10.5 18.5 l5.2 5.2 L26 13",
                                           "M12 12 L24 24 M24 12 L12 24", "M11 18 h14"};
  return fmt::format(
      "<svg viewBox=\"0 0 36 36\" aria-hidden=\"true\"><circle cx=\"18\" cy=\"18\" r=\"16\" "
      "fill=\"none\" stroke=\"currentColor\" stroke-width=\"2.5\"/><path d=\"{}\" fill=\"none\" "
      "stroke=\"currentColor\" stroke-width=\"3\" stroke-linecap=\"round\" "
      "stroke-linejoin=\"round\"/></svg>",
      kPaths[static_cast<size_t>(outcome)]);
}

std::string identity_line(const Run& run) {
  const Json identity = run.identity();
  std::string line;
  if (identity.contains("artifact_sha256") && identity.at("artifact_sha256").is_string()) {
    line = "sha256 " + identity.at("artifact_sha256").get<std::string>().substr(0, 16);
  }
  return line;
}

// The rules that are not plainly met, each a link to its row.
std::string chips(const Verdict& v) {
  std::string out;
  for (const Finding wanted : {Finding::fail, Finding::inconclusive, Finding::notice}) {
    for (const Check& c : v.checks) {
      if (c.finding != wanted) continue;
      out += fmt::format("<a class=\"{0}\" href=\"#rule-{1}\">{2}{3}</a>", finding_name(c.finding),
                         e(c.name), wanted == Finding::notice ? "noticed: " : "", e(c.title));
    }
  }
  return out.empty() ? "" : "<div class=\"chips\">" + out + "</div>";
}

std::string section_verdict(const Report& r) {
  static constexpr const char* kWords[] = {"Pass", "Fail", "Inconclusive"};
  const Verdict& v = r.verdict;
  std::string out = fmt::format(
      "<header><p class=\"kicker\">Gate \xC2\xB7 suite <b>{} {}</b> \xC2\xB7 policy <b>{}</b></p>\n"
      "<div class=\"banner {}\"><h1>{}{}</h1><p>{}</p>{}</div>\n",
      e(r.suite.name), e(r.suite.version), e(r.policy.name), outcome_name(v.outcome),
      icon(v.outcome), kWords[static_cast<size_t>(v.outcome)], e(v.reasons.front()), chips(v));
  out += fmt::format(
      "<dl class=\"versus\"><div><dt>{}Baseline</dt><dd>{}<small>{}</small></dd></div>"
      "<div><dt>{}Candidate</dt><dd>{}<small>{}</small></dd></div></dl>\n",
      dot("f-before"), e(subject_name(r.before, "baseline")), e(identity_line(r.before)),
      dot("f-after"), e(subject_name(r.after, "candidate")), e(identity_line(r.after)));
  return out + "</header>\n";
}

std::string tile(const std::string& name, const std::string& value, const std::string& note) {
  return fmt::format("<div class=\"tile\"><span>{}</span><b>{}</b><span>{}</span></div>\n", e(name),
                     e(value), e(note));
}

std::string section_figures(const Report& r) {
  const Verdict& v = r.verdict;
  const double n = std::max<double>(1, static_cast<double>(v.all.n));
  std::string out = "<div class=\"tiles\">\n";
  out += tile(
      "Items", fmt::format("{}", v.all.n),
      v.errored.empty() ? "all ran on both" : fmt::format("{} more did not run", v.errored.size()));
  out += tile("Lost / won", fmt::format("{} / {}", v.all.lost, v.all.won),
              fmt::format("McNemar p = {:.2g}", v.p_two_sided));
  out += tile("Task success",
              fmt::format("{:+.2f} %", 100 * static_cast<double>(v.all.won - v.all.lost) / n),
              fmt::format("95 %: {:+.2f} to {:+.2f}", 100 * v.all.difference.low,
                          100 * v.all.difference.high));
  if (v.likelihood.n > 0) {
    out +=
        tile("Median NLL", fmt::format("\xC3\x97{:.3f}", v.likelihood.median_ratio),
             fmt::format("{} of items worse", percent_text(static_cast<double>(v.likelihood.worse) /
                                                               static_cast<double>(v.likelihood.n),
                                                           0)));
  } else {
    out += tile("Median NLL", "\xE2\x80\x93", "not measured");
  }
  if (v.text.n_positions > 0) {
    out += tile("Top-1 agreement", percent_text(v.text.top1_agreement, 2),
                fmt::format("mean KL {:.2g} nats", v.text.mean_kl));
  } else {
    out += tile("Top-1 agreement", "\xE2\x80\x93", "not measured");
  }
  return out + "</div>\n";
}

std::string section_rules(const Report& r) {
  std::string out =
      "<section><h2>Rules</h2><p class=\"lead\">Every limit of the policy, what was measured, and "
      "what follows from it. One failed rule fails the gate.</p>\n<div class=\"panel\"><table "
      "class=\"rules\"><thead><tr><th>Finding</th><th>Rule</th><th>Limit</th><th>Measured</th></tr>"
      "</thead><tbody>\n";
  for (const Check& c : r.verdict.checks) {
    const char* style =
        c.finding == Finding::not_applicable ? "not-applicable" : finding_name(c.finding);
    const char* word =
        c.finding == Finding::not_applicable ? "not tested" : finding_name(c.finding);
    out += fmt::format(
        "<tr id=\"rule-{}\"><td><span class=\"pill {}\">{}</span></td><th scope=\"row\">{}<span "
        "class=\"why\">{}</span></th><td data-label=\"limit\">{}</td><td "
        "data-label=\"measured\">{}</td></tr>\n",
        e(c.name), style, word, e(c.title), words(c.sentence), words(c.limit), words(c.measured));
  }
  return out + "</tbody></table></div></section>\n";
}

std::string domain_rows(const std::vector<Tally>& list, int64_t most, double alpha) {
  std::string out;
  for (const Tally& t : list) {
    const double n = std::max<double>(1, static_cast<double>(t.n));
    const std::string p = fmt::format("{:.2g}", t.p_worse);
    const size_t slash = t.name.find('/');
    std::string name = slash == std::string::npos ? t.name : t.name.substr(slash + 1);
    std::replace(name.begin(), name.end(), '_', ' ');
    out += fmt::format(
        "<div class=\"name\">{}<small>{} items{}</small></div><div>{}</div><div "
        "class=\"pc\"><span>{}"
        "</span><b>{}</b></div>{}<div class=\"p\">{}</div>\n",
        e(name), t.n, t.n_errors > 0 ? fmt::format(", {} not run", t.n_errors) : "",
        chart_success(t), percent_text(static_cast<double>(t.passed_before) / n),
        percent_text(static_cast<double>(t.passed_after) / n), chart_flips(t, most),
        t.p_worse_holm < alpha ? "<b>" + p + "</b>" : p);
  }
  return out;
}

std::string section_domains(const Report& r) {
  const Verdict& v = r.verdict;
  const std::string head =
      "<div class=\"head\"></div><div class=\"head\">passed</div><div class=\"head\"></div><div "
      "class=\"head\" style=\"text-align:center\">lost / won</div><div class=\"head\" "
      "style=\"text-align:right\">p worse</div>\n";
  const std::string legend = fmt::format(
      "<div class=\"legend\"><span>{}baseline</span><span>{}candidate</span><span>{}lost: passed "
      "before, not now</span><span>{}won: the reverse</span></div>\n",
      dot("f-before"), dot("f-after"), dot("f-lost"), dot("f-won"));
  const auto most = [](const std::vector<Tally>& list) {
    int64_t m = 10;  // so that one flip never looks like a landslide
    for (const Tally& t : list) m = std::max({m, t.lost, t.won});
    return m;
  };
  std::string out =
      "<section><h2>By domain</h2><p class=\"lead\">The same items on both models. An average can "
      "stand still while items change sides, so both directions are counted.</p>\n";
  out += "<div class=\"panel pad\">" + legend + "<div class=\"domains\">" + head +
         domain_rows(v.domains, most(v.domains), r.policy.domains.alpha) + "</div></div>\n";
  if (v.behaviours.size() > v.domains.size()) {
    out += fmt::format(
        "<details class=\"flip more\"><summary><b>{} behaviours, one by one</b></summary><div "
        "class=\"body\"><div "
        "class=\"domains\">{}{}</div></div>"
        "</details>\n",
        v.behaviours.size(), head,
        domain_rows(v.behaviours, most(v.behaviours), r.policy.domains.alpha));
  }
  return out + "</section>\n";
}

std::string figure(const std::string& title, const std::string& caption, const std::string& svg) {
  return fmt::format(
      "<figure class=\"panel pad\"><h3>{}</h3><figcaption>{}</figcaption>{}</figure>\n", e(title),
      e(caption), svg);
}

std::string section_sensitive(const Report& r) {
  const Verdict& v = r.verdict;
  const std::string scatter = chart_likelihood(r);
  const std::string margins = chart_margins(r);
  const std::string kl = chart_kl(r);
  if (scatter.empty() && margins.empty() && kl.empty()) return "";
  std::string out =
      "<section><h2>Beneath the answers</h2><p class=\"lead\">An answer changes only when a model "
      "has drifted past a tie. These measures see the drift before that.</p>\n<div "
      "class=\"pair\">\n";
  if (!scatter.empty()) {
    out += figure("Likelihood of the right answer",
                  fmt::format("Each dot is an item. {} of {} are above the diagonal: the candidate "
                              "finds the reference less likely.",
                              v.likelihood.worse, v.likelihood.n),
                  scatter);
    out += figure("How much less likely",
                  fmt::format("Median ratio {:.3f} (95 %: {:.3f} to {:.3f}). A benign change "
                              "centres on 1.",
                              v.likelihood.median_ratio, v.likelihood.median_ratio_interval.low,
                              v.likelihood.median_ratio_interval.high),
                  chart_ratios(r));
  }
  if (!margins.empty()) {
    out += figure("Where the lost items lay",
                  fmt::format("The baseline's narrowest decision in each answer it got right, "
                              "with the {} lost items as triangles.",
                              v.all.lost),
                  margins);
  }
  if (!kl.empty()) {
    out += figure("Distribution on text",
                  fmt::format("Divergence from the baseline at {} positions; the likeliest token "
                              "agrees at {}.",
                              v.text.n_positions, percent_text(v.text.top1_agreement, 2)),
                  kl);
  }
  return out + "</div></section>\n";
}

// An answer with its first diverging token marked, and what follows it set back.
std::string marked(const std::string& text, size_t begin, size_t end, const char* style) {
  if (text.empty()) return "<span class=\"none\">(nothing)</span>";
  begin = std::min(begin, text.size());
  end = std::clamp(end, begin, text.size());
  const std::string head = text.substr(0, begin);
  std::string middle = text.substr(begin, end - begin);
  if (middle.empty()) middle = "\xE2\x97\x8A";  // the answer ends where the other goes on
  return fmt::format("{}<mark class=\"{}\">{}</mark><span class=\"after-mark\">{}</span>",
                     e(shorten(head, kMaxAnswerBytes)), style, e(shorten(middle, kMaxAnswerBytes)),
                     e(shorten(text.substr(end), kMaxAnswerBytes)));
}

std::string flip_card(const Item& item, const ItemResult& before, const ItemResult& after,
                      bool open) {
  const bool lost = before.score.pass;
  const std::string& why = lost ? after.score.detail : before.score.detail;
  std::string meta =
      before.behaviour.empty() ? before.domain : before.domain + " \xC2\xB7 " + before.behaviour;
  if (before.margin) meta += fmt::format(" \xC2\xB7 margin {:.2f}", *before.margin);
  if (const auto ratio = likelihood_ratio(before, after)) {
    meta += fmt::format(" \xC2\xB7 NLL \xC3\x97{:.2f}", *ratio);
  }
  std::string out = fmt::format(
      "<details class=\"flip\" data-side=\"{0}\" data-domain=\"{1}\"{2}><summary><span "
      "class=\"pill "
      "{0}\">{0}</span><span><b>{3}</b>{4}<span class=\"why\">{5}</span></span><span "
      "class=\"meta\">{6}</span></summary><div class=\"body\">\n",
      lost ? "lost" : "won", e(before.domain), open ? " open" : "", e(before.id),
      before.critical ? " <span class=\"pill fail\">critical</span>" : "",
      e((lost ? "" : "before: ") + shorten(why, 300)), e(meta));
  out += "<p class=\"label\">Prompt</p><pre>" + e(shorten(prompt_text(item), kMaxPromptBytes)) +
         "</pre>\n";
  if (before.answer && after.answer) {
    const Divergence d = diverge(*before.answer, *after.answer);
    const std::string& a = before.answer->text;
    const std::string& b = after.answer->text;
    out += fmt::format(
        "<div class=\"answers\"><div><p class=\"label\">{}Baseline</p><pre>{}</pre></div><div><p "
        "class=\"label\">{}Candidate</p><pre>{}</pre></div></div>\n<p class=\"label\">The answers "
        "part at token {}.</p>\n",
        dot("f-before"), marked(a, d.before_begin, d.before_end, "a"), dot("f-after"),
        marked(b, d.after_begin, d.after_end, "b"), d.token + 1);
  }
  if (!item.reference.empty()) {
    out += "<p class=\"label\">Reference</p><pre>" + e(shorten(item.reference, kMaxAnswerBytes)) +
           "</pre>\n";
  }
  return out + "</div></details>\n";
}

std::string section_flips(const Report& r) {
  const Verdict& v = r.verdict;
  std::string out = "<section><h2>Items that changed sides</h2>";
  if (v.regressed.empty() && v.repaired.empty()) {
    return out +
           "<p class=\"lead\">None. Every item that the baseline passed is still passed, and no "
           "other.</p></section>\n";
  }
  out += fmt::format(
      "<p class=\"lead\">{} lost and {} won. The mark is the first token that differs; what "
      "follows "
      "it is set back, because it follows from it.</p>\n",
      v.regressed.size(), v.repaired.size());
  std::set<std::string> domains;
  std::vector<size_t> lost;
  std::vector<size_t> won;
  for (size_t i = 0; i < r.before.results.size(); ++i) {
    const ItemResult& before = r.before.results[i];
    const ItemResult& after = r.after.results[i];
    if (!before.error.empty() || !after.error.empty()) continue;
    if (before.score.pass == after.score.pass) continue;
    (before.score.pass ? lost : won).push_back(i);
    domains.insert(before.domain);
  }
  // Critical items first, then the widest margins: the least excusable on top.
  std::stable_sort(lost.begin(), lost.end(), [&](size_t a, size_t b) {
    const ItemResult& x = r.before.results[a];
    const ItemResult& y = r.before.results[b];
    if (x.critical != y.critical) return x.critical;
    return x.margin.value_or(0) > y.margin.value_or(0);
  });
  lost.insert(lost.end(), won.begin(), won.end());
  out +=
      "<form class=\"filter\"><select id=\"side\" "
      "aria-label=\"Direction\">"
      "<option value=\"\">lost and won</option><option value=\"lost\">lost</option><option "
      "value=\"won\">won</option></select><select id=\"domain\" aria-label=\"Domain\"><option "
      "value=\"\">all domains</option>";
  for (const std::string& d : domains) {
    out += fmt::format("<option value=\"{0}\">{0}</option>", e(d));
  }
  out +=
      "</select><input id=\"words\" type=\"search\" placeholder=\"Search prompts and answers\" "
      "aria-label=\"Search\"><output id=\"count\"></output></form>\n";
  for (size_t k = 0; k < std::min(lost.size(), kMaxFlips); ++k) {
    const size_t i = lost[k];
    out += flip_card(r.suite.items[i], r.before.results[i], r.after.results[i], k < kOpenFlips);
  }
  if (lost.size() > kMaxFlips) {
    out +=
        fmt::format("<p class=\"lead\">{} more are in report.json.</p>\n", lost.size() - kMaxFlips);
  }
  return out + "</section>\n";
}

std::string section_errors(const Report& r) {
  if (r.verdict.errored.empty()) return "";
  std::string out =
      "<section><h2>Items that did not run</h2><p class=\"lead\">They count neither as passed nor "
      "as "
      "failed.</p><div class=\"panel scroll\"><table><thead><tr><th>Item</th><th>Baseline</th>"
      "<th>Candidate</th></tr></thead><tbody>\n";
  size_t shown = 0;
  for (size_t i = 0; i < r.before.results.size() && shown < kMaxFlips; ++i) {
    const ItemResult& before = r.before.results[i];
    const ItemResult& after = r.after.results[i];
    if (before.error.empty() && after.error.empty()) continue;
    ++shown;
    out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n", e(before.id),
                       before.error.empty() ? "ran" : e(shorten(before.error, 300)),
                       after.error.empty() ? "ran" : e(shorten(after.error, 300)));
  }
  return out + "</tbody></table></div></section>\n";
}

std::string quantity(const std::string& name, double value) {
  if (name.find("byte") == std::string::npos || value < 10000) return fmt::format("{:.6g}", value);
  static constexpr const char* kUnits[] = {"KB", "MB", "GB", "TB"};
  size_t unit = 0;
  value /= 1000;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g} {}", value, kUnits[unit]);
}

std::string section_costs(const Report& r) {
  const auto costs = fixed_costs(r.costs);
  if (costs.empty()) return "";
  std::string out =
      "<section><h2>Runtime cost</h2><p class=\"lead\">What every run repeats exactly. Times and "
      "memory of this run are in costs.json.</p><div class=\"panel scroll\"><table><thead><tr><th>"
      "Cost</th><th class=\"n\">Baseline</th><th class=\"n\">Candidate</th><th class=\"n\">Ratio"
      "</th></tr></thead><tbody>\n";
  for (const auto& [name, pair] : costs) {
    std::string words = name;
    std::replace(words.begin(), words.end(), '_', ' ');
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{}</td></tr>\n",
        e(words), quantity(name, pair.first), quantity(name, pair.second),
        pair.first > 0 ? fmt::format("\xC3\x97{:.3f}", pair.second / pair.first) : "\xE2\x80\x93");
  }
  return out + "</tbody></table></div></section>\n";
}

std::string section_origin(const Report& r) {
  const Json suite = r.before.header.at("suite");
  std::string out = "<section><h2>What these items can tell</h2><p class=\"lead\">" +
                    words(r.verdict.power) + "</p></section>\n";
  out += "<section><h2>Where this comes from</h2><div class=\"panel pad\"><dl class=\"facts\">\n";
  const auto fact = [&](const std::string& name, const std::string& value, bool code) {
    out += fmt::format("<dt>{}</dt><dd>{}{}{}</dd>\n", e(name), code ? "<code>" : "", e(value),
                       code ? "</code>" : "");
  };
  fact("Suite", fmt::format("{} {}, {} items", r.suite.name, r.suite.version, r.suite.items.size()),
       false);
  fact("Suite digest", suite.value("digest", ""), true);
  fact("Baseline", to_line(r.before.identity()), true);
  fact("Candidate", to_line(r.after.identity()), true);
  fact("Settings", to_line(r.before.header.value("settings", Json())), true);
  fact("Policy", to_line(policy_to_json(r.policy)), true);
  fact("Built by", build_name(), true);
  return out + "</dl></div></section>\n";
}

}  // namespace

std::string report_html(const Report& report) {
  const std::string script_digest = base64(sha256_hex(kReportScript));
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta "
      "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; script-src 'sha256-{}'\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>{}: {} against "
      "{}</title>\n<style>{}"
      "</style></head>\n<body><main>\n",
      script_digest, outcome_name(report.verdict.outcome),
      e(subject_name(report.after, "candidate")), e(subject_name(report.before, "baseline")),
      kReportStyle);
  out += section_verdict(report);
  out += section_figures(report);
  out += section_rules(report);
  out += section_domains(report);
  out += section_sensitive(report);
  out += section_flips(report);
  out += section_errors(report);
  out += section_costs(report);
  out += section_origin(report);
  out += fmt::format("</main><script>{}</script></body></html>\n", kReportScript);
  return out;
}

}  // namespace sinter
