// A tokenizer.json in GGUF's words. What llama.cpp would do differently is refused, or noted where
// it shows on rare texts only.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "artifact/gguf_tokenizer.h"
#include "base/error.h"

namespace sinter {
namespace {

// A step of somebody's pre_tokenizer in the words of gguf_tokenizer.h; "" if there is none.
std::string step_word(const JsonMap& step) {
  const std::string type = step.value("type", "");
  if (type == "ByteLevel" && !step.value("add_prefix_space", true))
    return step.value("use_regex", true) ? kByteLevelWords : kByteLevel;
  if (type == "Digits") return step.value("individual_digits", false) ? kDigits : kDigitRuns;
  if (type == "Punctuation" && step.value("behavior", "Isolated") == "Contiguous")
    return kPunctuation;
  if (type == "Split" && step.value("behavior", "") == "Isolated" && !step.value("invert", false) &&
      step.contains("pattern") && step["pattern"].is_object()) {
    return step["pattern"].value("Regex", "");
  }
  return "";
}

class TokenWriter {
 public:
  TokenWriter(const std::string& tokenizer_json, const std::string& where, int64_t vocab)
      : where_(where), json_(parse_json_map(tokenizer_json, where)), vocab_(vocab) {}

  GgufTokens write() {
    const JsonMap& model = object(json_, "model");
    if (model.value("type", "BPE") != "BPE") {
      unsupported("model: expected the type BPE, found {}", model.value("type", ""));
    }
    byte_fallback_ = flag(model, "byte_fallback");
    read_tokens(model);
    read_merges(model);
    add_specials();
    if (byte_fallback_) {
      write_pieces();
    } else {
      write_byte_level(flag(model, "ignore_merges"));
    }
    read_post_processor(json_.value("post_processor", JsonMap()));
    return std::move(out_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Fault::unsupported, "gguf-tokenizer",
         "{}: {}; llama.cpp has no tokenizer like this. The model can still be written with "
         "--no-tokenizer",
         where_, fmt::format(format, std::forward<Args>(args)...));
  }

  const JsonMap& object(const JsonMap& parent, const char* key) const {
    static const JsonMap kEmpty = JsonMap::object();
    if (!parent.is_object() || !parent.contains(key) || parent[key].is_null()) return kEmpty;
    if (!parent[key].is_object()) unsupported("{}: expected an object", key);
    return parent[key];
  }

  static bool flag(const JsonMap& parent, const char* key) {
    return parent.contains(key) && parent[key].is_boolean() && parent[key].get<bool>();
  }

  void place(int64_t id, const std::string& content, TokenType type) {
    if (id < 0 || id >= vocab_) {
      fail(Fault::incompatible, "vocabulary-mismatch",
           "{}: token \"{}\": expected an id below the {} rows of the embedding, found {}", where_,
           content, vocab_, id);
    }
    out_.tokens[static_cast<size_t>(id)] = content;
    out_.types[static_cast<size_t>(id)] = type;
  }

  void read_tokens(const JsonMap& model) {
    for (int64_t id = 0; id < vocab_; ++id) out_.tokens.push_back(fmt::format("[PAD{}]", id));
    out_.types.assign(static_cast<size_t>(vocab_), TokenType::unused);
    for (const auto& [token, id] : object(model, "vocab").items()) {
      const bool is_byte = byte_fallback_ && token.size() == 6 && token.starts_with("<0x");
      place(id.is_number_integer() ? id.get<int64_t>() : -1, token,
            is_byte ? TokenType::byte : TokenType::normal);
    }
    unk_ = model.contains("unk_token") && model["unk_token"].is_string()
               ? model["unk_token"].get<std::string>()
               : "";
  }

  void read_merges(const JsonMap& model) {
    if (!model.contains("merges")) return;
    for (const JsonMap& merge : model["merges"]) {
      if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        merges_.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
        continue;
      }
      const std::string text = merge.is_string() ? merge.get<std::string>() : "";
      const size_t space = text.find(' ', 1);
      if (space == std::string::npos) unsupported("model: merges: expected pairs of tokens");
      merges_.emplace_back(text.substr(0, space), text.substr(space + 1));
    }
  }

  void add_specials() {
    if (!json_.contains("added_tokens")) return;
    for (const JsonMap& token : json_["added_tokens"]) {
      const std::string content = token.value("content", "");
      if (flag(token, "lstrip") || flag(token, "rstrip") || flag(token, "single_word")) {
        out_.notes.push_back(fmt::format(
            "token \"{}\" takes the white space beside it along, which llama.cpp does not know",
            content));
      }
      place(token.value("id", int64_t{-1}), content,
            content == unk_          ? TokenType::unknown
            : flag(token, "special") ? TokenType::control
                                     : TokenType::user_defined);
    }
  }

  void write_byte_level(bool ignore_merges) {
    std::vector<std::string> steps;
    const JsonMap& pre = object(json_, "pre_tokenizer");
    if (pre.value("type", "") == "Sequence") {
      for (const JsonMap& step : pre.at("pretokenizers")) steps.push_back(step_word(step));
    } else {
      steps.push_back(step_word(pre));
    }
    if (std::find(steps.begin(), steps.end(), "") != steps.end()) {
      unsupported("pre_tokenizer: {}",
                  pre.dump(-1, ' ', false, JsonMap::error_handler_t::replace).substr(0, 300));
    }
    out_.model = "gpt2";
    out_.pre = gguf_pre_tokenizer(steps, ignore_merges);
    if (out_.pre.empty()) {
      unsupported("pre_tokenizer: {} with ignore_merges {}", fmt::join(steps, " | "),
                  ignore_merges);
    }
    if (json_.contains("normalizer") && !json_["normalizer"].is_null()) {
      out_.notes.push_back(
          fmt::format("the normalizer ({}) is not applied by llama.cpp: text that it would change "
                      "gets other ids",
                      object(json_, "normalizer").value("type", "?")));
    }
    for (const auto& [a, b] : merges_) out_.merges.push_back(fmt::format("{} {}", a, b));
  }

