// The journal has two forms. While a run goes on it holds one line per finished stage of an item
// ("answer", then "forced"), in the order in which the subject finished them. Complete, it is
// written anew with one line per item in the suite's order. Results are always taken from the file
// and never from memory, so that what a resumed run sees is what an uninterrupted one sees.
#include "gate/run.h"

#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>

#include "base/build.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "gate/suite_lines.h"

namespace sinter {
namespace {

constexpr const char* kRunKind = "gate-run";
constexpr int kRunVersion = 1;

[[noreturn]] void corrupt(const std::string& where, const std::string& what) {
  fail(Fault::corrupt, "gate-journal",
       "{}: {}; the journal is not what the gate wrote: remove the report and run again", where,
       what);
}

// The texts that an item has forced: the scorer's, then the reference where it is not among them.
struct ForcedTexts {
  std::vector<std::string> texts;
  size_t n_scorer = 0;
  std::optional<size_t> reference;  // its index
};

ForcedTexts forced_texts(const Item& item, const Scorer& scorer) {
  ForcedTexts forced;
  if (scorer.continuations != nullptr) forced.texts = scorer.continuations(item);
  forced.n_scorer = forced.texts.size();
  if (item.reference.empty()) return forced;
  for (size_t i = 0; i < forced.texts.size() && !forced.reference; ++i) {
    if (forced.texts[i] == item.reference) forced.reference = i;
  }
  if (!forced.reference) {
    forced.reference = forced.texts.size();
    forced.texts.push_back(item.reference);
  }
  return forced;
}

Json answer_to_json(const Answer& a) {
  return {{"text", a.text},
          {"tokens", a.tokens},
          {"ends", a.token_ends},
          {"finish", a.finish},
          {"prompt_tokens", a.prompt_tokens},
          {"min_margin", a.min_margin},
          {"min_margin_at", a.min_margin_at}};
}

template <typename T>
std::vector<T> numbers(const JsonFields& fields, const char* key) {
  std::vector<T> list;
  const Json& value = fields.at(key);
  if (!value.is_array()) corrupt(fields.where(), std::string(key) + ": expected a list");
  for (const Json& element : value) {
    if (!element.is_number()) corrupt(fields.where(), std::string(key) + ": expected numbers");
    list.push_back(element.get<T>());
  }
  return list;
}

Answer answer_from_json(const JsonFields& fields) {
  Answer a;
  a.text = fields.string("text");
  a.tokens = numbers<int32_t>(fields, "tokens");
  a.token_ends = numbers<int32_t>(fields, "ends");
  a.finish = fields.string("finish");
  a.prompt_tokens = static_cast<int32_t>(fields.integer("prompt_tokens"));
  a.min_margin = static_cast<float>(fields.number("min_margin"));
  a.min_margin_at = static_cast<int32_t>(fields.integer("min_margin_at"));
  return a;
}

// What the journal knows of one item while the run goes on.
struct Progressed {
  std::optional<Answer> answer;
  std::string answer_error;
  std::vector<Likelihood> forced;  // empty = not yet
  std::string forced_error;
};

struct Journal {
  Json header;
  bool complete = false;
  std::map<std::string, Progressed> stages;
  std::vector<Json> items;  // of a complete one
};

Journal read_journal(const std::string& path) {
  Journal journal;
  bool first = true;
  for_each_line(read_file(path), path, [&](const Json& line, const std::string& where) {
    if (first) {
      journal.header = line;
      first = false;
      return;
    }
    const JsonFields fields(line, where);
    if (!fields.has("stage")) {
      if (!journal.stages.empty()) corrupt(where, "a complete item among unfinished ones");
      journal.complete = true;
      journal.items.push_back(line);
      return;
    }
    if (journal.complete) corrupt(where, "an unfinished item among complete ones");
    Progressed& item = journal.stages[fields.string("id")];
    const std::string error = fields.string("error", "");
    if (fields.string("stage") == "answer") {
      item.answer_error = error;
      item.answer.reset();
      if (error.empty()) item.answer = answer_from_json(fields.object("answer"));
    } else if (fields.string("stage") == "forced") {
      item.forced_error = error;
      item.forced.clear();
      if (!error.empty()) return;
      for (const Json& row : fields.at("logprobs")) {
        const Json wrapped = {{"row", row}};
        item.forced.push_back({numbers<float>(JsonFields(wrapped, where), "row")});
      }
    } else {
      corrupt(where, "an unknown stage");
    }
  });
  return journal;
}

void check_header(const Json& found, const Json& expected, const std::string& path) {
  if (found == expected) return;
  std::string differs;
  for (const auto& [key, value] : expected.items()) {
    if (!found.contains(key) || found.at(key) != value) {
      differs += (differs.empty() ? "" : ", ") + key;
    }
  }
  fail(Fault::incompatible, "gate-resume-differs",
       "{}: expected a run of the same suite by the same subject, found another ({} differ); "
       "choose another report folder, or remove this one",
       path, differs.empty() ? "its keys" : differs);
}

// Opens the journal of a run that may have begun: what it holds, and where to write on.
Journal open_journal(const std::string& path, const Json& header, bool resume,
                     std::unique_ptr<LineJournal>& out) {
  std::error_code none;
  const bool exists = std::filesystem::exists(path, none);
  if (exists && !resume) {
    fail(Fault::bad_input, "gate-report-exists",
         "{}: expected a new report, found one that was begun; use --resume to continue it, or "
         "choose another folder",
         path);
  }
  out = std::make_unique<LineJournal>(path);  // cuts a torn last line
  Journal journal;
  if (exists) journal = read_journal(path);
  if (journal.header.is_null()) {
    out->append(to_line(header));
    journal.header = header;
  } else {
    check_header(journal.header, parse_json(to_line(header), "the header"), path);
  }
  return journal;
}

bool usable(const Likelihood& likelihood) {
  for (const float l : likelihood.logprobs) {
    if (!std::isfinite(l) || l > 0.01f) return false;
  }
  return true;
}

std::string unusable(const Answer& answer) {
  if (!std::isfinite(answer.min_margin)) return "the subject gave a margin that is not a number";
  return "";
}

// Calls body(batch) on the pending items, as many at once as the settings say.
template <typename T, typename Body>
void in_batches(std::span<const T> pending, size_t batch_items, const Body& body) {
  const size_t step = batch_items == 0 ? std::max<size_t>(1, pending.size()) : batch_items;
  for (size_t begin = 0; begin < pending.size(); begin += step) {
    body(pending.subspan(begin, std::min(step, pending.size() - begin)));
  }
}

constexpr const char* kSilent = "the subject returned without answering this item";

void run_answers(std::span<const Item* const> pending, Subject& subject, LineJournal& out,
                 const RunSettings& settings, Progress& progress) {
  in_batches(pending, settings.batch_items, [&](std::span<const Item* const> batch) {
    std::vector<bool> done(batch.size());
    std::mutex mutex;
    const auto write = [&](size_t i, const Answer& answer, std::string error) {
      if (error.empty()) error = unusable(answer);
      Json line = {{"stage", "answer"}, {"id", batch[i]->id}};
      if (error.empty()) {
        line["answer"] = answer_to_json(answer);
      } else {
        line["error"] = error;
      }
      const std::lock_guard lock(mutex);
      if (done[i]) return;
      done[i] = true;
      out.append(to_line(line));
      progress.advance(1, batch[i]->id);
    };
    subject.generate(batch, [&](size_t i, const Answer& answer, const std::string& error) {
      SINTER_CHECK(i < batch.size());
      write(i, answer, error);
    });
    for (size_t i = 0; i < batch.size(); ++i) {
      if (!done[i]) write(i, {}, kSilent);
    }
  });
}

void run_forced(std::span<const Item* const> pending, Subject& subject, LineJournal& out,
                const RunSettings& settings, Progress& progress) {
  in_batches(pending, settings.batch_items, [&](std::span<const Item* const> batch) {
    struct Waiting {
      std::vector<Likelihood> rows;
      std::vector<bool> done;
      size_t left = 0;
      std::string error;
    };
    std::vector<Waiting> waiting(batch.size());
    std::vector<Subject::Forced> forced;
    std::vector<std::pair<size_t, size_t>> owner;  // (item in the batch, text of the item)
    for (size_t i = 0; i < batch.size(); ++i) {
      const ForcedTexts texts = forced_texts(*batch[i], scorer_of(*batch[i], batch[i]->id));
      waiting[i].rows.resize(texts.texts.size());
      waiting[i].done.resize(texts.texts.size());
      waiting[i].left = texts.texts.size();
      for (size_t k = 0; k < texts.texts.size(); ++k) {
        forced.push_back({batch[i], texts.texts[k], true});
        owner.emplace_back(i, k);
      }
    }
    std::mutex mutex;
    const auto write = [&](size_t index, const Likelihood& likelihood, std::string error) {
      const auto [i, k] = owner[index];
      Waiting& item = waiting[i];
      const std::lock_guard lock(mutex);
      if (item.done[k]) return;
      item.done[k] = true;
      if (error.empty() && !usable(likelihood)) {
        error = "the subject gave log-probabilities that are not finite or above 0";
      }
      if (item.error.empty()) item.error = error;
      item.rows[k] = likelihood;
      if (--item.left > 0) return;
      Json line = {{"stage", "forced"}, {"id", batch[i]->id}};
      if (item.error.empty()) {
        line["logprobs"] = Json::array();
        for (const Likelihood& row : item.rows) line["logprobs"].push_back(row.logprobs);
      } else {
        line["error"] = item.error;
      }
      out.append(to_line(line));
      progress.advance(1, batch[i]->id);
    };
    subject.score(forced, [&](size_t index, const Likelihood& l, const std::string& error) {
      SINTER_CHECK(index < owner.size());
      write(index, l, error);
    });
    for (size_t index = 0; index < owner.size(); ++index) write(index, {}, kSilent);
  });
}

const char* parse_name(Parse parse) {
  if (parse == Parse::parsed) return "parsed";
  return parse == Parse::malformed ? "malformed" : "";
}

// One item's final line: everything that was measured, and the score.
Json complete_line(const Item& item, const Progressed& p) {
  const Scorer& scorer = scorer_of(item, item.id);
  const ForcedTexts texts = forced_texts(item, scorer);
  Json line = {{"id", item.id},
               {"domain", item.domain},
               {"behaviour", item.behaviour},
               {"scorer", scorer.name},
               {"critical", item.critical}};
  if (!p.forced.empty() && p.forced.size() != texts.texts.size()) {
    corrupt(item.id, "another number of likelihoods than the item asks for");
  }
  std::string error = scorer.generates ? p.answer_error : "";
  if (error.empty() && scorer.generates && !p.answer) error = kSilent;
  if (error.empty() && texts.n_scorer > 0) error = p.forced.empty() ? p.forced_error : "";
  if (error.empty() && p.forced.size() < texts.n_scorer) error = kSilent;
  Score score;
  if (error.empty()) {
    Evidence evidence;
    if (p.answer) evidence.answer = *p.answer;
    evidence.continuations = std::span(p.forced).first(texts.n_scorer);
    try {
      score = scorer.score(item, evidence);
    } catch (const Error& e) {
      error = e.what();
    }
  }
  if (!error.empty()) {
    line["error"] = error;
  } else {
    line["pass"] = score.pass;
    line["score"] = score.score;
    line["parse"] = parse_name(score.parse);
    line["refused"] = score.refused ? Json(*score.refused) : Json();
    if (score.refused) line["should_refuse"] = score.should_refuse;
    line["detail"] = score.detail;
    if (!scorer.generates && texts.n_scorer > 1) {  // between choices: the best less the next
      std::vector<double> totals;
      for (size_t k = 0; k < texts.n_scorer; ++k) totals.push_back(p.forced[k].total());
      std::sort(totals.rbegin(), totals.rend());
      line["margin"] = totals[0] - totals[1];
    } else if (p.answer && !p.answer->tokens.empty()) {
      line["margin"] = p.answer->min_margin;
    }
  }
  if (p.answer) line["answer"] = answer_to_json(*p.answer);
  if (!p.forced.empty()) {
    line["logprobs"] = Json::array();
    for (const Likelihood& row : p.forced) line["logprobs"].push_back(row.logprobs);
    if (texts.reference) {
      line["reference"] = {{"nll", -p.forced[*texts.reference].total()},
                           {"tokens", p.forced[*texts.reference].logprobs.size()}};
    }
  } else if (!p.forced_error.empty()) {
    line["reference_error"] = p.forced_error;
  }
  return line;
}

ItemResult result_from_json(const Json& line, const std::string& where) {
  const JsonFields fields(line, where);
  ItemResult r;
  r.id = fields.string("id");
  r.domain = fields.string("domain");
  r.behaviour = fields.string("behaviour", "");
  r.scorer = fields.string("scorer");
  r.critical = fields.boolean("critical", false);
  r.error = fields.string("error", "");
  if (fields.has("answer")) r.answer = answer_from_json(fields.object("answer"));
  if (fields.has("reference")) {
    const JsonFields reference = fields.object("reference");
    r.reference_nll = reference.number("nll");
    r.reference_tokens = static_cast<int32_t>(reference.integer("tokens"));
  }
  if (!r.error.empty()) return r;
  if (!fields.has("pass")) corrupt(where, "an item with neither a result nor an error");
  r.score.pass = fields.boolean("pass", false);
  r.score.score = fields.number("score");
  const std::string parse = fields.string("parse");
  r.score.parse = parse == "parsed"      ? Parse::parsed
                  : parse == "malformed" ? Parse::malformed
                                         : Parse::not_applicable;
  if (fields.has("refused")) r.score.refused = fields.boolean("refused", false);
  r.score.should_refuse = fields.boolean("should_refuse", false);
  r.score.detail = fields.string("detail", "");
  if (fields.has("margin")) r.margin = fields.number("margin");
  return r;
}

}  // namespace

std::string Run::suite_digest() const {
  return JsonFields(JsonFields(header, "the run's header").object("suite")).string("digest");
}

Json Run::identity() const {
  return JsonFields(header, "the run's header").object("subject").json();
}

Json run_header(const Suite& suite, const Json& identity) {
  return {{"kind", kRunKind},
          {"version", kRunVersion},
          {"suite", {{"name", suite.name}, {"version", suite.version}, {"digest", suite.digest}}},
          {"subject", identity},
          {"settings", {{"decoding", "greedy"}, {"reference_with_end", true}}},
          {"build", build_name()}};
}

Run run_items(const Suite& suite, Subject& subject, const std::string& path,
              const std::string& role, const RunSettings& settings) {
  const Json header = run_header(suite, subject.identity());
  std::unique_ptr<LineJournal> out;
  const Journal begun = open_journal(path, header, settings.resume, out);
  if (begun.complete) {
    Run run = read_run(path);
    bool same = run.results.size() == suite.items.size();
    for (size_t i = 0; same && i < run.results.size(); ++i) {
      same = run.results[i].id == suite.items[i].id;
    }
    if (!same) corrupt(path, "a complete run that lacks items of its suite");
    return run;
  }

  std::map<std::string, const Item*> known;
  std::vector<const Item*> to_answer;
  std::vector<const Item*> to_force;
  for (const Item& item : suite.items) {
    known[item.id] = &item;
    const Scorer& scorer = scorer_of(item, item.id);
    const auto it = begun.stages.find(item.id);
    const bool answered = it != begun.stages.end() && it->second.answer.has_value();
    const bool forced = it != begun.stages.end() && !it->second.forced.empty();
    if (scorer.generates && !answered) to_answer.push_back(&item);
    if (!forced && !forced_texts(item, scorer).texts.empty()) to_force.push_back(&item);
  }
  for (const auto& [id, stage] : begun.stages) {
    if (!known.contains(id)) corrupt(path, fmt::format("the item \"{}\", which no suite has", id));
  }
  {
    Progress progress(role + ": answers", static_cast<int64_t>(to_answer.size()), "items");
    run_answers(to_answer, subject, *out, settings, progress);
  }
  {
    Progress progress(role + ": likelihoods", static_cast<int64_t>(to_force.size()), "items");
    run_forced(to_force, subject, *out, settings, progress);
  }
  const Journal finished = read_journal(path);
  std::string bytes = to_line(header) + "\n";
  for (const Item& item : suite.items) {
    const auto it = finished.stages.find(item.id);
    const Progressed none;
    bytes += to_line(complete_line(item, it == finished.stages.end() ? none : it->second)) + "\n";
  }
  out.reset();
  write_file_atomically(path, bytes);
  return read_run(path);
}

Run read_run(const std::string& path) {
  const Journal journal = read_journal(path);
  if (journal.header.is_null() || JsonFields(journal.header, path).string("kind", "") != kRunKind ||
      !journal.complete) {
    corrupt(path, "expected a complete run of the gate, found none");
  }
  Run run;
  run.header = journal.header;
  for (size_t i = 0; i < journal.items.size(); ++i) {
    run.results.push_back(result_from_json(journal.items[i], fmt::format("{}:{}", path, i + 2)));
  }
  return run;
}

}  // namespace sinter
