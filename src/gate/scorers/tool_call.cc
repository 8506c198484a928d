// tool_call {name, arguments} or {calls: [{name, arguments}, ...]}: the answer calls these tools,
// in this order, with equal arguments. Read are `<tool_call>{...}</tool_call>` blocks, a bare JSON
// object or array, and OpenAI's {"tool_calls": [{"function": {"name", "arguments"}}]}. Malformed:
// no call, a call that is not JSON, a tool that was not offered, or arguments that its parameter
// schema does not allow.
#include <fmt/format.h>

#include "base/error.h"
#include "gate/json_equal.h"
#include "gate/json_schema.h"
#include "gate/scorers.h"

namespace sinter {
namespace {

constexpr size_t kMaxCalls = 256;

struct Call {
  std::string name;
  Json arguments;
};

[[noreturn]] void malformed(const std::string& what) {
  fail(Fault::corrupt, "tool-call-malformed", "the answer: {}", what);
}

Call read_call(const Json& value) {
  if (value.is_object() && value.contains("function")) return read_call(value.at("function"));
  if (!value.is_object() || !value.contains("name") || !value.at("name").is_string()) {
    malformed("expected a tool call with a name, found " + to_line(value).substr(0, 80));
  }
  Call call;
  call.name = value.at("name").get<std::string>();
  const auto arguments = value.find("arguments");
  call.arguments = arguments == value.end() ? Json::object() : *arguments;
  if (call.arguments.is_string()) {  // OpenAI writes them as JSON in a string
    call.arguments =
        parse_json(call.arguments.get<std::string>(), "the arguments", {.max_depth = 128});
  }
  if (!call.arguments.is_object()) malformed("expected the arguments to be an object");
  return call;
}

void read_calls(const Json& value, std::vector<Call>& calls) {
  const Json* list = &value;
  if (value.is_object() && value.contains("tool_calls")) list = &value.at("tool_calls");
  if (list->is_array()) {
    if (list->size() > kMaxCalls) malformed(fmt::format("more than {} calls", kMaxCalls));
    for (const Json& one : *list) calls.push_back(read_call(one));
  } else {
    calls.push_back(read_call(*list));
  }
}

// Throws Error where the answer is malformed.
std::vector<Call> calls_in(std::string_view text) {
  constexpr std::string_view kOpen = "<tool_call>";
  constexpr std::string_view kClose = "</tool_call>";
  std::vector<Call> calls;
  size_t at = text.find(kOpen);
  if (at == std::string_view::npos) {
    const std::string_view bare = trimmed(text);
    if (bare.empty() || (bare.front() != '{' && bare.front() != '[')) {
      malformed("expected a tool call, found none");
    }
    read_calls(parse_json(bare, "the answer", {.max_depth = 128}), calls);
    return calls;
  }
  for (; at != std::string_view::npos; at = text.find(kOpen, at)) {
    at += kOpen.size();
    const size_t end = text.find(kClose, at);
    if (end == std::string_view::npos) malformed("a <tool_call> that is never closed");
    if (calls.size() >= kMaxCalls) malformed(fmt::format("more than {} calls", kMaxCalls));
    read_calls(parse_json(trimmed(text.substr(at, end - at)), "the call", {.max_depth = 128}),
               calls);
    at = end + kClose.size();
  }
  return calls;
}

std::vector<Call> expected_calls(const Item& item) {
  std::vector<Call> calls;
  if (item.scorer.contains("calls")) {
    for (const Json& one : item.scorer.at("calls")) calls.push_back(read_call(one));
  } else {
    calls.push_back(read_call(item.scorer));
  }
  return calls;
}

// The item's tools as OpenAI has them: [{"type": "function", "function": {name, parameters}}].
void check_offered(const Item& item, const Call& call) {
  if (!item.tools.is_array()) return;
  for (const Json& tool : item.tools) {
    const Json& function = tool.at("function");
    if (function.value("name", "") != call.name) continue;
    if (!function.contains("parameters")) return;
    const JsonSchema schema(function.at("parameters"), item.id + ": tool " + call.name);
    if (auto wrong = schema.violation(call.arguments); !wrong.empty()) {
      malformed(fmt::format("{}: arguments{}", call.name, wrong));
    }
    return;
  }
  malformed(fmt::format("calls the tool \"{}\", which was not offered", call.name));
}

void check(const Item& item, const std::string& where) {
  allow_only(item, where, {"name", "arguments", "calls"});
  if (item.scorer.contains("calls") == item.scorer.contains("name")) {
    fail(Fault::bad_input, "suite-scorer",
         "{}: scorer: expected either a name with arguments, or a list of calls", where);
  }
  if (item.scorer.contains("calls") &&
      (!item.scorer.at("calls").is_array() || item.scorer.at("calls").empty())) {
    fail(Fault::bad_input, "suite-scorer", "{}: scorer: calls: expected a list of calls", where);
  }
  if (item.tools.is_array()) {
    for (const Json& tool : item.tools) {
      const JsonFields function = JsonFields(tool, where + ": tools").object("function");
      function.string("name");
      if (function.has("parameters")) {
        JsonSchema(function.at("parameters"), where + ": tool " + function.string("name"));
      }
    }
  }
  try {
    for (const Call& call : expected_calls(item)) check_offered(item, call);
  } catch (const Error& e) {
    fail(Fault::bad_input, "suite-scorer",
         "{}: scorer: the expected call does not fit the item's own tools: {}", where, e.what());
  }
}

Score score(const Item& item, const Evidence& evidence) {
  const std::vector<Call> expected = expected_calls(item);
  Score s;
  s.parse = Parse::malformed;
  std::vector<Call> found;
  try {
    found = calls_in(evidence.answer.text);
    for (const Call& call : found) check_offered(item, call);
  } catch (const Error& e) {
    if (e.fault() == Fault::exhausted) throw;  // out of steps: not judged
    s.detail = e.what();
    return s;
  }
  s.parse = Parse::parsed;
  if (found.size() != expected.size()) {
    s.detail = fmt::format("expected {} calls, found {}", expected.size(), found.size());
    return s;
  }
  for (size_t i = 0; i < found.size() && s.detail.empty(); ++i) {
    if (found[i].name != expected[i].name) {
      s.detail =
          fmt::format("expected a call of \"{}\", found \"{}\"", expected[i].name, found[i].name);
    } else {
      s.detail = json_difference(expected[i].arguments, found[i].arguments);
      if (!s.detail.empty()) s.detail = found[i].name + ": arguments" + s.detail;
    }
  }
  s.pass = s.detail.empty();
  s.score = s.pass ? 1 : 0;
  return s;
}

}  // namespace

extern const Scorer kToolCallScorer;
const Scorer kToolCallScorer = {"tool_call", true, check, nullptr, score};

}  // namespace sinter
