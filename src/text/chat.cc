#include "text/chat.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace sinter {
namespace {

// The object in the file of this name, {} if there is no such file.
Json read_optional(const Chat::ReadFile& read, const std::string& where, const std::string& name) {
  const std::optional<std::string> text = read(name);
  if (!text) return Json::object();
  const std::string path = where + "/" + name;
  Json json = parse_json(*text, path, {.max_depth = 256, .max_keys = 20000});
  if (!json.is_object()) {
    fail(Fault::bad_input, "json-field", "{}: expected an object, found {}", path,
         json.type_name());
  }
  return json;
}

// A special token is a string, or an object whose "content" is.
std::optional<std::string> special_token(const Json& config, const char* key) {
  const auto it = config.find(key);
  if (it == config.end()) return std::nullopt;
  if (it->is_string()) return it->get<std::string>();
  if (it->is_object() && it->contains("content") && (*it)["content"].is_string()) {
    return (*it)["content"].get<std::string>();
  }
  return std::nullopt;
}

void add_ids(const Json& config, const char* key, std::vector<Token>& ids) {
  const auto add = [&](const Json& id) {
    if (!id.is_number_integer()) return;
    const auto token = id.get<Token>();
    if (std::find(ids.begin(), ids.end(), token) == ids.end()) ids.push_back(token);
  };
  const auto it = config.find(key);
  if (it == config.end()) return;
  if (it->is_array()) {
    for (const Json& id : *it) add(id);
  } else {
    add(*it);
  }
}

}  // namespace

std::shared_ptr<const Chat> Chat::load(const std::string& directory) {
  return load(directory, [&](const std::string& name) -> std::optional<std::string> {
    const std::string path = directory + "/" + name;
    if (!std::filesystem::exists(path)) return std::nullopt;
    return read_file(path);
  });
}

std::shared_ptr<const Chat> Chat::load(const std::string& where, const ReadFile& read) {
  auto chat = std::make_shared<Chat>();
  chat->directory_ = where;
  const std::optional<std::string> tokenizer = read("tokenizer.json");
  if (!tokenizer) {
    fail(Fault::not_found, "tokenizer-missing",
         "{}: expected tokenizer.json, found none; text needs one (token ids do not)", where);
  }
  chat->tokenizer_ = Tokenizer::parse(*tokenizer, where + "/tokenizer.json");
  const Json config = read_optional(read, where, "tokenizer_config.json");
  chat->bos_ = special_token(config, "bos_token");
  chat->eos_ = special_token(config, "eos_token");
  chat->pad_ = special_token(config, "pad_token");
  chat->unk_ = special_token(config, "unk_token");

  if (const auto it = config.find("chat_template"); it != config.end()) {
    if (it->is_string()) {
      chat->default_template_ = it->get<std::string>();
    } else if (it->is_array()) {
      for (const Json& entry : *it) {
        const JsonFields f(entry, where + "/tokenizer_config.json: chat_template");
        if (f.string("name") == "default") chat->default_template_ = f.string("template");
        if (f.string("name") == "tool_use") chat->tool_template_ = f.string("template");
      }
    }
  }
  // A file of its own wins: it is what newer exports write.
  if (const auto source = read("chat_template.jinja")) chat->default_template_ = *source;
  if (const auto source = read("additional_chat_templates/tool_use.jinja")) {
    chat->tool_template_ = *source;
  }

  if (chat->eos_) {
    if (const auto id = chat->tokenizer_->token_id(*chat->eos_)) chat->stop_.push_back(*id);
  }
  chat->generation_ = read_optional(read, where, "generation_config.json");
  add_ids(chat->generation_, "eos_token_id", chat->stop_);
  add_ids(read_optional(read, where, "config.json"), "eos_token_id", chat->stop_);
  return chat;
}

std::string Chat::render(const Conversation& c) const {
  const bool tools = c.tools.is_array() && !c.tools.empty() && !tool_template_.empty();
  const std::string& source = tools ? tool_template_ : default_template_;
  if (source.empty()) {
    fail(
        Fault::not_found, "template-missing",
        "{}: expected a chat template in tokenizer_config.json or chat_template.jinja, found none; "
        "this may be a base model: give it plain text (sinter run --raw)",
        directory_);
  }
  std::unique_ptr<const ChatTemplate>& parsed = tools ? parsed_tool_ : parsed_default_;
  if (!parsed) parsed = ChatTemplate::parse(source, directory_ + "/chat_template");
  return parsed->render({.messages = c.messages,
                         .tools = c.tools,
                         .documents = nullptr,
                         .add_generation_prompt = c.add_generation_prompt,
                         .bos_token = bos_,
                         .eos_token = eos_,
                         .pad_token = pad_,
                         .unk_token = unk_,
                         .extra = c.extra,
                         .now = std::nullopt});
}

std::vector<Token> Chat::encode(const Conversation& conversation) const {
  return tokenizer_->encode(render(conversation), {.add_special = false, .parse_special = true});
}

}  // namespace sinter
