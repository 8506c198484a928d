#include "compress/corpus/traces.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "text/utf8.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxLineBytes = size_t{64} << 20;
constexpr size_t kMaxFiles = 100'000;

using KeyCounts = std::map<std::string, int64_t>;

std::string lower_extension(const fs::path& path) {
  std::string e = path.extension().string();
  std::transform(e.begin(), e.end(), e.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return e;
}

bool is_lines(const fs::path& path) {
  const std::string e = lower_extension(path);
  return e == ".jsonl" || e == ".ndjson";
}

bool is_text(const fs::path& path) {
  const std::string e = lower_extension(path);
  return e == ".txt" || e == ".md";
}

// The last `n` parts of a path, with slashes.
std::string tail(const fs::path& path, size_t n) {
  std::vector<std::string> parts;
  for (const fs::path& part : path) parts.push_back(part.string());
  std::string name;
  for (size_t i = parts.size() - std::min(n, parts.size()); i < parts.size(); ++i) {
    if (!name.empty() && name.back() != '/') name += '/';
    name += parts[i];
  }
  return name;
}

[[noreturn]] void wrong(const std::string& where, std::string_view what) {
  fail(Fault::bad_input, "corpus-trace-line",
       "{}: {}; repair the line, or leave such lines out with --skip-bad", where, what);
}

void allow(const Json& object, const std::string& prefix,
           std::initializer_list<std::string_view> used, KeyCounts& left_out) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || std::find(used.begin(), used.end(), key) != used.end()) continue;
    ++left_out[prefix + key.substr(0, 60)];
  }
}

