// From what a front end built to what the parser reads: every rule becomes an automaton without
// empty edges, what cannot be generated is cut away, equal nodes become one.
#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_set>

#include "grammar/grammar.h"

namespace sinter {

class GrammarCompiler {
 public:
  GrammarCompiler(GrammarBuilder&& builder, GrammarNode start)
      : b_(std::move(builder)), start_(start), out_(std::make_shared<Grammar>()) {}

  std::shared_ptr<const Grammar> compile() {
    measure();
    merge_lexemes();
    rule_of(UINT32_MAX);  // the start rule is number 0
    for (size_t i = 0; i < bodies_.size(); ++i) lower(i);
    find_nullable();
    check_members();
    cut_unproductive();
    resolve_aliases();
    pack();
    return out_;
  }

 private:
  using Kind = GrammarBuilder::Kind;
  using Symbol = Grammar::Symbol;
  using SymbolKind = Grammar::SymbolKind;
  using Edge = Grammar::Edge;
  static constexpr uint32_t kNone = UINT32_MAX;

  struct State {
    std::vector<Edge> edges;
    std::vector<uint32_t> empty_edges;  // until close()
    bool final = false;
  };
  struct Body {                 // of a rule
    uint32_t node = kNone;      // kNone: the start rule
    std::vector<State> states;  // the first is the start
    uint32_t loop = kNone;
    bool nullable = false;
    bool productive = false;
  };

  std::span<const GrammarNode> children(uint32_t node) const {
    const auto& n = b_.nodes_[node];
    const bool has = n.kind == Kind::sequence || n.kind == Kind::choice || n.kind == Kind::repeat ||
                     n.kind == Kind::members;
    return has ? std::span(b_.children_).subspan(n.a, n.b) : std::span<const GrammarNode>();
  }

  // Sizes and depths of nodes, each with what is below it, and how often each is used. Children
  // come before their parents, so a loop does it.
  void measure() {
    const size_t n = b_.nodes_.size();
    size_.assign(n, 1), depth_.assign(n, 0), uses_.assign(n, 0);
    for (uint32_t i = 0; i < n; ++i) {
      for (const GrammarNode child : children(i)) {
        size_[i] += std::min(size_[child.id], kNone - size_[i]);
        depth_[i] = std::max(depth_[i], depth_[child.id] + 1);
        ++uses_[child.id];
      }
    }
    for (const auto& rule : b_.rules_) ++uses_[rule.body.id];
    ++uses_[start_.id];
  }

  // Gives nodes that are regular and light a lexeme of their own; see set_merge_weight().
  void merge_lexemes() {
    if (std::all_of(b_.nodes_.begin(), b_.nodes_.end(),
                    [](const auto& n) { return n.merge_weight == 0; })) {
      return;
    }
    RegexSet& r = b_.regexes_;
    std::vector<Regex> regex(b_.nodes_.size());
    std::vector<bool> regular(b_.nodes_.size()), heavy(b_.nodes_.size());
    const size_t n_nodes = b_.nodes_.size();
    // A rule is known once its body is: as many rounds as rules lie upon each other.
    constexpr int kRounds = 20;
    for (int round = 0; round < kRounds; ++round) {
      bool changed = false;
      for (uint32_t i = 0; i < n_nodes; ++i) {
        if (regular[i] || heavy[i]) continue;
        const auto node = b_.nodes_[i];
        const auto inner = children(i);
        bool all = node.merge_weight > 0 && node.kind != Kind::token && node.kind != Kind::members;
        for (const GrammarNode child : inner) all = all && regular[child.id];
        if (node.kind == Kind::lexeme) all = !b_.lexemes_[node.a].lazy;
        if (node.kind == Kind::rule) {
          all = b_.rules_[node.a].defined && regular[b_.rules_[node.a].body.id];
        }
        if (!all) continue;
        std::vector<Regex> parts;
        for (const GrammarNode child : inner) parts.push_back(regex[child.id]);
        Regex made = r.empty();
        if (node.kind == Kind::lexeme) made = b_.lexemes_[node.a].regex;
        if (node.kind == Kind::sequence) made = r.concat(parts);
        if (node.kind == Kind::choice) made = r.either(parts);
        if (node.kind == Kind::repeat) made = r.repeat(parts[0], node.min, node.max);
        if (node.kind == Kind::rule) made = regex[b_.rules_[node.a].body.id];
        heavy[i] = node.kind != Kind::lexeme && r.weight(made) > node.merge_weight;
        if (heavy[i]) continue;
        regex[i] = made, regular[i] = true, changed = true;
      }
      if (!changed) break;
    }
    merged_.assign(n_nodes, GrammarNode{kNone});
    for (uint32_t i = 0; i < n_nodes; ++i) {
      if (regular[i]) merged_[i] = b_.lexeme(regex[i]);
      const uint32_t weight = b_.nodes_[i].merge_weight;
      if (regular[i] || b_.nodes_[i].kind != Kind::sequence || weight == 0) continue;
      // Neighbours in a sequence, as many together as are light enough.
      std::vector<GrammarNode> parts;
      Regex run = r.empty();
      const auto flush = [&] {
        if (run != r.empty()) parts.push_back(b_.lexeme(run));
        run = r.empty();
      };
      const std::vector<GrammarNode> inner(children(i).begin(), children(i).end());
      for (const GrammarNode child : inner) {
        if (!regular[child.id]) {
          flush();
          parts.push_back(child);
          continue;
        }
        const Regex longer = r.concat(run, regex[child.id]);
        if (run != r.empty() && r.weight(longer) > weight) flush();
        run = r.concat(run, regex[child.id]);
      }
      flush();
      if (parts.size() < inner.size()) merged_[i] = b_.sequence(parts);
    }
    measure();
  }

