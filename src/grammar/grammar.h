// A grammar: what a front end builds, and what it becomes. Any context-free grammar over lexemes,
// and a lexeme is any regular language of bytes.
//
// The words of a grammar are those of the context-free grammar in which each lexeme stands for its
// regular language: nothing is greedy, no lexeme wins over another, and every way to split a text
// into lexemes counts. So "/[a-z]+/ then 'x'" has the word "abcx". What must not be split is one
// lexeme; what must end at its first chance is a lazy one.
//
//   GrammarBuilder b;
//   RegexSet& r = b.regexes();
//   GrammarNode value = b.declare("value");
//   GrammarNode number = b.lexeme(r.plus(r.bytes(ByteSet::range('0', '9'))));
//   GrammarNode list = b.members({{value, 0, kUnbounded}}, {.separator = b.literal(",")});
//   b.define(value, b.choice({number, b.sequence({b.literal("["), list, b.literal("]")})}));
//   std::shared_ptr<const Grammar> grammar = Grammar::compile(std::move(b), value);
//
// Costs: a lexeme's size does not matter, one more lexeme at the same place costs little. Make what
// is one token of the language (a JSON string with its quotes, a number) one lexeme, and keep what
// follows it out of it: what is cached of the lexeme is then shared by all places where it stands,
// in this grammar and in others.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "grammar/limits.h"
#include "grammar/regex.h"
#include "text/tokenizer.h"

namespace sinter {

struct GrammarNode {
  uint32_t id = 0;
  friend bool operator==(GrammarNode, GrammarNode) = default;
};

struct TokenRange {
  Token first = 0;
  Token last = 0;  // inclusive
};

enum class MemberOrder {
  any,      // in whatever order
  fixed,    // in the order given; those that may be absent can be passed over
  no_gaps,  // in the order given, and none before the last may be absent (prefixItems): the counts
            // of the members themselves must be 0..1 or 1..1, or 0..max for the last
};

struct Member {
  GrammarNode node;  // must not match the empty text
  uint32_t min = 1;  // how often it occurs
  uint32_t max = 1;  // kUnbounded: any number of times
};

struct MemberOptions {
  GrammarNode separator = {0};  // between two; {0}, which is empty(): none
  MemberOrder order = MemberOrder::fixed;
  uint32_t min = 0;  // of all members together
  uint32_t max = kUnbounded;
};

class GrammarBuilder {
 public:
  explicit GrammarBuilder(const GrammarLimits& limits = {});
  RegexSet& regexes() { return regexes_; }
  const GrammarLimits& limits() const { return limits_; }

  GrammarNode empty() const { return {0}; }    // the empty text
  GrammarNode nothing() const { return {1}; }  // no text at all: drops what contains it
  // Lazy: ends at the first place where it can.
  GrammarNode lexeme(Regex regex, bool lazy = false);
  GrammarNode literal(std::string_view bytes) { return lexeme(regexes_.literal(bytes)); }
  // One token of this set, by id: the only way to a special token, which no bytes ever match.
  GrammarNode token(std::span<const TokenRange> ranges);
  GrammarNode token(Token id) { return token(std::initializer_list<TokenRange>{{id, id}}); }
  GrammarNode token(std::initializer_list<TokenRange> ranges) {
    return token(std::span(ranges.begin(), ranges.size()));
  }
  GrammarNode sequence(std::span<const GrammarNode> parts);
  GrammarNode sequence(std::initializer_list<GrammarNode> parts) {
    return sequence(std::span(parts.begin(), parts.size()));
  }
  GrammarNode choice(std::span<const GrammarNode> choices);  // of none: nothing()
  GrammarNode choice(std::initializer_list<GrammarNode> choices) {
    return choice(std::span(choices.begin(), choices.size()));
  }
  GrammarNode repeat(GrammarNode inner, uint32_t min, uint32_t max);  // counts cost nothing
  GrammarNode optional(GrammarNode inner) { return repeat(inner, 0, 1); }
  GrammarNode star(GrammarNode inner) { return repeat(inner, 0, kUnbounded); }
  GrammarNode plus(GrammarNode inner) { return repeat(inner, 1, kUnbounded); }
  // Members with separators: the properties of an object, the items of an array. Counted, in any
  // order, with required and optional ones, at no cost in size; see Member, MemberOptions.
  GrammarNode members(std::span<const Member> members, const MemberOptions& options);
  GrammarNode members(std::initializer_list<Member> members, const MemberOptions& options) {
    return this->members(std::span(members.begin(), members.size()), options);
  }
  // A rule: refer to it before or after its definition, from anywhere, itself included.
  GrammarNode declare(std::string name);
  void define(GrammarNode rule, GrammarNode body);
  GrammarNode rule(std::string name, GrammarNode body) {
    const GrammarNode node = declare(std::move(name));
    define(node, body);
    return node;
  }
  // Any bytes up to and with the first occurrence of one of `triggers`, which is triggers[i] in the
  // i-th node: one node each, for a choice. Where two end at the same place both are possible. A
  // near miss of a trigger is text.
  std::vector<GrammarNode> text_until(std::span<const std::string> triggers);
  // Any bytes in which none of these occurs.
  GrammarNode text_without(std::span<const std::string> triggers);

