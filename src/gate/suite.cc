// Reads a suite: DIR/suite.json names the domains and the files; every line of a file is one item.
// What the loader does not know it refuses, with the file and the line: a key that is misspelt
// would otherwise be a test that never ran.
//
//   suite.json  {"name", "version", "description", "domains": [...], "items": ["a.jsonl", ...],
//                "texts": "texts.jsonl" or ["a.jsonl", ...]}
//   items       {"id", "domain", "behaviour", "rung", "tags", "critical", "messages", "tools",
//                "response_format", "max_tokens", "reference", "scorer"}
//   texts       {"id", "text"}
#include <algorithm>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "gate/item.h"
#include "gate/scorers.h"
#include "gate/suite_lines.h"

namespace sinter {
namespace {

constexpr size_t kMaxLineBytes = 4 << 20;
constexpr size_t kMaxItems = 1'000'000;
constexpr int64_t kMaxTokens = 1 << 20;
constexpr size_t kMaxIdBytes = 200;

void allow_keys(const Json& object, const std::string& where,
                std::initializer_list<const char*> keys) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    std::string known;
    for (const char* k : keys) known += (known.empty() ? "" : ", ") + std::string(k);
    fail(Fault::bad_input, "suite-key", "{}: expected only the keys {}; found \"{}\"", where, known,
         key);
  }
}

std::vector<std::string> strings(const JsonFields& fields, const char* key) {
  std::vector<std::string> list;
  if (!fields.has(key)) return list;
  const Json& value = fields.at(key);
  bool ok = value.is_array();
  for (size_t i = 0; ok && i < value.size(); ++i) ok = value[i].is_string();
  if (!ok) {
    fail(Fault::bad_input, "suite-key", "{}: {}: expected a list of strings", fields.where(), key);
  }
  for (const Json& element : value) list.push_back(element.get<std::string>());
  return list;
}

// An id is printed, searched for and a name in JUnit: short, and without control characters.
std::string read_id(const JsonFields& fields) {
  std::string id = fields.string("id");
  bool ok = !id.empty() && id.size() <= kMaxIdBytes;
  for (const char c : id) ok = ok && static_cast<unsigned char>(c) >= 0x20;
  if (!ok) {
    fail(Fault::bad_input, "suite-key",
         "{}: id: expected 1 to {} bytes without control characters, found \"{}\"", fields.where(),
         kMaxIdBytes, id.substr(0, 40));
  }
  return id;
}

void check_messages(const Json& messages, const std::string& where) {
  const bool list = messages.is_array() && !messages.empty();
  bool ok = list;
  for (size_t i = 0; ok && i < messages.size(); ++i) {
    const Json& message = messages[i];
    ok = message.is_object() && message.contains("role") && message.at("role").is_string();
  }
  if (!ok) {
    fail(Fault::bad_input, "suite-key",
         "{}: messages: expected a list of {{\"role\": ..., \"content\": ...}}", where);
  }
}

// A file's name inside the suite: it may not lead out of it.
std::string inside(const std::string& directory, const std::string& name) {
  const bool leaves = name.empty() || name.front() == '/' || name.find("..") != std::string::npos;
  if (leaves) {
    fail(Fault::bad_input, "suite-key",
         "{}/suite.json: expected the name of a file inside the suite, found \"{}\"", directory,
         name);
  }
  return directory + "/" + name;
}

}  // namespace

Item read_item(const Json& line, const std::vector<std::string>& domains,
               const std::string& where) {
  const JsonFields fields(line, where);
  allow_keys(line, where,
             {"id", "domain", "behaviour", "rung", "tags", "critical", "messages", "tools",
              "response_format", "max_tokens", "reference", "scorer"});
  Item item;
  item.id = read_id(fields);
  item.domain = fields.string("domain");
  if (std::find(domains.begin(), domains.end(), item.domain) == domains.end()) {
    fail(Fault::bad_input, "suite-domain",
         "{}: domain: expected one of those that suite.json lists, found \"{}\"", where,
         item.domain);
  }
  item.behaviour = fields.string("behaviour", "");
  item.rung = fields.string("rung", "");
  item.tags = strings(fields, "tags");
  item.critical = fields.boolean("critical", false);
  item.messages = fields.at("messages");
  check_messages(item.messages, where);
  if (fields.has("tools")) item.tools = fields.at("tools");
  if (!item.tools.is_null() && !item.tools.is_array()) {
    fail(Fault::bad_input, "suite-key", "{}: tools: expected a list", where);
  }
  if (fields.has("response_format")) item.response_format = fields.object("response_format").json();
  const int64_t max_tokens = fields.integer("max_tokens", item.max_tokens);
  if (max_tokens < 1 || max_tokens > kMaxTokens) {
    fail(Fault::bad_input, "suite-key", "{}: max_tokens: expected 1 to {}, found {}", where,
         kMaxTokens, max_tokens);
  }
  item.max_tokens = static_cast<int32_t>(max_tokens);
  item.reference = fields.string("reference", "");
  item.scorer = fields.object("scorer").json();
  scorer_of(item, where).check(item, where);
  return item;
}

