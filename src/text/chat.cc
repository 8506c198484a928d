#include "text/chat.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace sinter {
namespace {

Json read_optional(const std::string& path) {
  if (!std::filesystem::exists(path)) return Json::object();
  Json json = read_json_file(path, {.max_depth = 256, .max_keys = 20000});
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
  auto chat = std::make_shared<Chat>();
  chat->directory_ = directory;
  chat->tokenizer_ = Tokenizer::load(directory + "/tokenizer.json");
  const Json config = read_optional(directory + "/tokenizer_config.json");
  chat->bos_ = special_token(config, "bos_token");
  chat->eos_ = special_token(config, "eos_token");
  chat->pad_ = special_token(config, "pad_token");
  chat->unk_ = special_token(config, "unk_token");

  if (const auto it = config.find("chat_template"); it != config.end()) {
    if (it->is_string()) {
      chat->default_template_ = it->get<std::string>();
    } else if (it->is_array()) {
      for (const Json& entry : *it) {
        const JsonFields f(entry, directory + "/tokenizer_config.json: chat_template");
        if (f.string("name") == "default") chat->default_template_ = f.string("template");
        if (f.string("name") == "tool_use") chat->tool_template_ = f.string("template");
      }
    }
  }
  // A file of its own wins: it is what newer exports write.
  if (const std::string path = directory + "/chat_template.jinja"; std::filesystem::exists(path)) {
    chat->default_template_ = read_file(path);
  }
  if (const std::string path = directory + "/additional_chat_templates/tool_use.jinja";
      std::filesystem::exists(path)) {
    chat->tool_template_ = read_file(path);
  }

  if (chat->eos_) {
    if (const auto id = chat->tokenizer_->token_id(*chat->eos_)) chat->stop_.push_back(*id);
  }
  chat->generation_ = read_optional(directory + "/generation_config.json");
  add_ids(chat->generation_, "eos_token_id", chat->stop_);
  add_ids(read_optional(directory + "/config.json"), "eos_token_id", chat->stop_);
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
