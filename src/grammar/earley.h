// An Earley parser (1970; nullable rules as Aycock and Horspool, 2002) whose rows have no position.
//
// A row says where in the grammar a text may be: items (node of a rule, the row in which that rule
// began, tally). Two texts after which the same may follow have rows of equal content, so a row is
// interned by its content and origins are row numbers: after each element of a list the row is the
// same row, a transition once computed is looked up, and nothing is ever undone, which makes going
// back any number of tokens a matter of remembering numbers.
//
// Right recursion: an item whose completion can only complete the same rule in an earlier row takes
// that row as its origin at once (Leo, 1991), so such chains do not grow.
#pragma once

#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/sequence_pool.h"
#include "grammar/tallies.h"

namespace sinter {

class EarleyRows {
 public:
  static constexpr uint32_t kRoot = 0;  // before any text

  // `lexemes` names the states of a lexer, `ends` what ends in them: (row, lexeme) pairs.
  struct Ending {
    uint32_t row = 0;
    uint32_t lexeme = 0;
  };

  explicit EarleyRows(const Grammar& grammar);

  // The row after these lexemes have ended in these rows, all at one place of the text. None of
  // them may be a lexeme that its row does not have.
  uint32_t after(std::span<const Ending> endings);
  // The row after a token taken by its id; nothing() if the row takes no such token.
  uint32_t after_token(uint32_t row, Token token);
  static constexpr uint32_t kNothing = UINT32_MAX;

  bool accepts(uint32_t row) const { return rows_[row].accepts; }  // a whole text may end here
  std::span<const uint32_t> lexemes(uint32_t row) const {          // that may begin here; sorted
    return std::span(lexemes_).subspan(rows_[row].first_lexeme, rows_[row].n_lexemes);
  }
  bool takes_tokens(uint32_t row) const { return rows_[row].n_tokens > 0; }
  template <typename Visit>
  void for_each_token_range(uint32_t row, const Visit& visit) const {
    for (uint32_t i = 0; i < rows_[row].n_tokens; ++i) {
      for (const TokenRange& r : grammar_.token_sets[moves_[rows_[row].first_token + i].symbol]) {
        visit(r);
      }
    }
  }
  size_t memory_bytes() const;
  size_t size() const { return rows_.size(); }
  uint64_t work() const { return work_; }  // items looked at, ever

 private:
  static constexpr uint32_t kSelf = UINT32_MAX;  // as an origin: the row that the item is in
  static constexpr uint32_t kNoTally = 0;

  struct Item {
    uint32_t node = 0, origin = 0, tally = 0;
    friend bool operator==(const Item&, const Item&) = default;
    friend bool operator<(const Item& a, const Item& b) {
      return std::tie(a.node, a.origin, a.tally) < std::tie(b.node, b.origin, b.tally);
    }
  };
  // The item after a symbol.
  struct Move {
    uint32_t symbol = 0;  // lexeme, token set or rule
    Item to;
    bool finishes = false;  // `to` is final and has nothing behind
    friend bool operator==(const Move&, const Move&) = default;
    friend bool operator<(const Move& a, const Move& b) {
      return std::tie(a.symbol, a.to) < std::tie(b.symbol, b.to);
    }
  };
  struct Row {
    bool accepts = false;
    bool has_finishing = false;
    uint32_t first_scan = 0, n_scans = 0;
    uint32_t first_wait = 0, n_waits = 0;
    uint32_t first_token = 0, n_tokens = 0;
    uint32_t first_lexeme = 0, n_lexemes = 0;
  };
  // Which items, rules and completions this row has already; emptied by counting up.
  class Seen {
   public:
    void clear();
    bool insert(const Item& item);  // false: was there

   private:
    struct Slot {
      Item item;
      uint32_t stamp = 0;
    };
    void grow();
    std::vector<Slot> slots_ = std::vector<Slot>(256);
    uint32_t stamp_ = 1;
    size_t n_ = 0;
  };

  void begin_row();
  void add(Item item, uint32_t from_row);
  uint32_t finish_row();
  void expand(Item item);
  void complete(uint32_t rule, uint32_t origin);
  uint32_t outermost(uint32_t rule, uint32_t origin) const;
  std::span<const Move> waits(uint32_t row, uint32_t rule) const;
  template <typename Visit>
  void for_each_edge(const Item& item, const Visit& visit);
  bool is_final(const Item& item);
  bool has_edges(const Item& item);

  const Grammar& grammar_;
  Tallies tallies_;
  std::vector<Row> rows_;
  std::vector<Move> moves_;  // of rows: scans, waits, tokens, each sorted by symbol
  std::vector<uint32_t> lexemes_;
  SequencePool kernels_;
  uint64_t work_ = 0;

  // The row being built.
  std::vector<Item> items_;
  Seen seen_, completed_;
  bool accepts_ = false;
  std::vector<uint32_t> words_;
  std::vector<Item> kernel_;
  std::vector<Move> scans_, waits_, tokens_;
};

}  // namespace sinter
