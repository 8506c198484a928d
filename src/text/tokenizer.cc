// The pipeline of tokenizer.json. Encoding: added tokens in the raw text; then for each piece
// between them the normalizer, added tokens in the normalised text, the pre-tokenizers, and the
// model; then the post-processor. (`truncation` and `padding` are the business of whoever makes
// batches.)
#include "text/tokenizer.h"

#include <algorithm>
#include <mutex>

#include "base/error.h"
#include "base/file.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/component.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 28;
constexpr size_t kMaxAddedTokenBytes = 1024;  // bounds what matching costs at one place
constexpr size_t kMaxAddedTokens = 1 << 17;
constexpr size_t kKeptTextBytes = 1 << 20;  // after a longer text the memory goes back

class PipelineTokenizer : public Tokenizer {
 public:
  PipelineTokenizer(std::string_view json, const std::string& where) {
    TokenizerJson file = split_tokenizer_json(json, where);
    const JsonFields top(file.rest, where);
    check_component_fields(file.rest, where,
                           {"version", "truncation", "padding", "added_tokens", "normalizer",
                            "pre_tokenizer", "post_processor", "decoder", "model"});
    if (top.string("version", "1.0") != "1.0") {
      fail(Fault::unsupported, "tokenizer-component", "{}: version: expected 1.0, found {}", where,
           top.string("version"));
    }
    const auto part = [&](const char* key) { return top.has(key) ? top.at(key) : Json(nullptr); };
    normalizer_ = read_normalizer(part("normalizer"), where + ": normalizer");
    pre_tokenizers_ = read_pre_tokenizers(part("pre_tokenizer"), where + ": pre_tokenizer");
    if (normalizer_ && pre_tokenizers_.asks_late_for_start) {
      fail(Fault::unsupported, "tokenizer-component",
           "{}: pre_tokenizer: with a normalizer, expected Metaspace with the prepend_scheme first "
           "only as the first pre-tokenizer",
           where);
    }
    post_processor_ = read_post_processor(part("post_processor"), where + ": post_processor");
    decoders_ = read_decoders(part("decoder"), where + ": decoder");
    read_model(file, top.at("model"), where + ": model");
    read_added_tokens(part("added_tokens"), where + ": added_tokens");
    for (const auto* ids : {&post_processor_.before, &post_processor_.after}) {
      for (const Token id : *ids) check_id(id, where + ": post_processor");
    }
  }

  std::vector<Token> encode(std::string_view text, EncodeOptions options) const override {
    if (text.size() > kMaxTextBytes) {
      fail(Fault::bad_input, "text-too-long", "expected at most {} bytes of text, found {}",
           kMaxTextBytes, text.size());
    }
    std::string repaired;
    if (!is_utf8(text)) text = repaired = to_valid_utf8(text);
    std::unique_ptr<Working> working = take_working();
    std::vector<Token> ids;
    ids.reserve(text.size() / 3 + 8);
    if (options.add_special) ids = post_processor_.before;
    std::vector<Part> parts;
    raw_added_.split(text, options.parse_special, parts);
    for (const Part& part : parts) {
      if (part.id >= 0) {
        ids.push_back(part.id);
      } else {
        encode_piece({part.text, part.text.data() == text.data()}, options, *working, ids);
      }
    }
    if (options.add_special) {
      ids.insert(ids.end(), post_processor_.after.begin(), post_processor_.after.end());
    }
    if (text.size() <= kKeptTextBytes) give_back(std::move(working));
    return ids;
  }

  std::string decode(std::span<const Token> ids, bool skip_special) const override {
    DecodeStream stream(decoders_);
    std::string out;
    for (const Token id : ids) {
      if (skip_special && is_special(id)) continue;
      stream.push(spelling(id), out);
    }
    stream.finish(out);
    return out;
  }

  int32_t vocab_size() const override { return vocabulary_.n_ids(); }

  bool has_token(Token id) const override { return vocabulary_.has(id); }

