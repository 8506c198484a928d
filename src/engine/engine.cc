#include "engine/engine.h"

#include <algorithm>

#include "base/error.h"

namespace sinter {

const char* to_string(Finish finish) {
  constexpr const char* kNames[] = {"none", "stop", "length", "failed"};
  return kNames[static_cast<size_t>(finish)];
}

struct Engine::Sequence {
  Sequence(Request r, Done d, PagePool& pool)
      : request(std::move(r)), done(std::move(d)), tokens(request.prompt), table(pool) {}
  Request request;
  Done done;
  std::vector<Token> tokens;  // prompt + generated
  PageTable table;            // of the tokens that went through the model
  int64_t reserved = 0;       // pages
  int32_t rows = 0;           // in the current batch
  int32_t first_logit = 0;    // of its rows in the current logits
  int32_t n_logits = 0;
  Completion completion;

  int32_t pending() const { return static_cast<int32_t>(tokens.size()) - table.n_tokens(); }
  bool decoding() const { return tokens.size() > request.prompt.size(); }
  // The row at `position` predicts position + 1.
  bool wants_logits(int32_t position) const {
    const int32_t predicted = position + 1;
    const bool last = predicted == static_cast<int32_t>(tokens.size());
    return (last && request.max_new_tokens > 0) ||
           (!last && (predicted >= request.observe_from || request.logprobs.prompt));
  }
};

Engine::Engine(Model& model, EngineLimits limits) : model_(model), limits_(limits) {
  SINTER_CHECK(limits.max_sequences > 0 && limits.max_chunk > 0 &&
               limits.step_tokens >= limits.max_sequences);
}
Engine::~Engine() = default;

void Engine::add(Request request, Done done) {
  const ModelConfig& c = model_.config();
  check(request.sampling, c.vocab);
  if (request.prompt.empty()) {
    fail(Fault::bad_input, "prompt-empty", "request: expected at least one token of prompt");
  }
  for (const Token t : request.prompt) {
    if (t < 0 || t >= c.vocab) {
      fail(Fault::bad_input, "token-range",
           "request: expected token ids below the model's vocabulary of {}, found {}; do tokenizer "
           "and model belong together?",
           c.vocab, t);
    }
  }
  const int64_t n = static_cast<int64_t>(request.prompt.size()) + request.max_new_tokens;
  if (n > c.max_tokens) {
    fail(Fault::bad_input, "prompt-too-long",
         "request: the prompt has {} tokens and asks for {} more, the model was made for {}; "
         "shorten the prompt or ask for less",
         request.prompt.size(), request.max_new_tokens, c.max_tokens);
  }
  if (request.logprobs.top < 0 || request.logprobs.top > c.vocab) {
    fail(Fault::bad_input, "logprobs-range",
         "request: expected 0 to {} log-probabilities beside each token, found {}", c.vocab,
         request.logprobs.top);
  }
  if (PageTable::pages_for(n) > model_.pages().max_pages()) {
    fail(Fault::exhausted, "kv-too-small",
         "request: {} tokens need {} KV pages, the pool has {}; raise --kv-mib", n,
         PageTable::pages_for(n), model_.pages().max_pages());
  }
  auto s = std::make_unique<Sequence>(std::move(request), std::move(done), model_.pages());
  s->reserved = PageTable::pages_for(n);
  waiting_.push_back(std::move(s));
}

// The main loop: everything else is called from here.
bool Engine::step() {
  admit();
  if (running_.empty()) return false;
  build_batch();
  commit(model_.forward(batch_));
  retire();
  return true;
}

// First come, first served; a sequence runs only if all pages it may come to need are there.
void Engine::admit() {
  while (!waiting_.empty() && static_cast<int32_t>(running_.size()) < limits_.max_sequences &&
         reserved_pages_ + waiting_.front()->reserved <= model_.pages().max_pages()) {
    reserved_pages_ += waiting_.front()->reserved;
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void Engine::build_batch() {
  batch_.clear();
  int32_t budget = limits_.step_tokens;
  const auto take = [&](Sequence& s, int32_t n) {
    const int32_t first = s.table.n_tokens();
    batch_.spans.push_back({.table = &s.table,
                            .first_row = static_cast<int32_t>(batch_.tokens.size()),
                            .n_rows = n,
                            .first_position = first});
    s.rows = n;
    s.first_logit = static_cast<int32_t>(batch_.logit_rows.size());
    for (int32_t p = first; p < first + n; ++p) {
      if (s.wants_logits(p)) {
        batch_.logit_rows.push_back(static_cast<int32_t>(batch_.tokens.size()));
      }
      batch_.tokens.push_back(s.tokens[static_cast<size_t>(p)]);
    }
    s.n_logits = static_cast<int32_t>(batch_.logit_rows.size()) - s.first_logit;
    budget -= n;
  };
  for (const auto& s : running_) {
    s->rows = 0;
    if (s->decoding()) take(*s, s->pending());
  }
  for (const auto& s : running_) {
    const int32_t n = std::min({s->pending(), budget, limits_.max_chunk});
    if (!s->decoding() && n > 0) take(*s, n);
  }
}

void Engine::commit(const MatView& logits) {
  for (const auto& s : running_) {
    if (s->rows == 0) continue;
    const Request& r = s->request;
    const int32_t end = s->table.n_tokens();  // one past the rows just computed
    int32_t logit_row = s->first_logit;
    try {
      for (int32_t p = end - s->rows; p < end; ++p) {
        if (!s->wants_logits(p)) continue;
        const auto row = logits.row(logit_row++);
        if (p + 1 >= r.observe_from) r.observe(p + 1, row);
        if (p + 1 < static_cast<int32_t>(s->tokens.size())) {
          if (r.logprobs.prompt) {
            const Token given = s->tokens[static_cast<size_t>(p) + 1];
            s->completion.prompt_logprobs.push_back(
                raw_logprobs(raw_order_, row, given, r.logprobs.top));
          }
          continue;
        }
        const Token t = choose(*s, row);
        s->tokens.push_back(t);
        s->completion.tokens.push_back(t);
        if (r.on_token) r.on_token(t);
        const bool ends = r.ends && r.ends(t);
        if (ends || std::find(r.stop.begin(), r.stop.end(), t) != r.stop.end()) {
          s->completion.finish = Finish::stop;
        } else if (static_cast<int32_t>(s->completion.tokens.size()) >= r.max_new_tokens) {
          s->completion.finish = Finish::length;
        }
        break;  // wants_logits() must not see the token just appended
      }
      if (r.max_new_tokens == 0 && s->pending() == 0) s->completion.finish = Finish::length;
    } catch (const Error& e) {
      s->completion.finish = Finish::failed;
      s->completion.error = e.what();
      s->completion.error_code = e.code();
      s->completion.fault = e.fault();
    }
  }
}

Token Engine::choose(Sequence& s, std::span<const float> logits) {
  const Request& r = s.request;
  const Token t = sampler_.sample(
      logits, r.sampling,
      {.tokens = s.tokens, .prompt_tokens = r.prompt.size(), .choice = r.choice, .stop = r.stop});
  if (r.logprobs.kind == LogprobKind::raw) {
    s.completion.logprobs.push_back(raw_logprobs(raw_order_, logits, t, r.logprobs.top));
  } else if (r.logprobs.kind == LogprobKind::processed) {
    s.completion.logprobs.push_back(processed_logprobs(sampler_, t, r.logprobs.top));
  }
  return t;
}

void Engine::retire() {
  std::vector<std::unique_ptr<Sequence>> finished;
  for (auto& s : running_) {
    if (s->completion.finish == Finish::none) continue;
    reserved_pages_ -= s->reserved;
    s->table.clear();
    finished.push_back(std::move(s));
  }
  std::erase(running_, nullptr);
  for (const auto& s : finished) s->done(std::move(s->completion));
}

}  // namespace sinter
