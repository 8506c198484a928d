// sinter perplexity: negative log-likelihood of documents, per token and per byte; with --against
// also how far the model's distributions are from another's on the same tokens.
#include <cmath>

#include "app/command.h"
#include "app/divergence.h"
#include "app/loaded_model.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "gate/statistics.h"
#include "model/logits.h"

namespace sinter {
namespace {

struct Options {
  std::string model, file, against;
  bool ids = false, lines = false, per_document = false, logits = false;
  int32_t window = 0;
  EngineOptions engine;
};

struct Document {
  std::string id;
  std::vector<Token> tokens;
  int64_t bytes = 0;  // of text; 0 = unknown
};

std::vector<Token> token_list(const Json& json, const std::string& where) {
  std::vector<Token> ids;
  if (!json.is_array()) {
    fail(Fault::bad_input, "ids-syntax", "{}: expected a list of token ids, found {}", where,
         json.type_name());
  }
  for (const Json& id : json) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX) {
      fail(Fault::bad_input, "ids-syntax", "{}: expected a token id, found {}", where,
           to_line(id).substr(0, 40));
    }
    ids.push_back(id.get<Token>());
  }
  return ids;
}

// A document is a whole file, or with --ids or --lines one line: a JSON list of ids, {"ids":
// [...]},
// {"text": "..."} or plain text.
std::vector<Document> read_documents(const Options& o, const LoadedModel& model) {
  const std::string bytes = read_file(o.file);
  std::vector<Document> documents;
  const auto from_text = [&](std::string id, std::string_view text) {
    documents.push_back({std::move(id), model.need_chat().tokenizer().encode(text),
                         static_cast<int64_t>(text.size())});
  };
  if (!o.ids && !o.lines) {
    from_text(o.file, bytes);
    return documents;
  }
  size_t at = 0;
  for (int64_t line = 1; at < bytes.size(); ++line) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::string_view text(bytes.data() + at, end - at);
    at = end + 1;
    if (text.empty()) continue;
    const std::string where = fmt::format("{}: line {}", o.file, line);
    const std::string id = fmt::format("line {}", line);
    if (text.front() != '{' && text.front() != '[') {
      if (o.ids) fail(Fault::bad_input, "ids-syntax", "{}: expected a JSON list of ids", where);
      from_text(id, text);
      continue;
    }
    const Json json = parse_json(text, where);
    if (json.is_array()) {
      documents.push_back({id, token_list(json, where), 0});
    } else if (json.contains("ids")) {
      documents.push_back({json.value("id", id), token_list(json["ids"], where), 0});
    } else {
      const JsonFields f(json, where);
      from_text(f.string("id", id), f.string("text"));
    }
  }
  if (documents.empty()) {
    fail(Fault::bad_input, "text-empty", "{}: expected at least one document, found none", o.file);
  }
  return documents;
}

struct Sum {
  double nll = 0;  // nats
  int64_t tokens = 0, bytes = 0;
  int64_t top1 = 0;  // tokens that were the model's first choice

  void add(std::span<const float> logits, Token choice, Token token) {
    nll -= log_probability(logits, token);
    top1 += choice == token;
    ++tokens;
  }
  void add(const Sum& other) {
    nll += other.nll;
    tokens += other.tokens;
    bytes += other.bytes;
    top1 += other.top1;
  }
  Json to_json() const {
    const double n = static_cast<double>(std::max<int64_t>(tokens, 1));
    Json j = {{"predicted_tokens", tokens},
              {"nll", nll},
              {"nll_per_token", nll / n},
              {"perplexity", std::exp(nll / n)},
              {"top1", static_cast<double>(top1) / n}};
    if (bytes > 0) {
      j["bytes"] = bytes;
      j["nll_per_byte"] = nll / static_cast<double>(bytes);
      j["bits_per_byte"] = nll / static_cast<double>(bytes) / std::log(2.0);
    }
    return j;
  }
};

struct Score {
  Sum model, dense;        // dense and the rest: with --against
  std::vector<double> kl;  // of each predicted token's distribution, nats
  int64_t agree = 0;       // tokens where both models' first choice is the same

  void add(const Score& other) {
    model.add(other.model);
    dense.add(other.dense);
    kl.insert(kl.end(), other.kl.begin(), other.kl.end());
    agree += other.agree;
  }
  Json to_json(const Options& o) const {
    Json j = model.to_json();
    if (o.against.empty()) return j;
    Json against = {{"model", o.against}};
    against.update(dense.to_json());
    if (!kl.empty()) {
      const auto n = static_cast<double>(kl.size());
      double sum = 0;
      for (const double k : kl) sum += k;
      against["kl"] = {{"mean", sum / n},
                       {"p50", percentile(kl, 0.5)},
                       {"p99", percentile(kl, 0.99)},
                       {"max", percentile(kl, 1)}};
      against["top1_agreement"] = static_cast<double>(agree) / n;
    }
    j["against"] = against;
    return j;
  }
};

