// The text side of a chat model's directory: tokenizer, template, special tokens, stop ids and the
// sampling defaults that its makers ship.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace sinter {

struct Conversation {
  Json messages;  // array of {role, content, ...}
  Json tools;     // array or null
  Json extra;     // further template variables: object or null
  bool add_generation_prompt = true;
};

class Chat {
 public:
  // Reads tokenizer.json, tokenizer_config.json, chat_template.jinja, generation_config.json and
  // the stop ids of config.json; all but the first may be missing. Throws Error naming the file.
  static std::shared_ptr<const Chat> load(const std::string& directory);
  // The same for files that somebody else keeps: read(name) gives one, or nothing. `where` begins
  // every message. Throws Error(not_found, "tokenizer-missing") if there is no tokenizer.json.
  using ReadFile = std::function<std::optional<std::string>(const std::string& name)>;
  static std::shared_ptr<const Chat> load(const std::string& where, const ReadFile& read);

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  // Ids that end a turn; the first is the one to score as the end of an answer. May be empty.
  const std::vector<Token>& stop() const { return stop_; }
  // generation_config.json, {} if there is none.
  const Json& generation() const { return generation_; }

  // Throws Error(not_found, "template-missing"), or what the template raises.
  std::string render(const Conversation& conversation) const;
  // The rendered prompt as ids. The template writes BOS itself, so none is added.
  std::vector<Token> encode(const Conversation& conversation) const;

 private:
  std::string directory_;
  std::unique_ptr<const Tokenizer> tokenizer_;
  std::string default_template_, tool_template_;  // sources; empty = none
  mutable std::unique_ptr<const ChatTemplate> parsed_default_, parsed_tool_;
  std::optional<std::string> bos_, eos_, pad_, unk_;  // nothing = undefined in templates
  std::vector<Token> stop_;
  Json generation_ = Json::object();
};

}  // namespace sinter