  uint32_t resolved(uint32_t node) const {
    return node < merged_.size() && merged_[node].id != kNone ? merged_[node].id : node;
  }

  uint32_t rule_of(uint32_t node) {
    const auto [found, fresh] = rule_ids_.try_emplace(node, static_cast<uint32_t>(bodies_.size()));
    if (fresh) {
      bodies_.emplace_back();
      bodies_.back().node = node;
    }
    return found->second;
  }

  // What is used twice, or lies deep, is a rule of its own: nothing is copied, and nothing
  // recurses.
  bool is_separate(uint32_t node) const {
    constexpr uint32_t kSmall = 8, kDeep = 32;
    return (uses_[node] > 1 && size_[node] > kSmall) ||
           (depth_[node] > 0 && depth_[node] % kDeep == 0);
  }

  Symbol symbol_of(uint32_t node) {
    node = resolved(node);
    const auto& n = b_.nodes_[node];
    if (n.kind == Kind::lexeme) return {SymbolKind::lexeme, lexeme_of(n.a)};
    if (n.kind == Kind::token) return {SymbolKind::token, n.a};
    return {SymbolKind::rule, rule_of(node)};
  }

  uint32_t lexeme_of(uint32_t lexeme) {
    const auto [found, fresh] =
        lexeme_ids_.try_emplace(lexeme, static_cast<uint32_t>(out_->lexemes.size()));
    if (fresh) {
      const auto& l = b_.lexemes_[lexeme];
      out_->lexemes.push_back({l.regex, l.lazy});
    }
    return found->second;
  }

  uint32_t add_state(std::vector<State>& states) {
    states.emplace_back();
    if (++n_edges_ > b_.limits_.parser_edges) {
      limit_reached("parser_edges", b_.limits_.parser_edges, "the grammar is too large");
    }
    return static_cast<uint32_t>(states.size() - 1);
  }

  void lower(size_t index) {
    std::vector<State> states;
    const uint32_t node = bodies_[index].node;
    uint32_t body = node == kNone ? start_.id : node;
    if (node != kNone && b_.nodes_[node].kind == Kind::rule) {
      const auto& rule = b_.rules_[b_.nodes_[node].a];
      if (!rule.defined) {
        fail(Fault::bad_input, "grammar-undefined",
             "rule {} is used and not defined; define it or correct its name", rule.name);
      }
      body = rule.body.id;
    }
    body = resolved(body);
    const auto& n = b_.nodes_[body];
    if (body == node && n.kind == Kind::members) {
      add_members(index, b_.member_lists_[n.min]);
      return;
    }
    if (body == node && n.kind == Kind::repeat && is_counted(body)) {
      const GrammarNode inner = children(body)[0];
      add_members(index, {{{inner, n.min, n.max}}, {}});
      return;
    }
    const uint32_t start = add_state(states);
    const uint32_t end = emit(body, start, states, node != body);
    states[end].final = true;
    bodies_[index].states = closed(states);
  }

