// The order of work: per line, in parallel: read, redact. Then in order of source and line: leaks,
// duplicates. Then in parallel: tokens, cells. Then the choice. Every stage puts its results where
// their line is, so threads and the order of files in a directory change nothing.
#include "compress/corpus/build.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <set>

#include "base/build.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/threads.h"
#include "compress/corpus/coverage.h"
#include "compress/corpus/duplicates.h"
#include "compress/corpus/select.h"
#include "compress/corpus/traces.h"
#include "compress/corpus/words.h"
#include "text/utf8.h"

namespace sinter {
namespace {

// Plain text has no requests in it: pieces of a usual prompt's size.
constexpr int64_t kTextPieceTokens = 2048;
constexpr int64_t kTextPieceBytes = 8192;
constexpr size_t kNamedBadLines = 10;

struct Source {
  TraceFile file;
  std::shared_ptr<const MappedFile> bytes;
  std::string digest, licence, provenance;
  int64_t n_lines = 0, n_bad = 0, n_samples = 0, n_leaks = 0, n_exact = 0, n_near = 0, n_empty = 0,
          n_too_long = 0, n_split = 0, n_candidates = 0, n_kept = 0;
  std::vector<int64_t> bad_lines;
  KindCounts replaced;
  std::map<std::string, int64_t> left_out;
};

struct Line {
  size_t source;
  int64_t number;  // from 1; 0: the whole of a text
  std::string_view text;
};

// What became of one line.
struct Outcome {
  std::vector<CorpusSample> samples;
  KindCounts replaced;
  std::map<std::string, int64_t> left_out;
  std::optional<Error> error;
};

void add_counts(std::map<std::string, int64_t>& sum, const std::map<std::string, int64_t>& more) {
  for (const auto& [key, n] : more) sum[key] += n;
}

class Builder {
 public:
  Builder(const CorpusOptions& options, const CorpusModel& model)
      : options_(options),
        model_(model),
        chat_(model.chat),
        redactor_(options.redact),
        pool_(options.threads),
        leaks_(options.leak_words) {
    limit_ = options.max_sample_tokens;
    if (limit_ == 0) limit_ = model.context > 0 ? model.context : 32768;
    limit_ = std::min(limit_, options.budget);
    if (model.context > 0) limit_ = std::min(limit_, model.context);
  }

  Json run(const std::string& directory);

 private:
  void open_sources();
  std::vector<Line> lines() const;
  Outcome read_line(const Line& line) const;
  void read_samples();
  void refuse_leaks_and_duplicates();
  void count_tokens();
  Json manifest(const Selection& selection) const;
  Json vocabulary(const std::vector<size_t>& kept) const;
  void check_stop() const {
    if (options_.stop != nullptr && *options_.stop) {
      fail(Fault::interrupted, "interrupted", "stopped; nothing was written; run it again");
    }
  }
  // body(i) for all i below n, in parallel; the error of the first that failed is thrown.
  void each(const char* task, size_t n, const std::function<void(size_t)>& body);

  const CorpusOptions& options_;
  const CorpusModel& model_;
  const Chat& chat_;
  Redactor redactor_;
  ThreadPool pool_;
  LeakIndex leaks_;
  int64_t limit_ = 0;  // tokens of a sample
  std::vector<Source> sources_;
  std::vector<std::string> passed_over_;
  std::vector<CorpusSample> samples_;
  std::vector<size_t> source_of_;  // of each sample
  std::vector<SampleCoverage> coverage_;
  std::vector<int64_t> token_counts_;  // by token, over all candidates
  Json leak_list_ = Json::array();
};

void Builder::each(const char* task, size_t n, const std::function<void(size_t)>& body) {
  constexpr size_t kSlice = 4096;
  Progress progress(task, static_cast<int64_t>(n), "samples");
  for (size_t begin = 0; begin < n; begin += kSlice) {
    check_stop();
    const size_t end = std::min(n, begin + kSlice);
    std::vector<std::optional<Error>> errors(end - begin);
    pool_.run(static_cast<int64_t>(end - begin), 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        try {
          body(begin + static_cast<size_t>(i));
        } catch (const Error& e) {
          errors[static_cast<size_t>(i)] = e;
        } catch (const std::bad_alloc&) {
          errors[static_cast<size_t>(i)] =
              Error(Fault::exhausted, "out-of-memory", "not enough memory for these traces");
        }
      }
    });
    for (const auto& error : errors) {
      if (error) throw Error(*error);
    }
    progress.advance(static_cast<int64_t>(end - begin));
  }
}