// `dense` may be null. Windows do not overlap: each token but a window's first is predicted from
// its own window.
Score score(const Options& o, Decoder* dense, Decoder& decoder, const Document& d) {
  Score score;
  score.model.bytes = score.dense.bytes = d.bytes;
  int32_t most = decoder.config().max_tokens;
  if (dense != nullptr) most = std::min(most, dense->config().max_tokens);
  const auto window = static_cast<size_t>(o.window > 0 ? o.window : most);
  for (size_t at = 0; at < d.tokens.size(); at += window) {
    const size_t end = std::min(d.tokens.size(), at + window);
    const std::vector<Token> part(d.tokens.begin() + static_cast<std::ptrdiff_t>(at),
                                  d.tokens.begin() + static_cast<std::ptrdiff_t>(end));
    const auto own = [&](int32_t position, std::span<const float> logits) {
      const Token choice = first_choice(logits);
      score.model.add(logits, choice, part[static_cast<size_t>(position)]);
      if (o.logits) {
        print_json({{"document", d.id},
                    {"position", static_cast<int64_t>(at) + position},
                    {"logits", std::vector<float>(logits.begin(), logits.end())}});
      }
      return choice;
    };
    if (dense == nullptr) {
      for_each_row(decoder, o.engine, part, own);
      continue;
    }
    for_each_row_pair(*dense, decoder, o.engine, part, 1,
                      [&](int32_t position, std::span<const float> p, std::span<const float> q) {
                        const Token choice = first_choice(p);
                        score.dense.add(p, choice, part[static_cast<size_t>(position)]);
                        score.agree += choice == own(position, q);
                        score.kl.push_back(divergence(p, q));
                      });
  }
  return score;
}

std::string to_text(const Sum& sum) {
  const Json j = sum.to_json();
  std::string text = fmt::format("  {:.4f} nats per token  (perplexity {:.4f})\n",
                                 j["nll_per_token"].get<double>(), j["perplexity"].get<double>());
  if (sum.bytes > 0) {
    text += fmt::format("  {:.4f} nats per byte   ({:.4f} bits)\n", j["nll_per_byte"].get<double>(),
                        j["bits_per_byte"].get<double>());
  }
  return text + fmt::format("  {:.2f} % of tokens were the model's first choice\n",
                            100 * j["top1"].get<double>());
}

std::string to_text(const Score& total, size_t documents, const Options& o) {
  std::string text = fmt::format("{} tokens predicted in {} document{}\n{}", total.model.tokens,
                                 documents, documents == 1 ? "" : "s", to_text(total.model));
  if (o.against.empty()) return text;
  text += fmt::format("{} on the same tokens\n{}", o.against, to_text(total.dense));
  const Json against = total.to_json(o)["against"];
  if (!against.contains("kl")) return text;
  const Json& kl = against["kl"];
  return text +
         fmt::format(
             "Divergence from it\n"
             "  {:.6f} nats per token  (median {:.6f}, 99th percentile {:.6f}, most {:.6f})\n"
             "  {:.2f} % of first choices are the same\n",
             kl["mean"].get<double>(), kl["p50"].get<double>(), kl["p99"].get<double>(),
             kl["max"].get<double>(), 100 * against["top1_agreement"].get<double>());
}

int run(const Options& o) {
  const std::shared_ptr<Backend> backend = make_cpu_backend(o.engine.threads, o.engine.isa);
  LoadedModel model = LoadedModel::load(o.model, backend, o.engine);
  LoadedModel dense;
  if (!o.against.empty()) {
    dense = LoadedModel::load(o.against, backend, o.engine);
    const int32_t found = model.decoder->config().vocab;
    const int32_t expected = dense.decoder->config().vocab;
    if (found != expected) {
      fail(Fault::incompatible, "against-vocabulary",
           "{}: expected the {} tokens of {}, found {}; name the model that this one was made from",
           o.model, expected, o.against, found);
    }
  }
  const std::vector<Document> documents = read_documents(o, model);
  int64_t total_tokens = 0;
  for (const Document& d : documents) total_tokens += static_cast<int64_t>(d.tokens.size());
  Score total;
  Progress progress("perplexity", total_tokens, "tokens");
  for (const Document& d : documents) {
    const Score s = score(o, dense.decoder.get(), *model.decoder, d);
    total.add(s);
    if (o.per_document) {
      Json line = {{"document", d.id}};
      line.update(s.to_json(o));
      print_json(line);
    }
    progress.advance(static_cast<int64_t>(d.tokens.size()));
  }
  if (globals().json || o.per_document) {
    Json out = {{"model", o.model}, {"documents", documents.size()}};
    out.update(total.to_json(o));
    print_json(out);
  } else {
    print_text(to_text(total, documents.size(), o));
  }
  return 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model directory or a GGUF file.")->required();
  app.add_option("FILE", o->file, "UTF-8 text, one document; see --lines and --ids.")->required();
  app.add_flag("--lines", o->lines,
               R"(Each line is a document: plain text, or {"id": ..., "text": ...}.)");
  app.add_flag("--ids", o->ids,
               R"(Each line is a document of token ids: [1, 5, ...] or {"id": ..., "ids": [...]}. )"
               "No tokenizer is needed.");
  app.add_flag("--per-document", o->per_document, "One line of JSON per document, then the total.");
  app.add_flag("--logits", o->logits,
               "Also print each position's logits as a line of JSON (large; for comparisons).");
  app.add_option(
      "--against", o->against,
      "The model that this one was made from: also the divergence of MODEL from it on the "
      "same tokens, KL(DENSE || MODEL) in nats.");
  app.add_option("--window", o->window,
                 "Tokens of context at most; longer documents are cut. Default: the model's.")
      ->check(CLI::Range(2, 1 << 26));
  o->engine.add_to(app);
  app.footer("Example:  sinter perplexity models/pebble README.md");
  return [o] { return run(*o); };
}

}  // namespace

const Command kPerplexityCommand = {
    "perplexity", "Negative log-likelihood of text, per token and per byte.", setup};

}  // namespace sinter
