// sinter sensitivity: what each group of matrices would cost in each format of a recipe's budget.
#include <filesystem>

#include "app/calibration_flags.h"
#include "app/command.h"
#include "base/error.h"
#include "compress/format_choice.h"
#include "compress/spend_budget.h"

namespace sinter {
namespace {

struct Options {
  std::string model, recipe, out;
  CalibrationFlags calibration;
  int threads = 0;
};

// One format everywhere, and what could be chosen instead in as many bytes.
struct CurvePoint {
  UniformChoice uniform;
  Allocation mixed;
};

std::vector<CurvePoint> curve_of(const Sensitivity& s, double flips) {
  const auto groups = priced_options(s, flips);
  std::vector<CurvePoint> curve;
  for (const UniformChoice& u : uniform_choices(s, flips)) {
    curve.push_back({u, *allocate(groups, u.bytes)});
  }
  return curve;
}

double bits(const Sensitivity& s, int64_t bytes) {
  int64_t weights = 0;
  for (const MatrixGroup& g : s.groups) weights += g.weights;
  return 8 * static_cast<double>(bytes) / static_cast<double>(weights);
}

Json curve_json(const Sensitivity& s, const std::vector<CurvePoint>& curve) {
  Json out = Json::array();
  for (const CurvePoint& p : curve) {
    out.push_back({{"format", s.formats[static_cast<size_t>(p.uniform.format)]},
                   {"bytes", p.uniform.bytes},
                   {"bits_per_weight", bits(s, p.uniform.bytes)},
                   {"uniform", p.uniform.predicted},
                   {"mixed", p.mixed.cost},
                   {"bound", p.mixed.bound},
                   {"optimal", p.mixed.optimal}});
  }
  return out;
}

std::string table(const Sensitivity& s, const std::vector<CurvePoint>& curve) {
  std::string text = fmt::format(
      "Divergence from the dense model (nats a token, {} tokens) with one group rounded\n\n  "
      "{:<16}",
      s.scored_tokens, "layer, input of");
  for (const std::string& f : s.formats) text += fmt::format(" {:>13}", f);
  text += "\n";
  for (const MatrixGroup& g : s.groups) {
    text += fmt::format("  {:<16}", fmt::format("{} {}", g.layer, g.input));
    for (const MeasuredOption& o : g.options) text += fmt::format(" {:>13.6f}", o.kl);
    text += "\n";
  }
  text += fmt::format("\nSums of these, at equal bytes\n\n  {:<16} {:>13} {:>13} {:>13} {:>13}\n",
                      "format", "bits a weight", "everywhere", "mixed", "bound");
  for (const CurvePoint& p : curve) {
    text += fmt::format("  {:<16} {:>13.3f} {:>13.6f} {:>13.6f} {:>13.6f}\n",
                        s.formats[static_cast<size_t>(p.uniform.format)], bits(s, p.uniform.bytes),
                        p.uniform.predicted, p.mixed.cost, p.mixed.bound);
  }
  return text;
}

int run(const Options& o) {
  install_interrupt();
  const Recipe recipe = read_recipe(o.recipe);
  if (!recipe.budget) {
    fail(Fault::bad_input, "budget-nothing",
         "{}: expected a recipe with a budget, whose schemes are to be measured; "
         "recipes/budget.yaml is one",
         o.recipe);
  }
  const auto base = Artifact::open(o.model);
  const Calibration calibration = o.calibration.read(o.model);
  const MeasurementPlan plan =
      plan_formats(*base, recipe, plan_compression(*base, recipe), &calibration, default_dialect());
  Sensitivity sensitivity;
  if (std::filesystem::exists(o.out)) {
    sensitivity = read_sensitivity(o.out, plan.sensitivity);
  } else {
    const std::string parts = o.out + ".parts";
    std::filesystem::create_directories(parts);
    ThreadPool threads(o.threads);
    const DirectoryLock lock(parts);
    sensitivity = measure_sensitivity(
        *base, plan, {.calibration = &calibration, .directory = parts, .stop = &interrupted()},
        threads);
    write_sensitivity(o.out, sensitivity);
    std::filesystem::remove_all(parts);
  }
  const std::vector<CurvePoint> curve = curve_of(sensitivity, recipe.budget->flips);
  if (globals().json) {
    Json json = {{"model", o.model}, {"out", o.out}};
    json.update(to_json(sensitivity));
    json["curve"] = curve_json(sensitivity, curve);
    print_json(json);
    return 0;
  }
  print_text(table(sensitivity, curve) +
             fmt::format("\nNext: sinter compress {} -r {} -c {} --sensitivity {} -o OUT\n",
                         o.model, o.recipe, o.calibration.path, o.out));
  return 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model directory.")->required();
  app.add_option("-r,--recipe", o->recipe, "A YAML recipe with a budget; see docs/recipes.md.")
      ->required();
  app.add_option("-o,--out", o->out, "The file to write, JSON; shown again if it is there.")
      ->required();
  o->calibration.add_to(app);
  app.get_option("--calibration")->required();
  app.add_option("-t,--threads", o->threads, "Threads; 0 = one per core. Never changes a byte.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.footer(
      "Measures once; `sinter compress --sensitivity FILE` then takes any budget of the same "
      "schemes. Killed, the same command goes on.\nExample:  sinter sensitivity models/pebble -r "
      "recipes/budget.yaml -c README.md -o out/pebble.json");
  return [o] { return run(*o); };
}

}  // namespace

const Command kSensitivityCommand = {"sensitivity",
                                     "What rounding each matrix to each format would cost.", setup};

}  // namespace sinter
