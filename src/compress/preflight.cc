#include "compress/preflight.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "compress/calibrated_layer.h"
#include "compress/stored_bytes.h"

namespace sinter {
namespace {

// Tokens of the trial: a group of the walk; and of the trial that tells what each more takes.
constexpr int64_t kTrialTokens = 2048, kLongTrialTokens = 3 * kTrialTokens;
// See matmul.h.
constexpr int64_t kProductBytes = int64_t{14} << 20, kProductThreadBytes = int64_t{1} << 20;
constexpr double kMiB = 1 << 20;

// A number in the line of /proc/meminfo that begins with `key`, in bytes; -1 without one.
int64_t meminfo(const std::string& key) {
  std::ifstream in("/proc/meminfo");
  std::string word;
  int64_t kib = 0;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    if (fields >> word >> kib && word == key) return kib << 10;
  }
  return -1;
}

// The only number of a file, or -1 ("max", or no file).
int64_t number_in(const char* path) {
  std::ifstream in(path);
  int64_t n = -1;
  in >> n;
  return in ? n : -1;
}

int64_t elements(const PlannedShard& shard, bool rounded) {
  int64_t n = 0;
  for (const PlannedTensor& t : shard.tensors) {
    if ((t.target.step != nullptr) == rounded) n += t.source->elements();
  }
  return n;
}

struct ShardBytes {
  int64_t kept = 0, made = 0;
};

ShardBytes bytes_of(const PlannedShard& shard, const Recipe& recipe, StoredBytes& stored) {
  ShardBytes bytes;
  if (recipe.kv && shard.layer >= 0) bytes.made += StoredBytes::kv_scales();
  for (const PlannedTensor& t : shard.tensors) {
    (t.target.step == nullptr ? bytes.kept : bytes.made) += stored.of(t);
  }
  return bytes;
}

// Sequences at even distances, to about so many tokens: those of a corpus differ in length.
Calibration some_of(const Calibration& all, int64_t n_tokens) {
  Calibration some{.sequences = {}, .n_tokens = 0, .name = all.name, .digest = all.digest};
  const double share =
      std::min(1.0, static_cast<double>(n_tokens) / static_cast<double>(all.n_tokens));
  double due = 0;
  for (const auto& sequence : all.sequences) {
    due += share * static_cast<double>(sequence.size());
    if (due < static_cast<double>(some.n_tokens) + static_cast<double>(sequence.size()) / 2) {
      continue;
    }
    some.sequences.push_back(sequence);
    some.n_tokens += static_cast<int64_t>(sequence.size());
  }
  if (some.sequences.empty()) {
    some.sequences.push_back(all.sequences.front());
    some.n_tokens = static_cast<int64_t>(all.sequences.front().size());
  }
  return some;
}

// Seconds that the tokens take through a layer: a start, and so much for each more.
LayerCompressor::PassSeconds tokens_seconds(const PreflightJob& job, const PlannedShard& layer,
                                            const std::string& scratch, ThreadPool& threads) {
  double n[2];
  LayerCompressor::PassSeconds s[2];
  for (int i = 0; i < 2; ++i) {
    const Calibration some = some_of(*job.calibration, i == 0 ? kTrialTokens : kLongTrialTokens);
    LayerWalk walk(job.base, some, scratch, Precision::bfloat16, threads);
    walk.start();
    const LayerCompressor layers(job.base, job.recipe, job.dialect, walk);
    layers.pass(layer);  // the first one makes the files that all others write over
    s[i] = layers.pass(layer);
    n[i] = static_cast<double>(some.n_tokens);
  }
  const auto all = static_cast<double>(job.calibration->n_tokens);
  const auto for_all = [&](double few, double more) {
    if (n[1] <= n[0] || more <= few) return more * all / n[1];
    return more + (all - n[1]) * (more - few) / (n[1] - n[0]);
  };
  return {.parts = for_all(s[0].parts, s[1].parts), .finish = for_all(s[0].finish, s[1].finish)};
}

const PlannedShard* first_layer(const PreflightJob& job) {
  const auto it = std::find_if(job.shards.begin(), job.shards.end(),
                               [](const PlannedShard& s) { return s.layer == 0; });
  return it == job.shards.end() ? nullptr : &*it;
}

std::string trial_directory(const PreflightJob& job) {
  return job.directory + "/preflight.scratch";
}

// Where a stage takes too much memory.
const char* remedy_for(const std::string& stage) {
  if (stage == kTokensStage || stage == kMeasureStage) return "give a smaller --sequence-tokens";
  if (stage == kCheckStage) return "leave that check out (--no-check)";
  return "use a recipe without that step, or a machine with more";
}

std::string mib(int64_t bytes) {
  return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / kMiB);
}

}  // namespace

void Preflight::add_before(const Preflight& other) {
  seconds.insert(other.seconds.begin(), other.seconds.end());
  bytes.insert(other.bytes.begin(), other.bytes.end());
  memory = std::max(memory, other.memory);
  scratch = std::max(scratch, other.scratch);
}

int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  int64_t pages = 0, resident = 0;
  in >> pages >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

int64_t product_bytes(const ThreadPool& threads) {
  return kProductBytes + kProductThreadBytes * threads.size();
}

