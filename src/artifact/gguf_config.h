// A GGUF file's metadata as the config.json that it was made from, and back.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "artifact/gguf.h"
#include "artifact/gguf_names.h"
#include "base/error.h"
#include "base/json.h"

namespace sinter {

// The tensor of RoPE's divisors, float32 [head_dim / 2].
constexpr const char* kRopeFactors = "rope_freqs.weight";

struct GgufConfig {
  const GgufArchitecture* architecture = nullptr;
  Json json;
  int64_t head_dim = 0;  // even
};
// `tensors`: by Hugging Face name. Throws Error(unsupported, "gguf-architecture" | "gguf-key"),
// Error(corrupt, "gguf-key").
GgufConfig read_gguf_config(const GgufFile& file,
                            const std::map<std::string, const GgufTensor*, std::less<>>& tensors);

// The tensors that a model of this config.json computes with, by Hugging Face name. A tied head is
// among them: some files store it all the same.
std::set<std::string, std::less<>> gguf_tensors(const GgufArchitecture& architecture,
                                                const JsonFields& config);

// What a config.json says in GGUF's words: keys in order, without those of the tokenizer.
struct GgufHyperparameters {
  const GgufArchitecture* architecture = nullptr;
  int64_t head_dim = 0, vocab = 0;
  std::vector<std::pair<std::string, std::variant<uint32_t, float, std::string>>> keys;
  std::vector<float> rope_factors;  // of kRopeFactors; empty = none

  // `key` without the architecture's prefix.
  void add(const char* key, std::variant<uint32_t, float, std::string> value) {
    keys.emplace_back(fmt::format("{}.{}", architecture->name, key), std::move(value));
  }
};
// Throws Error(unsupported, "gguf-architecture") naming what GGUF has no word for.
GgufHyperparameters gguf_hyperparameters(const JsonFields& config);

}  // namespace sinter
