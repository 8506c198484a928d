// See grammar.h: the builder. What it makes of itself is in compile.cc.
#include "grammar/grammar.h"

#include <algorithm>

namespace sinter {

GrammarBuilder::GrammarBuilder(const GrammarLimits& limits) : limits_(limits), regexes_(limits) {
  add({.kind = Kind::empty});
  add(Kind::choice, {});  // of nothing
}

GrammarNode GrammarBuilder::add(Node node) {
  if (nodes_.size() >= limits_.grammar_nodes) {
    limit_reached("grammar_nodes", limits_.grammar_nodes, "the grammar is too large");
  }
  node.merge_weight = merge_weight_;
  nodes_.push_back(node);
  return {static_cast<uint32_t>(nodes_.size() - 1)};
}

GrammarNode GrammarBuilder::add(Kind kind, std::span<const GrammarNode> children) {
  if (children_.size() + children.size() > limits_.grammar_nodes) {
    limit_reached("grammar_nodes", limits_.grammar_nodes, "the grammar is too large");
  }
  const auto first = static_cast<uint32_t>(children_.size());
  children_.insert(children_.end(), children.begin(), children.end());
  return add({.kind = kind, .a = first, .b = static_cast<uint32_t>(children.size())});
}

GrammarNode GrammarBuilder::lexeme(Regex regex, bool lazy) {
  if (regex == regexes_.nothing()) return nothing();
  if (regex == regexes_.empty() || (lazy && regexes_.nullable(regex))) return empty();
  const uint64_t key = (uint64_t{regex.id} << 1) | (lazy ? 1 : 0);
  const auto [found, fresh] = lexeme_nodes_.try_emplace(key);
  if (fresh) {
    found->second = add({.kind = Kind::lexeme, .a = static_cast<uint32_t>(lexemes_.size())});
    lexemes_.push_back({regex, lazy});
  }
  return found->second;
}

GrammarNode GrammarBuilder::token(std::span<const TokenRange> ranges) {
  std::vector<TokenRange> sorted(ranges.begin(), ranges.end());
  std::erase_if(sorted, [](const TokenRange& r) { return r.last < r.first; });
  std::sort(sorted.begin(), sorted.end(),
            [](const TokenRange& a, const TokenRange& b) { return a.first < b.first; });
  std::vector<TokenRange> apart;
  for (const TokenRange& r : sorted) {
    if (!apart.empty() && r.first <= apart.back().last) {
      apart.back().last = std::max(apart.back().last, r.last);
    } else {
      apart.push_back(r);
    }
  }
  if (apart.empty()) return nothing();
  token_sets_.push_back(std::move(apart));
  return add({.kind = Kind::token, .a = static_cast<uint32_t>(token_sets_.size() - 1)});
}

GrammarNode GrammarBuilder::sequence(std::span<const GrammarNode> parts) {
  std::vector<GrammarNode> kept;
  for (const GrammarNode part : parts) {
    if (part == nothing()) return nothing();
    if (part != empty()) kept.push_back(part);
  }
  if (kept.empty()) return empty();
  return kept.size() == 1 ? kept[0] : add(Kind::sequence, kept);
}

GrammarNode GrammarBuilder::choice(std::span<const GrammarNode> choices) {
  std::vector<GrammarNode> kept;
  for (const GrammarNode choice : choices) {
    if (choice != nothing()) kept.push_back(choice);
  }
  if (kept.empty()) return nothing();
  return kept.size() == 1 ? kept[0] : add(Kind::choice, kept);
}

GrammarNode GrammarBuilder::repeat(GrammarNode inner, uint32_t min, uint32_t max) {
  if (max < min) {
    fail(Fault::bad_input, "grammar-syntax",
         "repetition {{{},{}}}: the maximum is less than the minimum; swap them", min, max);
  }
  if (min > limits_.repetition || (max != kUnbounded && max > limits_.repetition)) {
    limit_reached("repetition", limits_.repetition, "a repetition counts too far");
  }
  if (max == 0 || inner == empty()) return empty();
  if (inner == nothing()) return min == 0 ? empty() : nothing();
  if (min == 1 && max == 1) return inner;
  GrammarNode node = add(Kind::repeat, std::span(&inner, 1));
  nodes_[node.id].min = min;
  nodes_[node.id].max = max;
  return node;
}

GrammarNode GrammarBuilder::members(std::span<const Member> members, const MemberOptions& options) {
  if (members.size() >
      limits_.grammar_nodes - std::min<size_t>(limits_.grammar_nodes, children_.size())) {
    limit_reached("grammar_nodes", limits_.grammar_nodes, "the grammar is too large");
  }
  std::vector<GrammarNode> children;
  children.reserve(members.size() + 1);
  for (size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    const bool last = i + 1 == members.size();
    if (member.max < member.min ||
        (options.order == MemberOrder::no_gaps && !last && member.max != 1)) {
      fail(Fault::bad_input, "grammar-member",
           "member {} may occur {} to {} times, which its order does not allow", i, member.min,
           member.max);
    }
    children.push_back(member.node);
  }
  if (options.max < options.min) return nothing();
  children.push_back(options.separator);
  const GrammarNode node = add(Kind::members, children);
  nodes_[node.id].min = static_cast<uint32_t>(member_lists_.size());
  member_lists_.push_back({{members.begin(), members.end()}, options});
  return node;
}

GrammarNode GrammarBuilder::declare(std::string name) {
  rules_.push_back({std::move(name), nothing(), false});
  return add({.kind = Kind::rule, .a = static_cast<uint32_t>(rules_.size() - 1)});
}

void GrammarBuilder::define(GrammarNode rule, GrammarNode body) {
  SINTER_CHECK(nodes_[rule.id].kind == Kind::rule);
  Rule& r = rules_[nodes_[rule.id].a];
  if (r.defined) {
    fail(Fault::bad_input, "grammar-undefined", "rule {} is defined twice; remove one", r.name);
  }
  r.body = body;
  r.defined = true;
}

std::vector<GrammarNode> GrammarBuilder::text_until(std::span<const std::string> triggers) {
  RegexSet& r = regexes_;
  const Regex one_ended =
      r.concat(r.concat(r.anything(), r.any_literal(triggers)), r.plus(r.any_byte()));
  std::vector<GrammarNode> nodes;
  for (const std::string& trigger : triggers) {
    const Regex ends_here = r.concat(r.anything(), r.literal(trigger));
    // With one trigger, to end at the first chance says it all.
    const Regex first = triggers.size() == 1 ? ends_here : r.difference(ends_here, one_ended);
    nodes.push_back(lexeme(first, true));
  }
  return nodes;
}

GrammarNode GrammarBuilder::text_without(std::span<const std::string> triggers) {
  RegexSet& r = regexes_;
  return lexeme(
      r.complement(r.concat(r.anything(), r.concat(r.any_literal(triggers), r.anything()))));
}

std::string Grammar::to_text() const {
  std::string out;
  const auto symbol_text = [&](Symbol s) -> std::string {
    if (s.kind == SymbolKind::rule) {
      return rules[s.id].name.empty() ? fmt::format("#{}", s.id) : rules[s.id].name;
    }
    if (s.kind == SymbolKind::token) return fmt::format("<tokens {}>", s.id);
    return fmt::format("{}/{}/", lexemes[s.id].lazy ? "lazy " : "",
                       regexes.to_text(lexemes[s.id].regex));
  };
  for (uint32_t r = 0; r < rules.size(); ++r) {
    out += fmt::format("{}{}:\n", symbol_text({SymbolKind::rule, r}),
                       rules[r].nullable ? " (may be empty)" : "");
    for (uint32_t n = 0; n < nodes.size(); ++n) {
      if (nodes[n].rule != r) continue;
      out += fmt::format("  {}{}{}", n, n == rules[r].start ? " start" : "",
                         nodes[n].final ? " final" : "");
      if (nodes[n].loop != UINT32_MAX) {
        const MemberLoop& loop = loops[nodes[n].loop];
        out += fmt::format(" members {{{},{}}}", loop.min, loop.max);
        for (const LoopMember& m : loop.members) {
          out += fmt::format(" {}{{{},{}}}", symbol_text(m.symbol), m.min, m.max);
        }
      }
      out += '\n';
      for (uint32_t e = 0; e < nodes[n].n_edges; ++e) {
        const Edge& edge = edges[nodes[n].first_edge + e];
        out += fmt::format("    {} -> {}\n", symbol_text(edge.symbol), edge.target);
      }
    }
  }
  return out;
}

}  // namespace sinter
