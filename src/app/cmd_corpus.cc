// sinter corpus: what a model is calibrated on, made from traces, and judged before it is used.
#include <algorithm>

#include "app/calibration_flags.h"
#include "app/command.h"
#include "app/corpus_page.h"
#include "app/loaded_model.h"
#include "artifact/artifact.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "compress/corpus/build.h"
#include "compress/corpus/report.h"
#include "compress/profile/profile.h"

namespace sinter {
namespace {

struct BuildOptions {
  std::string model, out;
  CorpusOptions corpus;
};

struct ReportOptions {
  std::string corpus, model, profile, html;
  int64_t tokens = 32768;
  EngineOptions engine;
};

int64_t context_of(const Artifact& artifact) {
  return JsonFields(artifact.config(), artifact.directory() + "/config.json")
      .integer("max_position_embeddings", 0);
}

int build(BuildOptions& o) {
  install_interrupt();
  o.corpus.stop = &interrupted();
  const auto artifact = Artifact::open(o.model, {.weights_only = true});
  const auto read = [&](const std::string& name) { return artifact->text_file(name); };
  const auto chat = Chat::load(o.model, read);
  const Json m = build_corpus(o.corpus,
                              {.chat = *chat,
                               .context = context_of(*artifact),
                               .tokenizer_digest = tokenizer_digest(*artifact),
                               .template_digest = template_digest(*artifact)},
                              o.out);
  if (o.corpus.suites.empty()) {
    fmt::print(stderr,
               "warning: no --suite was given, so nothing was checked for overlap with what will "
               "judge the model\n");
  }
  if (globals().json) {
    print_json({{"out", o.out},
                {"digest", m.at("digest")},
                {"n_samples", m.at("n_samples")},
                {"n_tokens", m.at("n_tokens")},
                {"candidates", m.at("candidates")},
                {"selection", m.at("selection")},
                {"replaced", m.at("replaced")},
                {"duplicates", m.at("duplicates")},
                {"suites_checked", m.at("suites_checked")},
                {"leaks", m.at("leaks")}});
    return 0;
  }
  int64_t replaced = 0;
  for (const Json& n : m.at("replaced")) replaced += n.get<int64_t>();
  std::string text = fmt::format(
      "{}: {} samples, {} tokens, chosen from {} samples, {} tokens\n  digest {}\n"
      "  {} pieces of personal data replaced{}; {} exact and {} near duplicates left out\n",
      o.out, m.at("n_samples").get<int64_t>(), m.at("n_tokens").get<int64_t>(),
      m.at("candidates").at("samples").get<int64_t>(),
      m.at("candidates").at("tokens").get<int64_t>(), m.at("digest").get<std::string>(), replaced,
      replaced > 0 ? " " + to_line(m.at("replaced")) : "",
      m.at("duplicates").at("exact").get<int64_t>(), m.at("duplicates").at("near").get<int64_t>());
  if (const auto bad = m.at("candidates").at("bad").get<int64_t>(); bad > 0) {
    text += fmt::format("  {} bad lines left out; {}/{} says which\n", bad, o.out, kCorpusManifest);
  }
  const Json& leaks = m.at("leaks");
  text +=
      o.corpus.suites.empty()
          ? "  no suite was checked for overlap\n"
          : fmt::format("  {} samples refused because they hold items of a suite\n", leaks.size());
  constexpr size_t kShown = 10;
  for (size_t i = 0; i < std::min(leaks.size(), kShown); ++i) {
    text +=
        fmt::format("    {} holds {} of {} ({} words)\n", leaks[i].at("id").get<std::string>(),
                    leaks[i].at("item").get<std::string>(), leaks[i].at("suite").get<std::string>(),
                    leaks[i].at("words").get<int64_t>());
  }
  if (leaks.size() > kShown) text += fmt::format("    ... all in {}/{}\n", o.out, kCorpusManifest);
  text += fmt::format("Next: sinter corpus report {} --model {}\n", o.out, o.model);
  print_text(text);
  return 0;
}

// Runs the samples of both halves through the model and measures what its linears see.
CorpusActivations measure(const Corpus& corpus, const ReportOptions& o) {
  const auto backend = std::shared_ptr(make_cpu_backend(o.engine.threads, o.engine.isa));
  const LoadedModel model = LoadedModel::load(o.model, backend, o.engine);
  const Chat& chat = model.need_chat();
  const Json& built = corpus.manifest.value("tokenizer", Json());
  if (built != tokenizer_digest(*model.artifact)) {
    fmt::print(stderr,
               "warning: {} was built for another tokenizer than {} has; its counts of tokens are "
               "not this model's\n",
               corpus.directory, o.model);
  }
  CorpusActivations out{.model = o.model,
                        .n_tokens = 0,
                        .context = model.decoder->config().max_tokens,
                        .linears = {}};
  const auto halves = halves_of(corpus, o.tokens);
  StabilityMeter meter;
  model.decoder->set_tap([&](std::string_view module, MatView x) { meter.add(module, x); });
  Progress progress("reading", static_cast<int64_t>(halves[0].size() + halves[1].size()),
                    "samples");
  for (const int half : {0, 1}) {
    meter.begin_half(half);
    for (const size_t i : halves[static_cast<size_t>(half)]) {
      if (interrupted()) fail(Fault::interrupted, "interrupted", "stopped; nothing was written");
      const std::vector<Token> tokens = corpus_tokens(corpus.samples[i], chat);
      if (PageTable::pages_for(static_cast<int64_t>(tokens.size())) >
          model.decoder->pages().max_pages()) {
        fail(Fault::exhausted, "kv-too-small",
             "{}: {} tokens do not fit the KV cache; raise --kv-mib", corpus.samples[i].id,
             tokens.size());
      }
      PageTable table(model.decoder->pages());
      Batch batch;
      for (size_t at = 0; at < tokens.size(); at += batch.tokens.size()) {
        const size_t end =
            std::min(tokens.size(), at + static_cast<size_t>(o.engine.prefill_chunk));
        batch.tokens.assign(tokens.begin() + static_cast<ptrdiff_t>(at),
                            tokens.begin() + static_cast<ptrdiff_t>(end));
        const auto n = static_cast<int32_t>(end - at);
        batch.spans = {{&table, 0, n, static_cast<int32_t>(at)}};
        batch.logit_rows = {n - 1};
        model.decoder->forward(batch);
      }
      out.n_tokens += static_cast<int64_t>(tokens.size());
      progress.advance(1);
    }
  }
  out.linears = meter.result();
  // The head sees the last token of a chunk only, which says nothing about a corpus.
  std::erase_if(out.linears, [&](const LinearStability& l) { return l.n_tokens < out.n_tokens; });
  return out;
}

// What a profile of this model over this corpus says already.
CorpusActivations from_profile(const ReportOptions& o) {
  const Profile profile = read_profile(o.profile);
  const auto artifact = Artifact::open(o.model);
  const CalibrationFlags flags{.path = o.corpus, .limits = profile.key.limits};
  const bool same_model = profile.key.base_digest == artifact->digest();
  if (!same_model || profile.key.corpus_digest != flags.read(o.model).digest) {
    fail(Fault::incompatible, "profile-differs",
         "{}: this is a profile {}; make one of this model and corpus (`sinter profile {} -c {} -o "
         "DIR`), or leave --profile out",
         o.profile, same_model ? "over other tokens" : "of another model", o.model, o.corpus);
  }
  return {.model = o.model,
          .n_tokens = profile.n_tokens,
          .context = context_of(*artifact),
          .linears = linears_of(profile)};
}

int report(const ReportOptions& o) {
  install_interrupt();
  Corpus corpus = read_corpus(o.corpus);
  std::optional<CorpusActivations> activations;
  if (!o.profile.empty()) {
    activations = from_profile(o);
  } else if (!o.model.empty()) {
    activations = measure(corpus, o);
  }
  const CorpusReport r = judge_corpus(std::move(corpus), std::move(activations));
  if (!o.html.empty()) write_file_atomically(o.html, corpus_page(r));
  if (globals().json) {
    print_json(corpus_report_json(r));
  } else {
    print_text(corpus_report_text(r));
  }
  return 0;
}

CLI::App* add_build(CLI::App& app, BuildOptions& o) {
  CLI::App* sub = app.add_subcommand("build", "Make a corpus from traces.");
  const auto repeatable = [&](const char* name, std::vector<std::string>& values,
                              const char* help) {
    sub->add_option(name, values, help)->allow_extra_args(false);
  };
  sub->add_option("TRACES", o.corpus.traces,
                  "Files of JSON lines (.jsonl, .ndjson) or plain text, or directories of them.")
      ->required();
  sub->add_option("--model", o.model, "The model whose tokens and chat template count.")
      ->required();
  sub->add_option("-o,--out", o.out, "The directory to write.")->required();
  sub->add_option("--tokens", o.corpus.budget, "Budget: tokens of all samples together, at most.")
      ->check(CLI::Range(int64_t{16}, int64_t{1} << 32))
      ->capture_default_str();
  sub->add_option(
         "--max-sample-tokens", o.corpus.max_sample_tokens,
         "Tokens of one sample, at most; longer text is cut, longer conversations are left "
         "out. 0 = the model's context.")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
  sub->add_option("--seed", o.corpus.seed, "Decides between samples that add equally much.")
      ->capture_default_str();
  repeatable(
      "--suite", o.corpus.suites,
      "A suite (directory or .jsonl) whose items must not be in the corpus. Repeat for more.");
  sub->add_option("--leak-words", o.corpus.leak_words, "Words in a row that make an overlap.")
      ->check(CLI::Range(8, 64))
      ->capture_default_str();
  repeatable("--redact", o.corpus.redact,
             "NAME=REGEX: another kind of personal data to replace by [NAME]. Repeat for more.");
  repeatable("--licence", o.corpus.licence, "ID, or FILE=ID for one trace file. Repeat for more.");
  repeatable("--provenance", o.corpus.provenance,
             "Words on where the traces come from, or FILE=WORDS. Repeat for more.");
  sub->add_flag("--skip-bad", o.corpus.skip_bad,
                "Leave out lines that cannot be read, and count them. Default: an error.");
  sub->add_option("-t,--threads", o.corpus.threads,
                  "Threads; 0 = one per core. Never changes a byte.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  sub->footer(
      "Personal data and secrets are replaced, duplicates left out, items of suites refused, and\n"
      "what remains is chosen to cover what the traces cover. docs/corpus.md says how.\n"
      "Example:  sinter corpus build traces/ --model models/pebble --suite suites/pebble -o "
      "corpus");
  return sub;
}

CLI::App* add_report(CLI::App& app, ReportOptions& o) {
  CLI::App* sub = app.add_subcommand("report", "Is a corpus good enough to calibrate on?");
  sub->add_option("CORPUS", o.corpus, "A directory that `sinter corpus build` wrote.")->required();
  sub->add_option("--model", o.model,
                  "Run the corpus through this model, and compare its activations in two halves.");
  sub->add_option("--tokens", o.tokens, "Tokens of the corpus to run, at most; 0 = all.")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 32))
      ->capture_default_str();
  sub->add_option("--profile", o.profile,
                  "What `sinter profile` wrote of this model and corpus: nothing is run then.")
      ->needs("--model")
      ->excludes("--tokens");
  sub->add_option("--html", o.html, "Also write the report as a page to this file.");
  o.engine.add_to(*sub);
  sub->footer(
      "Thresholds of the verdict are in docs/corpus.md.\n"
      "Example:  sinter corpus report corpus --model models/pebble --html corpus.html");
  return sub;
}

std::function<int()> setup(CLI::App& app) {
  auto b = std::make_shared<BuildOptions>();
  auto r = std::make_shared<ReportOptions>();
  app.require_subcommand(1);
  CLI::App* build_command = add_build(app, *b);
  add_report(app, *r);
  return [b, r, build_command] { return build_command->parsed() ? build(*b) : report(*r); };
}

}  // namespace

const Command kCorpusCommand = {
    "corpus", "Make a calibration corpus from traces; judge whether it is good enough.", setup};

}  // namespace sinter
