#include "text/pre_tokenizer.h"

#include <algorithm>

#include "text/byte_alphabet.h"
#include "text/component.h"
#include "text/pattern.h"
#include "text/unicode_class.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// What becomes of hits and gaps.
using Behavior = void (*)(std::vector<Span>& spans);

void isolate(std::vector<Span>&) {}

void remove_hits(std::vector<Span>& spans) {
  std::erase_if(spans, [](const Span& s) { return s.hit; });
}

// Joins a span to the one before it wherever `joins(previous, span)`.
template <typename Joins>
void join(std::vector<Span>& spans, Joins joins) {
  std::vector<Span> out;
  bool previous = false;  // whether the span before was a hit
  for (const Span& s : spans) {
    if (!out.empty() && joins(previous, s.hit)) {
      out.back().end = s.end;
    } else {
      out.push_back(s);
    }
    previous = s.hit;
  }
  spans = std::move(out);
}

void join_alike(std::vector<Span>& spans) {
  join(spans, [](bool previous, bool hit) { return previous == hit; });
}

void join_to_previous(std::vector<Span>& spans) {
  join(spans, [](bool previous, bool hit) { return hit && !previous; });
}

void join_to_next(std::vector<Span>& spans) {
  std::vector<Span> out;  // last first
  bool next = false;      // whether the span after was a hit
  for (size_t i = spans.size(); i-- > 0;) {
    if (!out.empty() && spans[i].hit && !next) {
      out.back().begin = spans[i].begin;
    } else {
      out.push_back(spans[i]);
    }
    next = spans[i].hit;
  }
  std::reverse(out.begin(), out.end());
  spans = std::move(out);
}

struct NamedBehavior {
  std::string_view name;
  Behavior apply;
};

constexpr NamedBehavior kBehaviors[] = {{"Isolated", isolate},
                                        {"Removed", remove_hits},
                                        {"Contiguous", join_alike},
                                        {"MergedWithPrevious", join_to_previous},
                                        {"MergedWithNext", join_to_next}};

Behavior read_behavior(const std::string& name, const std::string& where) {
  for (const NamedBehavior& b : kBehaviors) {
    if (b.name == name) return b.apply;
  }
  fail(Fault::unsupported, "tokenizer-component",
       "{}: behavior: expected Isolated, Removed, Contiguous, MergedWithPrevious or "
       "MergedWithNext, found {}",
       where, name);
}

void cut(const Piece& piece, const std::vector<Span>& spans, Pieces& out) {
  for (const Span& s : spans) {
    if (s.begin == s.end) continue;
    out.list.push_back(
        {piece.text.substr(s.begin, s.end - s.begin), piece.at_start && s.begin == 0});
  }
}