  std::optional<Token> token_id(std::string_view content) const override {
    const Token id = vocabulary_.find(content);
    return id < 0 ? std::nullopt : std::optional<Token>(id);
  }

  std::string token_text(Token id) const override { return std::string(spelling(id)); }

  std::string token_bytes(Token id) const override {
    std::string text = token_text(id);
    for (const auto& decoder : decoders_) text = decoder->token_bytes(std::move(text));
    return text;
  }

  bool is_special(Token id) const override {
    check_id(id, "token");
    return std::binary_search(special_.begin(), special_.end(), id);
  }

  std::unique_ptr<Stream> stream(bool skip_special) const override {
    return std::make_unique<Running>(*this, skip_special);
  }

 private:
  struct Working {
    Bpe::Scratch scratch;
    std::vector<Part> parts;
    Pieces pieces;
    Pieces next;  // owns the text that any step made
  };

  struct Running : Stream {
    Running(const PipelineTokenizer& t, bool skip)
        : tokenizer(t), skip_special(skip), decode(t.decoders_) {}
    std::string push(Token id) override {
      std::string out;
      if (skip_special && tokenizer.is_special(id)) return out;
      decode.push(tokenizer.spelling(id), out);
      return out;
    }
    std::string finish() override {
      std::string out;
      decode.finish(out);
      return out;
    }
    const PipelineTokenizer& tokenizer;
    bool skip_special;
    DecodeStream decode;
  };

  void check_id(Token id, std::string_view where) const {
    if (!vocabulary_.has(id)) {
      fail(Fault::bad_input, "token-id", "{}: expected an id of the vocabulary (0 to {}), found {}",
           where, vocabulary_.n_ids() - 1, id);
    }
  }

  std::string_view spelling(Token id) const {
    check_id(id, "token");
    return vocabulary_.spelling(id);
  }

  void read_model(const TokenizerJson& file, const Json& model, const std::string& where) {
    const JsonFields fields(model, where);
    if (const std::string type = fields.string("type", "BPE"); type != "BPE") {
      fail(Fault::unsupported, "tokenizer-component", "{}: expected the type BPE, found {}", where,
           type);
    }
    check_component_fields(
        model, where,
        {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
         "byte_fallback", "ignore_merges", "vocab", "merges"});
    if (fields.number("dropout", 0) != 0 ||
        !fields.string("continuing_subword_prefix", "").empty() ||
        !fields.string("end_of_word_suffix", "").empty()) {
      fail(
          Fault::unsupported, "tokenizer-field",
          "{}: expected no dropout, no continuing_subword_prefix and no end_of_word_suffix; Sinter "
          "does not know them",
          where);
    }
    if (file.vocab.empty() || file.merges.empty()) {
      fail(Fault::bad_input, "json-field",
           "{}: expected the object vocab and the array merges, found {} missing", where,
           file.vocab.empty() ? "vocab" : "merges");
    }
    BpeOptions options;
    options.unk_token = fields.string("unk_token", "");
    options.fuse_unk = fields.boolean("fuse_unk", false);
    options.byte_fallback = fields.boolean("byte_fallback", false);
    options.ignore_merges = fields.boolean("ignore_merges", false);
    options.sees_bytes = pre_tokenizers_.model_sees_bytes;
    read_vocabulary(file.vocab, where + ": vocab", vocabulary_);
    model_tokens_ = vocabulary_;
    std::string memory;
    const auto merges = read_merges(file.merges, where + ": merges", memory);
    model_ = std::make_unique<Bpe>(model_tokens_, merges, options, where);
  }