const Json* find(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

const std::string& need_string(const Json& value, const std::string& where, const char* key) {
  if (!value.is_string()) {
    wrong(where, fmt::format("{}: expected a string, found {}", key, value.type_name()));
  }
  return value.get_ref<const std::string&>();
}

// A message's content: a string, nothing, or parts, of which only those with text can be calibrated
// on.
Json read_content(const Json& content, const std::string& where) {
  if (content.is_string() || content.is_null()) return content;
  if (!content.is_array()) {
    wrong(where, fmt::format("content: expected a string or parts, found {}", content.type_name()));
  }
  std::string text;
  for (const Json& part : content) {
    const Json* said = part.is_object() ? find(part, "text") : nullptr;
    if (said == nullptr || !said->is_string()) {
      wrong(where, "content: expected parts of text, found another kind (image, audio ...)");
    }
    text += said->get_ref<const std::string&>();
  }
  return text;
}

Json read_message(const Json& m, const std::string& where, KeyCounts& left_out) {
  static constexpr std::string_view kRoles[] = {"system",    "developer", "user",
                                                "assistant", "tool",      "function"};
  if (!m.is_object()) wrong(where, "messages: expected objects with role and content");
  const Json* role = find(m, "role");
  if (role == nullptr || !role->is_string() ||
      std::find(std::begin(kRoles), std::end(kRoles), role->get_ref<const std::string&>()) ==
          std::end(kRoles)) {
    wrong(where, "role: expected system, developer, user, assistant, tool or function");
  }
  Json out = {{"role", *role}};
  const Json* content = find(m, "content");
  out["content"] = content == nullptr ? Json() : read_content(*content, where);
  const Json* calls = find(m, "tool_calls");
  if (out["content"].is_null() && *role != "assistant") wrong(where, "content: expected text");
  if (out["content"].is_null() && calls == nullptr) out["content"] = "";
  if (calls != nullptr) {
    for (const Json& call : calls->is_array() ? *calls : Json::array({nullptr})) {
      const Json* f = call.is_object() ? find(call, "function") : nullptr;
      if (f == nullptr || !f->is_object() || find(*f, "name") == nullptr ||
          !f->at("name").is_string()) {
        wrong(where, "tool_calls: expected a list of objects with function and its name");
      }
    }
    out["tool_calls"] = *calls;
  }
  for (const char* key : {"name", "tool_call_id", "reasoning_content"}) {
    if (const Json* value = find(m, key)) out[key] = need_string(*value, where, key);
  }
  allow(m, "messages[].",
        {"role", "content", "tool_calls", "name", "tool_call_id", "reasoning_content"}, left_out);
  return out;
}

Json read_messages(const Json& messages, const std::string& where, KeyCounts& left_out) {
  if (!messages.is_array() || messages.empty()) {
    wrong(where, "messages: expected a list of at least one");
  }
  Json out = Json::array();
  for (const Json& m : messages) out.push_back(read_message(m, where, left_out));
  return out;
}

Json read_tools(const Json& request, const std::string& where) {
  Json tools = Json::array();
  if (const Json* functions = find(request, "functions")) {
    for (const Json& f : *functions) tools.push_back({{"type", "function"}, {"function", f}});
  }
  if (const Json* given = find(request, "tools")) {
    if (!given->is_array()) wrong(where, "tools: expected a list");
    for (const Json& tool : *given) tools.push_back(tool);
  }
  for (const Json& tool : tools) {
    const Json* f = tool.is_object() ? find(tool, "function") : nullptr;
    const Json* name = f != nullptr && f->is_object() ? find(*f, "name") : nullptr;
    if (name == nullptr || !name->is_string()) {
      wrong(where, "tools: expected functions with a name");
    }
  }
  return tools.empty() ? Json() : tools;
}

Json turn(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

CorpusSample as_text(std::string text) {
  CorpusSample s;
  s.text = std::move(text);
  return s;
}

CorpusSample as_chat(Json messages, Json tools = {}) {
  CorpusSample s;
  s.messages = std::move(messages);
  s.tools = std::move(tools);
  return s;
}

// What a model answered: a message, a response with choices, or a string. Empty if there is none.
Json read_answer(const Json& response, const std::string& where, KeyCounts& left_out) {
  if (response.is_null()) return {};
  if (response.is_string()) return turn("assistant", response.get<std::string>());
  if (response.is_object()) {
    if (const Json* body = find(response, "body")) return read_answer(*body, where, left_out);
    if (const Json* message = find(response, "message"))
      return read_answer(*message, where, left_out);
    if (find(response, "role") != nullptr) return read_message(response, where, left_out);
    if (const Json* text = find(response, "text")) {
      return turn("assistant", need_string(*text, where, "text"));
    }
    if (find(response, "error") != nullptr) {
      ++left_out["response.error"];
      return {};
    }
    const Json* choices = find(response, "choices");
    if (choices != nullptr && choices->is_array() && !choices->empty() &&
        choices->front().is_object()) {
      if (choices->size() > 1) ++left_out["response.choices[1...]"];
      return read_answer(choices->front(), where, left_out);
    }
  }
  wrong(where, "response: expected a string, a message, or an object with choices");
}

std::vector<CorpusSample> read_request(const Json& request, const Json& response,
                                       const std::string& where, KeyCounts& left_out) {
  if (!request.is_object()) wrong(where, "request: expected an object");
  if (const Json* body = find(request, "body")) {
    allow(request, "", {"body"}, left_out);
    return read_request(*body, response, where, left_out);
  }
  const Json answer = read_answer(response, where, left_out);
  if (const Json* messages = find(request, "messages")) {
    Json list = read_messages(*messages, where, left_out);
    if (!answer.is_null()) list.push_back(answer);
    allow(request, "", {"messages", "tools", "functions", "response"}, left_out);
    return {as_chat(std::move(list), read_tools(request, where))};
  }
  if (const Json* prompt = find(request, "prompt")) {
    allow(request, "", {"prompt"}, left_out);
    return {as_text(need_string(*prompt, where, "prompt") + answer.value("content", ""))};
  }
  wrong(where, "request: expected messages or a prompt");
}

std::vector<CorpusSample> read_sharegpt(const Json& turns, const std::string& where) {
  static const std::map<std::string, const char*> kRoles = {
      {"system", "system"},     {"human", "user"},          {"user", "user"}, {"gpt", "assistant"},
      {"chatgpt", "assistant"}, {"assistant", "assistant"}, {"tool", "tool"}};
  if (!turns.is_array() || turns.empty()) wrong(where, "conversations: expected a list of turns");
  Json messages = Json::array();
  for (const Json& t : turns) {
    const Json* from = t.is_object() ? find(t, "from") : nullptr;
    const Json* value = t.is_object() ? find(t, "value") : nullptr;
    if (from == nullptr || value == nullptr) wrong(where, "conversations: expected from and value");
    const auto role = kRoles.find(need_string(*from, where, "from"));
    if (role == kRoles.end()) {
      wrong(where, "conversations: from: expected system, human, gpt or tool");
    }
    messages.push_back(turn(role->second, need_string(*value, where, "value")));
  }
  return {as_chat(std::move(messages))};
}

// Questions without the answers between them are no conversation: each is a sample then.
std::vector<CorpusSample> read_turns(const Json& turns, const Json* reference,
                                     const std::string& where) {
  if (!turns.is_array() || turns.empty()) wrong(where, "turns: expected a list of strings");
  const bool answered =
      reference != nullptr && reference->is_array() && reference->size() >= turns.size();
  std::vector<CorpusSample> samples;
  Json messages = Json::array();
  for (size_t i = 0; i < turns.size(); ++i) {
    messages.push_back(turn("user", need_string(turns[i], where, "turns")));
    if (answered) {
      messages.push_back(turn("assistant", need_string((*reference)[i], where, "reference")));
    } else {
      samples.push_back(as_chat(std::move(messages)));
      messages = Json::array();
    }
  }
  if (answered) samples.push_back(as_chat(std::move(messages)));
  return samples;
}

std::vector<CorpusSample> read_answers(const Json& choices, const std::string& where) {
  std::vector<CorpusSample> samples;
  for (const Json& choice : choices) {
    const Json* turns = choice.is_object() ? find(choice, "turns") : nullptr;
    if (turns == nullptr || !turns->is_array()) wrong(where, "choices: expected lists of turns");
    for (const Json& t : *turns) samples.push_back(as_text(need_string(t, where, "turns")));
  }
  return samples;
}

// A prompt, or an exchange of a prompt and an answer; nothing if the object is neither.
std::vector<CorpusSample> read_pair(const Json& o, const std::string& where, KeyCounts& left_out) {
  constexpr const char* kPrompts[] = {"question", "instruction", "user_prompt", "query", "prompt"};
  constexpr const char* kAnswers[] = {"response", "answer", "output", "completion", "judgment"};
  const auto first = [&](const auto& keys) -> const char* {
    for (const char* key : keys) {
      if (find(o, key) != nullptr) return key;
    }
    return nullptr;
  };
  const char* prompt = first(kPrompts);
  if (prompt == nullptr) return {};
  const char* answer = first(kAnswers);
  // The second part of an instruction, as in Alpaca.
  const Json* input = std::string_view(prompt) == "instruction" ? find(o, "input") : nullptr;
  const bool raw = std::string_view(prompt) == "prompt" &&
                   (answer == nullptr || std::string_view(answer) == "completion");
  allow(o, "", {prompt, answer == nullptr ? prompt : answer, input == nullptr ? prompt : "input"},
        left_out);
  const Json& asked = o.at(prompt);
  if (asked.is_array()) {
    Json messages = read_messages(asked, where, left_out);
    if (answer != nullptr) {
      const Json& said = o.at(answer);
      if (said.is_array()) {
        for (const Json& m : said) messages.push_back(read_message(m, where, left_out));
      } else {
        messages.push_back(turn("assistant", need_string(said, where, answer)));
      }
    }
    return {as_chat(std::move(messages))};
  }
  std::string text = need_string(asked, where, prompt);
  const std::string said = answer == nullptr ? "" : need_string(o.at(answer), where, answer);
  if (raw) return {as_text(text + said)};
  if (input != nullptr && !need_string(*input, where, "input").empty()) {
    text += "\n\n" + input->get_ref<const std::string&>();
  }
  Json messages = Json::array({turn("user", text)});
  if (answer != nullptr) messages.push_back(turn("assistant", said));
  return {as_chat(std::move(messages))};
}

std::vector<CorpusSample> read_object(const Json& o, const std::string& where,
                                      KeyCounts& left_out) {
  if (find(o, "messages") != nullptr) {
    const Json* response = find(o, "response");
    return read_request(o, response == nullptr ? Json() : *response, where, left_out);
  }
  for (const char* key : {"request", "body"}) {
    const Json* request = find(o, key);
    if (request == nullptr) continue;
    const Json* response = find(o, "response");
    allow(o, "", {key, "response"}, left_out);
    return read_request(*request, response == nullptr ? Json() : *response, where, left_out);
  }
  if (const Json* turns = find(o, "conversations")) {
    allow(o, "", {"conversations"}, left_out);
    return read_sharegpt(*turns, where);
  }
  if (const Json* turns = find(o, "turns")) {
    allow(o, "", {"turns", "reference"}, left_out);
    return read_turns(*turns, find(o, "reference"), where);
  }
  if (const Json* choices = find(o, "choices"); choices != nullptr && choices->is_array()) {
    allow(o, "", {"choices"}, left_out);
    return read_answers(*choices, where);
  }
  if (const Json* text = find(o, "text")) {
    allow(o, "", {"text"}, left_out);
    return {as_text(need_string(*text, where, "text"))};
  }
  return read_pair(o, where, left_out);
}

}  // namespace

FoundTraces find_traces(const std::vector<std::string>& paths) {
  FoundTraces found;
  // Each file once, under the name that it was given by, not where a link leads or a disk lies: ids
  // have it in them. Of two names the first in order.
  std::map<fs::path, fs::path> files;
  const auto add = [&](const fs::path& path) {
    fs::path& given = files.try_emplace(fs::weakly_canonical(path), path).first->second;
    given = std::min(given, path);
    if (files.size() > kMaxFiles) {
      fail(Fault::bad_input, "corpus-trace-file", "expected at most {} trace files, found more",
           kMaxFiles);
    }
  };
  for (const std::string& path : paths) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (fs::is_regular_file(status)) {
      const std::string e = lower_extension(path);
      if (e == ".json" || e == ".gz" || e == ".zst" || e == ".parquet" || e == ".csv") {
        fail(Fault::bad_input, "corpus-trace-file",
             "{}: expected JSON lines (.jsonl, .ndjson) or plain text, found {}; write one JSON "
             "object a line",
             path, e);
      }
      add(path);
    } else if (fs::is_directory(status)) {
      bool any = false;
      for (auto it = fs::recursive_directory_iterator(path, error);
           !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
        if (!it->is_regular_file(error)) continue;
        if (is_lines(it->path()) || is_text(it->path())) {
          add(it->path());
          any = true;
        } else {
          found.passed_over.push_back(
              fs::relative(it->path(), path, error).lexically_normal().generic_string());
        }
      }
      if (error) {
        fail(Fault::io, "file-io", "{}: cannot read the directory: {}", path, error.message());
      }
      if (!any) {
        fail(Fault::bad_input, "corpus-trace-file",
             "{}: expected a directory with .jsonl, .ndjson, .txt or .md files, found none", path);
      }
    } else {
      fail(Fault::not_found, "corpus-trace-file",
           "{}: expected a trace file or a directory of them, found nothing", path);
    }
  }
  // Names as short as they can be and still be different.
  std::vector<fs::path> list;
  list.reserve(files.size());
  for (const auto& [file, given] : files) list.push_back(given);
  std::vector<size_t> n_parts(list.size(), 1);
  for (bool clash = true; clash;) {
    clash = false;
    std::map<std::string, std::vector<size_t>> by_name;
    for (size_t i = 0; i < list.size(); ++i) by_name[tail(list[i], n_parts[i])].push_back(i);
    for (const auto& [name, same] : by_name) {
      if (same.size() < 2) continue;
      clash = true;
      for (const size_t i : same) ++n_parts[i];
    }
  }
  for (size_t i = 0; i < list.size(); ++i) {
    found.files.push_back({list[i].string(), tail(list[i], n_parts[i]), is_lines(list[i])});
  }
  std::sort(found.files.begin(), found.files.end(),
            [](const TraceFile& a, const TraceFile& b) { return a.name < b.name; });
  std::sort(found.passed_over.begin(), found.passed_over.end());
  return found;
}