  bool is_counted(uint32_t node) const {
    constexpr uint64_t kUnrolled = 16;
    const auto& n = b_.nodes_[node];
    if (n.max == kUnbounded) return n.min > 1;
    return n.max > 1 && uint64_t{n.max} * size_[children(node)[0].id] > kUnrolled;
  }

  void add_members(size_t index, const GrammarBuilder::MemberList& list) {
    Grammar::MemberLoop loop;
    loop.order = list.options.order;
    loop.min = list.options.min;
    loop.max = list.options.max;
    loop.has_separator = list.options.separator != b_.empty();
    if (loop.has_separator) loop.separator = symbol_of(list.options.separator.id);
    for (const Member& member : list.members) {
      loop.members.push_back({symbol_of(member.node.id), member.min, member.max});
    }
    if (loop.order == MemberOrder::no_gaps) {  // what is required requires all before it
      for (size_t i = loop.members.size(); i-- > 1;) {
        if (loop.members[i].min > 0) loop.members[i - 1].min = 1;
      }
    }
    bodies_[index].loop = static_cast<uint32_t>(out_->loops.size());
    out_->loops.push_back(std::move(loop));
    bodies_[index].states.resize(1);
  }

  // Adds the automaton of `node` behind state `from`; gives the state where it ends.
  uint32_t emit(uint32_t node, uint32_t from, std::vector<State>& states, bool may_be_separate) {
    node = resolved(node);
    const auto n = b_.nodes_[node];
    const bool composite =
        n.kind == Kind::sequence || n.kind == Kind::choice || n.kind == Kind::repeat;
    if (!composite || (may_be_separate && is_separate(node)) ||
        (n.kind == Kind::repeat && is_counted(node))) {
      if (n.kind == Kind::empty) return from;
      const uint32_t to = add_state(states);
      const Symbol symbol = symbol_of(node);
      states[from].edges.push_back({symbol, to});
      return to;
    }
    const std::vector<GrammarNode> inner(children(node).begin(), children(node).end());
    if (n.kind == Kind::sequence) {
      for (const GrammarNode part : inner) from = emit(part.id, from, states, true);
      return from;
    }
    if (n.kind == Kind::choice) {
      const uint32_t end = add_state(states);
      for (const GrammarNode choice : inner) {
        const uint32_t last = emit(choice.id, from, states, true);
        states[last].empty_edges.push_back(end);
      }
      return end;
    }
    if (n.max == kUnbounded) {
      const uint32_t loop = add_state(states);
      states[from].empty_edges.push_back(loop);
      const uint32_t last = emit(inner[0].id, loop, states, true);
      states[last].empty_edges.push_back(loop);
      return n.min == 0 ? loop : last;
    }
    const uint32_t end = add_state(states);
    for (uint32_t i = 0; i < n.max; ++i) {
      if (i >= n.min) states[from].empty_edges.push_back(end);
      from = emit(inner[0].id, from, states, true);
    }
    states[from].empty_edges.push_back(end);
    return end;
  }

  // Without empty edges: a state has the edges of all it reaches through them.
  std::vector<State> closed(const std::vector<State>& states) {
    std::vector<State> kept;
    std::vector<uint32_t> new_id(states.size(), kNone), order;
    const auto keep = [&](uint32_t state) {
      if (new_id[state] == kNone) {
        new_id[state] = static_cast<uint32_t>(order.size());
        order.push_back(state);
      }
      return new_id[state];
    };
    keep(0);
    std::vector<uint32_t> mark(states.size(), kNone), stack;
    for (uint32_t i = 0; i < order.size(); ++i) {
      State made;
      stack.assign(1, order[i]);
      mark[order[i]] = i;
      while (!stack.empty()) {
        const uint32_t at = stack.back();
        stack.pop_back();
        made.final |= states[at].final;
        n_edges_ += states[at].edges.size() + 1;
        if (n_edges_ > b_.limits_.parser_edges) {
          limit_reached("parser_edges", b_.limits_.parser_edges, "the grammar is too large");
        }
        for (const Edge& e : states[at].edges) made.edges.push_back({e.symbol, keep(e.target)});
        for (const uint32_t next : states[at].empty_edges) {
          if (mark[next] == i) continue;
          mark[next] = i;
          stack.push_back(next);
        }
      }
      kept.push_back(std::move(made));
    }
    return kept;
  }

