// The decoders of tokenizer.json: from spelled tokens to text, one token at a time. Decoding a list
// is streaming it to the end, so the two cannot differ.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace sinter {

using Emit = std::function<void(std::string_view)>;

// One decoder; a stream has one state of each. A decoder works token by token until one of them
// (Fuse, ByteLevel) makes all tokens one; what comes after works on one long text.
class Decoder {
 public:
  class State {
   public:
    virtual ~State() = default;
    virtual void push(std::string_view token, const Emit& emit) = 0;
    virtual void finish(const Emit&) {}
  };
  virtual ~Decoder() = default;
  virtual std::unique_ptr<State> start() const = 0;
  // What a token stands for in the middle of a text.
  virtual std::string token_bytes(std::string token) const { return token; }
};

using Decoders = std::vector<std::unique_ptr<const Decoder>>;

// Null is a decoder too: it joins tokens with spaces. Throws Error(unsupported | bad_input).
Decoders read_decoders(const Json& json, const std::string& where);

// The decoders in a row.
class DecodeStream {
 public:
  explicit DecodeStream(const Decoders& decoders);
  void push(std::string_view token, std::string& out) { run(0, token, out); }
  void finish(std::string& out);

 private:
  void run(size_t step, std::string_view token, std::string& out);
  std::vector<std::unique_ptr<Decoder::State>> states_;
};

}  // namespace sinter
