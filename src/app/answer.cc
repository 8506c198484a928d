#include "app/answer.h"

#include <chrono>
#include <map>
#include <memory>

#include "base/build.h"
#include "base/error.h"
#include "engine/answer_text.h"

namespace sinter {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

std::vector<Reply> answer(const LoadedModel& model, const EngineOptions& options,
                          const Asked& asked, const std::function<void(std::string_view)>& emit) {
  const auto start = Clock::now();
  const auto since = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  std::vector<Reply> replies(asked.choices.size());
  std::vector<std::unique_ptr<AnswerText>> texts;
  Engine engine(*model.decoder, options.limits());
  for (size_t i = 0; i < replies.size(); ++i) {
    Reply& reply = replies[i];
    texts.push_back(
        std::make_unique<AnswerText>(model.need_chat().tokenizer(),
                                     AnswerTextOptions{.skip_special = asked.skip_special,
                                                       .stop_tokens = asked.stop,
                                                       .stop_strings = asked.stop_strings,
                                                       .min_tokens = asked.sampling.min_tokens},
                                     i == 0 ? emit : std::function<void(std::string_view)>()));
    AnswerText& text = *texts.back();
    LogprobsAsked logprobs = asked.logprobs;
    logprobs.prompt = logprobs.prompt && i == 0;
    engine.add({.prompt = asked.prompt,
                .max_new_tokens = asked.max_new_tokens,
                .sampling = asked.sampling,
                .stop = asked.stop,
                .observe = {},
                .observe_from = INT32_MAX,
                .on_token = {},
                .ends =
                    [&, since](Token t) {
                      if (reply.first_token_s == 0) reply.first_token_s = since();
                      return text.push(t);
                    },
                .choice = asked.choices[i],
                .logprobs = logprobs},
               [&, since](Completion c) {
                 reply.completion = std::move(c);
                 reply.total_s = since();
               });
  }
  while (!interrupted() && engine.step()) {
  }
  for (size_t i = 0; i < replies.size(); ++i) {
    texts[i]->finish();
    replies[i].text = texts[i]->text();
    replies[i].stop_string = texts[i]->stop_string();
    if (replies[i].total_s == 0) replies[i].total_s = since();
    const Completion& c = replies[i].completion;
    if (c.finish == Finish::failed) throw Error(c.fault, c.error_code, c.error);
  }
  return replies;
}

Json parts_of(const LoadedModel& model, const EngineOptions& options) {
  std::map<std::string, int> kernels;
  for (const LinearKernel& k : model.decoder->kernels()) {
    ++kernels[fmt::format("{} {}", k.kernel.codes, k.kernel.activations)];
  }
  return {{"artifact", model.artifact->digest()},
          {"tokenizer", tokenizer_digest(*model.artifact)},
          {"build", build_name()},
          {"instruction_set", model.backend->name()},
          {"activations", options.activations},
          {"weights_only", options.weights_only},
          {"kv", options.kv},
          {"kv_page_tokens", kPageTokens},
          {"kernels", kernels}};
}

Receipt receipt_of(const std::string& path, const Json& parts, const Asked& asked, size_t i,
                   const Reply& reply) {
  Receipt r;
  r.model = path;
  r.ran = parts;
  r.prompt = asked.prompt;
  r.max_new_tokens = asked.max_new_tokens;
  r.stop = asked.stop;
  r.stop_strings = asked.stop_strings;
  r.skip_special = asked.skip_special;
  r.choice = asked.choices[i];
  r.sampling = asked.sampling;
  r.tokens = reply.completion.tokens;
  r.finish = reply.completion.finish;
  return r;
}

}  // namespace sinter