// "FILE=VALUE" for the source that FILE names, "VALUE" for all.
std::string value_for(const std::vector<std::string>& rules, const std::string& source) {
  std::string value;
  for (const std::string& rule : rules) {
    const size_t equals = rule.find('=');
    if (equals == std::string::npos) {
      if (value.empty()) value = rule;
    } else if (source == rule.substr(0, equals) || source.ends_with("/" + rule.substr(0, equals))) {
      value = rule.substr(equals + 1);
    }
  }
  return value;
}

void check_rules(const std::vector<std::string>& rules, const std::vector<Source>& sources,
                 const char* flag) {
  for (const std::string& rule : rules) {
    const size_t equals = rule.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = rule.substr(0, equals);
    if (std::none_of(sources.begin(), sources.end(), [&](const Source& s) {
          return s.file.name == name || s.file.name.ends_with("/" + name);
        })) {
      fail(Fault::bad_input, "corpus-source",
           "{} {}: expected FILE=VALUE with the name of a trace file, found none of that name",
           flag, rule);
    }
  }
}

void Builder::open_sources() {
  FoundTraces found = find_traces(options_.traces);
  passed_over_ = std::move(found.passed_over);
  for (TraceFile& file : found.files) {
    Source s;
    s.bytes = MappedFile::open(file.path);
    Sha256 digest;
    s.digest = digest.add(s.bytes->bytes()).hex();
    s.licence = value_for(options_.licence, file.name);
    s.provenance = value_for(options_.provenance, file.name);
    s.file = std::move(file);
    sources_.push_back(std::move(s));
  }
  check_rules(options_.licence, sources_, "--licence");
  check_rules(options_.provenance, sources_, "--provenance");
}

std::vector<Line> Builder::lines() const {
  std::vector<Line> lines;
  for (size_t i = 0; i < sources_.size(); ++i) {
    const auto bytes = sources_[i].bytes->bytes();
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!sources_[i].file.lines) {
      lines.push_back({i, 0, text});
      continue;
    }
    int64_t number = 0;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      const std::string_view line = text.substr(begin, end - begin);
      ++number;
      begin = end + 1;
      if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
        lines.push_back({i, number, line});
      }
    }
  }
  return lines;
}

Outcome Builder::read_line(const Line& line) const {
  Outcome out;
  const std::string& name = sources_[line.source].file.name;
  const std::string where = line.number == 0 ? name : fmt::format("{}:{}", name, line.number);
  try {
    if (line.number == 0) {
      std::string_view text = line.text;
      if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
      if (!is_utf8(text) || text.find('\0') != std::string_view::npos) {
        fail(Fault::corrupt, "corpus-trace-text",
             "{}: expected UTF-8 text, found other bytes; convert the file", where);
      }
      if (text.starts_with('{') && Json::accept(text.substr(0, text.find('\n')))) {
        fail(Fault::bad_input, "corpus-trace-file",
             "{}: expected plain text, found JSON lines; name the file .jsonl", where);
      }
      // What hides in it may be longer than a piece, so it goes first.
      const std::string clean = redactor_.redact(text, out.replaced);
      for (std::string& piece : split_text(clean, kTextPieceBytes, [](std::string_view part) {
             return static_cast<int64_t>(part.size());
           })) {
        out.samples.emplace_back();
        out.samples.back().text = std::move(piece);
      }
    } else {
      out.samples = read_trace_line(line.text, where, out.left_out);
      for (CorpusSample& s : out.samples) {
        if (s.is_chat()) {
          redactor_.redact(s.messages, out.replaced);
          if (s.tools.is_array()) redactor_.redact(s.tools, out.replaced);
        } else {
          s.text = redactor_.redact(s.text, out.replaced);
        }
      }
    }
  } catch (const Error& e) {
    KindCounts uncounted;  // keys of a line may hold anything
    out.error = Error(e.fault(), e.code(), redactor_.redact(e.what(), uncounted));
    out.samples.clear();
  }
  for (size_t i = 0; i < out.samples.size(); ++i) {
    CorpusSample& s = out.samples[i];
    s.source = name;
    s.id = out.samples.size() == 1 ? where : fmt::format("{}#{}", where, i + 1);
  }
  return out;
}

