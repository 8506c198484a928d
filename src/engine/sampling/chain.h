// The order in which processors run, as data, and the rules in which the stacks that people know
// differ. A chain is printable; what it has no place for is refused, never ignored.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace sinter {

struct Processor;

// Where stacks differ beyond their order.
struct ChainRules {
  // Last tokens that penalties look at, prompt included; 0: repetition sees all tokens, frequency
  // and presence those generated.
  int32_t penalty_window = 0;
  bool bad_words_see_prompt = true;  // a bad word may have begun in the prompt
  bool top_k_keeps_ties = false;     // all tokens as likely as the k-th stay, else exactly k do
  bool typical_keeps_ties = false;   // of equally typical tokens all stay, else the likelier ones
  float greedy_below = 0;            // a lower temperature is greedy
  float least_temperature = 0;       // a lower one that is not greedy is raised to it
};

class SamplerChain {
 public:
  // Throws Error(bad_input, "sampler-name") listing what there is.
  static const SamplerChain& preset(std::string_view name);
  // A preset's name, or processors in the order wanted, with the rules of "seed":
  // "repetition_penalty,temperature,top_p". The constraint runs in every chain: after the last
  // processor that changes logits if it is not named. Throws Error(bad_input, "sampler-name" |
  // "sampler-order").
  static SamplerChain parse(std::string_view text);
  static std::vector<std::string> preset_names();

  const std::string& name() const { return name_; }
  const std::vector<const Processor*>& order() const { return order_; }
  const ChainRules& rules() const { return rules_; }
  bool has(const Processor& processor) const;

  std::string text() const;  // "logit_bias,repetition_penalty,..."; parse() reads it
  Json to_json() const;      // {"name", "order", "rules"}
  // What to_json() wrote. Throws Error(incompatible, "sampler-changed") when a preset of this name
  // is another chain here.
  static SamplerChain from_json(const Json& json, const std::string& where);

 private:
  std::string name_;
  std::vector<const Processor*> order_;
  ChainRules rules_;
};

}  // namespace sinter
