// sinter tokenize and detokenize: text to ids and back.
#include <charconv>
#include <filesystem>

#include "app/command.h"
#include "artifact/gguf_artifact.h"
#include "artifact/gguf_tokenizer.h"
#include "base/error.h"
#include "base/file.h"
#include "text/tokenizer.h"

namespace sinter {
namespace {

// A tokenizer.json, a directory that holds one, or a GGUF file.
std::unique_ptr<const Tokenizer> load_tokenizer(const std::string& path) {
  if (is_gguf(path)) {
    const GgufText text = read_gguf_text(*GgufFile::open(path));
    if (text.tokenizer_json.empty()) {
      fail(Fault::not_found, "tokenizer-missing", "{}: expected a vocabulary, found none", path);
    }
    return Tokenizer::parse(text.tokenizer_json, path);
  }
  return Tokenizer::load(std::filesystem::is_directory(path) ? path + "/tokenizer.json" : path);
}

struct TokenizeOptions {
  std::string tokenizer, file = "/dev/stdin";
  bool no_special = false, plain = false, pieces = false;
};

int tokenize(const TokenizeOptions& o) {
  const auto tokenizer = load_tokenizer(o.tokenizer);
  const std::vector<Token> ids = tokenizer->encode(
      read_file(o.file), {.add_special = !o.no_special, .parse_special = !o.plain});
  if (globals().json) {
    Json out = {{"ids", ids}, {"count", ids.size()}};
    if (o.pieces) {
      for (const Token id : ids) out["pieces"].push_back(tokenizer->token_text(id));
    }
    print_json(out);
  } else if (o.pieces) {
    std::string lines;
    for (const Token id : ids) lines += fmt::format("{}\t{}\n", id, tokenizer->token_text(id));
    print_text(lines);
  } else {
    print_text(fmt::format("{}\n", fmt::join(ids, " ")));
  }
  return 0;
}

std::function<int()> setup_tokenize(CLI::App& app) {
  auto o = std::make_shared<TokenizeOptions>();
  app.add_option("TOKENIZER", o->tokenizer, "A tokenizer.json, a model directory or a GGUF file.")
      ->required();
  app.add_option("FILE", o->file, "UTF-8 text; standard input if left out.");
  app.add_flag("--no-special", o->no_special, "Do not add BOS and the like.");
  app.add_flag("--plain", o->plain, "Special tokens spelled out in the text are ordinary text.");
  app.add_flag("--pieces", o->pieces, "Show each token's spelling beside its id.");
  app.footer("Example:  echo 'Hello world' | sinter tokenize models/pebble --pieces");
  return [o] { return tokenize(*o); };
}

struct DetokenizeOptions {
  std::string tokenizer, file = "/dev/stdin";
  bool skip_special = false;
};

std::vector<Token> parse_ids(const std::string& text, const std::string& where) {
  std::vector<Token> ids;
  size_t at = 0;
  while (true) {
    at = text.find_first_not_of(" \t\r\n,[]", at);
    if (at == std::string::npos) return ids;
    const size_t end = std::min(text.find_first_of(" \t\r\n,[]", at), text.size());
    Token id = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, id);
    if (error != std::errc() || stop != text.data() + end) {
      fail(Fault::bad_input, "ids-syntax",
           "{}: expected token ids separated by spaces, found \"{}\" at byte {}", where,
           text.substr(at, std::min<size_t>(end - at, 20)), at);
    }
    ids.push_back(id);
    at = end;
  }
}

int detokenize(const DetokenizeOptions& o) {
  const auto tokenizer = load_tokenizer(o.tokenizer);
  const std::string text = tokenizer->decode(parse_ids(read_file(o.file), o.file), o.skip_special);
  if (globals().json) {
    print_json({{"text", text}});
  } else {
    print_text(text);
  }
  return 0;
}

std::function<int()> setup_detokenize(CLI::App& app) {
  auto o = std::make_shared<DetokenizeOptions>();
  app.add_option("TOKENIZER", o->tokenizer, "A tokenizer.json, a model directory or a GGUF file.")
      ->required();
  app.add_option("FILE", o->file, "Token ids separated by spaces; standard input if left out.");
  app.add_flag("--skip-special", o->skip_special, "Leave special tokens out of the text.");
  app.footer("Example:  sinter tokenize models/pebble text.txt | sinter detokenize models/pebble");
  return [o] { return detokenize(*o); };
}

}  // namespace

const Command kTokenizeCommand = {
    "tokenize", "Text to token ids, as Hugging Face's tokenizers does.", setup_tokenize};
const Command kDetokenizeCommand = {"detokenize", "Token ids to text.", setup_detokenize};

}  // namespace sinter