void Builder::read_samples() {
  const std::vector<Line> all = lines();
  for (const Line& line : all) ++sources_[line.source].n_lines;
  std::vector<Outcome> outcomes(all.size());
  each("reading", all.size(), [&](size_t i) { outcomes[i] = read_line(all[i]); });
  for (size_t i = 0; i < all.size(); ++i) {
    Source& source = sources_[all[i].source];
    Outcome& out = outcomes[i];
    if (out.error) {
      const bool may_skip = out.error->fault() != Fault::exhausted;
      if (!options_.skip_bad || !may_skip) throw Error(*out.error);
      ++source.n_bad;
      if (source.bad_lines.size() < kNamedBadLines) source.bad_lines.push_back(all[i].number);
      continue;
    }
    add_counts(source.replaced, out.replaced);
    add_counts(source.left_out, out.left_out);
    for (CorpusSample& s : out.samples) {
      ++source.n_samples;
      samples_.push_back(std::move(s));
      source_of_.push_back(all[i].source);
    }
    out = {};
  }
}

void Builder::refuse_leaks_and_duplicates() {
  for (const std::string& suite : options_.suites) leaks_.add_suite(suite, redactor_);
  std::vector<std::optional<Leak>> found(samples_.size());
  std::vector<std::unique_ptr<Fingerprint>> prints(samples_.size());
  each("comparing", samples_.size(), [&](size_t i) {
    found[i] = leaks_.find(samples_[i]);
    if (!found[i]) prints[i] = std::make_unique<Fingerprint>(fingerprint(samples_[i]));
  });
  DuplicateFilter filter;
  std::vector<CorpusSample> kept;
  std::vector<size_t> kept_source;
  for (size_t i = 0; i < samples_.size(); ++i) {
    Source& source = sources_[source_of_[i]];
    if (found[i]) {
      ++source.n_leaks;
      leak_list_.push_back({{"id", samples_[i].id},
                            {"suite", found[i]->suite},
                            {"item", found[i]->item},
                            {"words", found[i]->n_words}});
      continue;
    }
    bool empty = true;
    for_each_text(samples_[i], true, [&](const std::string& text) {
      empty &= text.find_first_not_of(" \t\r\n") == std::string::npos;
    });
    const Seen seen = empty ? Seen::no : filter.add(*prints[i]);
    prints[i].reset();
    if (empty) {
      ++source.n_empty;
    } else if (seen == Seen::exactly) {
      ++source.n_exact;
    } else if (seen == Seen::nearly) {
      ++source.n_near;
    } else {
      kept.push_back(std::move(samples_[i]));
      kept_source.push_back(source_of_[i]);
    }
  }
  samples_ = std::move(kept);
  source_of_ = std::move(kept_source);
}

