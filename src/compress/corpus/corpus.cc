#include "compress/corpus/corpus.h"

#include <algorithm>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"

namespace sinter {
namespace {

constexpr JsonLimits kSampleLimits{.max_depth = 96};

bool is_set_by_application(const Json& message) {
  const std::string role = message.value("role", "");
  return role == "system" || role == "developer";
}

void texts_of(const Json& value, const std::function<void(const std::string&)>& body) {
  if (value.is_string()) {
    body(value.get_ref<const std::string&>());
  } else if (value.is_structured()) {
    for (const Json& part : value) texts_of(part, body);
  }
}

}  // namespace

std::vector<Token> corpus_tokens(const CorpusSample& sample, const Chat& chat) {
  if (!sample.is_chat()) return chat.tokenizer().encode(sample.text);
  const bool answered =
      !sample.messages.empty() && sample.messages.back().value("role", "") == "assistant";
  return chat.encode({.messages = sample.messages,
                      .tools = sample.tools,
                      .extra = nullptr,
                      .add_generation_prompt = !answered});
}

void for_each_text(const CorpusSample& sample, bool all,
                   const std::function<void(const std::string&)>& body) {
  if (!sample.is_chat()) return body(sample.text);
  if (all) texts_of(sample.tools, body);
  for (const Json& message : sample.messages) {
    if (!all && is_set_by_application(message)) continue;
    for (const char* key : {"content", "reasoning_content"}) {
      if (const auto it = message.find(key); it != message.end()) texts_of(*it, body);
    }
    const auto calls = message.find("tool_calls");
    if (calls == message.end() || !calls->is_array()) continue;
    for (const Json& call : *calls) {
      if (const auto f = call.find("function"); f != call.end()) texts_of(*f, body);
    }
  }
}

Json write_sample(const CorpusSample& s) {
  Json line = {{"id", s.id}, {"source", s.source}, {"kind", s.kind}, {"n_tokens", s.n_tokens}};
  if (s.is_chat()) {
    line["messages"] = s.messages;
    if (s.tools.is_array()) line["tools"] = s.tools;
  } else {
    line["text"] = s.text;
  }
  return line;
}

CorpusSample read_sample(const Json& line, const std::string& where) {
  const JsonFields f(line, where);
  CorpusSample s = read_content(line, where);
  s.id = f.string("id");
  s.source = f.string("source");
  s.kind = f.string("kind");
  s.n_tokens = f.integer("n_tokens");
  return s;
}

CorpusSample read_content(const Json& line, const std::string& where) {
  const JsonFields f(line, where);
  CorpusSample s;
  if (!f.has("messages")) {
    s.text = f.string("text");
    return s;
  }
  s.messages = f.at("messages");
  if (f.has("tools")) s.tools = f.at("tools");
  const auto is_message = [](const Json& m) {
    return m.is_object() && m.contains("role") && m["role"].is_string();
  };
  if (!s.is_chat() || !std::all_of(s.messages.begin(), s.messages.end(), is_message)) {
    fail(Fault::corrupt, "corpus-sample", "{}: messages: expected an array of messages with roles",
         where);
  }
  return s;
}

Corpus read_corpus(const std::string& directory) {
  Corpus c{.directory = directory, .manifest = {}, .digest = {}, .samples = {}};
  const std::string path = directory + "/" + kCorpusManifest;
  c.manifest = parse_json(read_file(path), path, {.max_depth = 32, .max_keys = 1 << 16});
  const JsonFields head(c.manifest, path);
  if (head.integer("corpus") != 1) {
    fail(Fault::unsupported, "corpus-version",
         "{}: corpus: expected format 1, found {}; build it again with this version", path,
         head.integer("corpus"));
  }
  const std::string file = directory + "/" + kCorpusSamples;
  const std::string bytes = read_file(file);
  c.digest = sha256_hex(bytes);
  if (c.digest != head.string("digest")) {
    fail(Fault::corrupt, "corpus-digest",
         "{}: expected the SHA-256 {} that {} names, found {}; it was changed after it was built: "
         "build the corpus again",
         file, head.string("digest"), kCorpusManifest, c.digest);
  }
  int64_t number = 0;
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    const std::string where = fmt::format("{}:{}", file, ++number);
    const std::string_view line(bytes.data() + begin, end - begin);
    c.samples.push_back(read_sample(parse_json(line, where, kSampleLimits), where));
    begin = end + 1;
  }
  return c;
}

}  // namespace sinter
