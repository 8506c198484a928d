// Lark: what the tree of lark_text.h means. Terminals become regular expressions, rules become
// nodes in which %ignore may follow every lexeme.
#include <unordered_map>

#include "grammar/front_ends.h"
#include "grammar/lark_text.h"
#include "grammar/regex_text.h"
#include "text/utf8.h"

namespace sinter {
namespace {

class LarkBuilder {
 public:
  LarkBuilder(GrammarBuilder& builder, std::string_view text, std::string_view where,
              const LarkOptions& options)
      : b_(builder), r_(builder.regexes()), c_(text, where), options_(options) {}

  GrammarNode build() {
    file_ = read_lark(c_, b_.limits());
    for (const auto& [name, here] : file_.imports) {
      imported_[here] = parse_regex(r_, lark_common(name), c_.place(0), {}, b_.limits());
    }
    std::vector<Regex> ignored;
    for (const size_t tree : file_.ignored) ignored.push_back(regex_of(tree, 0));
    skip_ = b_.lexeme(r_.star(r_.either(ignored)));
    for (const LarkDefinition& d : file_.definitions) {
      if (!is_lark_terminal(d.name)) rules_.emplace(d.name, b_.declare(d.name));
    }
    for (const LarkDefinition& d : file_.definitions) {
      if (is_lark_terminal(d.name)) {
        terminal(d.name, d.offset, 0);  // unused ones too: a mistake is a mistake
      } else {
        b_.define(rules_.at(d.name), body_of(d));
      }
    }
    const auto start = rules_.find("start");
    if (start == rules_.end()) {
      fail(Fault::bad_input, "grammar-undefined", "{}: no rule start", c_.place(0));
    }
    return file_.skips_at_start ? b_.sequence({skip_, start->second}) : start->second;
  }

 private:
  using Kind = LarkTree::Kind;

  GrammarNode skipped(GrammarNode lexeme) { return b_.sequence({lexeme, skip_}); }

  GrammarNode body_of(const LarkDefinition& d) {
    if (!d.lazy && !d.has_suffix) return node_of(d.body, 0);
    Regex regex = regex_of(d.body, 0);
    if (d.has_suffix) regex = r_.concat(regex, regex_of(d.suffix, 0));
    return skipped(b_.lexeme(regex, true));
  }

  void check_depth(uint32_t depth) const {
    // A name may stand for as much nesting again, so beyond what the text's own nesting needs.
    const uint32_t limit = 4 * b_.limits().nesting;
    if (depth > limit) limit_reached("nesting", b_.limits().nesting, "terminals nest too deeply");
  }

  // A name that is a terminal, as a regular expression.
  Regex terminal(const std::string& name, size_t offset, uint32_t depth) {
    check_depth(depth);
    if (const auto known = terminals_.find(name); known != terminals_.end()) return known->second;
    if (const auto known = imported_.find(name); known != imported_.end()) return known->second;
    const auto found = file_.by_name.find(name);
    if (found == file_.by_name.end()) {
      fail(Fault::bad_input, "grammar-undefined", "{}: {} is used and not defined",
           c_.place(offset), name);
    }
    const LarkDefinition& d = file_.definitions[found->second];
    if (!in_progress_.emplace(name, true).second) {
      c_.syntax(fmt::format("the terminal {} refers to itself; only rules may", name), d.offset);
    }
    if (d.lazy || d.has_suffix)
      c_.unsupported("attributes of terminals; give them to a rule", d.offset);
    const Regex made = regex_of(d.body, depth + 1);
    in_progress_.erase(name);
    return terminals_[name] = made;
  }

  Regex regex_of(size_t index, uint32_t depth) {
    check_depth(depth);
    const LarkTree& t = file_.trees[index];
    if (t.kind == Kind::name) {
      if (!is_lark_terminal(t.text)) {
        c_.syntax(fmt::format("the rule {} within a terminal", t.text), t.offset);
      }
      return terminal(t.text, t.offset, depth + 1);
    }
    if (t.kind == Kind::literal && t.other.empty()) return r_.literal(t.text);
    if (t.kind == Kind::literal) return ignoring_case(t.text);
    if (t.kind == Kind::range) return range(t);
    if (t.kind == Kind::regex) {
      const auto has = [&](char flag) { return t.other.find(flag) != std::string::npos; };
      return parse_regex(r_, t.text, c_.place(t.offset),
                         {.dialect = RegexDialect::rust,
                          .ignore_case = has('i'),
                          .dot_matches_newline = has('s'),
                          .verbose = has('x')},
                         b_.limits());
    }
    if (t.kind == Kind::substring) return substring(t);
    if (t.kind == Kind::token || t.kind == Kind::json) {
      c_.syntax("a token or %json within a terminal", t.offset);
    }
    std::vector<Regex> inner;
    for (const size_t child : t.inner) inner.push_back(regex_of(child, depth + 1));
    if (t.kind == Kind::sequence) return r_.concat(inner);
    if (t.kind == Kind::choice) return r_.either(inner);
    if (t.kind == Kind::both) return r_.both(inner);
    if (t.kind == Kind::complement) return r_.complement(inner[0]);
    return r_.repeat(inner[0], t.min, t.max);
  }

