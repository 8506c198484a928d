// The flags of sampling, and what they mean for one model: texts become token ids.
#pragma once

#include <string>
#include <vector>

#include "app/command.h"
#include "engine/request.h"
#include "text/chat.h"

namespace sinter {

struct SamplingFlags {
  SamplingParams params;  // those that are numbers
  std::string sampler = "seed";
  std::vector<std::string> logit_bias, bad_words, dry_breakers = {"\n", ":", "\"", "*"};
  std::vector<std::string> stop;
  int32_t choices = 1;
  int32_t logprobs = -1;  // most likely tokens beside each; -1: no log-probabilities
  std::string logprob_kind = "raw";
  bool prompt_logprobs = false;

  void add_to(CLI::App& app);
  bool wants_list() const { return sampler == "list"; }
  static std::string list();  // the samplers there are, for people

  // Throws Error(bad_input, ...): all that can be said before a model is loaded.
  void check_alone() const;
  // With token ids in place of texts, checked. `vocab` is the model's.
  SamplingParams resolve(const Tokenizer& tokenizer, int32_t vocab) const;
  LogprobsAsked logprobs_asked() const;
};

}  // namespace sinter
