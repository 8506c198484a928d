// The stages of a compression ("tokens", "gptq", "write" ...), and what each of them takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace sinter {

// Tokens pass through a layer.
inline constexpr const char* kTokensStage = "tokens";
inline constexpr const char* kWriteStage = "write";
inline constexpr const char* kMeasureStage = "measure";  // for a budget
// The result beside the base, when it is finished.
inline constexpr const char* kCheckStage = "quick check";

using StageSeconds = std::map<std::string, double>;
using StageBytes = std::map<std::string, int64_t>;  // resident while it runs

// What a compression is expected to take.
struct Preflight {
  StageSeconds seconds;           // empty = not timed
  StageBytes bytes;               // of the whole process
  int64_t memory = 0;             // the most of them
  int64_t no_room_for_check = 0;  // of memory that the quick check would take; 0 = there is room
  int64_t output = 0;             // bytes of the shards to be made
  int64_t scratch = 0;            // bytes on disk that are gone in the end
  void add_before(const Preflight& other);  // of what is done first, its disk given back
};

// Adds the time that it lives to a stage.
class StageTimer {
 public:
  StageTimer(StageSeconds& seconds, const std::string& stage) : seconds_(seconds[stage]) {}
  ~StageTimer() { seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double& seconds_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace sinter
