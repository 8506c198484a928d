// Drives Tokenizer for tests/interop/test_tokenizers.py and bench/tokenizer_bench.py; no part of
// the product. One JSON object a line in, one out:
//   {"text": T, "add_special": B, "parse_special": B} -> {"ids": [...]}
//   {"hex": H, ...}                                   -> the same, for bytes that are not UTF-8
//   {"ids": [...], "skip_special": B}                 -> {"text": decode(), "streamed": by push()}
// An Error comes back as {"error": code}. `tokenize_main TOKENIZER --bench FILE REPEATS` prints the
// seconds that loading took, and of each repeat the seconds that encoding FILE took, and decoding.
#include <chrono>
#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer.h"

namespace sinter {
namespace {

std::string unhex(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}

Json answer(const Tokenizer& tokenizer, const Json& line) {
  const JsonFields request(line, "line");
  try {
    if (request.has("ids")) {
      const auto ids = request.at("ids").get<std::vector<Token>>();
      const bool skip = request.boolean("skip_special", false);
      std::string streamed;
      bool whole = true;  // no piece ends inside a character
      const auto stream = tokenizer.stream(skip);
      for (const Token id : ids) {
        const std::string piece = stream->push(id);
        whole = whole && to_line(Json(piece)).find("\xEF\xBF\xBD") ==
                             Json(piece)
                                 .dump(-1, ' ', false, Json::error_handler_t::ignore)
                                 .find("\xEF\xBF\xBD");
        streamed += piece;
      }
      streamed += stream->finish();
      return {{"text", tokenizer.decode(ids, skip)}, {"streamed", streamed}, {"whole", whole}};
    }
    const std::string text =
        request.has("hex") ? unhex(request.string("hex")) : request.string("text");
    return {
        {"ids", tokenizer.encode(text, {.add_special = request.boolean("add_special", true),
                                        .parse_special = request.boolean("parse_special", true)})}};
  } catch (const Error& e) {
    return {{"error", e.code()}, {"message", e.what()}};
  }
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int run(int argc, char** argv) {
  const auto start = std::chrono::steady_clock::now();
  const auto tokenizer = Tokenizer::load(argv[1]);
  if (argc == 5) {
    std::printf("load %.4f\n", seconds_since(start));
    const std::string text = read_file(argv[3]);
    for (int i = 0; i < std::stoi(argv[4]); ++i) {
      const auto begin = std::chrono::steady_clock::now();
      const std::vector<Token> ids = tokenizer->encode(text);
      std::printf("encode %.4f %zu\n", seconds_since(begin), ids.size());
      const auto middle = std::chrono::steady_clock::now();
      const std::string back = tokenizer->decode(ids);
      std::printf("decode %.4f %zu\n", seconds_since(middle), back.size());
    }
    return 0;
  }
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << to_line(answer(*tokenizer, parse_json(line, "line"))) << '\n';
  }
  return 0;
}

}  // namespace
}  // namespace sinter

int main(int argc, char** argv) {
  if (argc != 2 && argc != 5) {
    std::fprintf(stderr, "usage: tokenize_main TOKENIZER [--bench FILE REPEATS]\n");
    return 2;
  }
  try {
    return sinter::run(argc, argv);
  } catch (const sinter::Error& e) {
    std::fprintf(stderr, "%s: %s\n", e.code().c_str(), e.what());
    return sinter::exit_code(e.fault());
  }
}
