#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "base/error.h"
#include "base/file.h"

namespace sinter {
namespace {

using Inputs = ChatTemplate::Inputs;
using Limits = ChatTemplate::Limits;

constexpr std::time_t kNow = 1767323045;  // 2026-01-02 03:04:05 UTC

std::string shared_path(const std::string& path) {
  const char* root = std::getenv("SINTER_SHARED");
  return (root != nullptr ? std::string(root) : SINTER_SOURCE_DIR "/../shared") + "/data/" + path;
}

Inputs inputs_of(const Json& json) {
  Inputs inputs;
  inputs.messages = inputs.tools = inputs.documents = Json(Json::value_t::discarded);
  inputs.now = kNow;
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
    } else {
      extra[name] = value;
    }
  }
  inputs.extra = extra;
  return inputs;
}

std::string render(std::string_view source, const Json& json = Json::object()) {
  return ChatTemplate::parse(source, "TEMPLATE")->render(inputs_of(json));
}

// The error of parsing and rendering, "code: message"; empty when there is none.
std::string error_of(std::string_view source, const Json& json = Json::object(),
                     Limits limits = {}) {
  try {
    ChatTemplate::parse(source, "TEMPLATE")->render(inputs_of(json), limits);
    return "";
  } catch (const Error& e) {
    return e.code() + ": " + e.what();
  }
}

class ChatTemplateTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

// Made by jinja2: tests/golden/text/template_cases.py.
TEST_F(ChatTemplateTest, SmallCasesRenderAsJinja2RendersThem) {
  const Json golden =
      parse_json(read_file(SINTER_SOURCE_DIR "/tests/golden/text/template_cases.json"), "golden");
  ASSERT_GT(golden["cases"].size(), 400U);
  const Inputs inputs = inputs_of(golden["context"]);
  for (const Json& c : golden["cases"]) {
    const auto source = c["template"].get<std::string>();
    try {
      const std::string text = ChatTemplate::parse(source, "TEMPLATE")->render(inputs);
      ASSERT_TRUE(c.contains("text"))
          << source << "\nrenders " << text << "\nbut jinja2: " << c["error"];
      EXPECT_EQ(text, c["text"].get<std::string>()) << source;
    } catch (const Error& e) {
      EXPECT_TRUE(c.contains("error")) << source << "\nfails: " << e.what();
    }
  }
}

// The golden conversations were rendered with their keys in this order, and stored sorted.
Json in_golden_order(const Json& json) {
  static const std::vector<std::string> kOrder = {
      "role",       "tool_call_id", "id",       "type",    "function",  "name",      "description",
      "parameters", "properties",   "required", "content", "arguments", "tool_calls"};
  if (json.is_array()) {
    Json out = Json::array();
    for (const Json& item : json) out.push_back(in_golden_order(item));
    return out;
  }
  if (!json.is_object()) return json;
  Json out = Json::object();
  for (const std::string& key : kOrder) {
    if (json.contains(key)) out[key] = in_golden_order(json[key]);
  }
  for (const auto& [key, value] : json.items()) {
    if (!out.contains(key)) out[key] = in_golden_order(value);
  }
  return out;
}

TEST_F(ChatTemplateTest, TemplatesOfReleasedModelsRenderAsJinja2RendersThem) {
  const std::string path = shared_path("vectors/chat_golden.json");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const Json golden = parse_json(read_file(path), path);
  int checked = 0;
  for (const auto& [name, expected] : golden.items()) {
    const std::string file = shared_path("chat_templates/" + name);
    if (name.starts_with("_") || !std::filesystem::exists(file)) continue;
    const auto chat_template = ChatTemplate::parse(read_file(file), name);
    for (const auto& [kind, want] : expected.items()) {
      Json conversation = in_golden_order(golden["_conversations"][kind]);
      conversation["bos_token"] = "<BOS>";
      conversation["eos_token"] = "<EOS>";
      conversation["add_generation_prompt"] = true;
      ++checked;
      try {
        const std::string text = chat_template->render(inputs_of(conversation));
        ASSERT_TRUE(want.is_string()) << name << " " << kind << " should fail";
        EXPECT_EQ(text, want.get<std::string>()) << name << " " << kind;
      } catch (const Error& e) {
        EXPECT_FALSE(want.is_string()) << name << " " << kind << ": " << e.what();
      }
    }
  }
  EXPECT_EQ(checked, 175);
}

