// What this CPU can do at best: plain reads of memory, and multiply-adds out of registers. The
// bounds that `sinter bench` measures in the same run as the model and holds its figures against.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sinter {

struct PeakRate {
  std::string name;      // "f32", "int8", "bf16", "amx-int8", "amx-bf16"
  double ops_per_s = 0;  // multiplications and additions, each counted
};

class PeakMeter {
 public:
  // n_threads 0 = all cores; isa as make_cpu_backend takes it, "" = the best.
  PeakMeter(int n_threads, const std::string& isa);
  ~PeakMeter();
  PeakMeter(const PeakMeter&) = delete;
  PeakMeter& operator=(const PeakMeter&) = delete;

  // Bytes per second of reading `bytes` of memory once, in order, all threads at it: the best of
  // `passes` after one to warm up, so a block that fits a cache is read from there.
  double read_rate(int64_t bytes, int passes);
  // Every kind of multiply-add that the instruction set (as this CPU has it) brings; f32 first.
  std::vector<PeakRate> arithmetic();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sinter
