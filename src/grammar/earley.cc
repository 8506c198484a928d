// See earley.h.
#include "grammar/earley.h"

#include <algorithm>

namespace sinter {

void EarleyRows::Seen::clear() {
  n_ = 0;
  if (++stamp_ != 0) return;
  std::fill(slots_.begin(), slots_.end(), Slot{});
  stamp_ = 1;
}

bool EarleyRows::Seen::insert(const Item& item) {
  uint64_t hash = (uint64_t{item.node} << 32 | item.origin) * 0xD6E8FEB86659FD93ull;
  hash = (hash ^ (hash >> 32) ^ item.tally) * 0x9E3779B97F4A7C15ull;
  size_t slot = (hash >> 32) & (slots_.size() - 1);
  for (; slots_[slot].stamp == stamp_; slot = (slot + 1) & (slots_.size() - 1)) {
    if (slots_[slot].item == item) return false;
  }
  slots_[slot] = {item, stamp_};
  if (++n_ * 2 > slots_.size()) grow();
  return true;
}

void EarleyRows::Seen::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  n_ = 0;
  for (const Slot& slot : old) {
    if (slot.stamp == stamp_) insert(slot.item);
  }
}

EarleyRows::EarleyRows(const Grammar& grammar) : grammar_(grammar), tallies_(grammar) {
  begin_row();
  const uint32_t start = grammar_.rules[grammar_.start_rule].start;
  const Item item{start, kSelf, kNoTally};
  seen_.insert(item);
  items_.push_back(item);
  accepts_ = grammar_.rules[grammar_.start_rule].nullable;
  words_.assign(1, UINT32_MAX);  // like no other row
  SINTER_CHECK(finish_row() == kRoot);
}

size_t EarleyRows::memory_bytes() const {
  return rows_.capacity() * sizeof(Row) + moves_.capacity() * sizeof(Move) +
         lexemes_.capacity() * 4 + kernels_.memory_bytes() + tallies_.memory_bytes();
}

bool EarleyRows::is_final(const Item& item) {
  const Grammar::Node& node = grammar_.nodes[item.node];
  return node.loop == UINT32_MAX ? node.final : tallies_.may_end(item.tally);
}

bool EarleyRows::has_edges(const Item& item) {
  const Grammar::Node& node = grammar_.nodes[item.node];
  return node.loop == UINT32_MAX ? node.n_edges > 0 : !tallies_.steps(item.tally).empty();
}

// visit(symbol, item behind it, whether the symbol may be passed over because it may be empty)
template <typename Visit>
void EarleyRows::for_each_edge(const Item& item, const Visit& visit) {
  const Grammar::Node& node = grammar_.nodes[item.node];
  const auto start_tally = [&](uint32_t target) {
    const uint32_t loop = grammar_.nodes[target].loop;
    return loop == UINT32_MAX ? kNoTally : tallies_.start(loop);
  };
  if (node.loop == UINT32_MAX) {
    for (uint32_t i = 0; i < node.n_edges; ++i) {
      const Grammar::Edge& edge = grammar_.edges[node.first_edge + i];
      visit(edge.symbol, Item{edge.target, item.origin, start_tally(edge.target)},
            grammar_.nullable(edge.symbol));
    }
    return;
  }
  for (const Tallies::Step& step : tallies_.steps(item.tally)) {
    visit(step.symbol, Item{item.node, item.origin, step.tally}, false);
  }
}

std::span<const EarleyRows::Move> EarleyRows::waits(uint32_t row, uint32_t rule) const {
  const Row& r = rows_[row];
  const auto all = std::span(moves_).subspan(r.first_wait, r.n_waits);
  const auto first = std::lower_bound(all.begin(), all.end(), rule,
                                      [](const Move& m, uint32_t id) { return m.symbol < id; });
  auto last = first;
  while (last != all.end() && last->symbol == rule) ++last;
  return {first, last};
}

// Where the same rule, completed, has the same effect as in `origin`: as far out as that goes.
uint32_t EarleyRows::outermost(uint32_t rule, uint32_t origin) const {
  uint32_t found = origin, at_rule = rule, at_row = origin;
  for (size_t step = 0; step < grammar_.rules.size() && rows_[at_row].has_finishing; ++step) {
    const auto waiting = waits(at_row, at_rule);
    if (waiting.size() != 1 || !waiting[0].finishes) break;
    at_rule = grammar_.nodes[waiting[0].to.node].rule;
    if (waiting[0].to.origin != kSelf) at_row = waiting[0].to.origin;
    if (at_rule == rule) found = at_row;
  }
  return found;
}

void EarleyRows::begin_row() {
  items_.clear();
  seen_.clear();
  completed_.clear();
  accepts_ = false;
}

