#include "text/chat_template.h"

#include <utility>

#include "base/error.h"
#include "text/jinja/lexer.h"
#include "text/jinja/parser.h"
#include "text/jinja/runtime.h"
#include "text/jinja/unicode.h"

namespace sinter {
namespace {

// The deepest JSON that the reader lets through, with some room for what a template puts around.
constexpr int kMaxInputDepth = 300;

jinja::Value to_value(const Json& json, jinja::Runtime* runtime, int depth) {
  using jinja::Value;
  if (depth > kMaxInputDepth) throw jinja::Exhausted{"the conversation is nested too deeply"};
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::integer(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
        throw jinja::Raised{jinja::Raised::Kind::unsupported,
                            "an integer beyond 64 bits in the conversation is not supported"};
      }
      return Value::integer(json.get<int64_t>());
    case Json::value_t::number_float:
      return Value::real(json.get<double>());
    case Json::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      if (!jinja::is_valid_utf8(text)) jinja::raise_value("the conversation is not valid UTF-8");
      return runtime->text(text);
    }
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(to_value(item, runtime, depth + 1));
      return Value::list(runtime->meter(), std::move(items));
    }
    case Json::value_t::object: {
      std::vector<std::pair<Value, Value>> entries;
      entries.reserve(json.size());
      for (const auto& [key, item] : json.items()) {
        if (!jinja::is_valid_utf8(key)) jinja::raise_value("the conversation is not valid UTF-8");
        entries.emplace_back(runtime->text(key), to_value(item, runtime, depth + 1));
      }
      return Value::dict(jinja::make_dict(runtime->meter(), entries));
    }
    default:
      return Value::none();
  }
}

class ParsedChatTemplate : public ChatTemplate {
 public:
  ParsedChatTemplate(jinja::ParsedTemplate parsed, std::string where)
      : parsed_(std::move(parsed)), where_(std::move(where)) {}

  std::string render(const Inputs& inputs, Limits limits) const override {
    jinja::Runtime runtime({.max_steps = limits.max_steps,
                            .max_output_bytes = limits.max_output_bytes,
                            .max_depth = limits.max_depth},
                           inputs.now);
    try {
      define(inputs, &runtime);
      jinja::Frame frame(&parsed_.layout, nullptr);
      runtime.enter(&frame);
      jinja::run(parsed_.body, &runtime, &frame);
      return runtime.take_output();
    } catch (const jinja::Raised& e) {
      using RaisedKind = jinja::Raised::Kind;
      if (e.kind == RaisedKind::raised) {
        fail(Fault::bad_input, "template-raised",
             "{}: line {}: the template refuses this conversation: {}", where_, runtime.line,
             e.message);
      }
      if (e.kind == RaisedKind::unsupported) {
        fail(Fault::unsupported, "template-unsupported", "{}: line {}: {}", where_, runtime.line,
             e.message);
      }
      fail(Fault::bad_input, "template-render", "{}: line {}: {}", where_, runtime.line, e.message);
    } catch (const jinja::Exhausted& e) {
      fail(Fault::exhausted, "template-limit",
           "{}: line {}: {}; shorten the conversation, or raise the limits of the render", where_,
           runtime.line, e.message);
    }
  }

 private:
  static void define(const Inputs& inputs, jinja::Runtime* runtime) {
    const auto given = [&](const char* name, const Json& json) {
      if (!json.is_discarded()) runtime->define(name, to_value(json, runtime, 0));
    };
    given("messages", inputs.messages);
    given("tools", inputs.tools);
    given("documents", inputs.documents);
    runtime->define("add_generation_prompt", jinja::Value::boolean(inputs.add_generation_prompt));
    const auto token = [&](const char* name, const std::optional<std::string>& text) {
      if (!text) return;
      if (!jinja::is_valid_utf8(*text)) jinja::raise_value("a special token is not valid UTF-8");
      runtime->define(name, runtime->text(*text));
    };
    token("bos_token", inputs.bos_token);
    token("eos_token", inputs.eos_token);
    token("pad_token", inputs.pad_token);
    token("unk_token", inputs.unk_token);
    if (inputs.extra.is_null()) return;
    if (!inputs.extra.is_object()) {
      jinja::raise_type("the extra arguments of a template must be an object");
    }
    for (const auto& [name, value] : inputs.extra.items()) {
      runtime->define(name, to_value(value, runtime, 0));
    }
  }

  jinja::ParsedTemplate parsed_;
  std::string where_;
};

}  // namespace

std::unique_ptr<const ChatTemplate> ChatTemplate::parse(std::string_view source,
                                                        const std::string& where) {
  try {
    return std::make_unique<ParsedChatTemplate>(jinja::parse_template(source), where);
  } catch (const jinja::SyntaxError& e) {
    if (e.unsupported) {
      fail(Fault::unsupported, "template-unsupported", "{}: line {}: {}", where, e.line, e.message);
    }
    fail(Fault::corrupt, "template-syntax", "{}: line {}: {}", where, e.line, e.message);
  }
}

}  // namespace sinter