  // Of nodes made from now on: what consists of lexemes only and weighs at most this is merged into
  // one lexeme (0: nothing is). For grammars written character by character; never changes the
  // language.
  void set_merge_weight(uint32_t weight) { merge_weight_ = weight; }
  uint32_t merge_weight() const { return merge_weight_; }

 private:
  friend class GrammarCompiler;
  enum class Kind : uint8_t { empty, lexeme, token, sequence, choice, repeat, members, rule };
  struct Node {
    Kind kind = Kind::empty;
    uint32_t a = 0, b = 0;      // lexeme, token: index; else children_[a, a + b)
    uint32_t min = 0, max = 0;  // repeat
    uint32_t merge_weight = 0;
  };
  struct Lexeme {
    Regex regex;
    bool lazy = false;
  };
  struct Rule {
    std::string name;
    GrammarNode body;
    bool defined = false;
  };
  struct MemberList {
    std::vector<Member> members;
    MemberOptions options;
  };
  GrammarNode add(Node node);
  GrammarNode add(Kind kind, std::span<const GrammarNode> children);

  GrammarLimits limits_;
  RegexSet regexes_;
  std::vector<Node> nodes_;
  std::vector<GrammarNode> children_;
  std::vector<Lexeme> lexemes_;
  std::unordered_map<uint64_t, GrammarNode> lexeme_nodes_;
  std::vector<std::vector<TokenRange>> token_sets_;
  std::vector<Rule> rules_;
  std::vector<MemberList> member_lists_;
  uint32_t merge_weight_ = 0;
};

// Compiled: immutable, safe to share between threads. A rule is a small automaton whose edges are
// lexemes, tokens and rules; the parser (earley.h) reads nothing else.
class Grammar {
 public:
  // Throws Error(bad_input, "grammar-undefined" | "grammar-empty" | "grammar-member"),
  // Error(exhausted, "grammar-limit").
  static std::shared_ptr<const Grammar> compile(GrammarBuilder&& builder, GrammarNode start);

  enum class SymbolKind : uint8_t { lexeme, token, rule };
  struct Symbol {
    SymbolKind kind = SymbolKind::lexeme;
    uint32_t id = 0;
    friend bool operator==(Symbol, Symbol) = default;
    friend bool operator<(Symbol a, Symbol b) {
      return std::tie(a.kind, a.id) < std::tie(b.kind, b.id);
    }
  };
  struct Edge {
    Symbol symbol;
    uint32_t target = 0;  // node
    friend bool operator==(const Edge&, const Edge&) = default;
    friend bool operator<(const Edge& a, const Edge& b) {
      return std::tie(a.symbol, a.target) < std::tie(b.symbol, b.target);
    }
  };
  struct Node {
    uint32_t rule = 0;
    bool final = false;
    uint32_t first_edge = 0, n_edges = 0;
    uint32_t loop = UINT32_MAX;  // index of MemberLoop; then it has no edges of its own
  };
  struct Rule {
    uint32_t start = 0;  // node
    bool nullable = false;
    std::string name;
  };
  struct Lexeme {
    Regex regex;
    bool lazy = false;
  };
  struct LoopMember {
    Symbol symbol;
    uint32_t min = 0, max = 0;
  };
  struct MemberLoop {
    std::vector<LoopMember> members;
    bool has_separator = false;
    Symbol separator;
    MemberOrder order = MemberOrder::fixed;
    uint32_t min = 0, max = 0;
  };

  std::vector<Node> nodes;
  std::vector<Edge> edges;
  std::vector<Rule> rules;
  std::vector<Lexeme> lexemes;
  std::vector<std::vector<TokenRange>> token_sets;  // sorted, apart
  std::vector<MemberLoop> loops;
  uint32_t start_rule = 0;  // nothing refers to it
  RegexSet regexes;         // of the lexemes
  GrammarLimits limits;

  bool nullable(Symbol symbol) const {
    return symbol.kind == SymbolKind::rule
               ? rules[symbol.id].nullable
               : symbol.kind == SymbolKind::lexeme && regexes.nullable(lexemes[symbol.id].regex);
  }
  std::string to_text() const;  // for people: rules with their edges
};

}  // namespace sinter
