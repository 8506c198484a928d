// Text to token ids and back: the subset of Hugging Face's tokenizer.json that decoder language
// models use, id for id. Immutable after loading; safe to share between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

using Token = int32_t;

class Tokenizer {
 public:
  // Reads a tokenizer.json. Throws Error(corrupt | bad_input | unsupported), naming the component.
  static std::unique_ptr<const Tokenizer> load(const std::string& path);
  static std::unique_ptr<const Tokenizer> parse(std::string_view json, const std::string& where);
  virtual ~Tokenizer() = default;

  struct EncodeOptions {
    bool add_special = true;    // run the post-processor (BOS and the like)
    bool parse_special = true;  // special tokens spelled out in the text become their ids
  };
  virtual std::vector<Token> encode(std::string_view text, EncodeOptions options) const = 0;
  std::vector<Token> encode(std::string_view text) const { return encode(text, EncodeOptions{}); }

  // Invalid UTF-8 comes out as U+FFFD. Throws Error(bad_input) on an id outside the vocabulary.
  virtual std::string decode(std::span<const Token> ids, bool skip_special = false) const = 0;

  virtual int32_t vocab_size() const = 0;                                     // largest id + 1
  virtual bool has_token(Token id) const { return id >= 0 && id < vocab_size(); }  // no gap
  virtual std::optional<Token> token_id(std::string_view content) const = 0;  // exact spelling
  virtual std::string token_text(Token id) const = 0;   // as spelled in the file
  virtual std::string token_bytes(Token id) const = 0;  // what the token stands for, raw bytes
  virtual bool is_special(Token id) const = 0;

  // Streaming: push() gives the text that has become certain, never half a character; finish()
  // gives the rest. The concatenation equals decode() of all ids.
  class Stream {
   public:
    virtual ~Stream() = default;
    virtual std::string push(Token id) = 0;
    virtual std::string finish() = 0;
  };
  virtual std::unique_ptr<Stream> stream(bool skip_special = false) const = 0;
};

}  // namespace sinter
