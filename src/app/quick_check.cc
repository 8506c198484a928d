#include "app/quick_check.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "app/divergence.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/scratch_directory.h"
#include "compress/preflight.h"
#include "gate/engine_subject.h"
#include "gate/judge.h"
#include "gate/sample.h"
#include "model/logits.h"

namespace sinter {
namespace {

constexpr size_t kSamples = 16;          // texts that the dense model makes up
constexpr int32_t kSampleTokens = 64;    // of each, at most
constexpr size_t kRoundUnits = 32;       // items or texts begun together, at most
constexpr double kLeastAgreement = 0.5;  // of first choices; below, this is another model
constexpr size_t kReasons = 5;

constexpr const char* kNothing = "nothing found";
constexpr const char* kDamaged = "damage found";
constexpr const char* kNotRun = "not run";

// Every round would show a line of its own.
class OneProgress {
 public:
  OneProgress(int64_t total, const char* unit) : progress_("quick check", total, unit) {
    set_progress_mode(ProgressMode::none);
  }
  ~OneProgress() { set_progress_mode(parse_progress_mode(globals().progress)); }
  OneProgress(const OneProgress&) = delete;
  OneProgress& operator=(const OneProgress&) = delete;
  void advance(size_t n) { progress_.advance(static_cast<int64_t>(n)); }

 private:
  Progress progress_;
};

class Clock {
 public:
  explicit Clock(double limit) : limit_(limit) {}
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  bool has(double more) const { return limit_ <= 0 || seconds() + more <= limit_; }

 private:
  double limit_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Runs body(begin, end) on 1, 2, 4 ... of n units, as long as there is time for twice the round
// before. Returns how many ran.
template <typename Body>
size_t in_rounds(size_t n, const Clock& clock, const std::atomic<bool>* stop, const Body& body) {
  size_t begin = 0;
  for (size_t units = 1; begin < n; units = std::min(2 * units, kRoundUnits)) {
    if (stop != nullptr && stop->load()) {
      fail(Fault::interrupted, "interrupted", "stopped after {} of {}", begin, n);
    }
    const double start = clock.seconds();
    const size_t end = std::min(n, begin + units);
    body(begin, end);
    begin = end;
    if (!clock.has(2 * (clock.seconds() - start))) break;
  }
  return begin;
}

// How far the compressed model is from the dense one along tokens that the dense one wrote.
class Divergences {
 public:
  Divergences(const LoadedModel& dense, const LoadedModel& model, const EngineOptions& options)
      : dense_(dense), model_(model), options_(options) {}

  // Tokens from `from` on count.
  void add(const std::vector<Token>& tokens, size_t from) {
    try {
      walk(tokens, from);
    } catch (const Error& e) {
      // The dense model has written these very tokens, so it is the other.
      if (e.code() != "logits-not-finite") throw;
      ++not_finite_;
    }
  }
  int64_t not_finite() const { return not_finite_; }
  bool empty() const { return kl_.empty(); }
  double agreement() const { return static_cast<double>(agree_) / static_cast<double>(kl_.size()); }
  Json to_json(const char* source) {
    Json json = {{"source", source}, {"tokens", kl_.size()}};
    if (not_finite_ > 0) json["not_finite"] = not_finite_;
    if (kl_.empty()) return json;
    std::sort(kl_.begin(), kl_.end());
    double mean = 0;
    for (const double k : kl_) mean += k / static_cast<double>(kl_.size());
    json["kl"] = {{"mean", mean}, {"p99", percentile(kl_, 0.99)}, {"max", kl_.back()}};
    json["top1_agreement"] = agreement();
    return json;
  }