  // SentencePiece has scores instead of merges: of a piece, the place of the first merge that makes
  // it. It merges whatever two neighbours make a piece, though, merge or not.
  void write_pieces() {
    out_.model = "llama";
    out_.pre = "default";
    read_spaces();
    std::unordered_map<std::string_view, size_t> ids;
    for (size_t i = 0; i < out_.tokens.size(); ++i) ids.emplace(out_.tokens[i], i);
    const auto last = -static_cast<float>(merges_.size()) - 1;
    out_.scores.assign(out_.tokens.size(), last);
    std::unordered_set<std::string> known;
    for (size_t rank = 0; rank < merges_.size(); ++rank) {
      const auto& [a, b] = merges_[rank];
      known.insert(fmt::format("{} {}", a, b));
      const auto at = ids.find(a + b);
      if (at == ids.end()) unsupported("merge {}: \"{}\" is no token", rank, a + b);
      float& score = out_.scores[at->second];
      if (score == last) score = -static_cast<float>(rank);
    }
    size_t others = 0;
    for (size_t i = 0; i < out_.tokens.size(); ++i) {
      const std::string& token = out_.tokens[i];
      if (out_.types[i] != TokenType::normal) continue;
      for (size_t cut = 1; cut < token.size(); ++cut) {
        const std::string a = token.substr(0, cut), b = token.substr(cut);
        if (ids.contains(a) && ids.contains(b) && !known.contains(fmt::format("{} {}", a, b)))
          ++others;
      }
    }
    if (others > 0) {
      out_.notes.push_back(fmt::format(
          "llama.cpp also merges {} pairs of tokens that tokenizer.json does not: some texts get "
          "other ids there",
          others));
    }
  }

  // Spaces become U+2581, by normalizers or by Metaspace; one more at the beginning is optional.
  void read_spaces() {
    bool replaces = false, prepends = false;
    const auto normalizer = [&](const JsonMap& step) {
      if (step.value("type", "") == "Prepend" && step.value("prepend", "") == "▁") {
        prepends = true;
      } else if (step.value("type", "") == "Replace" && step.value("content", "") == "▁" &&
                 object(step, "pattern").value("String", "") == " ") {
        replaces = true;
      } else {
        unsupported("normalizer: {}", step.value("type", "?"));
      }
    };
    const JsonMap& n = object(json_, "normalizer");
    if (n.value("type", "") == "Sequence") {
      for (const JsonMap& step : n.at("normalizers")) normalizer(step);
    } else if (!n.empty()) {
      normalizer(n);
    }
    const JsonMap& pre = object(json_, "pre_tokenizer");
    if (pre.value("type", "") == "Metaspace" && !replaces && !pre.value("split", true)) {
      replaces = true;
      prepends = pre.value("prepend_scheme", "always") != "never";
    } else if (!pre.empty()) {
      unsupported("pre_tokenizer: {} of a tokenizer with byte_fallback", pre.value("type", "?"));
    }
    if (!replaces) unsupported("normalizer: expected spaces to become U+2581");
    out_.add_space_prefix = prepends;
  }

  // The id of a template's special token, which must be one.
  uint32_t special_id(const JsonMap& post, const JsonMap& part) const {
    const std::string name = part["SpecialToken"].value("id", "");
    const JsonMap& ids =
        object(object(post, "special_tokens"), name.c_str()).value("ids", JsonMap());
    if (!ids.is_array() || ids.size() != 1 || !ids[0].is_number_unsigned()) {
      unsupported("post_processor: \"{}\" is not one token", name);
    }
    return ids[0].get<uint32_t>();
  }

  // ByteLevel only trims the places of tokens; a template may put one token before and one after.
  void read_post_processor(const JsonMap& post) {
    if (post.is_null()) return;
    const bool several = post.value("type", "") == "Sequence";
    for (const JsonMap& step : several ? post.at("processors") : JsonMap::array({post})) {
      const std::string type = step.value("type", "");
      if (type == "ByteLevel") continue;
      if (type != "TemplateProcessing") unsupported("post_processor: {}", type);
      auto parts = step.at("single").get<std::vector<JsonMap>>();
      const auto is_special = [](const JsonMap& part) { return part.contains("SpecialToken"); };
      if (!parts.empty() && is_special(parts.front())) {
        out_.bos = special_id(step, parts.front());
        parts.erase(parts.begin());
      }
      if (!parts.empty() && is_special(parts.back())) {
        out_.eos = special_id(step, parts.back());
        parts.pop_back();
      }
      if (parts.size() != 1 || !parts[0].contains("Sequence")) {
        unsupported("post_processor: expected a text with at most one token on each side");
      }
    }
  }

  const std::string& where_;
  JsonMap json_;
  int64_t vocab_;
  bool byte_fallback_ = false;
  std::string unk_;
  std::vector<std::pair<std::string, std::string>> merges_;
  GgufTokens out_;
};

}  // namespace

GgufTokens gguf_tokens(const std::string& tokenizer_json, const std::string& where, int64_t vocab) {
  try {
    return TokenWriter(tokenizer_json, where, vocab).write();
  } catch (const JsonMap::exception& e) {  // a field of another type than it should have
    fail(Fault::bad_input, "json-field", "{}: {}", where, e.what());
  }
}

}  // namespace sinter