// `from_row`: what kSelf means as the origin of the item.
void EarleyRows::add(Item item, uint32_t from_row) {
  if (item.origin == kSelf) item.origin = from_row;
  if (item.origin != kSelf) {
    item.origin = outermost(grammar_.nodes[item.node].rule, item.origin);
  }
  if (!seen_.insert(item)) return;
  items_.push_back(item);
  if (items_.size() > grammar_.limits.row_items) {
    limit_reached("row_items", grammar_.limits.row_items, "too many ways to read this text");
  }
}

void EarleyRows::complete(uint32_t rule, uint32_t origin) {
  if (!completed_.insert({rule, origin, 0})) return;
  if (rule == grammar_.start_rule && origin == kRoot) accepts_ = true;
  // By index: nothing below adds to moves_, but a span would look as if it might.
  for (const Move& move : waits(origin, rule)) {
    ++work_;
    add(move.to, origin);
  }
}

void EarleyRows::expand(Item item) {
  // What began in this row and ends in it is empty, and was passed over where it was expected.
  if (item.origin != kSelf && is_final(item)) complete(grammar_.nodes[item.node].rule, item.origin);
  for_each_edge(item, [&](Grammar::Symbol symbol, const Item& to, bool may_be_empty) {
    ++work_;
    if (symbol.kind == Grammar::SymbolKind::rule) {
      const uint32_t start = grammar_.rules[symbol.id].start;
      const uint32_t loop = grammar_.nodes[start].loop;
      add({start, kSelf, loop == UINT32_MAX ? kNoTally : tallies_.start(loop)}, kSelf);
    }
    if (may_be_empty) add(to, kSelf);
  });
}

// Expands the items and interns the row. words_ holds what shall distinguish it, beside its items.
uint32_t EarleyRows::finish_row() {
  for (size_t i = 0; i < items_.size(); ++i) expand(items_[i]);
  kernel_.clear();
  for (const Item& item : items_) {
    if (item.origin != kSelf && has_edges(item)) kernel_.push_back(item);
  }
  std::sort(kernel_.begin(), kernel_.end());
  words_.push_back(accepts_ ? 1 : 0);
  for (const Item& item : kernel_)
    words_.insert(words_.end(), {item.node, item.origin, item.tally});
  const uint32_t id = kernels_.intern(words_);
  if (id < rows_.size()) return id;

  scans_.clear(), waits_.clear(), tokens_.clear();
  for (const Item& item : items_) {
    for_each_edge(item, [&](Grammar::Symbol symbol, const Item& to, bool) {
      auto& list = symbol.kind == Grammar::SymbolKind::lexeme ? scans_
                   : symbol.kind == Grammar::SymbolKind::rule ? waits_
                                                              : tokens_;
      list.push_back({symbol.id, to, false});
    });
  }
  Row row;
  row.accepts = accepts_;
  const auto put = [&](std::vector<Move>& list, uint32_t& first, uint32_t& n) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    first = static_cast<uint32_t>(moves_.size());
    n = static_cast<uint32_t>(list.size());
    moves_.insert(moves_.end(), list.begin(), list.end());
  };
  for (Move& move : waits_) {
    move.finishes = is_final(move.to) && !has_edges(move.to);
    row.has_finishing |= move.finishes;
  }
  put(scans_, row.first_scan, row.n_scans);
  put(waits_, row.first_wait, row.n_waits);
  put(tokens_, row.first_token, row.n_tokens);
  row.first_lexeme = static_cast<uint32_t>(lexemes_.size());
  for (const Move& move : scans_) {
    if (lexemes_.size() == row.first_lexeme || lexemes_.back() != move.symbol) {
      lexemes_.push_back(move.symbol);
    }
  }
  row.n_lexemes = static_cast<uint32_t>(lexemes_.size()) - row.first_lexeme;
  rows_.push_back(row);
  return id;
}

uint32_t EarleyRows::after(std::span<const Ending> endings) {
  begin_row();
  for (const Ending& ending : endings) {
    const Row& row = rows_[ending.row];
    const auto scans = std::span(moves_).subspan(row.first_scan, row.n_scans);
    auto scan = std::lower_bound(scans.begin(), scans.end(), ending.lexeme,
                                 [](const Move& m, uint32_t id) { return m.symbol < id; });
    for (; scan != scans.end() && scan->symbol == ending.lexeme; ++scan) {
      add(scan->to, ending.row);
    }
  }
  words_.clear();
  return finish_row();
}

uint32_t EarleyRows::after_token(uint32_t row, Token token) {
  begin_row();
  for (uint32_t i = 0; i < rows_[row].n_tokens; ++i) {
    const Move& move = moves_[rows_[row].first_token + i];
    for (const TokenRange& range : grammar_.token_sets[move.symbol]) {
      if (range.first <= token && token <= range.last) add(move.to, row);
    }
  }
  if (items_.empty()) return kNothing;
  words_.clear();
  return finish_row();
}

}  // namespace sinter