// Text that is longer than a sample may be is cut here, where tokens are known; a conversation is
// left out, because half of one is something that nobody sent.
void Builder::count_tokens() {
  const auto first_chat = std::find_if(samples_.begin(), samples_.end(),
                                       [](const CorpusSample& s) { return s.is_chat(); });
  if (first_chat != samples_.end()) {
    // Parses the templates, which threads may then share.
    for (const bool tools : {false, true}) {
      CorpusSample s = *first_chat;
      s.messages = Json::array({{{"role", "user"}, {"content", "a"}}});
      s.tools = tools ? Json::parse(R"([{"type": "function", "function": {"name": "f",
          "description": "", "parameters": {"type": "object", "properties": {}}}}])")
                      : Json();
      try {
        corpus_tokens(s, chat_);
      } catch (const Error& e) {
        if (e.code() == "template-missing") throw;
      }
    }
  }
  struct Counted {
    std::vector<CorpusSample> samples;
    std::vector<SampleCoverage> coverage;
    std::vector<std::string> templates;
    std::vector<std::vector<Token>> tokens;
    bool too_long = false;
    std::optional<Error> error;
  };
  std::vector<Counted> counted(samples_.size());
  each("tokenizing", samples_.size(), [&](size_t i) {
    Counted& out = counted[i];
    CorpusSample& whole = samples_[i];
    const auto take = [&](CorpusSample s, std::vector<Token> tokens) {
      s.n_tokens = static_cast<int64_t>(tokens.size());
      s.kind = task_of(s);
      SampleCoverage c{.n_tokens = s.n_tokens, .cells = cells_of(s), .tokens = tokens};
      std::sort(c.tokens.begin(), c.tokens.end());
      c.tokens.erase(std::unique(c.tokens.begin(), c.tokens.end()), c.tokens.end());
      out.templates.push_back(template_of(s));
      out.samples.push_back(std::move(s));
      out.coverage.push_back(std::move(c));
      out.tokens.push_back(std::move(tokens));
    };
    try {
      const bool plain = !sources_[source_of_[i]].file.lines;
      const int64_t most = plain ? std::min(limit_, kTextPieceTokens) : limit_;
      std::vector<Token> tokens = corpus_tokens(whole, chat_);
      if (static_cast<int64_t>(tokens.size()) <= most) {
        take(std::move(whole), std::move(tokens));
      } else if (whole.is_chat()) {
        out.too_long = true;
      } else {
        const std::vector<std::string> parts =
            split_text(whole.text, most, [&](std::string_view part) {
              return static_cast<int64_t>(chat_.tokenizer().encode(part).size());
            });
        for (size_t p = 0; p < parts.size(); ++p) {
          CorpusSample s;
          s.id = fmt::format("{}.{}", whole.id, p + 1);
          s.source = whole.source;
          s.text = parts[p];
          std::vector<Token> part_tokens = corpus_tokens(s, chat_);
          if (static_cast<int64_t>(part_tokens.size()) <= most)
            take(std::move(s), std::move(part_tokens));
        }
      }
    } catch (const Error& e) {
      KindCounts uncounted;
      out.error = Error(e.fault(), e.code(),
                        redactor_.redact(fmt::format("{}: {}", whole.id, e.what()), uncounted));
    }
  });
  std::vector<CorpusSample> kept;
  std::vector<size_t> kept_source;
  std::vector<std::string> templates;
  for (size_t i = 0; i < counted.size(); ++i) {
    Source& source = sources_[source_of_[i]];
    Counted& c = counted[i];
    if (c.error) {
      if (!options_.skip_bad || c.error->fault() == Fault::exhausted) throw Error(*c.error);
      ++source.n_bad;
      continue;
    }
    source.n_too_long += c.too_long ? 1 : 0;
    source.n_split += c.samples.size() > 1 ? 1 : 0;
    for (size_t p = 0; p < c.samples.size(); ++p) {
      if (c.samples[p].n_tokens == 0) {
        ++source.n_empty;
        continue;
      }
      ++source.n_candidates;
      for (const Token t : c.tokens[p]) {
        if (static_cast<size_t>(t) >= token_counts_.size())
          token_counts_.resize(static_cast<size_t>(t) + 1);
        ++token_counts_[static_cast<size_t>(t)];
      }
      kept.push_back(std::move(c.samples[p]));
      kept_source.push_back(source_of_[i]);
      coverage_.push_back(std::move(c.coverage[p]));
      templates.push_back(std::move(c.templates[p]));
    }
    c = {};
  }
  samples_ = std::move(kept);
  source_of_ = std::move(kept_source);
  add_template_cells(templates, coverage_);
}

