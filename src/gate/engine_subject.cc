#include "gate/engine_subject.h"

#include <chrono>
#include <limits>

#include "base/error.h"
#include "model/logits.h"

namespace sinter {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Best minus second best.
float margin(std::span<const float> logits) {
  float best = -std::numeric_limits<float>::infinity(), second = best;
  for (const float x : logits) {
    if (x > best) {
      second = best;
      best = x;
    } else if (x > second) {
      second = x;
    }
  }
  return best - second;
}

class DecoderWalk final : public TextWalk {
 public:
  DecoderWalk(Decoder& model, std::vector<Token> tokens)
      : model_(model), tokens_(std::move(tokens)), table_(model.pages()) {
    const auto n = static_cast<int64_t>(tokens_.size());
    if (n > model.config().max_tokens || PageTable::pages_for(n) > model.pages().available()) {
      fail(Fault::exhausted, "text-too-long",
           "text of {} tokens: the model takes {}, the KV cache has room for {}; split the text", n,
           model.config().max_tokens, model.pages().available() * kPageTokens);
    }
    row_.resize(static_cast<size_t>(model.config().vocab));
  }

  std::span<const int32_t> tokens() const override { return tokens_; }

  std::span<const float> next() override {
    if (next_ + 1 >= tokens_.size()) return {};
    if (next_ == computed_) compute();
    log_softmax(logits_.row(static_cast<int64_t>(next_ - first_)), row_);
    ++next_;
    return row_;
  }

 private:
  // Rows are computed a chunk at a time; the view stays valid until the model's next forward, which
  // is ours: walks of one model do not interleave.
  static constexpr size_t kChunk = 64;

  void compute() {
    first_ = computed_;
    computed_ = std::min(tokens_.size() - 1, first_ + kChunk);
    Batch batch;
    for (size_t i = first_; i < computed_; ++i) {
      batch.logit_rows.push_back(static_cast<int32_t>(batch.tokens.size()));
      batch.tokens.push_back(tokens_[i]);
    }
    batch.spans.push_back({.table = &table_,
                           .first_row = 0,
                           .n_rows = static_cast<int32_t>(batch.tokens.size()),
                           .first_position = static_cast<int32_t>(first_)});
    logits_ = model_.forward(batch);
  }

  Decoder& model_;
  std::vector<Token> tokens_;
  PageTable table_;
  MatView logits_;
  std::vector<float> row_;
  size_t first_ = 0, computed_ = 0, next_ = 0;
};

// The answer's text, and where in it every token ends.
void show(const Tokenizer& tokenizer, std::span<const Token> tokens, Answer& answer) {
  const auto stream = tokenizer.stream();
  for (const Token token : tokens) {
    answer.text += stream->push(token);
    answer.token_ends.push_back(static_cast<int32_t>(answer.text.size()));
  }
  answer.text += stream->finish();
}

}  // namespace

EngineSubject::EngineSubject(std::shared_ptr<const Artifact> artifact,
                             std::shared_ptr<const Chat> chat, Decoder& model, Json engine,
                             EngineLimits limits)
    : artifact_(std::move(artifact)),
      chat_(std::move(chat)),
      model_(model),
      engine_(std::move(engine)),
      limits_(limits) {}

Json EngineSubject::identity() const {
  return {{"model", artifact_->directory()},
          {"artifact_sha256", artifact_->digest()},
          {"scheme", artifact_->scheme()},
          {"engine", engine_}};
}

std::vector<Token> prompt_of(const Chat& chat, const Item& item) {
  Json extra = Json::object();
  if (!item.response_format.is_null()) extra["response_format"] = item.response_format;
  return chat.encode({.messages = item.messages, .tools = item.tools, .extra = extra});
}

void EngineSubject::generate(std::span<const Item* const> items, const Done& done) {
  struct Margin {
    float least = std::numeric_limits<float>::infinity();
    int32_t at = 0;
  };
  std::vector<Margin> margins(items.size());
  Engine engine(model_, limits_);
  const double start = now_seconds();
  for (size_t i = 0; i < items.size(); ++i) {
    try {
      Request request;
      request.prompt = prompt_of(*chat_, *items[i]);
      const auto n_prompt = static_cast<int32_t>(request.prompt.size());
      request.max_new_tokens = items[i]->max_tokens;
      request.stop = chat_->stop();
      request.observe_from = n_prompt;
      request.observe = [&margins, i, n_prompt](int32_t position, std::span<const float> logits) {
        if (const float m = margin(logits); m < margins[i].least) {
          margins[i] = {m, position - n_prompt};
        }
      };
      engine.add(std::move(request), [&, i, n_prompt](Completion c) {
        Answer answer;
        answer.tokens = std::move(c.tokens);
        answer.finish = to_string(c.finish);
        answer.prompt_tokens = n_prompt;
        answer.min_margin = margins[i].least;
        answer.min_margin_at = margins[i].at;
        std::span<const Token> shown(answer.tokens);
        if (c.finish == Finish::stop) shown = shown.first(shown.size() - 1);
        if (c.finish != Finish::failed) show(chat_->tokenizer(), shown, answer);
        generated_tokens_ += static_cast<int64_t>(answer.tokens.size());
        done(i, answer, c.error);
      });
    } catch (const Error& e) {
      done(i, {}, e.what());
    }
  }
  engine.run();
  generate_seconds_ += now_seconds() - start;
}

void EngineSubject::score(std::span<const Forced> forced, const Scored& done) {
  std::vector<Likelihood> likelihoods(forced.size());
  Engine engine(model_, limits_);
  for (size_t i = 0; i < forced.size(); ++i) {
    try {
      Request request;
      request.prompt = prompt_of(*chat_, *forced[i].item);
      const auto n_prompt = static_cast<int32_t>(request.prompt.size());
      const std::vector<Token> continuation = chat_->tokenizer().encode(
          forced[i].continuation, {.add_special = false, .parse_special = true});
      request.prompt.insert(request.prompt.end(), continuation.begin(), continuation.end());
      if (forced[i].with_end && !chat_->stop().empty()) {
        request.prompt.push_back(chat_->stop().front());
      }
      request.observe_from = n_prompt;
      request.observe = [&out = likelihoods[i], tokens = request.prompt](
                            int32_t position, std::span<const float> logits) {
        const Token token = tokens[static_cast<size_t>(position)];
        out.logprobs.push_back(static_cast<float>(log_probability(logits, token)));
      };
      engine.add(std::move(request),
                 [&, i](const Completion& c) { done(i, likelihoods[i], c.error); });
    } catch (const Error& e) {
      done(i, {}, e.what());
    }
  }
  engine.run();
}

std::unique_ptr<TextWalk> EngineSubject::walk(const std::string& text) {
  return std::make_unique<DecoderWalk>(model_, chat_->tokenizer().encode(text));
}

Json EngineSubject::costs() const {
  int64_t file_bytes = 0;
  for (const auto& file : artifact_->checkpoint().files()) {
    file_bytes += static_cast<int64_t>(file->bytes().size());
  }
  Json costs = {{"weight_file_bytes", file_bytes},
                {"weight_bytes_per_token", model_.bytes_per_token()}};
  if (generate_seconds_ > 0) {
    costs["generated_tokens"] = generated_tokens_;
    costs["generated_tokens_per_s"] = static_cast<double>(generated_tokens_) / generate_seconds_;
  }
  return costs;
}

}  // namespace sinter
