#include "compress/calibration.h"

#include <filesystem>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "compress/corpus/corpus.h"

namespace sinter {
namespace {

class Reader {
 public:
  Reader(const Chat* chat, int32_t vocab) : chat_(chat), vocab_(vocab) {}

  std::vector<Token> line(std::string_view text, const std::string& where) const {
    const Json json = parse_json(text, where);
    if (json.is_array()) return ids(json, where);
    if (!json.is_object()) refuse(where, json.type_name());
    if (json.contains("ids")) return ids(json["ids"], where);
    if (json.contains("messages") || json.contains("text")) {
      return sample(read_content(json, where), where);
    }
    refuse(where, to_line(json).substr(0, 80));
  }

  std::vector<Token> sample(const CorpusSample& sample, const std::string& where) const {
    if (chat_ == nullptr) {
      fail(Fault::not_found, "tokenizer-missing",
           "{}: text needs the model's tokenizer.json, and there is none; give token ids", where);
    }
    return known(corpus_tokens(sample, *chat_), where);
  }

 private:
  [[noreturn]] static void refuse(const std::string& where, const std::string& found) {
    fail(Fault::bad_input, "calibration-syntax",
         "{}: expected {{\"messages\": ...}}, {{\"text\": ...}}, {{\"ids\": ...}} or a list of "
         "ids, found {}",
         where, found);
  }

  std::vector<Token> ids(const Json& json, const std::string& where) const {
    if (!json.is_array()) refuse(where, json.type_name());
    std::vector<Token> tokens;
    tokens.reserve(json.size());
    for (const Json& id : json) {
      if (!id.is_number_integer() || id < 0 || id > INT32_MAX) refuse(where, to_line(id));
      tokens.push_back(id.get<Token>());
    }
    return known(std::move(tokens), where);
  }

  std::vector<Token> known(std::vector<Token> tokens, const std::string& where) const {
    for (const Token t : tokens) {
      if (t >= vocab_) {
        fail(Fault::bad_input, "calibration-vocabulary",
             "{}: token {} is not in the model's vocabulary of {}; was this made for another "
             "model?",
             where, t, vocab_);
      }
    }
    return tokens;
  }

  const Chat* chat_;
  int32_t vocab_;
};

// Cuts into pieces of at most `limit`, as even as they can be.
void add_pieces(const std::vector<Token>& tokens, int32_t limit, Calibration& out) {
  const auto n = static_cast<int64_t>(tokens.size());
  const int64_t pieces = limit > 0 ? (n + limit - 1) / limit : std::min<int64_t>(n, 1);
  for (int64_t i = 0; i < pieces; ++i) {
    out.sequences.emplace_back(tokens.begin() + n * i / pieces,
                               tokens.begin() + n * (i + 1) / pieces);
  }
  out.n_tokens += n;
}

std::string digest_of(const std::vector<std::vector<Token>>& sequences) {
  Sha256 digest;
  for (const auto& s : sequences) {
    const auto n = static_cast<uint64_t>(s.size());
    digest.add(std::as_bytes(std::span(&n, 1))).add(std::as_bytes(std::span(s)));
  }
  return digest.hex();
}

}  // namespace

Calibration read_calibration(const std::string& path, const Chat* chat, int32_t vocab,
                             const CalibrationLimits& limits) {
  namespace fs = std::filesystem;
  Calibration out;
  const fs::path given = fs::path(path).lexically_normal();
  out.name = given.has_filename() ? given.filename() : given.parent_path().filename();
  const Reader reader(chat, vocab);
  // Adds a text; false when there are enough.
  const auto add = [&](const std::vector<Token>& tokens) {
    add_pieces(tokens, limits.sequence_tokens, out);
    return limits.max_tokens == 0 || out.n_tokens < limits.max_tokens;
  };
  if (fs::is_directory(path)) {
    for (const CorpusSample& sample : read_corpus(path).samples) {
      if (!add(reader.sample(sample, fmt::format("{}: sample \"{}\"", path, sample.id)))) break;
    }
  } else if (fs::path(path).extension() != ".jsonl") {
    CorpusSample document;
    document.text = read_file(path);
    add(reader.sample(document, path));
  } else {
    const std::string bytes = read_file(path);
    int64_t line = 0;
    for (size_t at = 0; at < bytes.size();) {
      const size_t end = std::min(bytes.find('\n', at), bytes.size());
      const std::string_view text(bytes.data() + at, end - at);
      at = end + 1;
      ++line;
      if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      if (!add(reader.line(text, fmt::format("{}: line {}", path, line)))) break;
    }
  }
  while (limits.max_tokens > 0 && out.sequences.size() > 1 &&
         out.n_tokens - static_cast<int64_t>(out.sequences.back().size()) >= limits.max_tokens) {
    out.n_tokens -= static_cast<int64_t>(out.sequences.back().size());
    out.sequences.pop_back();
  }
  if (out.n_tokens == 0) {
    fail(Fault::bad_input, "calibration-empty", "{}: expected at least one token, found none",
         path);
  }
  out.digest = digest_of(out.sequences);
  return out;
}

}  // namespace sinter
