// Requests and time. One step is: pick sequences, build one batch, forward, commit, retire.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "engine/request.h"
#include "engine/sampling/sampler.h"
#include "model/model.h"

namespace sinter {

struct EngineLimits {
  int32_t max_sequences = 64;  // decoded together
  int32_t step_tokens = 512;   // rows of one forward: decodes first, prompt chunks in the rest
  int32_t max_chunk = 512;     // rows of one prompt in one forward
};

class Engine {
 public:
  using Done = std::function<void(Completion)>;

  Engine(Model& model, EngineLimits limits);
  ~Engine();

  // Admits a request; `done` is called once, from step(). A request that can never run (an empty or
  // over-long prompt, an id outside the vocabulary) throws Error(bad_input | exhausted) here.
  void add(Request request, Done done);

  // Runs one step. False when there is nothing left to do.
  bool step();
  void run() {
    while (step()) {
    }
  }

 private:
  struct Sequence;
  void admit();
  void build_batch();
  void commit(const MatView& logits);
  Token choose(Sequence& sequence, std::span<const float> logits);
  void retire();

  Model& model_;
  EngineLimits limits_;
  std::deque<std::unique_ptr<Sequence>> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;
  int64_t reserved_pages_ = 0;  // what running sequences may still come to need, at most
  Batch batch_;
  Sampler sampler_;
  Candidates raw_order_;  // scratch, for log-probabilities
};

}  // namespace sinter
