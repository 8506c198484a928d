// sinter diff: two models, tensor by tensor.
#include <cmath>

#include "app/command.h"
#include "artifact/diff.h"
#include "base/error.h"
#include "base/progress.h"

namespace sinter {
namespace {

constexpr size_t kRows = 20;         // of the table, without --all
constexpr int kDiffersExitCode = 3;  // as a gate that failed

struct Options {
  std::string a, b;
  bool all = false, exit_code = false, weights_only = false;
  int threads = 0;
};

std::string arrow(const std::string& a, const std::string& b) {
  if (a == b) return a;
  return fmt::format("{} -> {}", a.empty() ? "nothing" : a, b.empty() ? "nothing" : b);
}

// Digests are long, and their beginnings tell them apart.
std::string brief(const std::string& text) {
  const bool digest = text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
  return digest ? text.substr(0, 12) : text;
}

std::string table(const ArtifactDiff& diff, bool all) {
  std::string text = fmt::format("\n  {:>9}  {:>9}  {:>9}  {:<12}  {}\n", "rel. err", "max err",
                                 "cosine", "difference", "tensor");
  size_t shown = 0, changed = 0;
  for (const TensorDiff& t : diff.tensors) {
    if (t.difference == Difference::none) continue;
    ++changed;
    if (!all && shown == kRows) continue;
    ++shown;
    const auto number = [](double x, const char* format) {
      return std::isnan(x) ? std::string("-") : fmt::format(fmt::runtime(format), x);
    };
    text += fmt::format("  {:>9}  {:>9}  {:>9}  {:<12}  {}  {}", number(t.relative_error, "{:.6f}"),
                        number(t.max_error, "{:.2e}"), number(t.cosine, "{:.6f}"),
                        to_string(t.difference), t.name, arrow(t.format_a, t.format_b));
    if (t.inputs_a != t.inputs_b) {
      text += fmt::format(", inputs {}", arrow(t.inputs_a, t.inputs_b));
    }
    text += "\n";
  }
  if (changed == 0) return "";
  if (shown < changed) {
    text += fmt::format("  {} more; --all lists them\n", changed - shown);
  }
  return text;
}

std::string report(const Options& o, const ArtifactDiff& diff) {
  std::vector<std::string> counts;
  for (const Difference d : kDifferences) {
    if (diff.count(d) > 0) counts.push_back(fmt::format("{} {}", diff.count(d), to_string(d)));
  }
  std::string text = fmt::format("{} -> {}\n", o.a, o.b);
  text += fmt::format("  {:<16} {}\n", "scheme", arrow(diff.scheme_a, diff.scheme_b));
  text += fmt::format("  {:<16} {}\n", "bytes",
                      arrow(fmt::format("{}", diff.bytes_a), fmt::format("{}", diff.bytes_b)));
  text += fmt::format("  {:<16} {}\n", "tensors", fmt::join(counts, ", "));
  text +=
      fmt::format("  {:<16} {:.6f} of all that both have\n", "relative error", diff.relative_error);
  const auto fields = [&](const char* what, const std::vector<FieldDiff>& list) {
    for (const FieldDiff& f : list) {
      text += fmt::format("  {:<16} {}: {}\n", what, f.field, arrow(brief(f.a), brief(f.b)));
    }
  };
  fields("config.json", diff.config);
  fields("file", diff.files);
  fields("manifest", diff.manifest);
  text += table(diff, o.all);
  text +=
      diff.same() ? "same: the same values, config and text, in whatever format\n" : "different\n";
  return text;
}

int run(const Options& o) {
  const ArtifactOptions options{.weights_only = o.weights_only};
  const auto a = Artifact::open(o.a, options), b = Artifact::open(o.b, options);
  ThreadPool threads(o.threads);
  std::unique_ptr<Progress> progress;
  install_interrupt();
  const ArtifactDiff diff =
      diff_artifacts(*a, *b, o.weights_only, threads, [&](int64_t done, int64_t total) {
        if (interrupted()) {
          fail(Fault::interrupted, "interrupted", "stopped after {} of {} tensors", done, total);
        }
        if (!progress) progress = std::make_unique<Progress>("diff", total, "tensors");
        progress->advance();
      });
  progress.reset();
  if (globals().json) {
    Json json = to_json(diff);
    json["models"] = {o.a, o.b};
    print_json(json);
  } else {
    print_text(report(o, diff));
  }
  return o.exit_code && !diff.same() ? kDiffersExitCode : 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("A", o->a, "A model directory or a GGUF file.")->required();
  app.add_option("B", o->b, "Another; errors are of B against A.")->required();
  app.add_flag("--all", o->all,
               fmt::format("List every tensor that changed. Default: the worst {}.", kRows));
  app.add_flag("--exit-code", o->exit_code,
               "Exit 3 if they differ in what decides answers: values, inputs, config, text files. "
               "Another format of the same values, or another manifest, is no difference.");
  app.add_flag(
      "--weights-only", o->weights_only,
      "As with --weights-only of `sinter run`: nothing that the checkpoints ask of inputs, "
      "keys and values.");
  app.add_option("-t,--threads", o->threads, "Threads; 0 = one per core. Never changes a digit.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.footer(
      "Compares matrices as float32 values, whatever formats and dialects they are in, and then "
      "config.json, tokenizer,\ntemplate and manifest. Memory is about one matrix of each.\n"
      "Example:  sinter diff models/pebble out/int4");
  return [o] { return run(*o); };
}

}  // namespace

const Command kDiffCommand = {"diff", "Two models compared, tensor by tensor.", setup};

}  // namespace sinter
