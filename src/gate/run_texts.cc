// Walks the suite's texts on both subjects in lockstep: at every position the Kullback-Leibler
// divergence of the candidate's distribution from the baseline's, sum p ln(p / q) in doubles, in
// the order of the vocabulary.
#include <cmath>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "gate/run.h"
#include "gate/suite_lines.h"

namespace sinter {
namespace {

constexpr const char* kTextKind = "gate-texts";

struct Position {
  double kl = 0;
  bool agree = false;
};

Position compare(std::span<const float> p, std::span<const float> q) {
  double kl = 0;
  size_t best_p = 0;
  size_t best_q = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double log_p = p[i];
    if (log_p > -100) kl += std::exp(log_p) * (log_p - static_cast<double>(q[i]));
    if (p[i] > p[best_p]) best_p = i;
    if (q[i] > q[best_q]) best_q = i;
  }
  // Rounded logarithms can put the sum of equal distributions a hair below zero.
  return {std::max(0.0, kl), best_p == best_q};
}

TextResult walk_both(const Suite::Text& text, Subject& baseline, Subject& candidate) {
  TextResult result;
  result.id = text.id;
  const std::unique_ptr<TextWalk> a = baseline.walk(text.text);
  const std::unique_ptr<TextWalk> b = candidate.walk(text.text);
  if (a == nullptr || b == nullptr) {
    result.error = "a subject does not give whole distributions";
    return result;
  }
  if (!std::equal(a->tokens().begin(), a->tokens().end(), b->tokens().begin(), b->tokens().end())) {
    result.error = "the subjects split the text into different tokens";
    return result;
  }
  const std::span<const int32_t> tokens = a->tokens();
  for (size_t i = 1; i < tokens.size(); ++i) {
    const std::span<const float> p = a->next();
    const std::span<const float> q = b->next();
    const auto token = static_cast<size_t>(tokens[i]);
    if (p.empty() || p.size() != q.size() || token >= p.size()) {
      result.error = fmt::format("no two distributions of one length at position {}", i);
      return result;
    }
    const Position position = compare(p, q);
    if (!std::isfinite(position.kl) || !std::isfinite(p[token]) || !std::isfinite(q[token])) {
      result.error = fmt::format("a log-probability that is not finite at position {}", i);
      return result;
    }
    result.kl.push_back(static_cast<float>(position.kl));
    result.n_agree += position.agree ? 1 : 0;
    result.nll_baseline -= static_cast<double>(p[token]);
    result.nll_candidate -= static_cast<double>(q[token]);
  }
  if (result.kl.empty()) result.error = "the text is shorter than two tokens";
  return result;
}

std::string to_text_line(const TextResult& r) {
  Json line = {{"id", r.id}};
  if (!r.error.empty()) {
    line["error"] = r.error;
    return to_line(line);
  }
  line["agree"] = r.n_agree;
  line["nll_baseline"] = r.nll_baseline;
  line["nll_candidate"] = r.nll_candidate;
  line["kl"] = Json::array();
  for (const float k : r.kl) line["kl"].push_back(std::stod(fmt::format("{:.5g}", k)));
  return to_line(line);
}

TextResult from_text_line(const Json& line, const std::string& where) {
  const JsonFields fields(line, where);
  TextResult r;
  r.id = fields.string("id");
  r.error = fields.string("error", "");
  if (!r.error.empty()) return r;
  r.n_agree = fields.integer("agree");
  r.nll_baseline = fields.number("nll_baseline");
  r.nll_candidate = fields.number("nll_candidate");
  for (const Json& k : fields.at("kl")) {
    if (!k.is_number()) fail(Fault::corrupt, "gate-journal", "{}: kl: expected numbers", where);
    r.kl.push_back(k.get<float>());
  }
  return r;
}

struct TextJournal {
  Json header;
  std::map<std::string, TextResult> by_id;
  std::vector<std::string> order;
};

TextJournal read_text_journal(const std::string& path) {
  TextJournal journal;
  for_each_line(read_file(path), path, [&](const Json& line, const std::string& where) {
    if (journal.header.is_null()) {
      journal.header = line;
      return;
    }
    TextResult result = from_text_line(line, where);
    if (!journal.by_id.contains(result.id)) journal.order.push_back(result.id);
    journal.by_id[result.id] = std::move(result);
  });
  return journal;
}

}  // namespace

TextRun run_texts(const Suite& suite, Subject& baseline, Subject& candidate,
                  const std::string& path, const RunSettings& settings) {
  Json header =
      run_header(suite, {{"baseline", baseline.identity()}, {"candidate", candidate.identity()}});
  header["kind"] = kTextKind;
  header = parse_json(to_line(header), "the header");
  std::error_code none;
  const bool exists = std::filesystem::exists(path, none);
  if (exists && !settings.resume) {
    fail(Fault::bad_input, "gate-report-exists",
         "{}: expected a new report, found one that was begun; use --resume to continue it, or "
         "choose another folder",
         path);
  }
  {
    LineJournal out(path);
    TextJournal begun;
    if (exists) begun = read_text_journal(path);
    if (begun.header.is_null()) out.append(to_line(header));
    if (!begun.header.is_null() && begun.header != header) {
      fail(Fault::incompatible, "gate-resume-differs",
           "{}: expected a run of the same suite by the same subjects, found another; choose "
           "another report folder, or remove this one",
           path);
    }
    std::vector<const Suite::Text*> pending;
    for (const Suite::Text& text : suite.texts) {
      const auto it = begun.by_id.find(text.id);
      if (it == begun.by_id.end() || !it->second.error.empty()) pending.push_back(&text);
    }
    Progress progress("texts", static_cast<int64_t>(pending.size()), "texts");
    for (const Suite::Text* text : pending) {
      out.append(to_text_line(walk_both(*text, baseline, candidate)));
      progress.advance(1, text->id);
    }
  }
  const TextJournal finished = read_text_journal(path);
  std::string bytes = to_line(header) + "\n";
  for (const Suite::Text& text : suite.texts) {
    const auto it = finished.by_id.find(text.id);
    SINTER_CHECK(it != finished.by_id.end());
    bytes += to_text_line(it->second) + "\n";
  }
  write_file_atomically(path, bytes);
  return read_texts(path);
}

TextRun read_texts(const std::string& path) {
  const TextJournal journal = read_text_journal(path);
  if (journal.header.is_null() ||
      JsonFields(journal.header, path).string("kind", "") != kTextKind) {
    fail(Fault::corrupt, "gate-journal", "{}: expected the gate's texts, found none", path);
  }
  TextRun run;
  run.header = journal.header;
  for (const std::string& id : journal.order) run.results.push_back(journal.by_id.at(id));
  return run;
}

}  // namespace sinter
