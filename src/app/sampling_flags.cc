#include "app/sampling_flags.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "engine/sampling/processor.h"
#include "engine/stop_strings.h"

namespace sinter {
namespace {

LogitBias parse_bias(const std::string& text) {
  const auto wrong = [&]() {
    fail(Fault::bad_input, "logit-bias-syntax",
         "--logit-bias: expected ID=VALUE, such as 42=-5 or 42=-inf, found \"{}\"", text);
  };
  const size_t equals = text.find('=');
  if (equals == std::string::npos) wrong();
  LogitBias bias;
  const char* const end = text.data() + text.size();
  const auto id = std::from_chars(text.data(), text.data() + equals, bias.token);
  const auto value = std::from_chars(text.data() + equals + 1, end, bias.bias);
  if (id.ec != std::errc() || id.ptr != text.data() + equals || value.ec != std::errc() ||
      value.ptr != end) {
    wrong();
  }
  return bias;
}

// A word as tokenizers spell it at the start of a text and after a space.
void add_bad_word(const Tokenizer& tokenizer, const std::string& word,
                  std::vector<std::vector<Token>>& words) {
  for (const std::string& text : {word, " " + word}) {
    std::vector<Token> ids = tokenizer.encode(text, {.add_special = false, .parse_special = true});
    if (ids.empty() || std::find(words.begin(), words.end(), ids) != words.end()) continue;
    words.push_back(std::move(ids));
  }
}

// One byte never lies across tokens, so the tokens that hold it are all there is to know.
std::vector<Token> tokens_with(const Tokenizer& tokenizer, const std::vector<std::string>& breakers,
                               int32_t vocab) {
  std::vector<Token> tokens;
  for (Token t = 0; t < std::min(vocab, tokenizer.vocab_size()); ++t) {
    const std::string bytes = tokenizer.token_bytes(t);
    const bool breaks = std::any_of(breakers.begin(), breakers.end(), [&](const std::string& b) {
      return bytes.find(b) != std::string::npos;
    });
    if (breaks) tokens.push_back(t);
  }
  return tokens;
}

}  // namespace

void SamplingFlags::add_to(CLI::App& app) {
  const auto number = [&](const char* name, auto& value, const char* help) {
    app.add_option(name, value, help)->capture_default_str();
  };
  const auto repeatable = [&](const char* name, std::vector<std::string>& values,
                              const char* help) {
    return app.add_option(name, values, help)->allow_extra_args(false);
  };
  number("--temperature", params.temperature, "0 = greedy.");
  number("--top-k", params.top_k, "Keep the k most likely tokens; 0 = all.");
  number("--top-p", params.top_p, "Keep the most likely tokens of this total mass.");
  number("--min-p", params.min_p,
         "Drop tokens less likely than this share of the most likely one.");
  number("--typical-p", params.typical_p,
         "Keep the tokens whose surprise is nearest to the expected one, of this total mass.");
  number("--top-n-sigma", params.top_n_sigma,
         "Keep tokens within n standard deviations of the largest logit; 0 = off.");
  number("--xtc-probability", params.xtc_probability,
         "How often all top choices but the least likely are dropped; 0 = off.");
  number("--xtc-threshold", params.xtc_threshold,
         "From which probability on a choice is a top one.");
  number("--repetition-penalty,--repeat-penalty", params.repetition_penalty,
         "Tokens of the prompt and the answer lose by this factor; 1 = off.");
  number("--frequency-penalty", params.frequency_penalty,
         "Subtracted from a token's logit for each time that it was generated.");
  number("--presence-penalty", params.presence_penalty,
         "Subtracted once from the logit of each token that was generated.");
  number("--dry-multiplier", params.dry_multiplier,
         "Tax on tokens that prolong a repetition (DRY); 0 = off.");
  number("--dry-base", params.dry_base, "By which the tax grows with each token repeated.");
  number("--dry-allowed-length", params.dry_allowed_length, "Shorter repetitions are free.");
  number("--dry-window,--dry-penalty-last-n", params.dry_window,
         "Tokens that DRY looks back; -1 = all.");
  repeatable("--dry-breaker,--dry-sequence-breaker", dry_breakers,
             "An ASCII character that no repetition reaches over (repeatable); 'none' for none. "
             "Default: newline, colon, quote, asterisk.");
  repeatable("--logit-bias", logit_bias,
             "ID=VALUE: added to a token's logit, -100 to 100, or -inf to ban it (repeatable).");
  repeatable("--bad-words", bad_words,
             "A text whose tokens, with or without a space before, may not be completed "
             "(repeatable). Other spellings in tokens are not found.");
  number("--min-tokens", params.min_tokens, "No stop token and no stop string before so many.");
  number("--no-repeat-ngram", params.no_repeat_ngram, "No n tokens occur twice; 0 = off.");
  number("--seed", params.seed, "The same seed gives the same answer.");
  number(
      "--sampler", sampler,
      "The order of all this: a preset (seed, vllm, hf, llamacpp), or steps with commas between. "
      "'list' prints what there is.");
  repeatable("--stop", stop, "A text that ends the answer and is left out of it (repeatable).");
  app.add_option("--choices", choices, "Answers to the one prompt, each with draws of its own.")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option(
         "--logprobs", logprobs,
         "With --json: log-probabilities of the answer's tokens, and of so many of the most "
         "likely ones beside each.")
      ->check(CLI::Range(0, 1000));
  app.add_option("--logprob-kind", logprob_kind,
                 "raw: as the model has it; processed: as the sampler drew.")
      ->check(CLI::IsMember({"raw", "processed"}))
      ->capture_default_str();
  app.add_flag("--prompt-logprobs", prompt_logprobs,
               "With --json: raw log-probabilities of the prompt's tokens too.");
}

std::string SamplingFlags::list() {
  std::string text = "Presets, and the order of their steps:\n";
  for (const std::string& name : SamplerChain::preset_names()) {
    const SamplerChain& chain = SamplerChain::preset(name);
    text += fmt::format("  {:<9} {}\n", name, chain.text());
    text += fmt::format("  {:<9} {}\n", "", to_line(chain.to_json()["rules"]));
  }
  text += "An order of your own: --sampler repetition_penalty,temperature,top_p\n";
  return text;
}

void SamplingFlags::check_alone() const {
  SamplingParams p = params;
  p.chain = SamplerChain::parse(sampler);
  for (const std::string& text : logit_bias) p.logit_bias.push_back(parse_bias(text));
  if (!bad_words.empty()) p.bad_words = {{0}};  // ids come with the tokenizer
  check(p);
  StopStrings stops(stop);
  for (const std::string& b : dry_breakers) {
    if (b != "none" && (b.size() != 1 || static_cast<unsigned char>(b[0]) > 127)) {
      fail(
          Fault::bad_input, "dry-breaker",
          "--dry-breaker: expected one ASCII character, or none, found \"{}\"; longer ones can lie "
          "across tokens in ways that are not followed",
          b);
    }
  }
  if (choices > 1 && is_greedy(p)) {
    fail(Fault::bad_input, "sampling-conflict",
         "--choices {}: all answers of a greedy sampler are the same; set --temperature", choices);
  }
  if ((logprobs >= 0 || prompt_logprobs) && !globals().json) {
    fail(Fault::bad_input, "sampling-conflict",
         "--logprobs: expected --json as well; the text alone has no place for them");
  }
}

SamplingParams SamplingFlags::resolve(const Tokenizer& tokenizer, int32_t vocab) const {
  SamplingParams p = params;
  p.chain = SamplerChain::parse(sampler);
  for (const std::string& text : logit_bias) p.logit_bias.push_back(parse_bias(text));
  for (const std::string& word : bad_words) add_bad_word(tokenizer, word, p.bad_words);
  const bool no_breakers =
      std::find(dry_breakers.begin(), dry_breakers.end(), "none") != dry_breakers.end();
  if (p.dry_multiplier > 0 && !no_breakers) {
    p.dry_breakers = tokens_with(tokenizer, dry_breakers, vocab);
  }
  check(p, vocab);
  return p;
}

LogprobsAsked SamplingFlags::logprobs_asked() const {
  LogprobsAsked asked;
  if (logprobs >= 0) {
    asked.kind = logprob_kind == "raw" ? LogprobKind::raw : LogprobKind::processed;
    asked.top = logprobs;
  }
  asked.prompt = prompt_logprobs;
  return asked;
}

}  // namespace sinter