  void read_added_tokens(const Json& list, const std::string& where) {
    if (list.is_null()) return;
    if (!list.is_array() || list.size() > kMaxAddedTokens) {
      fail(Fault::bad_input, "json-field", "{}: expected an array of at most {} tokens", where,
           kMaxAddedTokens);
    }
    Token next_id = std::max(static_cast<Token>(model_tokens_.size()), model_tokens_.n_ids());
    for (const Json& entry : list) {
      check_component_fields(
          entry, where,
          {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
      const JsonFields fields(entry, where);
      AddedToken token;
      token.content = fields.string("content");
      for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
        fields.at(flag);
      }
      token.single_word = fields.boolean("single_word", false);
      token.lstrip = fields.boolean("lstrip", false);
      token.rstrip = fields.boolean("rstrip", false);
      token.normalized = fields.boolean("normalized", false);
      token.special = fields.boolean("special", false);
      if (token.content.empty() || token.content.size() > kMaxAddedTokenBytes) {
        fail(Fault::unsupported, "tokenizer-added-token",
             "{}: expected a content of 1 to {} bytes, found {}", where, kMaxAddedTokenBytes,
             token.content.size());
      }
      token.id = vocabulary_.find(token.content);
      const bool is_new = token.id < 0;
      if (is_new) token.id = next_id++;
      if (token.id > kMaxToken || token.id != fields.integer("id")) {
        fail(Fault::corrupt, "tokenizer-added-token",
             "{}: {}: expected the id {} (that of the vocabulary, or the next free one), found {}",
             where, token.content, token.id, fields.integer("id"));
      }
      if (is_new) SINTER_CHECK(vocabulary_.add(token.content, token.id));
      if (token.special) special_.push_back(token.id);
      if (token.normalized) {
        bool at_start = true;
        const std::string spelled =
            normalizer_ ? normalizer_->normalize(token.content, at_start) : token.content;
        normalized_added_.add(spelled, token);
      } else {
        raw_added_.add(token.content, token);
      }
    }
    std::sort(special_.begin(), special_.end());
  }

  void encode_piece(const Piece& raw, EncodeOptions options, Working& w,
                    std::vector<Token>& ids) const {
    bool at_start = raw.at_start;
    std::string normalized;
    std::string_view text = raw.text;
    if (normalizer_) text = normalized = normalizer_->normalize(std::string(text), at_start);
    w.parts.clear();
    normalized_added_.split(text, options.parse_special, w.parts);
    for (const Part& part : w.parts) {
      if (part.id >= 0) {
        ids.push_back(part.id);
      } else {
        encode_words({part.text, at_start && part.text.data() == text.data()}, w, ids);
      }
    }
  }

  void encode_words(const Piece& piece, Working& w, std::vector<Token>& ids) const {
    w.pieces.list.assign(1, piece);
    w.next.owned.clear();
    for (const auto& step : pre_tokenizers_.steps) {
      w.next.list.clear();
      for (const Piece& p : w.pieces.list) step->split(p, w.next);
      std::swap(w.next.list, w.pieces.list);
    }
    for (const Piece& p : w.pieces.list) model_->encode(p.text, w.scratch, ids);
  }

  std::unique_ptr<Working> take_working() const {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<Working> working = std::move(idle_.back());
        idle_.pop_back();
        return working;
      }
    }
    return std::make_unique<Working>();
  }

  void give_back(std::unique_ptr<Working> working) const {
    working->pieces = {};
    working->next = {};
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(working));
  }

  std::unique_ptr<const Normalizer> normalizer_;
  PreTokenizers pre_tokenizers_;
  PostProcessor post_processor_;
  Decoders decoders_;
  Vocabulary model_tokens_;  // what the model may use
  Vocabulary vocabulary_;    // and the added tokens
  std::unique_ptr<const Bpe> model_;
  AddedTokenMatcher raw_added_, normalized_added_;
  std::vector<Token> special_;  // sorted
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Working>> idle_;
};

}  // namespace

std::unique_ptr<const Tokenizer> Tokenizer::load(const std::string& path) {
  return parse(read_file(path), path);
}

std::unique_ptr<const Tokenizer> Tokenizer::parse(std::string_view json, const std::string& where) {
  return std::make_unique<PipelineTokenizer>(json, where);
}

}  // namespace sinter