TEST_F(ChatTemplateTest, ErrorsNameTheTemplateTheLineAndTheFeature) {
  EXPECT_EQ(error_of("a\nb\n{% include 'x' %}"),
            "template-unsupported: TEMPLATE: line 3: the tag {% include %} is not supported");
  for (const char* tag :
       {"extends 'x'", "import 'x' as y", "from 'x' import y", "block z", "autoescape true"}) {
    EXPECT_TRUE(error_of(fmt::format("\n{{% {} %}}", tag))
                    .starts_with("template-unsupported: TEMPLATE: line 2: the tag"))
        << tag;
  }
  EXPECT_EQ(error_of("\n\n{{ x | nope }}"),
            "template-unsupported: TEMPLATE: line 3: no filter named 'nope'");
  EXPECT_EQ(error_of("\n{{ x | wordwrap }}"),
            "template-unsupported: TEMPLATE: line 2: the filter 'wordwrap' is not supported");
  EXPECT_EQ(error_of("{% if x %}\n"),
            "template-syntax: TEMPLATE: line 1: unexpected end of template; expected elif or else "
            "or endif");
  EXPECT_EQ(error_of("\n\n{{ raise_exception('no') }}"),
            "template-raised: TEMPLATE: line 3: the template refuses this conversation: no");
  EXPECT_EQ(error_of("\n{{ x.y }}"), "template-render: TEMPLATE: line 2: 'x' is undefined");
  EXPECT_EQ(error_of("{{ [].append(1) }}"),
            "template-render: TEMPLATE: line 1: access to attribute 'append' of 'list' object is "
            "unsafe.");
  EXPECT_TRUE(error_of("{{ 9223372036854775807 + 1 }}").starts_with("template-unsupported"));
  EXPECT_TRUE(error_of("{{ 9223372036854775808 }}").starts_with("template-unsupported"));
  EXPECT_TRUE(error_of("{{ 'a'.upper }}").starts_with("template-unsupported"));
  EXPECT_TRUE(error_of("{{ 'a'.encode() }}").starts_with("template-unsupported"));
  EXPECT_TRUE(error_of("{{ '\\ud800' }}").starts_with("template-unsupported"));
  EXPECT_TRUE(error_of("\xff").starts_with("template-syntax"));
}

TEST_F(ChatTemplateTest, AMissingTokenIsUndefinedAndNullToolsAreNone) {
  EXPECT_EQ(render("{{ bos_token is defined }}{{ pad_token is defined }}{{ tools is none }}",
                   {{"bos_token", ""}, {"tools", nullptr}}),
            "TrueFalseTrue");
}

std::string repeated(const std::string& text, size_t n) {
  std::string out;
  while (n-- > 0) out += text;
  return out;
}

