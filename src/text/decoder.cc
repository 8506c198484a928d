#include "text/decoder.h"

#include <optional>

#include "text/byte_alphabet.h"
#include "text/component.h"
#include "text/pattern.h"
#include "text/utf8.h"

namespace sinter {
namespace {

// A decoder that turns each token into one token by a function of it alone.
class Mapping : public Decoder {
 public:
  explicit Mapping(std::function<std::string(std::string_view)> map) : map_(std::move(map)) {}
  std::unique_ptr<State> start() const override { return std::make_unique<Running>(map_); }
  std::string token_bytes(std::string token) const override { return map_(token); }

 private:
  struct Running : State {
    explicit Running(const std::function<std::string(std::string_view)>& m) : map(m) {}
    void push(std::string_view token, const Emit& emit) override { emit(map(token)); }
    const std::function<std::string(std::string_view)>& map;
  };
  std::function<std::string(std::string_view)> map_;
};

// Tokens back to bytes; whole characters leave as soon as they are whole.
class ByteLevel : public Decoder {
 public:
  std::unique_ptr<State> start() const override { return std::make_unique<Running>(); }
  // A token with a character outside the alphabet stands for itself.
  std::string token_bytes(std::string token) const override {
    std::optional<std::string> bytes = unspell_bytes(token);
    return bytes ? std::move(*bytes) : token;
  }

 private:
  struct Running : State {
    void push(std::string_view token, const Emit& emit) override {
      const std::optional<std::string> bytes = unspell_bytes(token);
      waiting += bytes ? std::string_view(*bytes) : token;
      std::string out;
      size_t at = 0;
      while (at < waiting.size()) {
        const Utf8Char c = utf8_at(waiting, at);
        if (c.truncated) break;
        out += c.valid ? std::string_view(waiting).substr(at, c.size) : kReplacement;
        at += c.size;
      }
      waiting.erase(0, at);
      if (!out.empty()) emit(out);
    }
    void finish(const Emit& emit) override {
      if (!waiting.empty()) emit(kReplacement);
      waiting.clear();
    }
    std::string waiting;  // at most 3 bytes
  };
};

// <0xHH> tokens in a row are bytes: text if all of them are valid UTF-8 together, else one U+FFFD
// each. So a run is not certain before it ends.
class ByteFallback : public Decoder {
 public:
  std::unique_ptr<State> start() const override { return std::make_unique<Running>(); }
  std::string token_bytes(std::string token) const override {
    const std::optional<char> byte = byte_of(token);
    return byte ? std::string(1, *byte) : token;
  }

 private:
  static std::optional<char> byte_of(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
    const auto digit = [](char c) {
      return c >= '0' && c <= '9'   ? c - '0'
             : c >= 'a' && c <= 'f' ? c - 'a' + 10
             : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                    : -1;
    };
    const int high = token[3] == '+' ? 0 : digit(token[3]), low = digit(token[4]);
    if (high < 0 || low < 0) return std::nullopt;
    return static_cast<char>(high * 16 + low);
  }

  struct Running : State {
    void push(std::string_view token, const Emit& emit) override {
      if (const std::optional<char> byte = byte_of(token)) {
        run.push_back(*byte);
        return;
      }
      finish(emit);
      emit(token);
    }
    void finish(const Emit& emit) override {
      if (run.empty()) return;
      if (is_utf8(run)) {
        emit(run);
      } else {
        for (size_t i = 0; i < run.size(); ++i) emit(kReplacement);
      }
      run.clear();
    }
    std::string run;
  };
};

class Metaspace : public Decoder {
 public:
  Metaspace(std::string mark, bool drops_first)
      : mark_(std::move(mark)), drops_first_(drops_first) {}
  std::unique_ptr<State> start() const override { return std::make_unique<Running>(*this); }
  std::string token_bytes(std::string token) const override { return replaced(token, " "); }

 private:
  std::string replaced(std::string_view token, std::string_view by) const {
    std::string out;
    size_t at = 0;
    for (size_t hit; (hit = token.find(mark_, at)) != std::string_view::npos;) {
      out += token.substr(at, hit - at);
      out += by;
      at = hit + mark_.size();
    }
    out += token.substr(at);
    return out;
  }

  struct Running : State {
    explicit Running(const Metaspace& m) : metaspace(m) {}
    void push(std::string_view token, const Emit& emit) override {
      emit(metaspace.replaced(token, first && metaspace.drops_first_ ? "" : " "));
      first = false;
    }
    const Metaspace& metaspace;
    bool first = true;
  };
  std::string mark_;
  bool drops_first_;  // marks of the first token stand for nothing
};

// Removes up to `start` times `content` at the front of the text and up to `stop` times at its end.
class StripText : public Decoder {
 public:
  StripText(std::string content, size_t start, size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}
  std::unique_ptr<State> start() const override { return std::make_unique<Running>(*this); }