std::vector<CorpusSample> read_trace_line(std::string_view line, const std::string& where,
                                          KeyCounts& left_out) {
  if (line.size() > kMaxLineBytes) {
    wrong(where, fmt::format("expected at most {} bytes, found {}", kMaxLineBytes, line.size()));
  }
  Json value;
  try {
    value = parse_json(line, where, {.max_depth = 64});
  } catch (const Error& e) {
    // The JSON reader quotes what it last read, and that may be anything.
    std::string reason = e.what();
    if (e.code() == "json-duplicate-key") reason = where + ": a key occurs twice in one object";
    reason = reason.substr(0, std::min(reason.find("; last read"), reason.find(" parsing '")));
    throw Error(e.fault(), e.code(), reason + "; repair the line, or use --skip-bad");
  }
  std::vector<CorpusSample> samples;
  if (value.is_object()) samples = read_object(value, where, left_out);
  if (samples.empty()) {
    std::vector<std::string> keys;
    if (value.is_object()) {
      for (const auto& [key, member] : value.items()) {
        if (keys.size() < 12) keys.push_back(key.substr(0, 40));
      }
    }
    fail(Fault::bad_input, "corpus-trace-shape",
         "{}: expected messages, a request, text, a prompt, a question, turns or conversations; "
         "found {}; docs/corpus.md lists the shapes; --skip-bad leaves such lines out",
         where,
         value.is_object() ? fmt::format("an object with the keys {}", fmt::join(keys, ", "))
                           : fmt::format("a JSON {}", value.type_name()));
  }
  return samples;
}