Room free_room(const std::string& directory, int64_t most) {
  Room room{.memory = std::numeric_limits<int64_t>::max(), .disk = 0};
  if (const int64_t n = meminfo("MemAvailable:"); n >= 0) room.memory = n + resident_bytes();
  // Files that were read count as the group's too, and give way.
  if (const int64_t n = number_in("/sys/fs/cgroup/memory.max"); n >= 0) {
    room.memory = std::min(room.memory, n);
  }
  if (most > 0) room.memory = std::min(room.memory, most);
  std::error_code code;
  const auto space = std::filesystem::space(directory, code);
  room.disk = code ? std::numeric_limits<int64_t>::max()
                   : static_cast<int64_t>(
                         std::min<uintmax_t>(space.available, std::numeric_limits<int64_t>::max()));
  return room;
}

Preflight count_needs(const PreflightJob& job, const Room& room, ThreadPool& threads) {
  Preflight needs;
  StoredBytes stored(job.dialect);
  const int64_t now = resident_bytes();
  const auto raise = [&](const std::string& stage, int64_t to) {
    needs.bytes[stage] = std::max(needs.bytes[stage], now + to);
  };
  for (const size_t i : job.left) {
    const PlannedShard& shard = job.shards[i];
    const ShardBytes bytes = bytes_of(shard, job.recipe, stored);
    needs.output += bytes.kept + bytes.made;
    raise(kWriteStage, bytes.kept + bytes.made);
    if (job.calibration != nullptr && shard.layer >= 0) continue;
    for (const PlannedTensor& t : shard.tensors) {
      if (t.target.step == nullptr) continue;
      raise(t.target.step->method(), bytes.made + 2 * static_cast<int64_t>(t.source->bytes.size()));
    }
  }
  if (job.calibration != nullptr) {
    LayerWalk walk(job.base, *job.calibration, trial_directory(job), Precision::bfloat16, threads);
    LayerCompressor layers(job.base, job.recipe, job.dialect, walk);
    for (const size_t i : job.left) {
      if (job.shards[i].layer < 0) continue;
      for (const auto& [stage, bytes] : layers.bytes(job.shards[i])) {
        raise(stage, bytes + product_bytes(threads));
      }
    }
    needs.scratch = walk.disk_bytes();
    std::filesystem::remove_all(trial_directory(job));
  }
  if (job.check_bytes > 0) {
    const bool fits = now + job.check_bytes <= room.memory;
    if (fits || job.check_required) raise(kCheckStage, job.check_bytes);
    if (!fits) needs.no_room_for_check = now + job.check_bytes;
  }
  for (const auto& [stage, bytes] : needs.bytes) needs.memory = std::max(needs.memory, bytes);
  return needs;
}

void require_room(const Preflight& needs, const Room& room, const std::string& model,
                  const std::string& directory) {
  if (needs.memory > room.memory) {
    const auto worst =
        std::max_element(needs.bytes.begin(), needs.bytes.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    fail(Fault::exhausted, "preflight-memory",
         "{}: needs {} of memory ({}), found {} free; free some, or {}", model, mib(needs.memory),
         worst->first, mib(room.memory), remedy_for(worst->first));
  }
  if (needs.output + needs.scratch > room.disk) {
    fail(Fault::exhausted, "preflight-disk",
         "{}: needs {} of disk ({} of it until it is done), found {} free; free some{}, or give an "
         "OUT on another disk",
         directory, mib(needs.output + needs.scratch), mib(needs.scratch), mib(room.disk),
         needs.scratch > 0 ? ", use fewer --calibration-tokens" : "");
  }
}

void time_stages(const PreflightJob& job, ThreadPool& threads, Preflight& needs) {
  const PlannedShard* layer = first_layer(job);
  if (layer == nullptr || job.left.empty()) return;
  const std::string scratch = trial_directory(job);
  std::filesystem::create_directories(scratch);
  std::optional<Calibration> some;
  if (job.calibration != nullptr) some = some_of(*job.calibration, kTrialTokens);
  StageSeconds trial;
  {
    ShardMaker maker(job.base, job.recipe, job.dialect, some ? &*some : nullptr, scratch + "/walk",
                     threads);
    ShardContent content = maker.make(*layer, nullptr);
    write_shard(job.base, scratch, layer->file, content);
    trial = content.seconds;
  }
  LayerCompressor::PassSeconds tokens;
  if (some) tokens = tokens_seconds(job, *layer, scratch + "/walk", threads);
  trial.erase(kTokensStage);
  std::filesystem::remove_all(scratch);
  int64_t layers_left = 0, rounded_left = 0, layers_rounded_left = 0;
  for (const size_t i : job.left) {
    const PlannedShard& shard = job.shards[i];
    rounded_left += elements(shard, true);
    if (shard.layer < 0) continue;
    ++layers_left;
    layers_rounded_left += elements(shard, true);
  }
  const auto per = [](int64_t a, int64_t b) {
    return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 0;
  };
  StoredBytes stored(job.dialect);
  const ShardBytes layer_bytes = bytes_of(*layer, job.recipe, stored);
  for (const auto& [stage, s] : trial) {
    double times = per(rounded_left, elements(*layer, true));
    if (stage == kWriteStage) {
      times = per(needs.output, layer_bytes.kept + layer_bytes.made);
    } else if (job.calibration != nullptr) {
      times = per(layers_rounded_left, elements(*layer, true));
    }
    needs.seconds[stage] = s * times;
  }
  if (some && layers_left > 0) {
    needs.seconds[kTokensStage] = static_cast<double>(layers_left) * tokens.parts +
                                  static_cast<double>(layers_left - 1) * tokens.finish;
  }
}

}  // namespace sinter