 private:
  struct Running : State {
    explicit Running(const StripText& s) : strip(s), to_drop(s.start_) {}
    void push(std::string_view text, const Emit& emit) override {
      const std::string& content = strip.content_;
      while (to_drop > 0 && !text.empty()) {
        if (!text.starts_with(content)) {
          to_drop = 0;
          break;
        }
        --to_drop;
        text.remove_prefix(content.size());
      }
      if (text.empty()) return;
      waiting += text;
      size_t keep = 0;  // bytes at the end that may yet be stripped
      while (keep / content.size() < strip.stop_ &&
             std::string_view(waiting).substr(0, waiting.size() - keep).ends_with(content)) {
        keep += content.size();
      }
      if (waiting.size() > keep) emit(std::string_view(waiting).substr(0, waiting.size() - keep));
      waiting.erase(0, waiting.size() - keep);
    }
    const StripText& strip;
    size_t to_drop;
    std::string waiting;
  };
  std::string content_;
  size_t start_, stop_;
};

// Replaces a literal in one long text.
class ReplaceText : public Decoder {
 public:
  ReplaceText(std::string literal, std::string content)
      : literal_(std::move(literal)), content_(std::move(content)) {}
  std::unique_ptr<State> start() const override { return std::make_unique<Running>(*this); }

 private:
  struct Running : State {
    explicit Running(const ReplaceText& r) : replace(r) {}
    void push(std::string_view text, const Emit& emit) override {
      const std::string& literal = replace.literal_;
      waiting += text;
      std::string out;
      size_t at = 0;
      for (size_t hit; (hit = waiting.find(literal, at)) != std::string::npos;) {
        out.append(waiting, at, hit - at);
        out += replace.content_;
        at = hit + literal.size();
      }
      waiting.erase(0, at);
      size_t keep = std::min(literal.size() - 1, waiting.size());
      while (keep > 0 && !std::string_view(literal).starts_with(
                             std::string_view(waiting).substr(waiting.size() - keep))) {
        --keep;
      }
      out.append(waiting, 0, waiting.size() - keep);
      waiting.erase(0, waiting.size() - keep);
      if (!out.empty()) emit(out);
    }
    void finish(const Emit& emit) override {
      if (!waiting.empty()) emit(waiting);
      waiting.clear();
    }
    const ReplaceText& replace;
    std::string waiting;
  };
  std::string literal_, content_;
};

class JoinWithSpaces : public Decoder {
 public:
  std::unique_ptr<State> start() const override { return std::make_unique<Running>(); }