 private:
  void walk(const std::vector<Token>& tokens, size_t from) {
    for_each_row_pair(*dense_.decoder, *model_.decoder, options_, tokens,
                      static_cast<int32_t>(from),
                      [&](int32_t, std::span<const float> p, std::span<const float> q) {
                        const double kl = divergence(p, q);
                        if (!std::isfinite(kl)) {
                          ++not_finite_;
                          return;
                        }
                        kl_.push_back(kl);
                        agree_ += first_choice(p) == first_choice(q) ? 1 : 0;
                      });
  }
  const LoadedModel& dense_;
  const LoadedModel& model_;
  const EngineOptions& options_;
  std::vector<double> kl_;
  int64_t agree_ = 0, not_finite_ = 0;
};

struct Look {
  const LoadedModel& dense;
  const LoadedModel& model;
  const QuickCheckOptions& options;
  Clock clock;
  Divergences divergences;
  Json record;
  std::vector<std::string> reasons;  // of damage
};

std::string plural(int64_t n, const char* one) {
  return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s");
}

// The items, both models, and the gate's own judgement of them.
void check_items(Look& c) {
  const Suite& suite = *c.options.suite;
  const std::vector<size_t> order = stratified_order(suite, c.options.seed);
  const size_t asked = std::min(c.options.items, order.size());
  EngineSubject baseline(c.dense.artifact, c.dense.chat, *c.dense.decoder, c.dense.engine_record(),
                         c.options.engine.limits());
  EngineSubject candidate(c.model.artifact, c.model.chat, *c.model.decoder, c.model.engine_record(),
                          c.options.engine.limits());
  const ScratchDirectory scratch("sinter-check");
  Run before, after;
  OneProgress progress(static_cast<int64_t>(asked), "items");
  const size_t ran = in_rounds(asked, c.clock, c.options.stop, [&](size_t begin, size_t end) {
    const Suite part = part_of(suite, std::span(order).subspan(begin, end - begin));
    const auto run = [&](Subject& subject, const char* role, Run& all) {
      Run r =
          run_items(part, subject, scratch.path() / fmt::format("{}-{}", role, begin), role, {});
      if (all.header.is_null()) all.header = r.header;
      for (ItemResult& result : r.results) all.results.push_back(std::move(result));
    };
    run(baseline, "dense", before);
    run(candidate, "compressed", after);
    for (size_t i = begin; i < end; ++i) {
      const std::optional<Answer>& answer = before.results[i].answer;
      if (!answer || answer->tokens.empty()) continue;
      std::vector<Token> tokens = prompt_of(*c.dense.chat, part.items[i - begin]);
      const size_t from = tokens.size();
      tokens.insert(tokens.end(), answer->tokens.begin(), answer->tokens.end());
      c.divergences.add(tokens, from);
    }
    progress.advance(end - begin);
  });
  const Verdict v = judge(before, after, {}, {}, {});
  const Tally& all = v.all;
  c.record["suite"] = {{"name", suite.name},
                       {"version", suite.version},
                       {"digest", suite.digest},
                       {"items", suite.items.size()}};
  c.record["items"] = {{"asked", asked},
                       {"ran", all.n},
                       {"errors", all.n_errors},
                       {"passed_baseline", all.passed_before},
                       {"passed_candidate", all.passed_after},
                       {"lost", all.lost},
                       {"won", all.won},
                       {"p_worse", all.p_worse},
                       {"difference_95", {all.difference.low, all.difference.high}},
                       {"regressed", v.regressed}};
  if (ran < asked) c.record["out_of_time"] = true;
  if (v.outcome != Outcome::fail) return;
  for (const Check& rule : v.checks) {
    if (rule.finding == Finding::fail) c.reasons.push_back(rule.sentence);
  }
}

// A token to begin a text with: what the model's own config.json names.
Token first_token(const Artifact& artifact, int32_t vocab) {
  for (const char* key : {"bos_token_id", "eos_token_id"}) {
    if (!artifact.config().contains(key)) continue;
    Json id = artifact.config()[key];
    if (id.is_array() && !id.empty()) id = Json(id.front());
    if (id.is_number_integer() && id >= 0 && id < vocab) return id.get<Token>();
  }
  return 0;
}

// Text that the dense model makes up, drawn from its own distribution.
void check_samples(Look& c) {
  const ModelConfig& config = c.dense.decoder->config();
  const Token first = first_token(*c.dense.artifact, config.vocab);
  const auto length = static_cast<int32_t>(std::min<int64_t>(kSampleTokens, config.max_tokens - 1));
  OneProgress progress(kSamples, "texts");
  std::string error;
  const size_t ran = in_rounds(kSamples, c.clock, c.options.stop, [&](size_t begin, size_t end) {
    std::vector<std::vector<Token>> texts(end - begin, {first});
    Engine engine(*c.dense.decoder, c.options.engine.limits());
    for (size_t i = begin; i < end; ++i) {
      engine.add({.prompt = {first},
                  .max_new_tokens = length,
                  .sampling = {.temperature = 1, .seed = random_bits(c.options.seed, 2, i)},
                  .stop = {},
                  .observe = {},
                  .on_token = {}},
                 [&, i](const Completion& done) {
                   if (error.empty()) error = done.error;
                   auto& text = texts[i - begin];
                   text.insert(text.end(), done.tokens.begin(), done.tokens.end());
                 });
    }
    engine.run();
    if (!error.empty()) fail(Fault::corrupt, "logits-not-finite", "the dense model: {}", error);
    for (const std::vector<Token>& text : texts) c.divergences.add(text, 1);
    progress.advance(end - begin);
  });
  if (ran < kSamples) c.record["out_of_time"] = true;
}

void judge_divergences(Look& c, const char* source) {
  c.record["text"] = c.divergences.to_json(source);
  if (const int64_t n = c.divergences.not_finite(); n > 0) {
    c.reasons.push_back(fmt::format("The compressed model's logits are not finite numbers for {}.",
                                    plural(n, "token")));
  }
  if (!c.divergences.empty() && c.divergences.agreement() < kLeastAgreement) {
    c.reasons.push_back(
        fmt::format("Its first choice is the dense model's for {:.1f} % of the tokens only.",
                    100 * c.divergences.agreement()));
  }
}

// To what the largest round takes, if every answer is as long as it may be.
void widen_for_items(const Chat& chat, const QuickCheckOptions& options, RunShape& shape) {
  const std::vector<size_t> order = stratified_order(*options.suite, options.seed);
  const size_t asked = std::min(options.items, order.size());
  int64_t most = 0;
  for (size_t begin = 0, units = 1; begin < asked;
       begin += units, units = std::min(2 * units, kRoundUnits)) {
    std::vector<int64_t> lengths;
    int64_t prompts = 0;
    for (size_t i = begin; i < std::min(asked, begin + units); ++i) {
      const Item& item = options.suite->items[order[i]];
      const auto prompt = static_cast<int64_t>(prompt_of(chat, item).size());
      lengths.push_back(prompt + item.max_tokens);
      prompts += prompt;
      shape.logit_rows = std::max<int64_t>(shape.logit_rows, item.max_tokens);
    }
    shape.step_tokens = std::max(shape.step_tokens, prompts);
    shape.tokens += prompts;
    const int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
    if (tokens > most) shape.sequence_tokens = lengths;
    most = std::max(most, tokens);
  }
}

// So that a check that was made already can be told from another.
Json check_settings(const QuickCheckOptions& options) {
  return {{"suite", options.suite ? Json(options.suite->digest) : Json()},
          {"items", options.suite ? options.items : 0},
          {"seconds", options.seconds},
          {"seed", options.seed}};
}

Json not_run(const QuickCheckOptions& options, const std::string& reason) {
  return {{"outcome", kNotRun},
          {"reasons", Json::array({reason})},
          {"settings", check_settings(options)}};
}

void run(const std::string& dense_dir, const std::string& compressed_dir,
         const QuickCheckOptions& options, Json& record) {
  const std::shared_ptr<Backend> backend =
      make_cpu_backend(options.engine.threads, options.engine.isa);
  const LoadedModel dense = LoadedModel::load(dense_dir, backend, options.engine);
  const LoadedModel model = LoadedModel::load(compressed_dir, backend, options.engine);
  Look c{dense,
         model,
         options,
         Clock(options.seconds),
         {dense, model, options.engine},
         std::move(record),
         {}};
  const char* source = "of the dense model's answers";
  if (options.suite) check_items(c);
  if (c.divergences.empty() && c.divergences.not_finite() == 0) {
    source = "that the dense model made up";
    check_samples(c);
  }
  judge_divergences(c, source);
  record = std::move(c.record);
  record["outcome"] = c.reasons.empty() ? kNothing : kDamaged;
  if (c.reasons.size() > kReasons) c.reasons.resize(kReasons);
  record["reasons"] = c.reasons;
}

}  // namespace

Json quick_check(const std::string& dense, const std::string& compressed,
                 const QuickCheckOptions& options) {
  Json record = {{"outcome", kNotRun}, {"reasons", Json::array()}};
  record["settings"] = check_settings(options);
  try {
    run(dense, compressed, options, record);
  } catch (const Error& e) {
    if (e.fault() == Fault::interrupted) {
      fail(Fault::interrupted, "interrupted",
           "{} is finished, but its quick check was {}; the same command goes on with the check, "
           "--no-check leaves it out",
           compressed, e.what());
    }
    record = not_run(options, fmt::format("{} (error {})", e.what(), e.code()));
  }
  return record;
}

RunShape check_shape(const std::string& dense, const QuickCheckOptions& options) {
  const EngineLimits limits = options.engine.limits();
  RunShape shape{.sequence_tokens = std::vector<int64_t>(kSamples, kSampleTokens),
                 .kv_bytes = options.engine.decoder().kv_bytes,
                 .tokens = kSamples * kSampleTokens,
                 .step_tokens = kSamples,
                 .logit_rows = kSampleTokens};
  if (!Artifact::open(dense)->text_file("tokenizer.json")) return shape;
  try {
    const int64_t before = resident_bytes();
    const std::shared_ptr<const Chat> chat = load_chat(dense);
    shape.text_bytes = resident_bytes() - before;  // the heap has room for one of the two later
    if (options.suite) widen_for_items(*chat, options, shape);
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): the check itself will say it
  }
  shape.step_tokens = std::min<int64_t>(shape.step_tokens, limits.step_tokens);
  shape.logit_rows = std::min<int64_t>(shape.logit_rows, limits.max_chunk);
  return shape;
}

Json check_without_room(const QuickCheckOptions& options, int64_t bytes) {
  return not_run(
      options, fmt::format("both models need {:.0f} MiB of memory, which was not free; check with "
                           "`sinter gate` where it is, or run the same command again there",
                           static_cast<double>(bytes) / (1 << 20)));
}

bool is_checked(const Json& check, const QuickCheckOptions& options) {
  return check.is_object() && check.value("settings", Json()) == check_settings(options) &&
         check["outcome"] != kNotRun;
}

std::string check_text(const Json& check) {
  const std::string outcome = check["outcome"];
  std::string text = "Quick check against the dense model: " + outcome + "\n";
  if (check.contains("items")) {
    const Json& items = check["items"];
    const Json& suite = check["suite"];
    text += fmt::format(
        "  {} lost, {} won of {} of {}'s {} items (exact McNemar, one-sided: p {:.2g}; the true "
        "change is between {:+.1f} and {:+.1f} %)\n",
        items["lost"].get<int64_t>(), items["won"].get<int64_t>(), items["ran"].get<int64_t>(),
        suite["name"].get<std::string>(), suite["items"].get<int64_t>(),
        items["p_worse"].get<double>(), 100 * items["difference_95"][0].get<double>(),
        100 * items["difference_95"][1].get<double>());
    if (const auto errors = items["errors"].get<int64_t>(); errors > 0) {
      text += fmt::format("  {} could not be run\n", plural(errors, "item"));
    }
  }
  if (check.contains("text") && check["text"].contains("kl")) {
    const Json& t = check["text"];
    text += fmt::format(
        "  divergence {:.5f} nats per token (99th percentile {:.4f}), {:.2f} % the same first "
        "choice, over {} tokens {}\n",
        t["kl"]["mean"].get<double>(), t["kl"]["p99"].get<double>(),
        100 * t["top1_agreement"].get<double>(), t["tokens"].get<int64_t>(),
        t["source"].get<std::string>());
  }
  if (check.contains("out_of_time")) text += "  stopped at its time limit (--check-seconds)\n";
  for (const Json& reason : check["reasons"]) {
    text += "  WARNING: " + reason.get<std::string>() + "\n";
  }
  return text;
}

}  // namespace sinter