class Split : public PreTokenizer {
 public:
  Split(Pattern pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void split(const Piece& piece, Pieces& out) const override {
    std::vector<Span> spans;
    spans.reserve(piece.text.size() / 4);
    pattern_.cover(piece.text, spans);
    if (invert_) {
      for (Span& s : spans) s.hit = !s.hit;
    }
    behavior_(spans);
    cut(piece, spans, out);
  }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

// Every character of a class is a hit of its own.
class SplitByClass : public PreTokenizer {
 public:
  SplitByClass(bool (*has)(char32_t), Behavior behavior) : has_(has), behavior_(behavior) {}
  void split(const Piece& piece, Pieces& out) const override {
    std::vector<Span> spans;
    for (size_t at = 0; at < piece.text.size();) {
      const Utf8Char c = utf8_at(piece.text, at);
      const bool hit = has_(c.code);
      if (!hit && !spans.empty() && !spans.back().hit) {
        spans.back().end = at + c.size;
      } else {
        spans.push_back({at, at + c.size, hit});
      }
      at += c.size;
    }
    behavior_(spans);
    cut(piece, spans, out);
  }

 private:
  bool (*has_)(char32_t);
  Behavior behavior_;
};

// \w+|[^\w\s]+, everything else removed.
class Whitespace : public PreTokenizer {
 public:
  void split(const Piece& piece, Pieces& out) const override {
    std::vector<Span> spans;
    int previous = 0;
    for (size_t at = 0; at < piece.text.size();) {
      const Utf8Char c = utf8_at(piece.text, at);
      const int kind = is_white_space(c.code) ? 0 : is_word(c.code) ? 1 : 2;
      if (kind != 0 && kind == previous) {
        spans.back().end = at + c.size;
      } else if (kind != 0) {
        spans.push_back({at, at + c.size, false});
      }
      previous = kind;
      at += c.size;
    }
    cut(piece, spans, out);
  }
};

class PrefixSpace : public PreTokenizer {
 public:
  void split(const Piece& piece, Pieces& out) const override {
    if (piece.text.starts_with(' ')) {
      out.list.push_back(piece);
      return;
    }
    std::string& text = out.owned.emplace_back(1, ' ');
    text += piece.text;
    out.list.push_back({text, piece.at_start});
  }
};

class SpellBytes : public PreTokenizer {
 public:
  void split(const Piece& piece, Pieces& out) const override {
    out.owned.push_back(spell_bytes(piece.text));
    out.list.push_back({out.owned.back(), piece.at_start});
  }
};

enum class PrependScheme { kAlways, kFirst, kNever };

class Metaspace : public PreTokenizer {
 public:
  Metaspace(std::string mark, PrependScheme scheme, bool cuts)
      : mark_(std::move(mark)), marks_(Pattern::literal(mark_)), scheme_(scheme), cuts_(cuts) {}
  bool asks_for_start() const { return scheme_ == PrependScheme::kFirst; }
  void split(const Piece& piece, Pieces& out) const override {
    std::string text;
    text.reserve(piece.text.size() * 2);
    for (const char c : piece.text) {
      if (c == ' ') {
        text += mark_;
      } else {
        text += c;
      }
    }
    const bool wants =
        scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && piece.at_start);
    if (wants && !text.starts_with(mark_)) text.insert(0, mark_);
    out.owned.push_back(std::move(text));
    const Piece marked{out.owned.back(), piece.at_start};
    if (!cuts_) {
      out.list.push_back(marked);
      return;
    }
    std::vector<Span> spans;
    marks_.cover(marked.text, spans);
    join_to_next(spans);
    cut(marked, spans, out);
  }

 private:
  std::string mark_;
  Pattern marks_;
  PrependScheme scheme_;
  bool cuts_;
};

using Steps = std::vector<std::unique_ptr<const PreTokenizer>>;

bool inserts_text(const std::unique_ptr<const PreTokenizer>& step) {
  return dynamic_cast<const PrefixSpace*>(step.get()) != nullptr ||
         dynamic_cast<const SpellBytes*>(step.get()) != nullptr;
}

void read(const Json& json, const std::string& where, int depth, Steps& steps);

void read_sequence(const Json& json, const std::string& where, int depth, Steps& steps) {
  check_component_fields(json, where, {"pretokenizers"});
  for (const Json& part : component_array(json, "pretokenizers", where)) {
    read(part, where, depth + 1, steps);
  }
}

void read_split(const Json& json, const std::string& where, int, Steps& steps) {
  check_component_fields(json, where, {"pattern", "behavior", "invert"});
  const JsonFields fields(json, where);
  steps.push_back(std::make_unique<Split>(read_pattern(fields.at("pattern"), where),
                                          read_behavior(fields.string("behavior"), where),
                                          fields.boolean("invert", false)));
}

void read_byte_level(const Json& json, const std::string& where, int, Steps& steps) {
  check_component_fields(json, where, {"add_prefix_space", "trim_offsets", "use_regex"});
  const JsonFields fields(json, where);
  fields.at("add_prefix_space");
  if (fields.boolean("add_prefix_space", true)) steps.push_back(std::make_unique<PrefixSpace>());
  if (fields.boolean("use_regex", true)) {
    steps.push_back(std::make_unique<Split>(Pattern::regex(kGpt2Regex, where), isolate, false));
  }
  steps.push_back(std::make_unique<SpellBytes>());
}

void read_metaspace(const Json& json, const std::string& where, int, Steps& steps) {
  check_component_fields(json, where,
                         {"replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"});
  const JsonFields fields(json, where);
  const std::string mark = fields.string("replacement");
  if (mark.empty() || utf8_at(mark, 0).size != mark.size()) {
    fail(Fault::bad_input, "json-field", "{}: replacement: expected one character, found {}", where,
         mark);
  }
  // Before prepend_scheme there was add_prefix_space.
  const std::string scheme = fields.string(
      "prepend_scheme", fields.boolean("add_prefix_space", true) ? "always" : "never");
  // After text that does not come from the input, "first" would need offsets that Sinter lacks.
  if (scheme == "first" && std::any_of(steps.begin(), steps.end(), inserts_text)) {
    fail(Fault::unsupported, "tokenizer-component",
         "{}: expected the prepend_scheme first before any ByteLevel, found it after one", where);
  }
  const bool known = scheme == "always" || scheme == "first" || scheme == "never";
  if (!known || fields.string("str_rep", mark) != mark) {
    fail(Fault::unsupported, "tokenizer-component",
         "{}: expected the prepend_scheme always, first or never and str_rep as replacement, found "
         "{} and {}",
         where, scheme, fields.string("str_rep", mark));
  }
  steps.push_back(std::make_unique<Metaspace>(mark,
                                              scheme == "always"  ? PrependScheme::kAlways
                                              : scheme == "first" ? PrependScheme::kFirst
                                                                  : PrependScheme::kNever,
                                              fields.boolean("split", true)));
}

void read_digits(const Json& json, const std::string& where, int, Steps& steps) {
  check_component_fields(json, where, {"individual_digits"});
  const JsonFields fields(json, where);
  fields.at("individual_digits");
  steps.push_back(std::make_unique<SplitByClass>(
      is_number, fields.boolean("individual_digits", false) ? isolate : join_alike));
}

void read_punctuation(const Json& json, const std::string& where, int, Steps& steps) {
  check_component_fields(json, where, {"behavior"});
  const std::string behavior = JsonFields(json, where).string("behavior", "Isolated");
  steps.push_back(std::make_unique<SplitByClass>(is_punctuation, read_behavior(behavior, where)));
}

void read_whitespace(const Json& json, const std::string& where, int, Steps& steps) {
  check_component_fields(json, where, {});
  steps.push_back(std::make_unique<Whitespace>());
}

void read_whitespace_split(const Json& json, const std::string& where, int, Steps& steps) {
  check_component_fields(json, where, {});
  steps.push_back(std::make_unique<SplitByClass>(is_white_space, remove_hits));
}

// The list of pre-tokenizers: to add one is a class above and a line here.
using Reader = void (*)(const Json&, const std::string&, int depth, Steps&);
constexpr ComponentKind<Reader> kPreTokenizers[] = {
    {"Sequence", read_sequence},     {"Split", read_split},
    {"ByteLevel", read_byte_level},  {"Metaspace", read_metaspace},
    {"Digits", read_digits},         {"Punctuation", read_punctuation},
    {"Whitespace", read_whitespace}, {"WhitespaceSplit", read_whitespace_split},
};

void read(const Json& json, const std::string& where, int depth, Steps& steps) {
  if (depth > kMaxComponentDepth) {
    fail(Fault::unsupported, "tokenizer-component", "{}: Sequences nested more than {} deep", where,
         kMaxComponentDepth);
  }
  const auto& kind =
      find_component(std::span<const ComponentKind<Reader>>(kPreTokenizers), json, where);
  kind.read(json, where, depth, steps);
}

}  // namespace

PreTokenizers read_pre_tokenizers(const Json& json, const std::string& where) {
  PreTokenizers out;
  if (json.is_null()) return out;
  read(json, where, 0, out.steps);
  for (size_t i = 1; i < out.steps.size(); ++i) {
    const auto* metaspace = dynamic_cast<const Metaspace*>(out.steps[i].get());
    out.asks_late_for_start |= metaspace != nullptr && metaspace->asks_for_start();
  }
  if (!out.steps.empty() && dynamic_cast<const SpellBytes*>(out.steps.back().get()) != nullptr) {
    out.steps.pop_back();
    out.model_sees_bytes = true;
  }
  return out;
}

}  // namespace sinter
