// sinter run: answer one prompt, or chat on a terminal; streaming.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <numeric>

#include "app/answer.h"
#include "app/command.h"
#include "app/sampling_flags.h"
#include "base/error.h"
#include "base/file.h"

namespace sinter {
namespace {

struct Options {
  std::string model, prompt, system, messages, receipt;
  int32_t max_tokens = 512;
  bool raw = false, show_special = false, stats = false;
  SamplingFlags sampling;
  EngineOptions engine;
};

Asked ask(const Options& o, const LoadedModel& model, std::vector<Token> prompt) {
  const ModelConfig& config = model.decoder->config();
  Asked asked;
  const int32_t room = config.max_tokens - static_cast<int32_t>(prompt.size());
  asked.prompt = std::move(prompt);
  asked.max_new_tokens = std::max(1, std::min(o.max_tokens, room));
  asked.stop = model.need_chat().stop();
  asked.stop_strings = o.sampling.stop;
  asked.skip_special = !o.show_special;
  asked.sampling = o.sampling.resolve(model.need_chat().tokenizer(), config.vocab);
  asked.choices.resize(static_cast<size_t>(o.sampling.choices));
  std::iota(asked.choices.begin(), asked.choices.end(), 0u);
  asked.logprobs = o.sampling.logprobs_asked();
  return asked;
}

Json to_json(const Tokenizer& tokenizer, const TokenLogprob& t) {
  return {{"token", t.token}, {"text", tokenizer.decode({&t.token, 1})}, {"logprob", t.logprob}};
}

Json to_json(const Tokenizer& tokenizer, const std::vector<PositionLogprobs>& positions) {
  Json out = Json::array();
  for (const PositionLogprobs& p : positions) {
    Json one = to_json(tokenizer, p.chosen);
    one["rank"] = p.rank;
    one["top"] = Json::array();
    for (const TokenLogprob& t : p.top) one["top"].push_back(to_json(tokenizer, t));
    out.push_back(std::move(one));
  }
  return out;
}

Json to_json(const Tokenizer& tokenizer, const Asked& asked, const Reply& reply) {
  const Completion& c = reply.completion;
  Json out = {
      {"text", reply.text},
      {"finish", to_string(c.finish)},
      {"tokens", c.tokens},
      {"usage", {{"prompt_tokens", asked.prompt.size()}, {"completion_tokens", c.tokens.size()}}},
      {"first_token_s", reply.first_token_s},
      {"total_s", reply.total_s}};
  if (!reply.stop_string.empty()) out["stop_string"] = reply.stop_string;
  if (asked.logprobs.kind != LogprobKind::none) {
    out["logprobs"] = {{"kind", to_string(asked.logprobs.kind)},
                       {"tokens", to_json(tokenizer, c.logprobs)}};
  }
  return out;
}

// The one reply; of several, {"choices": [...]}.
void print_json_of(const Options& o, const LoadedModel& model, const Asked& asked,
                   const std::vector<Reply>& replies) {
  const Tokenizer& tokenizer = model.need_chat().tokenizer();
  Json out;
  if (replies.size() == 1) {
    out = to_json(tokenizer, asked, replies.front());
  } else {
    out["choices"] = Json::array();
    for (const Reply& r : replies) out["choices"].push_back(to_json(tokenizer, asked, r));
  }
  if (asked.logprobs.prompt) {
    out["prompt_logprobs"] = {
        {"kind", "raw"},
        {"tokens", to_json(tokenizer, replies.front().completion.prompt_logprobs)}};
  }
  out["sampling"] = to_json(asked.sampling);
  if (!o.receipt.empty()) out["receipt"] = o.receipt;
  print_json(out);
}

void print_stats(const Asked& asked, const Reply& r) {
  const auto n = static_cast<double>(r.completion.tokens.size());
  fmt::print(stderr,
             "{} prompt tokens, first token after {:.0f} ms, {} tokens at {:.1f} tok/s, {}; {}\n",
             asked.prompt.size(), 1e3 * r.first_token_s, r.completion.tokens.size(),
             n > 1 ? (n - 1) / (r.total_s - r.first_token_s) : 0.0, to_string(r.completion.finish),
             describe(asked.sampling));
}

// Lines are turns; an empty line ends. History is kept.
int chat(const Options& o, const LoadedModel& model) {
  if (!o.receipt.empty() || o.sampling.choices > 1) {
    fail(Fault::bad_input, "sampling-conflict",
         "run: --receipt and --choices are for one prompt; name it, or leave them out to chat");
  }
  Json messages = Json::array();
  if (!o.system.empty()) messages.push_back({{"role", "system"}, {"content", o.system}});
  fmt::print(stderr, "{}: type a message; an empty line ends.\n", o.model);
  std::string line;
  while (!interrupted()) {
    fmt::print(stderr, "> ");
    if (!std::getline(std::cin, line) || line.empty()) break;
    messages.push_back({{"role", "user"}, {"content", line}});
    const Asked asked =
        ask(o, model, model.need_chat().encode({.messages = messages, .tools = {}, .extra = {}}));
    const Reply r = answer(model, o.engine, asked, print_text).front();
    print_text("\n");
    if (o.stats) print_stats(asked, r);
    messages.push_back({{"role", "assistant"}, {"content", r.text}});
  }
  return 0;
}

// One receipt a line.
void write_receipts(const Options& o, const LoadedModel& model, const Asked& asked,
                    const std::vector<Reply>& replies) {
  const Json parts = parts_of(model, o.engine);
  std::string lines;
  for (size_t i = 0; i < replies.size(); ++i) {
    lines += to_line(receipt_of(o.model, parts, asked, i, replies[i]).to_json()) + "\n";
  }
  write_file_atomically(o.receipt, lines);
}

int run(const Options& o) {
  if (o.sampling.wants_list()) {
    print_text(SamplingFlags::list());
    return 0;
  }
  o.sampling.check_alone();
  install_interrupt();
  const LoadedModel model =
      LoadedModel::load(o.model, make_cpu_backend(o.engine.threads, o.engine.isa), o.engine);
  std::vector<Token> prompt;
  if (!o.messages.empty()) {
    const Json json = read_json_file(o.messages);
    const bool list = json.is_array();
    const JsonFields f(list ? Json{{"messages", json}} : json, o.messages);
    Json extra = Json::object();
    if (f.has("response_format")) extra["response_format"] = f.at("response_format");
    prompt = model.need_chat().encode({.messages = f.at("messages"),
                                       .tools = f.has("tools") ? f.at("tools") : Json(),
                                       .extra = extra});
  } else {
    std::string text = o.prompt;
    if (text.empty() && ::isatty(0) != 0 && !o.raw) return chat(o, model);
    if (text.empty() || text == "-") text = read_file("/dev/stdin");
    if (o.raw) {
      prompt = model.need_chat().tokenizer().encode(text);
    } else {
      Json messages = Json::array();
      if (!o.system.empty()) messages.push_back({{"role", "system"}, {"content", o.system}});
      messages.push_back({{"role", "user"}, {"content", text}});
      prompt = model.need_chat().encode({.messages = messages, .tools = {}, .extra = {}});
    }
  }
  const Asked asked = ask(o, model, std::move(prompt));
  const bool several = asked.choices.size() > 1, stream = !globals().json && !several;
  const std::vector<Reply> replies =
      answer(model, o.engine, asked, stream ? print_text : std::function<void(std::string_view)>());
  if (!o.receipt.empty() && !interrupted()) write_receipts(o, model, asked, replies);
  if (globals().json) {
    print_json_of(o, model, asked, replies);
  } else if (several) {
    for (size_t i = 0; i < replies.size(); ++i) {
      print_text(fmt::format("--- choice {}\n{}\n", i, replies[i].text));
    }
  } else {
    print_text("\n");
  }
  if (o.stats) {
    for (const Reply& r : replies) print_stats(asked, r);
  }
  return interrupted() ? 130 : 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model directory or a GGUF file.")->required();
  app.add_option("PROMPT", o->prompt,
                 "What to ask; '-' reads standard input. Left out on a terminal: chat.");
  app.add_option("--system", o->system, "A system message.");
  app.add_option("--messages", o->messages,
                 "A JSON file instead of PROMPT: messages, or {messages, tools, response_format}.");
  app.add_flag("--raw", o->raw, "Continue the prompt as plain text, without the chat template.");
  app.add_option("-n,--max-tokens", o->max_tokens, "Tokens to generate, at most.")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  o->sampling.add_to(app);
  app.add_option("--receipt", o->receipt,
                 "Write what the answer depended on, and its tokens, to this file; `sinter replay` "
                 "gives it again.");
  app.add_flag("--show-special", o->show_special, "Print special tokens too (tool calls, say).");
  app.add_flag("--stats", o->stats, "Speed, on stderr, after each answer.");
  o->engine.add_to(app);
  app.footer(
      "Example:  sinter run models/pebble 'Calculate 348 plus 275.'\n"
      "Sampling, its orders and receipts: docs/sampling.md");
  return [o] { return run(*o); };
}

}  // namespace

const Command kRunCommand = {"run", "Answer a prompt, or chat on a terminal.", setup};

}  // namespace sinter
