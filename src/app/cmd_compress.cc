// sinter compress: a checkpoint, by a recipe, into a smaller one.
#include <filesystem>

#include "app/command.h"
#include "app/loaded_model.h"
#include "app/quick_check.h"
#include "base/error.h"
#include "compress/compress.h"

namespace sinter {
namespace {

struct Options {
  std::string model, recipe, out, calibration, dialect = default_dialect().name;
  CalibrationLimits limits{.max_tokens = 0, .sequence_tokens = 2048};
  bool no_resume = false;
  int threads = 0;
  bool no_check = false;
  std::string check_suite;
  QuickCheckOptions check;
};

Calibration read_tokens(const Options& o) {
  const auto artifact = Artifact::open(o.model);
  const JsonFields config(artifact->config(), o.model + "/config.json");
  const int32_t vocab = architecture_of(config).config(config).vocab;
  const std::shared_ptr<const Chat> chat =
      artifact->text_file("tokenizer.json") ? load_chat(o.model) : nullptr;
  return read_calibration(o.calibration, chat.get(), vocab, o.limits);
}

// The suite that was named, or else the one in suites/ with the model's own name.
std::optional<Suite> suite_for(const Options& o) {
  const bool has_tokenizer = Artifact::open(o.model)->text_file("tokenizer.json").has_value();
  std::string folder = o.check_suite;
  if (folder.empty()) {
    folder = "suites/" + std::filesystem::canonical(o.model).filename().string();
    if (!has_tokenizer || !std::filesystem::exists(folder + "/suite.json")) return std::nullopt;
  } else if (!has_tokenizer) {
    fail(Fault::not_found, "tokenizer-missing",
         "{}: expected tokenizer.json, found none; a suite's items need one: leave --check-suite "
         "out",
         o.model);
  }
  return load_suite(folder);
}

// Made once: a manifest that holds the same check already keeps it.
void check_behaviour(const Options& o, const QuickCheckOptions& check, Manifest& manifest) {
  const Json& old = manifest.quick_check;
  if (old.is_object() && old.value("settings", Json()) == check_settings(check)) return;
  manifest.quick_check = quick_check(o.model, o.out, check);
  write_manifest(o.out, manifest);
}

int run(const Options& o) {
  install_interrupt();
  QuickCheckOptions check = o.check;
  check.engine.threads = o.threads;
  check.stop = &interrupted();
  if (!o.no_check) check.suite = suite_for(o);
  const Recipe recipe = read_recipe(o.recipe);
  std::optional<Calibration> calibration;
  if (!o.calibration.empty() && recipe.needs_calibration()) calibration = read_tokens(o);
  CompressResult r = compress(o.model, recipe, o.out,
                              {.calibration = calibration ? &*calibration : nullptr,
                               .dialect = &stored_dialect(o.dialect),
                               .threads = o.threads,
                               .resume = !o.no_resume,
                               .stop = &interrupted()});
  if (!o.no_check) check_behaviour(o, check, r.manifest);
  const double ratio = static_cast<double>(r.bytes_before) / static_cast<double>(r.bytes_after);
  double worst = 0;
  std::string worst_name;
  for (const ManifestTensor& t : r.manifest.tensors) {
    if (t.relative_error > worst) {
      worst = t.relative_error;
      worst_name = t.name;
    }
  }
  if (globals().json) {
    print_json({{"model", o.model},
                {"out", o.out},
                {"recipe", recipe.name},
                {"digest", r.manifest.digest},
                {"bytes_before", r.bytes_before},
                {"bytes_after", r.bytes_after},
                {"ratio", ratio},
                {"worst_relative_error", worst},
                {"worst_tensor", worst_name},
                {"shards_made", r.shards_made},
                {"shards_kept", r.shards_kept},
                {"not_copied", r.not_copied},
                {"verified", r.manifest.verified},
                {"quick_check", r.manifest.quick_check}});
    return 0;
  }
  constexpr double kMiB = 1 << 20;
  std::string text = fmt::format(
      "{} -> {} by \"{}\"\n  {:.2f} MiB -> {:.2f} MiB of weights ({:.2f} times smaller)\n", o.model,
      o.out, recipe.name, static_cast<double>(r.bytes_before) / kMiB,
      static_cast<double>(r.bytes_after) / kMiB, ratio);
  if (!worst_name.empty()) {
    text += fmt::format("  largest relative error {:.4f}, in {}; all of them in {}/{}\n", worst,
                        worst_name, o.out, kManifestName);
  }
  if (r.shards_kept > 0) {
    text += fmt::format("  resumed: {} shards were already there, {} made now\n", r.shards_kept,
                        r.shards_made);
  }
  for (const std::string& file : r.not_copied) text += fmt::format("  not copied: {}\n", file);
  if (!r.manifest.quick_check.is_null()) text += check_text(r.manifest.quick_check);
  text += fmt::format("Unverified until a gate has run: sinter gate {} {} --suite {} -o REPORT\n",
                      o.model, o.out, o.check_suite.empty() ? "suites/pebble" : o.check_suite);
  print_text(text);
  return 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model directory.")->required();
  app.add_option("-r,--recipe", o->recipe, "A YAML recipe; see recipes/ and docs/recipes.md.")
      ->required();
  app.add_option("-o,--out", o->out, "The directory to write.")->required();
  std::string dialects;
  for (const StoredDialect& d : stored_dialects()) {
    dialects += fmt::format("\n  {:<20} {}", d.name, d.meaning);
  }
  app.add_option("--dialect", o->dialect,
                 "How the weights are written; what a dialect cannot say is refused before anything "
                 "is written. GGUF: convert the result.")
      ->capture_default_str();
  app.add_option("-c,--calibration", o->calibration,
                 "Tokens for recipes that look at what the model computes: a corpus directory, "
                 "lines of JSON (messages, text or ids), or plain text.");
  app.add_option("--calibration-tokens", o->limits.max_tokens,
                 "Use whole sequences until there are so many tokens; 0 = all.")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--sequence-tokens", o->limits.sequence_tokens,
                 "Longer texts are split into sequences of at most so many tokens.")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app.add_flag("--no-resume", o->no_resume,
               "Refuse to continue what a killed run left in OUT. Default: continue it.");
  app.add_option("-t,--threads", o->threads, "Threads; 0 = one per core. Never changes a byte.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_flag("--no-check", o->no_check,
               "Leave out the quick check against the dense model, which needs memory for both.");
  app.add_option("--check-suite", o->check_suite,
                 "Check with items of this suite. Default: suites/NAME of a model directory NAME, "
                 "if there is one; else with text that the dense model makes up.");
  app.add_option("--check-items", o->check.items, "Items of the suite to look at, at most.")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--check-seconds", o->check.seconds,
                 "Begin nothing that would probably end later; 0 = no limit.")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  app.add_option("--check-seed", o->check.seed, "Draws the items, and what the model makes up.")
      ->capture_default_str();
  app.footer(
      "Writes a Hugging Face directory, layer by layer: peak memory is about one layer.\nDialects:" +
      dialects +
      "\nExample:  sinter compress models/pebble -r recipes/int8.yaml -o out/int8");
  return [o] { return run(*o); };
}

}  // namespace

const Command kCompressCommand = {"compress", "Compress a model by a recipe.", setup};

}  // namespace sinter
