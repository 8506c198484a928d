// sinter compress: a checkpoint, by a recipe, into a smaller one.
#include <malloc.h>

#include <algorithm>
#include <filesystem>

#include "app/calibration_flags.h"
#include "app/command.h"
#include "app/loaded_model.h"
#include "app/quick_check.h"
#include "backend/peaks.h"
#include "base/error.h"
#include "base/huge_buffer.h"
#include "compress/compress.h"
#include "compress/format_choice.h"
#include "compress/output.h"
#include "compress/preflight.h"

namespace sinter {
namespace {

struct Options {
  std::string model, recipe, out, dialect = default_dialect().name;
  CalibrationFlags calibration;
  std::string sensitivity;
  bool no_resume = false, no_preflight = false;
  int64_t memory = 0;
  int threads = 0;
  bool no_check = false;
  std::string check_suite;
  QuickCheckOptions check;
};

// The suite that was named, or else the one in suites/ with the model's own name; "" = none.
std::string suite_folder(const Options& o) {
  if (!o.check_suite.empty()) return o.check_suite;
  const std::string own = "suites/" + std::filesystem::canonical(o.model).filename().string();
  return std::filesystem::exists(own + "/suite.json") ? own : "";
}

// What the quick check looks at: nothing = text that the dense model makes up.
std::optional<Suite> suite_to_check(const Options& o, const std::string& folder) {
  if (o.no_check || folder.empty()) return std::nullopt;
  if (Artifact::open(o.model)->text_file("tokenizer.json")) return load_suite(folder);
  if (o.check_suite.empty()) return std::nullopt;
  fail(Fault::not_found, "tokenizer-missing",
       "{}: expected tokenizer.json, found none; a suite's items need one: leave --check-suite out",
       o.model);
}

// Made once: a manifest that holds the same check already keeps it.
void check_behaviour(const Options& o, const QuickCheckOptions& check, CompressResult& r) {
  if (is_checked(r.manifest.quick_check, check)) return;
  const int64_t needs = resident_bytes() + r.check_bytes;
  const bool fits = o.no_preflight || needs <= free_room(o.out, o.memory).memory;
  if (!fits && !o.check_suite.empty()) {
    fail(Fault::exhausted, "preflight-memory",
         "{} is finished, but its quick check needs {} MiB of memory, more than is free; the same "
         "command goes on with the check, --no-check leaves it out",
         o.out, needs >> 20);
  }
  r.manifest.quick_check =
      fits ? quick_check(o.model, o.out, check) : check_without_room(check, needs);
  write_manifest(o.out, r.manifest);
}

std::string stages_text(const StageSeconds& seconds) {
  std::string text;
  double sum = 0;
  for (const auto& [stage, s] : seconds) {
    text += fmt::format("{}{} {:.1f} s", text.empty() ? "" : ", ", stage, s);
    sum += s;
  }
  return fmt::format("{:.1f} s ({})", sum, text);
}

void announce(const Preflight& needs) {
  constexpr double kMiB = 1 << 20;
  const auto worst = std::max_element(needs.bytes.begin(), needs.bytes.end(),
                                      [](auto& a, auto& b) { return a.second < b.second; });
  fmt::print(stderr, "expected: {:.0f} MiB of memory ({}), {:.0f} MiB of disk{}, {}\n",
             static_cast<double>(needs.memory) / kMiB,
             worst == needs.bytes.end() ? "" : worst->first,
             static_cast<double>(needs.output + needs.scratch) / kMiB,
             needs.scratch == 0 ? ""
                                : fmt::format(" ({:.0f} of it until it is done)",
                                              static_cast<double>(needs.scratch) / kMiB),
             stages_text(needs.seconds));
  if (needs.no_room_for_check > 0) {
    fmt::print(
        stderr,
        "the quick check at the end will be left out: both models together would need {:.0f} "
        "MiB of memory\n",
        static_cast<double>(needs.no_room_for_check) / kMiB);
  }
}

// Of this machine, where the recipe wants to know it: over as many bytes as the model has, for what
// fits a cache is read faster.
double read_rate_for(const Recipe& recipe, const Options& o) {
  const bool asked = recipe.budget && recipe.budget->limit == Budget::Limit::tokens_per_second &&
                     recipe.budget->read_gb_per_second == 0;
  if (!asked) return 0;
  constexpr int kPasses = 3;
  const int64_t bytes = tensor_bytes(Artifact::open(o.model)->checkpoint());
  return PeakMeter(o.threads, "")
      .read_rate(std::clamp(bytes, int64_t{1} << 20, int64_t{1} << 30), kPasses);
}

int run(const Options& o) {
  install_interrupt();
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);  // what a layer needed goes back to the system at once
  QuickCheckOptions check = o.check;
  check.engine.threads = o.threads;
  check.stop = &interrupted();
  const std::string folder = suite_folder(o);
  check.suite = suite_to_check(o, folder);
  const Recipe recipe = read_recipe(o.recipe);
  std::optional<Calibration> calibration;
  if (!o.calibration.path.empty() && recipe.needs_calibration()) {
    calibration = o.calibration.read(o.model);
  }
  if (!recipe.budget && !o.sensitivity.empty()) {
    fail(Fault::bad_input, "budget-nothing",
         "--sensitivity: expected a recipe with a budget, found none in {}", o.recipe);
  }
  std::optional<RunShape> shape;
  if (!o.no_check) shape = check_shape(o.model, check);
  CompressResult r = compress(o.model, recipe, o.out,
                              {.calibration = calibration ? &*calibration : nullptr,
                               .dialect = &stored_dialect(o.dialect),
                               .threads = o.threads,
                               .resume = !o.no_resume,
                               .sensitivity = o.sensitivity,
                               .read_bytes_per_second = read_rate_for(recipe, o),
                               .preflight = !o.no_preflight,
                               .memory_limit = o.memory,
                               .check = shape ? &*shape : nullptr,
                               .check_required = !o.check_suite.empty(),
                               .announce = globals().json ? nullptr : announce,
                               .stop = &interrupted()});
  if (!o.no_check) check_behaviour(o, check, r);
  const int64_t peak_bytes = peak_rss_bytes();
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
                {"expected",
                 {{"memory", r.predicted.memory},
                  {"memory_by_stage", r.predicted.bytes},
                  {"no_room_for_check", r.predicted.no_room_for_check},
                  {"disk", r.predicted.output + r.predicted.scratch},
                  {"seconds", r.predicted.seconds}}},
                {"took", {{"memory", peak_bytes}, {"seconds", r.seconds}}},
                {"not_copied", r.not_copied},
                {"budget", r.manifest.budget},
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
  if (r.shards_made > 0) {
    text += fmt::format("  took {:.0f} MiB of memory, {}\n", static_cast<double>(peak_bytes) / kMiB,
                        stages_text(r.seconds));
  }
  if (r.shards_kept > 0) {
    text += fmt::format("  resumed: {} shards were already there, {} made now\n", r.shards_kept,
                        r.shards_made);
  }
  if (!r.manifest.budget.is_null()) text += describe_choice(r.manifest.budget);
  for (const std::string& file : r.not_copied) text += fmt::format("  not copied: {}\n", file);
  if (!r.manifest.quick_check.is_null()) text += check_text(r.manifest.quick_check);
  text += fmt::format("Unverified until a gate has run: sinter gate {} {} --suite {} -o REPORT\n",
                      o.model, o.out, folder.empty() ? "SUITE" : folder);
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
  app.add_option(
         "--dialect", o->dialect,
         "How the weights are written; what a dialect cannot say is refused before anything "
         "is written. GGUF: convert the result.")
      ->capture_default_str();
  o->calibration.add_to(app);
  app.add_option(
         "--memory", o->memory,
         "Bytes of memory that may be used (4G, 900M ...): what needs more is refused before "
         "it begins; 0 = what is free.")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_flag("--no-preflight", o->no_preflight,
               "Begin at once: do not find out first how much memory, disk and time it will take.");
  app.add_option("--sensitivity", o->sensitivity,
                 "Of a recipe with a budget: what `sinter sensitivity` measured, instead of "
                 "measuring it now.")
      ->check(CLI::ExistingFile);
  app.add_flag("--no-resume", o->no_resume,
               "Refuse to continue what a killed run left in OUT. Default: continue it.");
  app.add_option("-t,--threads", o->threads, "Threads; 0 = one per core. Never changes a byte.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_flag("--no-check", o->no_check,
               "Leave out the quick check against the dense model, which needs memory for both.");
  app.add_option("--check-suite", o->check_suite,
                 "Check with items of this suite. Default: suites/NAME of a model directory NAME, "
                 "if there is one; else with text that the dense model makes up.")
      ->excludes("--no-check");
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
      "Writes a Hugging Face directory, layer by layer: peak memory is about one "
      "layer.\nDialects:" +
      dialects + "\nExample:  sinter compress models/pebble -r recipes/int8.yaml -o out/int8");
  return [o] { return run(*o); };
}

}  // namespace

const Command kCompressCommand = {"compress", "Compress a model by a recipe.", setup};

}  // namespace sinter