 private:
  struct Running : State {
    void push(std::string_view token, const Emit& emit) override {
      if (!first) emit(" ");
      first = false;
      emit(token);
    }
    bool first = true;
  };
};

struct Reading {
  Decoders decoders;
  bool fused = false;  // what comes next sees one long text
};

[[noreturn]] void refuse_after_fuse(const std::string& where) {
  fail(Fault::unsupported, "tokenizer-component",
       "{}: this decoder, after one that joins all tokens, is not something Sinter can stream",
       where);
}

void read(const Json& json, const std::string& where, int depth, Reading& out);

void read_sequence(const Json& json, const std::string& where, int depth, Reading& out) {
  check_component_fields(json, where, {"decoders"});
  for (const Json& part : component_array(json, "decoders", where)) {
    read(part, where, depth + 1, out);
  }
}

void read_byte_level(const Json& json, const std::string& where, int, Reading& out) {
  check_component_fields(json, where, {"add_prefix_space", "trim_offsets", "use_regex"});
  if (out.fused) refuse_after_fuse(where);
  out.decoders.push_back(std::make_unique<ByteLevel>());
  out.fused = true;
}

void read_byte_fallback(const Json& json, const std::string& where, int, Reading& out) {
  check_component_fields(json, where, {});
  if (out.fused) refuse_after_fuse(where);
  out.decoders.push_back(std::make_unique<ByteFallback>());
}

void read_metaspace(const Json& json, const std::string& where, int, Reading& out) {
  check_component_fields(json, where,
                         {"replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"});
  if (out.fused) refuse_after_fuse(where);
  const JsonFields fields(json, where);
  const std::string scheme = fields.string(
      "prepend_scheme", fields.boolean("add_prefix_space", true) ? "always" : "never");
  const std::string mark = fields.string("replacement");
  if (mark.empty() || (scheme != "always" && scheme != "first" && scheme != "never")) {
    fail(Fault::unsupported, "tokenizer-component",
         "{}: expected the prepend_scheme always, first or never, found {}", where, scheme);
  }
  out.decoders.push_back(std::make_unique<Metaspace>(mark, scheme != "never"));
}

void read_replace(const Json& json, const std::string& where, int, Reading& out) {
  check_component_fields(json, where, {"pattern", "content"});
  const JsonFields fields(json, where);
  const std::string content = fields.string("content");
  if (out.fused) {
    const JsonFields pattern = fields.object("pattern");
    if (!pattern.has("String") || pattern.string("String").empty()) refuse_after_fuse(where);
    out.decoders.push_back(std::make_unique<ReplaceText>(pattern.string("String"), content));
    return;
  }
  const Pattern pattern = read_pattern(fields.at("pattern"), where);
  out.decoders.push_back(std::make_unique<Mapping>([pattern, content](std::string_view token) {
    std::vector<Span> spans;
    pattern.cover(token, spans);
    std::string text;
    for (const Span& s : spans) text += s.hit ? content : token.substr(s.begin, s.end - s.begin);
    return text;
  }));
}

void read_fuse(const Json& json, const std::string& where, int, Reading& out) {
  check_component_fields(json, where, {});
  out.fused = true;
}

void read_strip(const Json& json, const std::string& where, int, Reading& out) {
  check_component_fields(json, where, {"content", "start", "stop"});
  const JsonFields fields(json, where);
  const std::string content = fields.string("content");
  const int64_t start = fields.integer("start"), stop = fields.integer("stop");
  if (content.empty() || utf8_at(content, 0).size != content.size() || start < 0 || stop < 0 ||
      start > 1024 || stop > 1024) {
    fail(Fault::bad_input, "json-field",
         "{}: expected one character as content, and start and stop from 0 to 1024; found {}, {} "
         "and {}",
         where, content, start, stop);
  }
  const auto n_start = static_cast<size_t>(start), n_stop = static_cast<size_t>(stop);
  if (out.fused) {
    out.decoders.push_back(std::make_unique<StripText>(content, n_start, n_stop));
    return;
  }
  out.decoders.push_back(
      std::make_unique<Mapping>([content, n_start, n_stop](std::string_view token) {
        for (size_t i = 0; i < n_start && token.starts_with(content); ++i) {
          token.remove_prefix(content.size());
        }
        for (size_t i = 0; i < n_stop && token.ends_with(content); ++i) {
          token.remove_suffix(content.size());
        }
        return std::string(token);
      }));
}

// The list of decoders: to add one is a class above and a line here.
using Reader = void (*)(const Json&, const std::string&, int depth, Reading&);
constexpr ComponentKind<Reader> kDecoders[] = {
    {"Sequence", read_sequence},
    {"ByteLevel", read_byte_level},
    {"ByteFallback", read_byte_fallback},
    {"Metaspace", read_metaspace},
    {"Replace", read_replace},
    {"Fuse", read_fuse},
    {"Strip", read_strip},
};

void read(const Json& json, const std::string& where, int depth, Reading& out) {
  if (depth > kMaxComponentDepth) {
    fail(Fault::unsupported, "tokenizer-component", "{}: Sequences nested more than {} deep", where,
         kMaxComponentDepth);
  }
  const auto& kind = find_component(std::span<const ComponentKind<Reader>>(kDecoders), json, where);
  kind.read(json, where, depth, out);
}

}  // namespace

Decoders read_decoders(const Json& json, const std::string& where) {
  Reading out;
  if (json.is_null()) {
    out.decoders.push_back(std::make_unique<JoinWithSpaces>());
  } else {
    read(json, where, 0, out);
  }
  return std::move(out.decoders);
}

DecodeStream::DecodeStream(const Decoders& decoders) {
  for (const auto& decoder : decoders) states_.push_back(decoder->start());
}

void DecodeStream::run(size_t step, std::string_view token, std::string& out) {
  if (step == states_.size()) {
    out += token;
    return;
  }
  states_[step]->push(token, [&, step](std::string_view t) { run(step + 1, t, out); });
}

void DecodeStream::finish(std::string& out) {
  for (size_t step = 0; step < states_.size(); ++step) {
    states_[step]->finish([&, step](std::string_view t) { run(step + 1, t, out); });
  }
}

}  // namespace sinter