Json Builder::vocabulary(const std::vector<size_t>& kept) const {
  std::vector<bool> has(token_counts_.size());
  for (const size_t i : kept) {
    for (const Token t : coverage_[i].tokens) has[static_cast<size_t>(t)] = true;
  }
  struct Band {
    int64_t first, traces = 0, corpus = 0;
  };
  std::vector<Band> bands = {{1}, {2}, {10}, {100}, {1000}};
  int64_t distinct = 0, covered = 0, occurrences = 0, covered_occurrences = 0;
  for (size_t t = 0; t < token_counts_.size(); ++t) {
    const int64_t n = token_counts_[t];
    if (n == 0) continue;
    Band& band =
        *std::find_if(bands.rbegin(), bands.rend(), [&](const Band& b) { return n >= b.first; });
    ++band.traces;
    ++distinct;
    occurrences += n;
    if (!has[t]) continue;
    ++band.corpus;
    ++covered;
    covered_occurrences += n;
  }
  Json list = Json::array();
  for (size_t b = 0; b < bands.size(); ++b) {
    const std::string name = b + 1 == bands.size()
                                 ? fmt::format(">={}", bands[b].first)
                                 : fmt::format("{}-{}", bands[b].first, bands[b + 1].first - 1);
    list.push_back({{"occurrences", b == 0 ? "1" : name},
                    {"traces", bands[b].traces},
                    {"corpus", bands[b].corpus}});
  }
  return {{"size", chat_.tokenizer().vocab_size()},
          {"traces", distinct},
          {"corpus", covered},
          {"trace_occurrences", occurrences},
          {"trace_occurrences_covered", covered_occurrences},
          {"bands", std::move(list)}};
}