  bool is_nullable(Symbol s) const {
    if (s.kind == SymbolKind::rule) return bodies_[s.id].nullable;
    return s.kind == SymbolKind::lexeme && b_.regexes_.nullable(out_->lexemes[s.id].regex);
  }

  // Visits every rule, and again those that use one of which test() became true.
  template <typename Test>
  void spread(bool Body::*fact, const Test& test) {
    std::vector<std::vector<uint32_t>> users(bodies_.size());
    for (uint32_t i = 0; i < bodies_.size(); ++i) {
      const auto use = [&](Symbol s) {
        if (s.kind == SymbolKind::rule) users[s.id].push_back(i);
      };
      for (const State& state : bodies_[i].states) {
        for (const Edge& e : state.edges) use(e.symbol);
      }
      if (bodies_[i].loop == kNone) continue;
      const Grammar::MemberLoop& loop = out_->loops[bodies_[i].loop];
      for (const auto& m : loop.members) use(m.symbol);
      if (loop.has_separator) use(loop.separator);
    }
    std::vector<uint32_t> waiting(bodies_.size());
    std::iota(waiting.begin(), waiting.end(), 0u);
    while (!waiting.empty()) {
      const uint32_t i = waiting.back();
      waiting.pop_back();
      if (bodies_[i].*fact || !test(bodies_[i])) continue;
      bodies_[i].*fact = true;
      waiting.insert(waiting.end(), users[i].begin(), users[i].end());
    }
  }

  void find_nullable() {
    spread(&Body::nullable, [&](const Body& body) {
      if (body.loop == kNone) {
        return reaches_final(body, [&](Symbol s) { return is_nullable(s); });
      }
      // Nothing at all where nothing is required, or where all that is required may be empty (a
      // counted repetition only: members are never empty).
      const Grammar::MemberLoop& loop = out_->loops[body.loop];
      return loop.min == 0 &&
             std::all_of(loop.members.begin(), loop.members.end(),
                         [&](const auto& m) { return m.min == 0 || is_nullable(m.symbol); });
    });
  }

  template <typename Passable>
  static bool reaches_final(const Body& body, const Passable& passable) {
    std::vector<bool> seen(body.states.size());
    std::vector<uint32_t> stack{0};
    seen[0] = true;
    while (!stack.empty()) {
      const State& state = body.states[stack.back()];
      stack.pop_back();
      if (state.final) return true;
      for (const Edge& e : state.edges) {
        if (seen[e.target] || !passable(e.symbol)) continue;
        seen[e.target] = true;
        stack.push_back(e.target);
      }
    }
    return false;
  }

  void check_members() {
    for (const Body& body : bodies_) {
      if (body.loop == kNone) continue;
      Grammar::MemberLoop& loop = out_->loops[body.loop];
      const bool is_repeat = b_.nodes_[body.node].kind == Kind::repeat;
      for (size_t i = 0; i < loop.members.size(); ++i) {
        if (!is_nullable(loop.members[i].symbol)) continue;
        if (!is_repeat) {
          fail(Fault::bad_input, "grammar-member",
               "member {} of a list may be empty, which makes it impossible to count; let it be "
               "absent (min = 0) instead",
               i);
        }
        loop.members[i].min = 0;
      }
    }
  }

  bool is_productive(Symbol s) {
    if (s.kind == SymbolKind::rule) return bodies_[s.id].productive;
    return s.kind != SymbolKind::lexeme || !b_.regexes_.is_empty(out_->lexemes[s.id].regex);
  }

  // Whether a list can be completed at all, given which of its symbols can.
  bool is_productive(const Grammar::MemberLoop& loop) {
    uint64_t needed = 0, possible = 0;
    for (const auto& m : loop.members) {
      if (!is_productive(m.symbol)) {
        if (m.min > 0) return false;
        if (loop.order == MemberOrder::no_gaps) break;
        continue;
      }
      needed += m.min;
      possible += m.max;
    }
    if (loop.has_separator && !is_productive(loop.separator))
      possible = std::min<uint64_t>(possible, 1);
    return needed <= std::min<uint64_t>(loop.max, possible) && possible >= loop.min;
  }

