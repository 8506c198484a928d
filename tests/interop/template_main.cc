// Test only: renders templates for tests/interop/template_interop.py. Reads JSON lines
// {"template_path": ..., "inputs": {...}}, writes JSON lines {"text": ...} or {"error": ...}.
#include <iostream>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/chat_template.h"

namespace {

using sinter::Json;

sinter::ChatTemplate::Inputs inputs_of(const Json& json) {
  sinter::ChatTemplate::Inputs inputs;
  inputs.messages = inputs.tools = inputs.documents = Json(Json::value_t::discarded);
  Json extra = Json::object();
  for (const auto& [name, value] : json.items()) {
    if (name == "messages") {
      inputs.messages = value;
    } else if (name == "tools") {
      inputs.tools = value;
    } else if (name == "documents") {
      inputs.documents = value;
    } else if (name == "bos_token") {
      inputs.bos_token = value.get<std::string>();
    } else if (name == "eos_token") {
      inputs.eos_token = value.get<std::string>();
    } else if (name == "add_generation_prompt") {
      inputs.add_generation_prompt = value.get<bool>();
    } else if (name == "now") {
      inputs.now = value.get<std::time_t>();
    } else {
      extra[name] = value;
    }
  }
  inputs.extra = extra;
  return inputs;
}

}  // namespace

int main() {
  std::map<std::string, std::unique_ptr<const sinter::ChatTemplate>> parsed;
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      const Json request = sinter::parse_json(line, "standard input");
      std::string path = request.value("template_path", "");
      std::string source = request.value("template", "");
      auto& chat_template = parsed[path + '\0' + source];
      if (!chat_template) {
        if (!path.empty()) source = sinter::read_file(path);
        chat_template = sinter::ChatTemplate::parse(source, path.empty() ? "template" : path);
      }
      answer["text"] = chat_template->render(inputs_of(request.at("inputs")));
    } catch (const sinter::Error& e) {
      answer["code"] = e.code();
      answer["error"] = e.what();
    }
    std::cout << sinter::to_line(answer) << '\n';
  }
}