std::vector<std::string> split_text(std::string_view text, int64_t max_cost,
                                    const std::function<int64_t(std::string_view)>& cost) {
  std::vector<std::string> parts;
  std::vector<std::string_view> open = {text};
  while (!open.empty()) {
    std::string_view part = open.back();
    open.pop_back();
    // Far too long for sure (a token is rarely more than eight bytes): cut without asking.
    const auto bytes = static_cast<int64_t>(part.size());
    if ((bytes <= 16 * max_cost && cost(part) <= max_cost) || bytes < 8) {
      if (part.find_first_not_of(" \t\r\n") != std::string_view::npos) parts.emplace_back(part);
      continue;
    }
    const size_t middle = part.size() / 2, quarter = part.size() / 4;
    size_t cut = std::string_view::npos;
    for (const std::string_view mark : {"\n\n", "\n", " "}) {
      const size_t before = part.rfind(mark, middle);
      if (before != std::string_view::npos && before >= quarter) {
        cut = before + mark.size();
        break;
      }
    }
    if (cut == std::string_view::npos) {
      cut = middle;
      while ((static_cast<unsigned char>(part[cut]) & 0xC0) == 0x80 && cut > 1) --cut;
    }
    open.push_back(part.substr(cut));
    open.push_back(part.substr(0, cut));
  }
  return parts;
}

}  // namespace sinter
