#include "engine/sampling/chain.h"

#include <algorithm>

#include "base/error.h"
#include "engine/sampling/processors.h"

namespace sinter {
namespace {

constexpr const char* kCustom = "custom";

struct Preset {
  const char* name;
  const char* order;
  ChainRules rules;
};

// The one list. Sources: vLLM's v1/sample/sampler.py, ops/topk_topp_sampler.py and
// sampling_params.py (0.12); transformers' generation/utils.py and logits_process.py (5.23);
// llama.cpp's src/llama-sampling.cpp and the default chain of common/common.h (2026). The values
// that llama.cpp switches on by default (top-k 40, top-p 0.95 ...) are off here unless asked for.
// Which of equally likely tokens top-p keeps is left to the sort in all three; here it is the
// lowest ids.
const Preset kPresets[] = {
    {"seed",
     "logit_bias,repetition_penalty,frequency_penalty,presence_penalty,dry,bad_words,min_tokens,"
     "no_repeat_ngram,constraint,temperature,top_n_sigma,top_k,top_p,min_p,typical_p,xtc",
     {}},
    {"vllm",
     "constraint,bad_words,min_tokens,logit_bias,repetition_penalty,frequency_penalty,"
     "presence_penalty,temperature,min_p,top_k,top_p",
     {.bad_words_see_prompt = false,
      .top_k_keeps_ties = true,
      .greedy_below = 1e-5f,
      .least_temperature = 0.01f}},
    {"hf",
     "logit_bias,repetition_penalty,no_repeat_ngram,bad_words,min_tokens,constraint,temperature,"
     "top_k,top_p,min_p,typical_p",
     {.top_k_keeps_ties = true, .typical_keeps_ties = true}},
    {"llamacpp",
     "logit_bias,constraint,repetition_penalty,frequency_penalty,presence_penalty,dry,top_n_sigma,"
     "top_k,typical_p,top_p,min_p,xtc,temperature",
     {.penalty_window = 64}},
};

std::string known_names() {
  std::vector<std::string> names;
  for (const Processor* p : all_processors()) names.emplace_back(p->name);
  return fmt::format("presets are {}; processors are {}",
                     fmt::join(SamplerChain::preset_names(), ", "), fmt::join(names, ", "));
}

const Processor& processor(std::string_view name) {
  for (const Processor* p : all_processors()) {
    if (p->name == name) return *p;
  }
  fail(Fault::bad_input, "sampler-name",
       "sampler: expected a preset, or processors with commas between, found \"{}\"; {}", name,
       known_names());
}

std::vector<const Processor*> read_order(std::string_view text) {
  std::vector<const Processor*> order;
  bool narrowing = false;
  while (true) {
    const size_t comma = text.find(',');
    const Processor& p = processor(text.substr(0, comma));
    if (std::find(order.begin(), order.end(), &p) != order.end()) {
      fail(Fault::bad_input, "sampler-order", "sampler: {} occurs twice; name each once", p.name);
    }
    if (narrowing && p.edit) {
      fail(Fault::bad_input, "sampler-order",
           "sampler: {} changes logits, and stands after {}, which chooses among them; put it "
           "before",
           p.name, order.back()->name);
    }
    narrowing = !p.edit;
    order.push_back(&p);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (std::find(order.begin(), order.end(), &kConstraint) == order.end()) {
    const auto first_narrowing =
        std::find_if(order.begin(), order.end(), [](const Processor* p) { return !p->edit; });
    order.insert(first_narrowing, &kConstraint);
  }
  return order;
}

}  // namespace

std::vector<std::string> SamplerChain::preset_names() {
  std::vector<std::string> names;
  for (const Preset& p : kPresets) names.emplace_back(p.name);
  return names;
}

const SamplerChain& SamplerChain::preset(std::string_view name) {
  static const std::vector<SamplerChain> chains = [] {
    std::vector<SamplerChain> all;
    for (const Preset& p : kPresets) {
      SamplerChain& chain = all.emplace_back();
      chain.name_ = p.name;
      chain.order_ = read_order(p.order);
      chain.rules_ = p.rules;
    }
    return all;
  }();
  for (const SamplerChain& chain : chains) {
    if (chain.name_ == name) return chain;
  }
  fail(Fault::bad_input, "sampler-name", "sampler: expected a preset, found \"{}\"; {}", name,
       known_names());
}

SamplerChain SamplerChain::parse(std::string_view text) {
  const std::vector<std::string> presets = preset_names();
  if (std::find(presets.begin(), presets.end(), text) != presets.end()) return preset(text);
  SamplerChain chain;
  chain.name_ = kCustom;
  chain.order_ = read_order(text);
  return chain;
}

bool SamplerChain::has(const Processor& p) const {
  return std::find(order_.begin(), order_.end(), &p) != order_.end();
}

std::string SamplerChain::text() const {
  std::vector<std::string_view> names;
  for (const Processor* p : order_) names.emplace_back(p->name);
  return fmt::format("{}", fmt::join(names, ","));
}

Json SamplerChain::to_json() const {
  Json order = Json::array();
  for (const Processor* p : order_) order.push_back(p->name);
  return {{"name", name_},
          {"order", order},
          {"rules",
           {{"penalty_window", rules_.penalty_window},
            {"bad_words_see_prompt", rules_.bad_words_see_prompt},
            {"top_k_keeps_ties", rules_.top_k_keeps_ties},
            {"typical_keeps_ties", rules_.typical_keeps_ties},
            {"greedy_below", fmt::format("{}", rules_.greedy_below)},
            {"least_temperature", fmt::format("{}", rules_.least_temperature)}}}};
}

SamplerChain SamplerChain::from_json(const Json& json, const std::string& where) {
  const JsonFields fields(json, where + ": /sampler");
  const std::string name = fields.string("name");
  SamplerChain chain;
  if (name == kCustom) {
    std::vector<std::string> names;
    for (const Json& step : fields.at("order")) {
      names.push_back(step.is_string() ? step.get<std::string>() : "");
    }
    chain = parse(fmt::format("{}", fmt::join(names, ",")));
  } else {
    chain = preset(name);
  }
  if (chain.to_json() != json) {
    fail(Fault::incompatible, "sampler-changed",
         "{}: the sampler \"{}\" is written as {}, and is {} in this build; run the build that "
         "wrote "
         "it",
         where, name, to_line(json), to_line(chain.to_json()));
  }
  return chain;
}

}  // namespace sinter
