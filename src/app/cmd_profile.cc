// sinter profile: what a model computes on calibration tokens, saved to be looked at and used.
#include <malloc.h>

#include "app/calibration_flags.h"
#include "app/command.h"
#include "app/profile_page.h"
#include "base/error.h"
#include "base/file.h"
#include "compress/profile/profile_pass.h"
#include "compress/profile/report.h"

namespace sinter {
namespace {

struct Options {
  std::string model, out, html;
  CalibrationFlags calibration;
  int64_t rounded_tokens = ProfileOptions{}.rounded_tokens;
  bool gram = false;
  int threads = 0;
};

int run(const Options& o) {
  install_interrupt();
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);  // what a layer needed goes back to the system at once
  const auto base = Artifact::open(o.model);
  const Calibration calibration = o.calibration.read(o.model);
  ThreadPool threads(o.threads);
  const ProfileResult r = make_profile(*base,
                                       {.calibration = &calibration,
                                        .limits = o.calibration.limits,
                                        .directory = o.out,
                                        .rounded_tokens = o.rounded_tokens,
                                        .gram = o.gram,
                                        .stop = &interrupted()},
                                       threads);
  if (!o.html.empty()) write_file_atomically(o.html, profile_page(r.profile, o.out));
  if (globals().json) {
    Json advice = Json::array();
    for (const Advice& a : advice_of(r.profile)) advice.push_back(to_json(a));
    Json json = {{"model", o.model},
                 {"out", o.out},
                 {"layers_made", r.layers_made},
                 {"layers_kept", r.layers_kept},
                 {"advice", advice}};
    json.update(to_json(r.profile));
    print_json(json);
    return 0;
  }
  std::string text = r.layers_made == 0 ? fmt::format("{}: this profile is there already\n", o.out)
                     : r.layers_kept > 0
                         ? fmt::format("{}: resumed: {} layers were already there, {} made now\n",
                                       o.out, r.layers_kept, r.layers_made)
                         : fmt::format("{}: {} layers\n", o.out, r.layers_made);
  print_text(text + profile_text(r.profile));
  return 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model directory.")->required();
  o->calibration.add_to(app);
  app.get_option("--calibration")->required();
  app.add_option("-o,--out", o->out, "The directory to write; shown again if it is there.")
      ->required();
  app.add_option("--html", o->html, "Also write it as a page to this file.");
  app.add_option("--rounded-tokens", o->rounded_tokens,
                 "Try rounding on so many tokens, at even distances; 0 = all. All else is of all.")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  app.add_flag("--gram", o->gram,
               "Also keep the second moments of each input: 4 bytes times its channels squared.");
  app.add_option("-t,--threads", o->threads, "Threads; 0 = one per core. Never changes a byte.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.footer(
      "One pass, layer by layer: memory is about one layer. Killed, the same command goes on.\n"
      "docs/profile.md says what the figures are.\n"
      "Example:  sinter profile models/pebble -c corpus -o out/profile --html profile.html");
  return [o] { return run(*o); };
}

}  // namespace

const Command kProfileCommand = {
    "profile", "What a model computes on calibration tokens: outliers, ranges, saturation.", setup};

}  // namespace sinter
