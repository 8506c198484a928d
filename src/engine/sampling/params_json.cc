// Parameters as JSON, for receipts: to_json() writes every one, so that nobody has to know today's
// defaults to repeat an answer.
#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "engine/sampling/params.h"
#include "engine/sampling/processor.h"

namespace sinter {
namespace {

// The one list of fields that are a number.
struct NumberField {
  const char* name;
  float SamplingParams::*real = nullptr;
  int32_t SamplingParams::*integer = nullptr;
};
constexpr NumberField kNumbers[] = {
    {"temperature", &SamplingParams::temperature},
    {"top_k", nullptr, &SamplingParams::top_k},
    {"top_p", &SamplingParams::top_p},
    {"min_p", &SamplingParams::min_p},
    {"repetition_penalty", &SamplingParams::repetition_penalty},
    {"frequency_penalty", &SamplingParams::frequency_penalty},
    {"presence_penalty", &SamplingParams::presence_penalty},
    {"typical_p", &SamplingParams::typical_p},
    {"top_n_sigma", &SamplingParams::top_n_sigma},
    {"xtc_probability", &SamplingParams::xtc_probability},
    {"xtc_threshold", &SamplingParams::xtc_threshold},
    {"dry_multiplier", &SamplingParams::dry_multiplier},
    {"dry_base", &SamplingParams::dry_base},
    {"dry_allowed_length", nullptr, &SamplingParams::dry_allowed_length},
    {"dry_window", nullptr, &SamplingParams::dry_window},
    {"min_tokens", nullptr, &SamplingParams::min_tokens},
    {"no_repeat_ngram", nullptr, &SamplingParams::no_repeat_ngram},
};
constexpr const char* kOthers[] = {"seed", "dry_breakers", "logit_bias", "bad_words", "sampler"};

// The shortest decimal that reads back as the same float.
Json json_of(float value) { return std::stod(fmt::format("{}", value)); }

[[noreturn]] void wrong(const std::string& where, const char* expected) {
  fail(Fault::bad_input, "json-field", "{}: expected {}", where, expected);
}

int32_t int32_of(const Json& json, const std::string& where) {
  const bool wide = json.is_number_unsigned() && json.get<uint64_t>() > INT32_MAX;
  if (!json.is_number_integer() || wide || json.get<int64_t>() != json.get<int32_t>()) {
    wrong(where, "an integer of 32 bits");
  }
  return json.get<int32_t>();
}

std::vector<Token> tokens_of(const Json& json, const std::string& where) {
  if (!json.is_array()) wrong(where, "a list of token ids");
  std::vector<Token> tokens;
  for (const Json& t : json) tokens.push_back(int32_of(t, where));
  return tokens;
}

}  // namespace

Json to_json(const SamplingParams& p) {
  Json out = Json::object();
  for (const NumberField& f : kNumbers) {
    out[f.name] = f.real ? json_of(p.*f.real) : Json(p.*f.integer);
  }
  out["seed"] = p.seed;
  out["dry_breakers"] = p.dry_breakers;
  Json bias = Json::array();
  for (const LogitBias& b : p.logit_bias) {
    bias.push_back({b.token, b.bias == kBanned ? Json("-inf") : json_of(b.bias)});
  }
  out["logit_bias"] = bias;
  out["bad_words"] = p.bad_words;
  out["sampler"] = p.chain.to_json();
  return out;
}

SamplingParams sampling_params(const Json& json, const std::string& where) {
  const JsonFields fields(json, where);
  SamplingParams p;
  for (const auto& [key, value] : json.items()) {
    const auto named = [&key = key](const auto& f) { return key == f; };
    const bool number = std::any_of(std::begin(kNumbers), std::end(kNumbers),
                                    [&](const NumberField& f) { return named(f.name); });
    if (!number && std::none_of(std::begin(kOthers), std::end(kOthers), named)) {
      fail(Fault::bad_input, "sampling-field", "{}: there is no sampling parameter \"{}\"", where,
           key);
    }
  }
  for (const NumberField& f : kNumbers) {
    if (!fields.has(f.name)) continue;
    if (f.real) {
      p.*f.real = static_cast<float>(fields.number(f.name));
    } else {
      p.*f.integer = int32_of(fields.at(f.name), where + ": /" + f.name);
    }
  }
  if (fields.has("seed")) {
    const Json& seed = fields.at("seed");
    if (!seed.is_number_unsigned()) wrong(where + ": /seed", "an integer from 0 up");
    p.seed = seed.get<uint64_t>();
  }
  if (fields.has("dry_breakers")) {
    p.dry_breakers = tokens_of(fields.at("dry_breakers"), where + ": /dry_breakers");
  }
  if (fields.has("logit_bias")) {
    const std::string at = where + ": /logit_bias";
    const Json& list = fields.at("logit_bias");
    if (!list.is_array()) wrong(at, "a list of [token, bias]");
    for (const Json& entry : list) {
      if (!entry.is_array() || entry.size() != 2) wrong(at, "a list of [token, bias]");
      const Json& bias = entry[1];
      if (!bias.is_number() && bias != "-inf") wrong(at, "a bias that is a number or \"-inf\"");
      p.logit_bias.push_back(
          {int32_of(entry[0], at), bias.is_number() ? bias.get<float>() : kBanned});
    }
  }
  if (fields.has("bad_words")) {
    const std::string at = where + ": /bad_words";
    if (!fields.at("bad_words").is_array()) wrong(at, "a list of lists of token ids");
    for (const Json& word : fields.at("bad_words")) p.bad_words.push_back(tokens_of(word, at));
  }
  if (fields.has("sampler")) p.chain = SamplerChain::from_json(fields.at("sampler"), where);
  return p;
}

}  // namespace sinter
