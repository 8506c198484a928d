// Tokenizers in GGUF: tokenizer.ggml.* as the files of a Hugging Face directory, and back. Two
// kinds: "gpt2" (byte-level BPE with merges; tokenizer.ggml.pre names how text is cut into words)
// and "llama" (SentencePiece BPE: pieces with scores).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "artifact/gguf.h"
#include "base/json.h"

namespace sinter {

// tokenizer.ggml.token_type.
enum class TokenType : int32_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

// Steps of a pre-tokenizer: one of these words, or else the pattern of an isolating Split.
constexpr const char* kByteLevel = "byte-level";             // letters for bytes, no cutting
constexpr const char* kByteLevelWords = "byte-level words";  // GPT-2's pattern, then the same
constexpr const char* kDigits = "digits";                    // each digit alone
constexpr const char* kDigitRuns = "digit runs";
constexpr const char* kPunctuation = "punctuation runs";

// The name of these steps as tokenizer.ggml.pre has it, "" if none that we know does it.
std::string gguf_pre_tokenizer(const std::vector<std::string>& steps, bool ignore_merges);

struct GgufText {
  std::string tokenizer_json;  // empty = the file has no tokenizer
  Json tokenizer_config = Json::object();
  Json generation_config = Json::object();  // eos_token_id: all ids that end a turn
  // Any of them by the name of the file that it stands for; nothing if there is no tokenizer.
  std::optional<std::string> file(const std::string& name) const;
};
// `stated` = take tokenizer.huggingface.json, where the file has it, as it stands (the tokenizer
// that the rest was made from). Throws Error(unsupported, "gguf-tokenizer"),
// Error(corrupt, "gguf-key").
GgufText read_gguf_text(const GgufFile& file, bool stated = true);

// The other direction: what a tokenizer.json is in GGUF's words.
struct GgufTokens {
  std::string model, pre;
  std::vector<std::string> tokens, merges;  // merges: "gpt2" only
  std::vector<TokenType> types;
  std::vector<float> scores;         // "llama" only
  std::optional<uint32_t> bos, eos;  // the tokens that are put before and after a text
  std::optional<bool> add_space_prefix;
  std::vector<std::string> notes;  // where llama.cpp may read a text differently, for people
};
// `vocab` = rows of the embedding; ids without a token are padded. Throws
// Error(unsupported, "gguf-tokenizer") naming what GGUF has no word for.
GgufTokens gguf_tokens(const std::string& tokenizer_json, const std::string& where, int64_t vocab);

}  // namespace sinter