  void cut_unproductive() {
    spread(&Body::productive, [&](const Body& body) {
      return body.loop != kNone ? is_productive(out_->loops[body.loop])
                                : reaches_final(body, [&](Symbol s) { return is_productive(s); });
    });
    if (!bodies_[0].productive) {
      fail(Fault::bad_input, "grammar-empty",
           "the grammar has no text at all: its start cannot be completed; check for rules that "
           "only refer to themselves and for intersections with nothing in common");
    }
    for (Body& body : bodies_) {
      if (body.loop != kNone) {
        cut_members(out_->loops[body.loop]);
        continue;
      }
      for (State& state : body.states) {
        std::erase_if(state.edges, [&](const Edge& e) { return !is_productive(e.symbol); });
      }
      cut_dead_ends(body);
    }
  }

  void cut_members(Grammar::MemberLoop& loop) {
    if (loop.order == MemberOrder::no_gaps) {
      const auto gap = std::find_if(loop.members.begin(), loop.members.end(),
                                    [&](const auto& m) { return !is_productive(m.symbol); });
      loop.members.erase(gap, loop.members.end());
    } else {
      std::erase_if(loop.members, [&](const auto& m) { return !is_productive(m.symbol); });
    }
    if (loop.has_separator && !is_productive(loop.separator)) {
      loop.has_separator = false;
      loop.max = std::min(loop.max, 1u);
    }
  }

  // Edges into states from which no final state can be reached.
  static void cut_dead_ends(Body& body) {
    std::vector<std::vector<uint32_t>> from(body.states.size());
    std::vector<uint32_t> stack;
    std::vector<bool> good(body.states.size());
    for (uint32_t i = 0; i < body.states.size(); ++i) {
      for (const Edge& e : body.states[i].edges) from[e.target].push_back(i);
      if (body.states[i].final) stack.push_back(i), good[i] = true;
    }
    while (!stack.empty()) {
      const uint32_t at = stack.back();
      stack.pop_back();
      for (const uint32_t before : from[at]) {
        if (!good[before]) stack.push_back(before), good[before] = true;
      }
    }
    for (State& state : body.states) {
      std::erase_if(state.edges, [&](const Edge& e) { return !good[e.target]; });
    }
  }

  // The symbol that a rule consists of; the rule itself if it has more.
  Symbol only_symbol(uint32_t rule) const {
    const Symbol self{SymbolKind::rule, rule};
    const Body& body = bodies_[rule];
    if (rule == 0 || body.loop != kNone) return self;
    const State& first = body.states[0];
    if (first.final || first.edges.size() != 1 || first.edges[0].target == 0) return self;
    const State& last = body.states[first.edges[0].target];
    return last.final && last.edges.empty() ? first.edges[0].symbol : self;
  }

  // A rule that is one symbol is that symbol.
  void resolve_aliases() {
    std::vector<Symbol> alias(bodies_.size());
    std::vector<bool> known(bodies_.size());
    for (uint32_t i = 0; i < bodies_.size(); ++i) {
      std::vector<uint32_t> path;
      Symbol symbol{SymbolKind::rule, i};
      while (symbol.kind == SymbolKind::rule && !known[symbol.id]) {
        path.push_back(symbol.id);
        known[symbol.id] = true;
        alias[symbol.id] = symbol;
        symbol = only_symbol(symbol.id);
      }
      if (symbol.kind == SymbolKind::rule) symbol = alias[symbol.id];
      for (const uint32_t rule : path) alias[rule] = symbol;
    }
    const auto resolve = [&](Symbol& s) {
      if (s.kind == SymbolKind::rule) s = alias[s.id];
    };
    for (Body& body : bodies_) {
      for (State& state : body.states) {
        for (Edge& e : state.edges) resolve(e.symbol);
      }
    }
    for (auto& loop : out_->loops) {
      for (auto& m : loop.members) resolve(m.symbol);
      if (loop.has_separator) resolve(loop.separator);
    }
  }