  GrammarNode node_of(size_t index, uint32_t depth) {
    check_depth(depth);
    const LarkTree& t = file_.trees[index];
    if (t.kind == Kind::name && !is_lark_terminal(t.text)) {
      const auto rule = rules_.find(t.text);
      if (rule == rules_.end()) {
        fail(Fault::bad_input, "grammar-undefined", "{}: rule {} is used and not defined",
             c_.place(t.offset), t.text);
      }
      return rule->second;
    }
    if (t.kind == Kind::token) {
      TextCursor cursor = c_;
      cursor.go_to(t.offset);
      return skipped(take_token(b_, cursor, options_.tokenizer));
    }
    if (t.kind == Kind::json) {
      const std::string where = c_.place(t.offset);
      if (!options_.json) c_.unsupported("%json is not available here", t.offset);
      return skipped(options_.json(b_, parse_json(t.text, where), where));
    }
    if (t.kind == Kind::both || t.kind == Kind::complement) {
      c_.unsupported("& and ~ in a rule; put them into a TERMINAL", t.offset);
    }
    if (t.kind != Kind::sequence && t.kind != Kind::choice && t.kind != Kind::repeat) {
      return skipped(b_.lexeme(regex_of(index, depth)));
    }
    std::vector<GrammarNode> inner;
    for (const size_t child : t.inner) inner.push_back(node_of(child, depth + 1));
    if (t.kind == Kind::repeat) return b_.repeat(inner[0], t.min, t.max);
    return t.kind == Kind::sequence ? b_.sequence(inner) : b_.choice(inner);
  }

  Regex ignoring_case(std::string_view text) {
    std::vector<Regex> parts;
    for (size_t at = 0; at < text.size();) {
      const Utf8Char c = utf8_at(text, at);
      parts.push_back(r_.one_of(CodePointSet::of(c.code, c.code).ignoring_case()));
      at += c.size;
    }
    return r_.concat(parts);
  }

  Regex range(const LarkTree& t) {
    const auto only_char = [&](const std::string& text) {
      if (text.empty() || utf8_at(text, 0).size != text.size()) {
        c_.syntax("a range has one character at each end", t.offset);
      }
      return utf8_at(text, 0).code;
    };
    const char32_t first = only_char(t.text), last = only_char(t.other);
    if (last < first) c_.syntax("a range of characters that goes backwards", t.offset);
    return r_.one_of(CodePointSet::of(first, last));
  }

  // %regex {"substring_chunks": [...]}, _words, _chars: some chunks in a row.
  Regex substring(const LarkTree& t) {
    const std::string where = c_.place(t.offset);
    const Json json = parse_json(t.text, where);
    std::vector<std::string> chunks;
    if (json.size() == 1 && json.contains("substring_chunks") && json.begin()->is_array()) {
      for (const Json& chunk : *json.begin()) {
        if (!chunk.is_string()) c_.syntax("chunks are strings", t.offset);
        chunks.push_back(chunk.get<std::string>());
      }
    } else if (json.size() == 1 && json.begin()->is_string() &&
               (json.contains("substring_chars") || json.contains("substring_words"))) {
      chunks = pieces(json.begin()->get<std::string>(), json.contains("substring_words"));
    } else {
      c_.unsupported("%regex takes one of substring_chunks, substring_words, substring_chars",
                     t.offset);
    }
    // What may follow from each chunk on; any of them may come first.
    std::vector<Regex> starts{r_.empty()};
    Regex rest = r_.empty();
    for (size_t i = chunks.size(); i-- > 0;) {
      rest = r_.concat(r_.literal(chunks[i]), r_.optional(rest));
      starts.push_back(rest);
    }
    return r_.either(starts);
  }

  static std::vector<std::string> pieces(std::string_view text, bool words) {
    std::vector<std::string> out;
    bool in_word = false;
    for (size_t at = 0; at < text.size();) {
      const Utf8Char c = utf8_at(text, at);
      const bool word = is_word(c.code);
      if (!words || !word || !in_word) out.emplace_back();
      out.back() += text.substr(at, c.size);
      in_word = word;
      at += c.size;
    }
    return out;
  }

  GrammarBuilder& b_;
  RegexSet& r_;
  TextCursor c_;
  const LarkOptions& options_;
  LarkFile file_;
  GrammarNode skip_;
  std::unordered_map<std::string, GrammarNode> rules_;
  std::unordered_map<std::string, Regex> terminals_, imported_;
  std::unordered_map<std::string, bool> in_progress_;
};

}  // namespace

GrammarNode add_lark(GrammarBuilder& builder, std::string_view text, std::string_view where,
                     const LarkOptions& options) {
  return LarkBuilder(builder, text, where, options).build();
}

}  // namespace sinter
