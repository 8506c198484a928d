// A whole benchmark of one model: load it, run rounds of all cases with the hardware's limits
// measured in each round, look out for other people's work meanwhile.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "bench/report.h"
#include "model/model.h"

namespace sinter {

struct BenchOptions {
  std::string model;
  std::vector<BenchCase> cases;
  int64_t steps = 64;   // tokens that a decoding sequence takes
  int64_t chunk = 512;  // rows of a prompt in one forward
  int rounds = 5;
  int64_t context_limit = 0;  // contexts to allow; 0 = what the model was made for
  bool allow_load = false;
  bool measure_limits = true;
  int threads = 0;
  std::string isa;
  ArtifactOptions artifact;
  DecoderOptions decoder;  // kv_bytes is raised to what the cases need
  // Sees the model before anything is measured; may throw.
  std::function<void(const Decoder&, const Backend&)> loaded;
  const std::atomic<bool>* stop = nullptr;
};

// Throws what loading throws; Error(io, "machine-busy") if others use more of the machine than a
// figure can bear and allow_load is off; Error(interrupted, "interrupted").
BenchReport bench_model(const BenchOptions& options);

// Throws Error(io, "machine-busy") if others keep cores busy.
void require_quiet_machine();

}  // namespace sinter