TEST_F(ChatTemplateTest, HostileTemplatesEndInAnError) {
  const std::vector<std::string> hostile = {
      "{{ 'a' * 10**9 }}",
      "{{ ['a'] * 10**9 }}",
      "{{ ('a' * 10**6) * 10**6 }}",
      "{% for i in range(10**12) %}{% endfor %}",
      "{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% "
      "endfor %}",
      "{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% "
      "endfor %}",
      "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% "
      "endfor %}",
      "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s] %}{% "
      "endfor %}{{ ns.s }}",
      "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s] %}{% "
      "endfor %}{{ ns.s | tojson }}",
      "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s] "
      "%}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}",
      "{% set ns = namespace(s=[]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] %}{% endfor "
      "%}",
      "{% set ns = namespace(s=[]) %}{% for i in range(99999) %}{% set ns.s = ns.s | map('first') "
      "%}{% endfor %}{{ ns.s | list }}",
      "{% set ns = namespace(s=1) %}{% for i in range(99999) %}{% set ns.s = namespace(s=ns.s) "
      "%}{% endfor %}{{ ns }}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f() %}{{ " + repeated("[", 70) + "f()" + repeated("]", 70) +
          " }}{% endmacro %}{{ f() }}",
      "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% for a in range(99999) %}{% for b in range(999) %}xxxxxxxxxx{% endfor %}{% endfor %}",
      "{{ '%1000000000d' % 1 }}",
      "{{ '%.1000000000f' % 1 }}",
      "{{ '{:1000000000}'.format(1) }}",
      "{{ 'a'.center(10**10) }}",
      "{{ 'a' | indent(10**10, true) }}",
      "{{ ('a' * 10**6).replace('', 'b' * 10**6) }}",
      "{{ ('b' * 10**6).join('a' * 10**6) }}",
      "{{ [1] | batch(10**11, 'x') | list }}",
      "{{ [1] | slice(10**11) | list }}",
      "{{ [[1]] | tojson(indent=10**10) }}",
      "{{ 9 ** 9 ** 9 }}",
      "{% filter upper %}" + std::string(10, 'a') +
          "{% for i in range(99999) %}{% for j in "
          "range(999) %}aaaaaaaaaaa{% endfor %}{% endfor %}{% endfilter %}",
      repeated("{% if true %}", 100000),
      repeated("{% for x in y %}", 1000) + repeated("{% endfor %}", 1000),
      "{{ " + repeated("(", 100000),
      "{{ " + repeated("[", 100000) + repeated("]", 100000) + " }}",
      "{{ " + repeated("-", 100000) + "1 }}",
      "{{ " + repeated("not ", 100000) + "1 }}",
      "{{ 1" + repeated(" + 1", 100000) + " }}",
      "{{ 1" + repeated(" if 1 else 1", 100000) + " }}",
      "{{ 1" + repeated(" if 1", 100000) + " }}",
      "{{ x" + repeated(".x", 100000) + " }}",
      "{{ x" + repeated("|list", 100000) + " }}",
      "{{ x" + repeated("[x", 100000) + " }}",
      "{{ x" + repeated("(x", 100000) + " }}",
      "{% set " + repeated("(", 100000) + "x = 1 %}",
      "{% if 1 %}" + repeated("{% elif 1 %}{% if 1 %}", 100000),
  };
  for (const std::string& source : hostile) {
    const std::string error =
        error_of(source, Json::object(), {.max_steps = 300'000, .max_output_bytes = 8 << 20});
    EXPECT_NE(error, "") << source.substr(0, 200);
  }
}

TEST_F(ChatTemplateTest, TheLimitsAreTheCallers) {
  const std::string source = "{% for i in range(1000) %}abc{% endfor %}";
  EXPECT_EQ(error_of(source), "");
  EXPECT_TRUE(
      error_of(source, Json::object(), {.max_output_bytes = 2999}).starts_with("template-limit"));
  EXPECT_EQ(error_of(source, Json::object(), {.max_output_bytes = 3000}), "");
  EXPECT_TRUE(error_of(source, Json::object(), {.max_steps = 500}).starts_with("template-limit"));
  const std::string deep =
      "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(150) }}";
  EXPECT_EQ(error_of(deep), "");
  EXPECT_TRUE(error_of(deep, Json::object(), {.max_depth = 100}).starts_with("template-limit"));
}

// ---- fuzz: nothing but Error may come out of a mutated template or conversation

void expect_text_or_error(const std::string& source, const Json& json) {
  try {
    ChatTemplate::parse(source, "TEMPLATE")
        ->render(inputs_of(json), {.max_steps = 20'000, .max_output_bytes = 1 << 18});
  } catch (const Error&) {
  }
}

TEST_F(ChatTemplateTest, MutatedTemplatesRenderOrFailCleanly) {
  const Json golden =
      parse_json(read_file(SINTER_SOURCE_DIR "/tests/golden/text/template_cases.json"), "golden");
  std::vector<std::string> sources;
  for (const Json& c : golden["cases"]) sources.push_back(c["template"].get<std::string>());
  const std::string folder = shared_path("chat_templates");
  if (std::filesystem::exists(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".jinja") sources.push_back(read_file(entry.path()));
    }
  }
  std::mt19937 random(7);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const char* rounds_wanted = std::getenv("SINTER_FUZZ_ROUNDS");
  const int rounds = rounds_wanted != nullptr ? std::atoi(rounds_wanted) : 4000;
  for (int round = 0; round < rounds; ++round) {
    std::string source = sources[below(sources.size())];
    for (size_t k = 1 + below(3); k > 0 && !source.empty(); --k) {
      const std::string& other = sources[below(sources.size())];
      const size_t at = below(source.size());
      const size_t from = other.empty() ? 0 : below(other.size());
      switch (below(5)) {
        case 0:
          source[at] = static_cast<char>(random());
          break;
        case 1:
          source.resize(at);
          break;
        case 2:
          source.insert(at, other.substr(from, below(40)));
          break;
        case 3:
          source.erase(at, below(20));
          break;
        default:
          source = source.substr(0, at) + other.substr(from);
      }
    }
    expect_text_or_error(source, golden["context"]);
  }
}

Json mutated(const Json& json, std::mt19937* random) {
  static const std::vector<Json> kOdd = {nullptr,   true,
                                         0,         -1,
                                         1e300,     "",
                                         "\u0000é", Json::array(),
                                         INT64_MIN, Json::object(),
                                         "tool",    Json::array({1, "x"})};
  if ((*random)() % 12 == 0) return kOdd[(*random)() % kOdd.size()];
  if (json.is_array()) {
    Json out = Json::array();
    for (const Json& item : json) {
      if ((*random)() % 20 != 0) out.push_back(mutated(item, random));
    }
    return out;
  }
  if (!json.is_object()) return json;
  Json out = Json::object();
  for (const auto& [key, value] : json.items()) {
    if ((*random)() % 20 != 0) out[key] = mutated(value, random);
  }
  return out;
}

TEST_F(ChatTemplateTest, MutatedConversationsRenderOrFailCleanly) {
  const std::string folder = shared_path("chat_templates");
  const std::string conversation = folder + "/contexts/tool_use.json";
  if (!std::filesystem::exists(conversation)) GTEST_SKIP() << "no " << conversation;
  const Json original = parse_json(read_file(conversation), conversation);
  std::vector<std::unique_ptr<const ChatTemplate>> templates;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    templates.push_back(ChatTemplate::parse(read_file(entry.path()), entry.path()));
  }
  std::mt19937 random(11);
  for (int round = 0; round < 30; ++round) {
    Json json = original;
    json["messages"] = mutated(original["messages"], &random);
    json["tools"] = mutated(original["tools"], &random);
    const Inputs inputs = inputs_of(json);
    for (const auto& chat_template : templates) {
      try {
        chat_template->render(inputs);
      } catch (const Error& e) {
        EXPECT_TRUE(e.code() == "template-render" || e.code() == "template-raised" ||
                    e.code() == "template-unsupported")
            << e.what();
      }
    }
  }
}

}  // namespace
}  // namespace sinter
