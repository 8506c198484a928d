// sinter template: the prompt that a chat template makes of a conversation.
#include <filesystem>

#include "app/command.h"
#include "app/loaded_model.h"
#include "artifact/gguf_artifact.h"
#include "base/error.h"
#include "base/file.h"
#include "text/chat.h"

namespace sinter {
namespace {

struct Options {
  std::string model, conversation;
  bool no_generation_prompt = false;
};

int run(const Options& o) {
  Json json = read_json_file(o.conversation);
  if (json.is_array()) json = Json{{"messages", json}};
  const JsonFields fields(json, o.conversation);
  Conversation c{.messages = fields.at("messages"),
                 .tools = fields.has("tools") ? fields.at("tools") : Json(),
                 .extra = fields.has("chat_template_kwargs") ? fields.at("chat_template_kwargs")
                                                             : Json::object(),
                 .add_generation_prompt = fields.boolean("add_generation_prompt", true)};
  if (o.no_generation_prompt) c.add_generation_prompt = false;
  if (fields.has("response_format")) c.extra["response_format"] = fields.at("response_format");

  std::string text;
  Json out;
  if (std::filesystem::is_directory(o.model) || is_gguf(o.model)) {
    const auto chat = load_chat(o.model);
    text = chat->render(c);
    out = {{"text", text}, {"ids", chat->encode(c)}};
  } else {  // a template on its own; special tokens come with the conversation
    const auto parsed = ChatTemplate::parse(read_file(o.model), o.model);
    const auto token = [&](const char* key) -> std::optional<std::string> {
      if (!fields.has(key)) return std::nullopt;
      return fields.string(key);
    };
    text = parsed->render({.messages = c.messages,
                           .tools = c.tools,
                           .documents = fields.has("documents") ? fields.at("documents") : Json(),
                           .add_generation_prompt = c.add_generation_prompt,
                           .bos_token = token("bos_token"),
                           .eos_token = token("eos_token"),
                           .pad_token = token("pad_token"),
                           .unk_token = token("unk_token"),
                           .extra = c.extra,
                           .now = std::nullopt});
    out = {{"text", text}};
  }
  if (globals().json) {
    print_json(out);
  } else {
    print_text(text);
  }
  return 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model directory, a GGUF file, or a .jinja file.")
      ->required();
  app.add_option("CONVERSATION", o->conversation,
                 "JSON: a list of messages, or {messages, tools, response_format, "
                 "chat_template_kwargs, add_generation_prompt}.")
      ->required();
  app.add_flag("--no-generation-prompt", o->no_generation_prompt,
               "Do not open the assistant's turn.");
  return [o] { return run(*o); };
}

}  // namespace

const Command kTemplateCommand = {
    "template", "Print the prompt that a model's chat template makes of a conversation.", setup};

}  // namespace sinter
