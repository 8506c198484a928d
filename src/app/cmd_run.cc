// sinter run: answer one prompt, or chat on a terminal; streaming.
#include <unistd.h>

#include <chrono>
#include <iostream>

#include "app/command.h"
#include "app/loaded_model.h"
#include "base/error.h"
#include "base/file.h"

namespace sinter {
namespace {

struct Options {
  std::string model, prompt, system, messages;
  int32_t max_tokens = 512;
  bool raw = false, show_special = false, stats = false;
  SamplingParams sampling;
  EngineOptions engine;
};

struct Reply {
  std::string text;
  Completion completion;
  int32_t prompt_tokens = 0;
  double first_token_s = 0, total_s = 0;

  Json to_json() const {
    return {{"text", text},
            {"finish", to_string(completion.finish)},
            {"tokens", completion.tokens},
            {"usage",
             {{"prompt_tokens", prompt_tokens}, {"completion_tokens", completion.tokens.size()}}},
            {"first_token_s", first_token_s},
            {"total_s", total_s}};
  }
};

Reply answer(const Options& o, const LoadedModel& model, std::vector<Token> prompt, bool stream) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto since = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const Chat& chat = model.need_chat();
  Reply reply;
  reply.prompt_tokens = static_cast<int32_t>(prompt.size());
  const int32_t room = model.decoder->config().max_tokens - reply.prompt_tokens;
  const auto text = chat.tokenizer().stream(!o.show_special);
  const auto emit = [&](const std::string& piece) {
    reply.text += piece;
    if (stream && !piece.empty()) print_text(piece);
  };
  Engine engine(*model.decoder, o.engine.limits());
  engine.add({.prompt = std::move(prompt),
              .max_new_tokens = std::max(1, std::min(o.max_tokens, room)),
              .sampling = o.sampling,
              .stop = chat.stop(),
              .observe = {},
              .observe_from = INT32_MAX,
              .on_token =
                  [&](Token t) {
                    if (reply.first_token_s == 0) reply.first_token_s = since();
                    if (std::find(chat.stop().begin(), chat.stop().end(), t) == chat.stop().end()) {
                      emit(text->push(t));
                    }
                  }},
             [&](Completion c) { reply.completion = std::move(c); });
  while (!interrupted() && engine.step()) {
  }
  emit(text->finish());
  reply.total_s = since();
  if (reply.completion.finish == Finish::failed) {
    fail(Fault::corrupt, "logits-not-finite", "{}", reply.completion.error);
  }
  return reply;
}

void print_stats(const Reply& r) {
  const auto n = static_cast<double>(r.completion.tokens.size());
  fmt::print(stderr,
             "{} prompt tokens, first token after {:.0f} ms, {} tokens at {:.1f} tok/s, {}\n",
             r.prompt_tokens, 1e3 * r.first_token_s, r.completion.tokens.size(),
             n > 1 ? (n - 1) / (r.total_s - r.first_token_s) : 0.0, to_string(r.completion.finish));
}

// Lines are turns; an empty line ends. History is kept.
int chat(const Options& o, const LoadedModel& model) {
  Json messages = Json::array();
  if (!o.system.empty()) messages.push_back({{"role", "system"}, {"content", o.system}});
  fmt::print(stderr, "{}: type a message; an empty line ends.\n", o.model);
  std::string line;
  while (!interrupted()) {
    fmt::print(stderr, "> ");
    if (!std::getline(std::cin, line) || line.empty()) break;
    messages.push_back({{"role", "user"}, {"content", line}});
    const Reply r = answer(
        o, model, model.need_chat().encode({.messages = messages, .tools = {}, .extra = {}}), true);
    print_text("\n");
    if (o.stats) print_stats(r);
    messages.push_back({{"role", "assistant"}, {"content", r.text}});
  }
  return 0;
}

int run(const Options& o) {
  check(o.sampling);
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
  const Reply r = answer(o, model, std::move(prompt), !globals().json);
  if (globals().json) {
    print_json(r.to_json());
  } else {
    print_text("\n");
  }
  if (o.stats) print_stats(r);
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
  app.add_option("--temperature", o->sampling.temperature, "0 = greedy.")->capture_default_str();
  app.add_option("--top-k", o->sampling.top_k, "Keep the k most likely tokens; 0 = all.")
      ->capture_default_str();
  app.add_option("--top-p", o->sampling.top_p, "Keep the most likely tokens of this total mass.")
      ->capture_default_str();
  app.add_option("--min-p", o->sampling.min_p,
                 "Drop tokens less likely than this share of the most likely one.")
      ->capture_default_str();
  app.add_option("--seed", o->sampling.seed, "The same seed gives the same answer.")
      ->capture_default_str();
  app.add_flag("--show-special", o->show_special, "Print special tokens too (tool calls, say).");
  app.add_flag("--stats", o->stats, "Speed, on stderr, after each answer.");
  o->engine.add_to(app);
  app.footer("Example:  sinter run models/pebble 'Calculate 348 plus 275.'");
  return [o] { return run(*o); };
}

}  // namespace

const Command kRunCommand = {"run", "Answer a prompt, or chat on a terminal.", setup};

}  // namespace sinter
