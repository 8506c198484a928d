// One prompt answered by a loaded model, once or several times, with receipts: what `run` and
// `replay` share.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "app/loaded_model.h"
#include "engine/receipt.h"

namespace sinter {

struct Asked {
  std::vector<Token> prompt;
  int32_t max_new_tokens = 0;
  std::vector<Token> stop;
  std::vector<std::string> stop_strings;
  bool skip_special = true;
  SamplingParams sampling;
  std::vector<uint32_t> choices = {0};
  LogprobsAsked logprobs;
};

struct Reply {
  std::string text;
  std::string stop_string;  // that ended it, or ""
  Completion completion;
  double first_token_s = 0, total_s = 0;
};

// One reply for each choice. `emit` sees the text of the first as it comes. After an interrupt,
// what there is. Throws Error as Engine::add does, and the first error of a reply.
std::vector<Reply> answer(const LoadedModel& model, const EngineOptions& options,
                          const Asked& asked, const std::function<void(std::string_view)>& emit);

// What runs a model, part by part: compared when a receipt is replayed.
Json parts_of(const LoadedModel& model, const EngineOptions& options);
Receipt receipt_of(const std::string& path, const Json& parts, const Asked& asked, size_t i,
                   const Reply& reply);

}  // namespace sinter