  // States with the same future are one. From the last to the first, which finds nearly all at
  // once; what loops make alike takes another round.
  static void merge_states(std::vector<State>& states) {
    constexpr int kRounds = 4;
    std::vector<uint32_t> first_alike(states.size());
    std::iota(first_alike.begin(), first_alike.end(), 0u);
    for (int round = 0; round < kRounds; ++round) {
      bool changed = false;
      std::map<std::pair<bool, std::vector<Edge>>, uint32_t> groups;
      for (auto i = static_cast<uint32_t>(states.size()); i-- > 0;) {
        auto& edges = states[i].edges;
        for (Edge& e : edges) e.target = first_alike[e.target];
        std::sort(edges.begin(), edges.end());
        edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
        const uint32_t alike = groups.try_emplace({states[i].final, edges}, i).first->second;
        changed |= alike != first_alike[i];
        first_alike[i] = alike;
      }
      if (!changed) break;
    }
    // The first state stays as it is, as the start, also where another is like it.
    for (State& state : states) {
      for (Edge& e : state.edges) e.target = first_alike[e.target];
    }
  }

  // Moves what the start rule reaches into the grammar, numbered in the order in which it is met.
  void pack() {
    std::vector<uint32_t> rule_ids(bodies_.size(), kNone), order;
    const auto use = [&](Symbol& s) {
      if (s.kind != SymbolKind::rule) return;
      if (rule_ids[s.id] == kNone) {
        rule_ids[s.id] = static_cast<uint32_t>(order.size());
        order.push_back(s.id);
      }
      s.id = rule_ids[s.id];
    };
    Symbol start{SymbolKind::rule, 0};
    use(start);
    std::vector<Grammar::MemberLoop> loops;
    for (uint32_t i = 0; i < order.size(); ++i) {
      Body& body = bodies_[order[i]];
      merge_states(body.states);
      out_->rules.push_back(
          {static_cast<uint32_t>(out_->nodes.size()), body.nullable, name_of(body)});
      if (body.loop != kNone) {
        auto& loop = out_->loops[body.loop];
        for (auto& m : loop.members) use(m.symbol);
        if (loop.has_separator) use(loop.separator);
        out_->nodes.push_back({.rule = i, .loop = static_cast<uint32_t>(loops.size())});
        loops.push_back(std::move(loop));
        continue;
      }
      std::vector<uint32_t> node_ids(body.states.size(), kNone), states{0};
      node_ids[0] = out_->rules[i].start;
      for (size_t k = 0; k < states.size(); ++k) {
        State& state = body.states[states[k]];
        out_->nodes.push_back({.rule = i,
                               .final = state.final,
                               .first_edge = static_cast<uint32_t>(out_->edges.size()),
                               .n_edges = static_cast<uint32_t>(state.edges.size())});
        for (Edge& e : state.edges) {
          use(e.symbol);
          if (node_ids[e.target] == kNone) {
            node_ids[e.target] = node_ids[0] + static_cast<uint32_t>(states.size());
            states.push_back(e.target);
          }
          out_->edges.push_back({e.symbol, node_ids[e.target]});
        }
      }
    }
    out_->loops = std::move(loops);
    out_->token_sets = std::move(b_.token_sets_);
    out_->limits = b_.limits_;
    out_->regexes = std::move(b_.regexes_);
    out_->regexes.byte_classes();
  }

  std::string name_of(const Body& body) const {
    if (body.node == kNone) return "(start)";
    const auto& node = b_.nodes_[body.node];
    return node.kind == Kind::rule ? b_.rules_[node.a].name : std::string();
  }

  GrammarBuilder b_;
  GrammarNode start_;
  std::shared_ptr<Grammar> out_;
  std::vector<uint32_t> size_, depth_, uses_;
  std::vector<GrammarNode> merged_;
  std::vector<Body> bodies_;
  std::unordered_map<uint32_t, uint32_t> rule_ids_, lexeme_ids_;
  uint64_t n_edges_ = 0;
};

std::shared_ptr<const Grammar> Grammar::compile(GrammarBuilder&& builder, GrammarNode start) {
  return GrammarCompiler(std::move(builder), start).compile();
}

}  // namespace sinter
