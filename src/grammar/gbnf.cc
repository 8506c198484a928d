// GBNF: see front_ends.h. A rule's body ends where the next `name ::=` begins, so lines mean
// nothing.
#include <unordered_map>

#include "grammar/front_ends.h"
#include "grammar/text_cursor.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr std::string_view kComment = "#", kNameChars = "-_";
// Rules here are often single characters: what is as light as a JSON string becomes one lexeme.
constexpr uint32_t kMergeWeight = 150;

class GbnfReader {
 public:
  GbnfReader(GrammarBuilder& builder, std::string_view text, std::string_view where,
             const Tokenizer* tokenizer)
      : b_(builder), c_(text, where), tokenizer_(tokenizer) {}

  GrammarNode read() {
    const uint32_t weight_before = b_.merge_weight();
    b_.set_merge_weight(kMergeWeight);
    for (c_.skip_blank(kComment); !c_.at_end(); c_.skip_blank(kComment)) {
      const size_t start = c_.offset();
      const std::string_view name = c_.take_name(kNameChars);
      if (name.empty()) c_.syntax(fmt::format("expected a rule, found {}", c_.found()));
      c_.skip_blank(kComment);
      c_.expect("::=");
      Rule& rule = find(name, start);
      if (rule.defined) c_.syntax(fmt::format("rule {} is defined twice", name), start);
      rule.defined = true;
      const GrammarNode node = rule.node;
      b_.define(node, alternatives(0));
      c_.skip_blank(kComment);
      if (c_.peek() == ')') c_.syntax("a ) without its (");
    }
    for (const auto& [name, rule] : rules_) {
      if (!rule.defined) {
        fail(Fault::bad_input, "grammar-undefined", "{}: rule {} is used and not defined",
             c_.place(rule.first_seen), name);
      }
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) {
      fail(Fault::bad_input, "grammar-undefined", "{}: no rule root", c_.place(0));
    }
    b_.set_merge_weight(weight_before);
    return root->second.node;
  }

 private:
  struct Rule {
    GrammarNode node;
    size_t first_seen = 0;
    bool defined = false;
  };

  Rule& find(std::string_view name, size_t offset) {
    const auto [found, fresh] = rules_.try_emplace(std::string(name));
    if (fresh) found->second = {b_.declare(std::string(name)), offset, false};
    return found->second;
  }

  GrammarNode alternatives(uint32_t depth) {
    if (depth > b_.limits().nesting) {
      limit_reached("nesting", b_.limits().nesting, "a grammar nests too deeply");
    }
    std::vector<GrammarNode> choices{sequence(depth)};
    for (c_.skip_blank(kComment); c_.take("|"); c_.skip_blank(kComment)) {
      choices.push_back(sequence(depth));
    }
    return b_.choice(choices);
  }

  bool at_next_rule() {
    const size_t start = c_.offset();
    const bool named = !c_.take_name(kNameChars).empty();
    c_.skip_blank(kComment);
    const bool is_rule = named && c_.starts_with("::=");
    c_.go_to(start);
    return is_rule;
  }

  GrammarNode sequence(uint32_t depth) {
    std::vector<GrammarNode> parts;
    for (c_.skip_blank(kComment);
         !c_.at_end() && c_.peek() != '|' && c_.peek() != ')' && !at_next_rule();
         c_.skip_blank(kComment)) {
      GrammarNode part = atom(depth);
      for (uint32_t n = 0; repeated(part); ++n) {
        if (n > b_.limits().nesting) {
          limit_reached("nesting", b_.limits().nesting, "repetitions of repetitions");
        }
      }
      parts.push_back(part);
    }
    return b_.sequence(parts);
  }

  bool repeated(GrammarNode& part) {
    c_.skip_blank(kComment);
    uint32_t min = 0, max = kUnbounded;
    if (c_.take("*")) {
    } else if (c_.take("+")) {
      min = 1;
    } else if (c_.take("?")) {
      max = 1;
    } else if (c_.peek() == '{') {
      c_.take_counts(min, max, b_.limits());
    } else {
      return false;
    }
    part = b_.repeat(part, min, max);
    return true;
  }

  GrammarNode atom(uint32_t depth) {
    const size_t start = c_.offset();
    RegexSet& r = b_.regexes();
    if (c_.peek() == '"') return b_.literal(c_.take_quoted());
    if (c_.take("[")) return b_.lexeme(r.one_of(char_class(start)));
    if (c_.take(".")) return b_.lexeme(r.any_char());
    if (c_.take("(")) {
      const GrammarNode inner = alternatives(depth + 1);
      c_.skip_blank(kComment);
      if (!c_.take(")")) c_.syntax("a ( without its )", start);
      return inner;
    }
    if (c_.peek() == '<') return take_token(b_, c_, tokenizer_);
    if (c_.take("!")) return take_token(b_, c_, tokenizer_, true);
    const std::string_view name = c_.take_name(kNameChars);
    if (name.empty()) c_.syntax(fmt::format("unexpected {}", c_.found()));
    return find(name, start).node;
  }

  CodePointSet char_class(size_t start) {
    const bool negated = c_.take("^");
    std::vector<CodeRange> ranges;
    while (!c_.take("]")) {
      if (c_.at_end()) c_.syntax("a [ without its ]", start);
      const char32_t first = c_.take("\\") ? c_.take_escape() : c_.take_char();
      char32_t last = first;
      if (c_.peek() == '-' && c_.peek(1) != ']' && c_.take("-")) {
        last = c_.take("\\") ? c_.take_escape() : c_.take_char();
        if (last < first) c_.syntax("a range of characters that goes backwards", start);
      }
      ranges.push_back({first, last});
    }
    CodePointSet set;
    set.insert(ranges);
    return negated ? set.complement() : set;
  }

  GrammarBuilder& b_;
  TextCursor c_;
  const Tokenizer* tokenizer_;
  std::unordered_map<std::string, Rule> rules_;
};

}  // namespace

GrammarNode add_gbnf(GrammarBuilder& builder, std::string_view text, std::string_view where,
                     const Tokenizer* tokenizer) {
  return GbnfReader(builder, text, where, tokenizer).read();
}

}  // namespace sinter