Json write_item(const Item& item) {
  return {{"id", item.id},
          {"domain", item.domain},
          {"behaviour", item.behaviour},
          {"rung", item.rung},
          {"tags", item.tags},
          {"critical", item.critical},
          {"messages", item.messages},
          {"tools", item.tools},
          {"response_format", item.response_format},
          {"max_tokens", item.max_tokens},
          {"reference", item.reference},
          {"scorer", item.scorer}};
}

void for_each_line(const std::string& bytes, const std::string& path,
                   const std::function<void(const Json&, const std::string& where)>& body) {
  size_t number = 0;
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    const std::string_view line = trimmed(std::string_view(bytes).substr(begin, end - begin));
    begin = end + 1;
    const std::string where = fmt::format("{}:{}", path, ++number);
    if (line.empty()) continue;
    if (line.size() > kMaxLineBytes) {
      fail(Fault::bad_input, "suite-line", "{}: expected a line of at most {} bytes, found {}",
           where, kMaxLineBytes, line.size());
    }
    const Json value = parse_json(line, where, {.max_depth = 96});
    if (!value.is_object()) {
      fail(Fault::bad_input, "suite-line", "{}: expected a JSON object, found {}", where,
           value.type_name());
    }
    body(value, where);
  }
}

Suite load_suite(const std::string& directory) {
  const std::string path = directory + "/suite.json";
  const std::string bytes = read_file(path);
  const Json head = parse_json(bytes, path, {.max_depth = 16});
  const JsonFields fields(head, path);
  allow_keys(head, path, {"name", "version", "description", "domains", "items", "texts"});
  Suite suite;
  suite.name = fields.string("name");
  suite.version = fields.string("version");
  suite.description = fields.string("description", "");
  suite.domains = strings(fields, "domains");
  if (suite.domains.empty()) {
    fail(Fault::bad_input, "suite-domain", "{}: domains: expected at least one", path);
  }
  std::vector<std::string> text_files;
  if (fields.has("texts") && head.at("texts").is_string()) {
    text_files = {fields.string("texts")};
  } else {
    text_files = strings(fields, "texts");
  }

  // Name, length and content of every file, so that no two suites share a digest.
  Sha256 digest;
  const auto add = [&](const std::string& name, const std::string& content) {
    digest.add(fmt::format("{}\n{}\n", name, content.size())).add(content);
  };
  add("suite.json", bytes);
  std::set<std::string> ids;
  for (const std::string& name : strings(fields, "items")) {
    const std::string file = inside(directory, name);
    const std::string content = read_file(file);
    add(name, content);
    for_each_line(content, file, [&](const Json& line, const std::string& where) {
      suite.items.push_back(read_item(line, suite.domains, where));
      if (!ids.insert(suite.items.back().id).second) {
        fail(Fault::bad_input, "suite-duplicate-id", "{}: the id \"{}\" occurs twice in the suite",
             where, suite.items.back().id);
      }
      if (suite.items.size() > kMaxItems) {
        fail(Fault::bad_input, "suite-line", "{}: expected at most {} items", where, kMaxItems);
      }
    });
  }
  if (suite.items.empty()) {
    fail(Fault::bad_input, "suite-empty", "{}: items: expected files with at least one item", path);
  }
  std::set<std::string> text_ids;
  for (const std::string& name : text_files) {
    const std::string file = inside(directory, name);
    const std::string content = read_file(file);
    add(name, content);
    for_each_line(content, file, [&](const Json& line, const std::string& where) {
      allow_keys(line, where, {"id", "text"});
      const JsonFields text(line, where);
      suite.texts.push_back({read_id(text), text.string("text")});
      if (!text_ids.insert(suite.texts.back().id).second) {
        fail(Fault::bad_input, "suite-duplicate-id", "{}: the id \"{}\" occurs twice among texts",
             where, suite.texts.back().id);
      }
    });
  }
  suite.digest = digest.hex();
  return suite;
}

}  // namespace sinter
