// How text is cut into words is not in the file: tokenizer.ggml.pre names a rule that llama.cpp
// knows, and the one list of those that we know is below, in the words of tokenizer.json.
#include "artifact/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "base/error.h"

namespace sinter {
namespace {

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kDeepSeek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kCjk = "[一-龥ࠀ-一가-퟿]+";

struct Pre {
  std::vector<const char*> names;  // the first is what we write
  std::vector<const char*> steps;
  bool ignore_merges = false;
  bool add_bos = false;  // if tokenizer.ggml.add_bos_token does not say
};

const std::vector<Pre>& pre_tokenizers() {
  static const std::vector<Pre> kList = {
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"},
       {kLlama3, kByteLevel},
       true,
       true},
      {{"smaug-bpe", "dbrx", "chatglm-bpe"}, {kLlama3, kByteLevel}},
      {{"qwen2", "deepseek-r1-qwen", "megrez", "stablelm2"}, {kQwen2, kByteLevel}},
      {{"qwen35"}, {kQwen35, kByteLevel}},
      {{"gpt-2", "mpt", "olmo", "phi-2", "jais", "exaone4"}, {kByteLevelWords}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"},
       {kDigits, kByteLevelWords}},
      {{"gpt-4o", "llama4"}, {kGpt4o, kByteLevel}},
      {{"tekken"}, {kTekken, kByteLevel}, true, true},
      {{"falcon"}, {kPunctuation, kByteLevelWords, kDigitRuns, "[0-9][0-9][0-9]"}},
      {{"deepseek-coder"}, {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjk, kDigits, kByteLevel}},
      // Its own class of letters is a list of some 400 ranges: the cased scripts.
      {{"deepseek-llm"},
       {"[\r\n]", R"(\s?[\p{Lu}\p{Ll}]+)", R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)", R"(\s+$)", kCjk,
        kDigits, kByteLevel}},
      {{"deepseek-v3"}, {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+", kDeepSeek3, kByteLevel}},
      {{"default"}, {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]", kByteLevel}},
  };
  return kList;
}

template <typename... Args>
[[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) {
  fail(Fault::unsupported, "gguf-tokenizer", "{}",
       fmt::format(format, std::forward<Args>(args)...));
}

std::string known_pre_tokenizers() {
  std::string names;
  for (const Pre& pre : pre_tokenizers()) {
    for (const char* name : pre.names)
      names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  }
  return names;
}

Json byte_level(bool words) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", words}};
}

Json step_json(std::string_view step) {
  if (step == kByteLevel || step == kByteLevelWords) return byte_level(step == kByteLevelWords);
  if (step == kDigits || step == kDigitRuns)
    return {{"type", "Digits"}, {"individual_digits", step == kDigits}};
  if (step == kPunctuation) return {{"type", "Punctuation"}, {"behavior", "Contiguous"}};
  return {{"type", "Split"},
          {"pattern", {{"Regex", step}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

std::string quoted(std::string_view text) { return to_line(Json(text)); }

Json added_token(int64_t id, std::string_view content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

// Everything of a tokenizer.json but the vocabulary and the merges, which are too many for Json.
struct Document {
  Json added = Json::array(), normalizer, pre_tokenizer, post_processor, decoder, unk;
  bool ignore_merges = false, byte_fallback = false;

  std::string text(const std::vector<std::string_view>& tokens, const std::string& merges) const {
    std::string out = fmt::format(
        R"({{"version":"1.0","truncation":null,"padding":null,"added_tokens":{},"normalizer":{},"pre_tokenizer":{},"post_processor":{},"decoder":{},"model":{{"type":"BPE","dropout":null,"unk_token":{},"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":{},"byte_fallback":{},"ignore_merges":{},"vocab":{{)",
        to_line(added), to_line(normalizer), to_line(pre_tokenizer), to_line(post_processor),
        to_line(decoder), to_line(unk), byte_fallback, byte_fallback, ignore_merges);
    for (size_t i = 0; i < tokens.size(); ++i) {
      out += fmt::format("{}{}:{}", i == 0 ? "" : ",", quoted(tokens[i]), i);
    }
    return out + "},\"merges\":[" + merges + "]}}";
  }
};

class TextReader {
 public:
  explicit TextReader(const GgufFile& file)
      : file_(file),
        tokens_(file.strings("tokenizer.ggml.tokens")),
        types_(file.integers("tokenizer.ggml.token_type")) {
    if (types_.empty()) types_.assign(tokens_.size(), static_cast<int64_t>(TokenType::normal));
    if (types_.size() != tokens_.size()) {
      fail(Fault::corrupt, "gguf-key",
           "{}: tokenizer.ggml.token_type: expected one type for each of {} tokens, found {}",
           file.path(), tokens_.size(), types_.size());
    }
  }

  GgufText read() {
    GgufText out;
    const std::string model = file_.string("tokenizer.ggml.model", "");
    if (model.empty() || tokens_.empty()) return out;
    const bool pieces = model == "llama";
    if (!pieces && model != "gpt2") {
      unsupported("{}: tokenizer.ggml.model: expected gpt2 or llama, found {}", file_.path(),
                  model);
    }
    out.tokenizer_json = pieces ? read_pieces() : read_byte_level();
    read_names(out, pieces);
    return out;
  }

 private:
  bool is(size_t token, TokenType type) const {
    return types_[token] == static_cast<int64_t>(type);
  }

  // The id that a key names, or `fallback`; nothing if that is below 0.
  std::optional<size_t> id(const char* name, int64_t fallback) const {
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
    const int64_t value = file_.integer(key, fallback);
    if (value < 0 || (!file_.has(key) && value >= static_cast<int64_t>(tokens_.size())))
      return std::nullopt;
    if (value >= static_cast<int64_t>(tokens_.size())) {
      if (value == UINT32_MAX) return std::nullopt;
      fail(Fault::corrupt, "gguf-key", "{}: {}: expected an id below {}, found {}", file_.path(),
           key, tokens_.size(), value);
    }
    return static_cast<size_t>(value);
  }

  void add_tokens(Document& d) const {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const bool special = is(i, TokenType::unknown) || is(i, TokenType::control);
      if (!special && !is(i, TokenType::user_defined)) continue;
      d.added.push_back(added_token(static_cast<int64_t>(i), tokens_[i], special));
    }
  }

  Json bos_eos(bool add_bos, int64_t bos_fallback, int64_t eos_fallback) const {
    add_bos = file_.boolean("tokenizer.ggml.add_bos_token", add_bos);
    const bool add_eos = file_.boolean("tokenizer.ggml.add_eos_token", false);
    const auto bos = id("bos", bos_fallback), eos = id("eos", eos_fallback);
    Json single = Json::array(), specials = Json::object();
    const auto add = [&](size_t token) {
      const std::string_view name = tokens_[token];
      single.push_back({{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
      specials[std::string(name)] = {{"id", name}, {"ids", {token}}, {"tokens", {name}}};
    };
    if (add_bos && bos) add(*bos);
    single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
    if (add_eos && eos) add(*eos);
    if (specials.empty()) return nullptr;
    Json pair = single;
    pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
    return {{"type", "TemplateProcessing"},
            {"single", single},
            {"pair", pair},
            {"special_tokens", specials}};
  }

  std::string read_byte_level() const {
    const std::string name = file_.string("tokenizer.ggml.pre", "default");
    const auto& list = pre_tokenizers();
    const auto pre = std::find_if(list.begin(), list.end(), [&](const Pre& p) {
      return std::find(p.names.begin(), p.names.end(), name) != p.names.end();
    });
    if (pre == list.end()) {
      unsupported("{}: tokenizer.ggml.pre: expected one of {}, found {}", file_.path(),
                  known_pre_tokenizers(), name);
    }
    Document d;
    add_tokens(d);
    Json steps = Json::array();
    for (const char* step : pre->steps) steps.push_back(step_json(step));
    d.pre_tokenizer = {{"type", "Sequence"}, {"pretokenizers", steps}};
    d.post_processor = bos_eos(pre->add_bos, -1, -1);
    d.decoder = byte_level(true);
    d.ignore_merges = pre->ignore_merges;
    std::string merges;
    for (const std::string_view merge : file_.strings("tokenizer.ggml.merges")) {
      const size_t space = merge.find(' ', 1);
      if (space == std::string_view::npos) {
        fail(Fault::corrupt, "gguf-key",
             "{}: tokenizer.ggml.merges: expected two tokens with a space between them, found {}",
             file_.path(), quoted(merge.substr(0, 80)));
      }
      merges += fmt::format("{}[{},{}]", merges.empty() ? "" : ",", quoted(merge.substr(0, space)),
                            quoted(merge.substr(space + 1)));
    }
    return d.text(tokens_, merges);
  }

  // SentencePiece merges the two neighbours whose union has the best score. So a merge for every
  // way to cut a piece in two, in order of the pieces' scores.
  std::string merges_of_pieces() const {
    const std::vector<double> scores = file_.numbers("tokenizer.ggml.scores");
    if (scores.size() != tokens_.size()) {
      fail(Fault::corrupt, "gguf-key",
           "{}: tokenizer.ggml.scores: expected one for each of {} tokens, found {}", file_.path(),
           tokens_.size(), scores.size());
    }
    if (!std::all_of(scores.begin(), scores.end(), [](double x) { return std::isfinite(x); })) {
      fail(Fault::corrupt, "gguf-key",
           "{}: tokenizer.ggml.scores: expected finite numbers, found one that is not",
           file_.path());
    }
    std::unordered_map<std::string_view, size_t> ids;
    for (size_t i = 0; i < tokens_.size(); ++i) ids.emplace(tokens_[i], i);
    struct Merge {
      double score;
      size_t a, b;
    };
    std::vector<Merge> merges;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (!is(i, TokenType::normal) || tokens_[i].size() > 1024) continue;
      for (size_t cut = 1; cut < tokens_[i].size(); ++cut) {
        const auto a = ids.find(tokens_[i].substr(0, cut)), b = ids.find(tokens_[i].substr(cut));
        if (a != ids.end() && b != ids.end()) merges.push_back({scores[i], a->second, b->second});
      }
    }
    std::sort(merges.begin(), merges.end(), [](const Merge& x, const Merge& y) {
      return std::tuple(-x.score, x.a, x.b) < std::tuple(-y.score, y.a, y.b);
    });
    std::string text;
    for (const Merge& m : merges) {
      text += fmt::format("{}[{},{}]", text.empty() ? "" : ",", quoted(tokens_[m.a]),
                          quoted(tokens_[m.b]));
    }
    return text;
  }

  std::string read_pieces() const {
    const bool prefix = file_.boolean("tokenizer.ggml.add_space_prefix", true);
    if (file_.boolean("tokenizer.ggml.remove_extra_whitespaces", false)) {
      unsupported("{}: tokenizer.ggml.remove_extra_whitespaces: expected false, found true",
                  file_.path());
    }
    Document d;
    add_tokens(d);
    const Json space = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}};
    d.normalizer = space;
    d.decoder = {{"type", "Sequence"},
                 {"decoders",
                  {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}}}}};
    if (prefix) {
      d.normalizer = {{"type", "Sequence"},
                      {"normalizers", {{{"type", "Prepend"}, {"prepend", "▁"}}, space}}};
      d.decoder["decoders"].push_back(
          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    d.post_processor = bos_eos(true, 1, 2);
    d.byte_fallback = true;
    if (const auto unk = id("unknown", 0)) d.unk = tokens_[*unk];
    return d.text(tokens_, merges_of_pieces());
  }

  // Special tokens by name, the template, and every id that ends a turn.
  void read_names(GgufText& out, bool pieces) const {
    const auto name = [&](const char* field, const char* key, int64_t fallback) {
      if (const auto token = id(key, fallback)) out.tokenizer_config[field] = tokens_[*token];
    };
    name("bos_token", "bos", pieces ? 1 : -1);
    name("eos_token", "eos", pieces ? 2 : -1);
    name("unk_token", "unknown", pieces ? 0 : -1);
    name("pad_token", "padding", -1);
    Json& end = out.generation_config["eos_token_id"] = Json::array();
    const auto ends = [&](std::optional<size_t> token) {
      if (token && std::find(end.begin(), end.end(), Json(*token)) == end.end())
        end.push_back(*token);
    };
    ends(id("eos", pieces ? 2 : -1));
    ends(id("eot", -1));
    ends(id("eom", -1));
    // Without a key, llama.cpp knows the end of a turn by its spelling.
    constexpr std::array<std::string_view, 9> kEnds = {
        "<|eot_id|>",    "<|im_end|>",      "<|end|>", "<end_of_turn>",
        "<|endoftext|>", "<|end_of_text|>", "<EOT>",   "<｜end▁of▁sentence｜>",
        "<|eom_id|>"};
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (is(i, TokenType::control) &&
          std::find(kEnds.begin(), kEnds.end(), tokens_[i]) != kEnds.end()) {
        ends(i);
      }
    }
    const std::string main = file_.string("tokenizer.chat_template", "");
    const std::string tools = file_.string("tokenizer.chat_template.tool_use", "");
    if (!tools.empty()) {
      out.tokenizer_config["chat_template"] = {{{"name", "default"}, {"template", main}},
                                               {{"name", "tool_use"}, {"template", tools}}};
    } else if (!main.empty()) {
      out.tokenizer_config["chat_template"] = main;
    }
  }

  const GgufFile& file_;
  std::vector<std::string_view> tokens_;
  std::vector<int64_t> types_;
};

}  // namespace

GgufText read_gguf_text(const GgufFile& file, bool stated) {
  GgufText text = TextReader(file).read();
  if (stated && file.has("tokenizer.huggingface.json")) {
    text.tokenizer_json = file.string("tokenizer.huggingface.json");
  }
  return text;
}

std::optional<std::string> GgufText::file(const std::string& name) const {
  if (tokenizer_json.empty()) return std::nullopt;
  if (name == "tokenizer.json") return tokenizer_json;
  if (name == "tokenizer_config.json") return to_line(tokenizer_config);
  if (name == "generation_config.json") return to_line(generation_config);
  return std::nullopt;
}

std::string gguf_pre_tokenizer(const std::vector<std::string>& steps, bool ignore_merges) {
  for (const Pre& pre : pre_tokenizers()) {
    if (pre.ignore_merges == ignore_merges &&
        std::equal(steps.begin(), steps.end(), pre.steps.begin(), pre.steps.end())) {
      return pre.names.front();
    }
  }
  return "";
}

}  // namespace sinter
