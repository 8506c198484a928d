// How much a grammar may cost. Every bound is a count, never a clock, so that the same grammar
// meets the same end on every machine; each is an Error that names it ("grammar-limit").
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"

namespace sinter {

struct GrammarLimits {
  // What a grammar may be.
  uint32_t nesting = 250;               // parentheses in a text, groups in a regular expression
  uint32_t grammar_nodes = 1'000'000;   // nodes that a front end may build
  uint32_t parser_edges = 1'000'000;    // what they may grow to
  uint32_t repetition = 1'000'000'000;  // the largest count of a counted repetition
  uint32_t regex_nodes = 2'000'000;     // expressions at once, with all derivatives taken
  uint32_t regex_height = 1'000;        // nesting of one expression
  uint64_t derivatives = 20'000'000;    // steps in all derivatives together
  uint32_t emptiness = 20'000;          // derivatives looked at to find one word of & and ~
  // What a text may make of it.
  uint32_t row_items = 20'000;  // places in the grammar where one prefix of a text may be
  uint32_t threads = 2'000;     // beginnings of an unfinished lexeme at one place
  size_t automaton_bytes = size_t{256} << 20;  // lazily built, shared by all texts of a grammar
  uint64_t mask_steps = 50'000'000;  // for one mask: nodes of the token trie, items of rows
};

template <typename Value>
[[noreturn]] void limit_reached(const char* name, Value limit, const char* what) {
  fail(Fault::exhausted, "grammar-limit",
       "grammar: limit {} = {} reached: {}; simplify the grammar or raise the limit", name, limit,
       what);
}

}  // namespace sinter