Json Builder::manifest(const Selection& selection) const {
  const auto optional = [](const std::string& v) { return v.empty() ? Json() : Json(v); };
  Json sources = Json::array();
  KindCounts replaced;
  int64_t exact = 0, near = 0, too_long = 0, n_read = 0, bad = 0;
  for (const Source& s : sources_) {
    sources.push_back({{"name", s.file.name},
                       {"sha256", s.digest},
                       {"bytes", s.bytes->bytes().size()},
                       {"licence", optional(s.licence)},
                       {"provenance", optional(s.provenance)},
                       {"n_lines", s.n_lines},
                       {"n_read", s.n_samples},
                       {"n_bad", s.n_bad},
                       {"bad_lines", s.bad_lines},
                       {"n_empty", s.n_empty},
                       {"n_leaks", s.n_leaks},
                       {"n_exact_duplicates", s.n_exact},
                       {"n_near_duplicates", s.n_near},
                       {"n_too_long", s.n_too_long},
                       {"n_split", s.n_split},
                       {"n_candidates", s.n_candidates},
                       {"n_kept", s.n_kept},
                       {"replaced", s.replaced},
                       {"keys_left_out", s.left_out}});
    add_counts(replaced, s.replaced);
    exact += s.n_exact;
    near += s.n_near;
    too_long += s.n_too_long;
    n_read += s.n_samples;
    bad += s.n_bad;
  }
  Json suites = Json::array();
  for (const LeakSource& s : leaks_.suites()) {
    suites.push_back({{"name", s.suite}, {"sha256", s.digest}, {"n_items", s.n_items}});
  }
  std::vector<size_t> all(samples_.size());
  std::iota(all.begin(), all.end(), size_t{0});
  const CoverageTable traces = tabulate(coverage_, all);
  const CoverageTable corpus = tabulate(coverage_, selection.samples);
  Json coverage = Json::object();
  for (size_t d = 0; d < kDimensions.size(); ++d) {
    Json cells = Json::array();
    for (const auto& [name, count] : traces[d]) {
      const auto it = corpus[d].find(name);
      const CellCount kept = it == corpus[d].end() ? CellCount{} : it->second;
      const auto side = [](const CellCount& c) {
        return Json{{"samples", c.samples}, {"tokens", std::llround(c.tokens)}};
      };
      cells.push_back({{"cell", name}, {"traces", side(count)}, {"corpus", side(kept)}});
    }
    coverage[kDimensions[d].name] = std::move(cells);
  }
  int64_t candidate_tokens = 0;
  for (const SampleCoverage& c : coverage_) candidate_tokens += c.n_tokens;
  return {{"corpus", 1},
          {"version", "1"},
          {"digest", ""},
          {"build", build_name()},
          {"tokenizer", model_.tokenizer_digest},
          {"template", optional(model_.template_digest)},
          {"context", model_.context},
          {"seed", options_.seed},
          {"budget", options_.budget},
          {"max_sample_tokens", limit_},
          {"n_samples", selection.samples.size()},
          {"n_tokens", selection.n_tokens},
          {"candidates",
           {{"read", n_read},
            {"bad", bad},
            {"samples", samples_.size()},
            {"tokens", candidate_tokens},
            {"too_long", too_long}}},
          {"selection", {{"value", selection.value}, {"random", selection.random}}},
          {"sources", std::move(sources)},
          {"passed_over", passed_over_},
          {"replaced", replaced},
          {"redact_kinds", redactor_.kinds()},
          {"duplicates", {{"exact", exact}, {"near", near}}},
          {"suites_checked", std::move(suites)},
          {"leak_words", options_.leak_words},
          {"leaks", leak_list_},
          {"vocabulary", vocabulary(selection.samples)},
          {"coverage", std::move(coverage)}};
}

Json Builder::run(const std::string& directory) {
  open_sources();
  read_samples();
  refuse_leaks_and_duplicates();
  count_tokens();
  check_stop();
  if (samples_.empty()) {
    fail(Fault::bad_input, "corpus-empty",
         "expected at least one sample after leaks, duplicates and samples longer than {} tokens "
         "were left out, found none; add traces, or raise --max-sample-tokens",
         limit_);
  }
  std::vector<uint64_t> keys;
  for (const CorpusSample& s : samples_) {
    std::vector<uint64_t> words;
    append_words(s.id, words);
    uint64_t key = 1;
    for (const uint64_t word : words) key = mix_bits(key ^ word);
    keys.push_back(key);
  }
  const Selection selection = select_samples(coverage_, keys, options_.budget, options_.seed);
  if (selection.samples.empty()) {
    fail(Fault::bad_input, "corpus-empty",
         "expected a budget that holds a sample, found {} tokens; raise --tokens", options_.budget);
  }
  std::string lines;
  for (const size_t i : selection.samples) {
    lines += to_line(write_sample(samples_[i])) + "\n";
    ++sources_[source_of_[i]].n_kept;
  }
  Json m = manifest(selection);
  m["digest"] = sha256_hex(lines);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    fail(Fault::io, "file-io", "{}: cannot make the directory: {}", directory, error.message());
  // A manifest of older samples must not stand beside these.
  std::filesystem::remove(directory + "/" + kCorpusManifest, error);
  write_file_atomically(directory + "/" + kCorpusSamples, lines);
  write_file_atomically(directory + "/" + kCorpusManifest, m.dump(1) + "\n");
  return m;
}

}  // namespace

Json build_corpus(const CorpusOptions& options, const CorpusModel& model,
                  const std::string& directory) {
  return Builder(options, model).run(directory);
}

}  // namespace sinter
