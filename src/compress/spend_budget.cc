#include "compress/spend_budget.h"

#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "compress/measuring_needs.h"
#include "compress/shard_maker.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

// The choice that a run before this one made, if it was by the same recipe: bandwidth is measured
// anew each time, and must not change what is half written.
std::optional<SpentBudget> chosen_before(const Json& json, const Recipe& recipe,
                                         const Sensitivity& sensitivity, const std::string& where) {
  const JsonFields fields(json, where);
  if (!fields.has("chosen")) return std::nullopt;
  const JsonFields chosen = fields.object("chosen");
  if (chosen.string("recipe") != recipe.digest) return std::nullopt;
  std::vector<int32_t> choice;
  for (const Json& c : chosen.at("options")) {
    const auto n = static_cast<int64_t>(sensitivity.formats.size());
    if (!c.is_number_integer() || c < 0 || c >= n) break;
    choice.push_back(c.get<int32_t>());
  }
  if (choice.size() != sensitivity.groups.size()) {
    fail(Fault::corrupt, "sensitivity-corrupt",
         "{}: chosen: expected an option for each of {} groups; remove this file", where,
         sensitivity.groups.size());
  }
  return SpentBudget{with_choice(recipe, sensitivity, choice), chosen.at("record")};
}

// Of all that will be done: what is measured, and one of the formats, for all will take alike.
Preflight before_measuring(const Artifact& base, const Recipe& recipe, const CompressPlan& plain,
                           const StoredDialect& dialect, const MeasurementPlan& plan,
                           const MeasuringOptions& measuring, const CompressOptions& options,
                           ThreadPool& threads) {
  if (!options.preflight) return {};
  const Room room = free_room(measuring.directory, options.memory_limit);
  std::vector<size_t> all(plain.shards.size());
  std::iota(all.begin(), all.end(), 0);
  const PreflightJob job{
      .base = base,
      .recipe = recipe,
      .dialect = dialect,
      .calibration = options.calibration,
      .shards = plain.shards,
      .left = all,
      .directory = measuring.directory,
      .check_bytes = options.check == nullptr ? 0 : running_bytes(base, plain, *options.check),
      .check_required = options.check_required};
  require_room(count_needs(job, room, threads), room, base.directory(), measuring.directory);
  Preflight needs = count_measuring(base, plan, measuring, threads);
  require_room(needs, room, base.directory(), measuring.directory);
  time_measuring(base, plan, measuring, threads, needs);
  if (options.announce) options.announce(needs);
  return needs;
}

}  // namespace

Sensitivity read_sensitivity(const std::string& path, const Sensitivity& expected) {
  Sensitivity found = sensitivity_from(read_json_file(path), path);
  require_same_measurement(found, expected, path);
  return found;
}

void write_sensitivity(const std::string& path, const Sensitivity& sensitivity) {
  write_file_atomically(path, to_json(sensitivity).dump(1) + "\n");
}

SpentBudget spend_budget(const Artifact& base, const Recipe& recipe, const CompressPlan& plain,
                         const StoredDialect& dialect, const std::string& out_dir,
                         const CompressOptions& options, ThreadPool& threads) {
  const MeasurementPlan plan = plan_formats(base, recipe, plain, options.calibration, dialect);
  // Before anything is measured, not after.
  const ByteLimit limit = byte_limit(plan, *recipe.budget, options.read_bytes_per_second);
  for (const PlannedShard& shard : plain.shards) {
    require_finite_weights(base, shard, dialect, threads);
  }
  fs::create_directories(out_dir);
  const DirectoryLock lock(out_dir);
  refuse_foreign(out_dir);
  const std::string path = out_dir + "/" + kSensitivityName;
  const bool begun = fs::exists(path) || has_measuring(out_dir);
  if (begun && !options.resume) {
    fail(Fault::bad_input, "output-resumable",
         "{}: holds an earlier measurement, and continuing it was not asked for; resume it, or "
         "choose another directory",
         out_dir);
  }
  const MeasuringOptions measuring{
      .calibration = options.calibration, .directory = out_dir, .stop = options.stop};
  Sensitivity sensitivity;
  Preflight predicted;
  StageSeconds seconds;
  std::optional<StageTimer> timer(std::in_place, seconds, kMeasureStage);
  if (fs::exists(path)) {
    sensitivity = read_sensitivity(path, plan.sensitivity);
    if (auto before = chosen_before(read_json_file(path), recipe, sensitivity, path)) {
      remove_measuring(out_dir);  // a kill may have come between
      return *before;
    }
  } else if (!options.sensitivity.empty()) {
    sensitivity = read_sensitivity(options.sensitivity, plan.sensitivity);
  } else {
    predicted = before_measuring(base, recipe, plain, dialect, plan, measuring, options, threads);
    sensitivity = measure_sensitivity(base, plan, measuring, threads);
  }
  const FormatChoice choice =
      choose_formats(base, plan, sensitivity, *recipe.budget, limit, measuring, threads);
  SpentBudget spent{with_choice(recipe, sensitivity, choice.choice),
                    to_json(choice, plan, sensitivity, *recipe.budget)};
  timer.reset();
  spent.predicted = std::move(predicted);
  spent.seconds = seconds[kMeasureStage];
  Json json = to_json(sensitivity);
  json["chosen"] = {
      {"recipe", recipe.digest}, {"options", choice.choice}, {"record", spent.record}};
  write_file_atomically(path, json.dump(1) + "\n");
  remove_measuring(out_dir);
  return spent;
}

}  // namespace sinter
