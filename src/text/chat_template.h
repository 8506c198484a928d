// Chat templates: the subset of Jinja that released models use, rendered exactly as Python's jinja2
// does under Hugging Face's settings, bounded in steps, depth and output.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace sinter {

class ChatTemplate {
 public:
  // Throws Error(unsupported | corrupt) with line and feature.
  static std::unique_ptr<const ChatTemplate> parse(std::string_view source,
                                                   const std::string& where);
  virtual ~ChatTemplate() = default;

  struct Inputs {
    // Null is None, as Hugging Face passes it; Json::value_t::discarded leaves the name undefined.
    Json messages;   // array
    Json tools;      // array or null
    Json documents;  // array or null
    bool add_generation_prompt = true;
    // Nothing: the tokenizer has no such token, and the template finds the name undefined.
    std::optional<std::string> bos_token, eos_token, pad_token, unk_token;
    Json extra;                      // chat_template_kwargs: object or null
    std::optional<std::time_t> now;  // strftime_now; nothing = the clock
  };
  struct Limits {
    int64_t max_steps = 20'000'000;
    int64_t max_output_bytes = 64 << 20;
    int32_t max_depth = 200;
  };
  // Throws Error(bad_input) for raise_exception() and run-time errors, Error(exhausted) at a limit.
  virtual std::string render(const Inputs& inputs, Limits limits) const = 0;
  std::string render(const Inputs& inputs) const { return render(inputs, Limits{}); }
};

}  // namespace sinter
