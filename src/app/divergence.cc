#include "app/divergence.h"

#include "base/error.h"

namespace sinter {

void for_each_row_pair(Decoder& dense, Decoder& model, const EngineOptions& options,
                       const std::vector<Token>& tokens, int32_t from, const PairObserver& pair) {
  // Engines of the same limits cut a prompt at the same places, so a step of each is the same rows.
  Engine dense_engine(dense, options.limits());
  Engine model_engine(model, options.limits());
  std::vector<float> rows;  // of the dense model's last step
  rows.reserve(static_cast<size_t>(options.limits().max_chunk) *
               static_cast<size_t>(dense.config().vocab));  // address space: used as needed
  size_t next = 0;                                          // of them, in floats
  std::string error;
  const auto add = [&](Engine& engine, RowObserver observe) {
    engine.add({.prompt = tokens,
                .max_new_tokens = 0,
                .sampling = {},
                .stop = {},
                .observe = std::move(observe),
                .observe_from = from,
                .on_token = {}},
               [&](const Completion& c) {
                 if (error.empty()) error = c.error;
               });
  };
  add(dense_engine, [&](int32_t, std::span<const float> logits) {
    rows.insert(rows.end(), logits.begin(), logits.end());
  });
  add(model_engine, [&](int32_t position, std::span<const float> logits) {
    SINTER_CHECK(next + logits.size() <= rows.size());
    pair(position, std::span(rows).subspan(next, logits.size()), logits);
    next += logits.size();
  });
  while (error.empty() && dense_engine.step()) {
    model_engine.step();
    SINTER_CHECK(!error.empty() || next == rows.size());
    rows.clear();
    next = 0;
  }
  if (!error.empty()) fail(Fault::corrupt, "logits-not-finite", "{}", error);
}

}  // namespace sinter
