// See shared_parser.h.
#include "grammar/shared_parser.h"

#include <algorithm>
#include <bit>

namespace sinter {
namespace {

void set_bit(std::span<uint64_t> words, uint32_t i) { words[i / 64] |= 1ull << (i % 64); }

}  // namespace

SharedParser::SharedParser(std::shared_ptr<const Grammar> grammar,
                           std::shared_ptr<GrammarVocabulary> vocabulary)
    : parser(std::move(grammar)),
      vocabulary_(std::move(vocabulary)),
      lexeme_masks_(parser.lexemes(), parser.grammar(), vocabulary_->trie,
                    vocabulary_->lexeme_masks),
      path_(vocabulary_->trie.max_depth() + 1) {}

void SharedParser::spend(uint64_t steps) {
  const uint64_t limit = parser.grammar().limits.mask_steps;
  steps_ += steps;
  if (steps_ + parser.work() - work_before_ > limit) {
    limit_reached("mask_steps", limit, "the mask of one place takes too long");
  }
}

void SharedParser::mask(uint32_t state, std::span<uint64_t> words) {
  if (const auto found = masks_.find(state); found != masks_.end()) {
    const KnownMask& known = found->second;
    if (!known.sparse) {
      std::copy(known.words.begin(), known.words.end(), words.begin());
    } else {
      std::fill(words.begin(), words.end(), 0);
      for (const uint32_t token : known.tokens) set_bit(words, token);
    }
    return;
  }
  compute(state, words);
  keep(state, words);
}

void SharedParser::keep(uint32_t state, std::span<const uint64_t> words) {
  if (mask_bytes_ > parser.grammar().limits.automaton_bytes / 4) masks_.clear(), mask_bytes_ = 0;
  KnownMask known;
  size_t n_tokens = 0;
  for (const uint64_t word : words) n_tokens += static_cast<size_t>(std::popcount(word));
  known.sparse = n_tokens < words.size();
  if (known.sparse) {
    known.tokens.reserve(n_tokens);
    for (size_t i = 0; i < words.size(); ++i) {
      for (uint64_t word = words[i]; word != 0; word &= word - 1) {
        known.tokens.push_back(static_cast<uint32_t>(i * 64) +
                               static_cast<uint32_t>(std::countr_zero(word)));
      }
    }
  } else {
    known.words.assign(words.begin(), words.end());
  }
  constexpr size_t kEntry = 128;  // of the map, about
  mask_bytes_ += known.words.size() * 8 + known.tokens.size() * 4 + kEntry;
  masks_.emplace(state, std::move(known));
}

void SharedParser::compute(uint32_t state, std::span<uint64_t> words) {
  std::fill(words.begin(), words.end(), 0);
  steps_ = 0;
  work_before_ = parser.work();
  // A token is allowed if some thread allows it. Of a thread, what allows a great many tokens
  // within itself is looked up; the rest are few bytes at each place, and a walk finds them.
  std::vector<Parser::Thread> narrow_threads;
  for (const Parser::Thread& thread : parser.threads(state)) {
    std::vector<LexemeRest> narrow;
    for (const LexemeRest& rest : parser.lexemes().rests(thread.lexer)) {
      if (!lexeme_masks_.is_wide(rest)) {
        narrow.push_back(rest);
        continue;
      }
      uint64_t steps = 0;
      const LexemeMask& mask = lexeme_masks_.of(rest, steps);
      spend(steps);
      for (size_t i = 0; i < words.size(); ++i) words[i] |= mask.within[i];
      cross(parser.after_lexeme(thread.row, rest.lexeme), mask, words);
    }
    if (!narrow.empty()) {
      narrow_threads.push_back({thread.row, parser.lexemes().state_of(narrow)});
    }
  }
  const uint32_t narrow_state = parser.state_of(narrow_threads);
  if (narrow_state != Parser::kDead) walk(narrow_state, 0, words);

  const auto n_tokens = static_cast<Token>(vocabulary_->trie.n_tokens());
  parser.for_each_token_range(state, [&](const TokenRange& range) {
    for (Token t = std::max(range.first, 0); t <= std::min(range.last, n_tokens - 1); ++t) {
      set_bit(words, static_cast<uint32_t>(t));
    }
  });
  if (parser.accepts(state)) {
    for (const Token end : vocabulary_->end_tokens) set_bit(words, static_cast<uint32_t>(end));
  }
}

// Tokens that leave a lexeme behind one of their bytes and go on in `state`.
void SharedParser::cross(uint32_t state, const LexemeMask& mask, std::span<uint64_t> words) {
  const auto nodes = vocabulary_->trie.nodes();
  for (int byte = 0; byte < 256; ++byte) {
    const uint32_t next = parser.next(state, static_cast<uint8_t>(byte));
    if (next == Parser::kDead) continue;
    const LexemeMask::Crossing& crossing =
        mask.crossing(vocabulary_->trie, static_cast<uint8_t>(byte));
    spend(crossing.leaves.size());
    for (const uint32_t token : crossing.leaves) set_bit(words, token);
    for (const uint32_t node : crossing.nodes) {
      if (nodes[node].token != TokenTrie::kNoToken) set_bit(words, nodes[node].token);
      walk(next, node, words);
    }
  }
}

// Allows the tokens below `node`, after whose bytes the parser is in `state`.
void SharedParser::walk(uint32_t state, uint32_t node, std::span<uint64_t> words) {
  const auto nodes = vocabulary_->trie.nodes();
  const auto classes = parser.classes();
  path_[nodes[node].depth] = state;
  const uint32_t end = nodes[node].end;
  constexpr uint64_t kSpendEvery = 4096;
  uint64_t steps = 0;
  for (uint32_t i = node + 1; i < end;) {
    const TokenTrie::Node n = nodes[i];
    if (++steps == kSpendEvery) spend(steps), steps = 0;
    const uint32_t next = parser.step(path_[n.depth - 1], classes[n.byte]);
    if (next == Parser::kDead) {
      i = n.end;
      continue;
    }
    path_[n.depth] = next;
    if (n.token != TokenTrie::kNoToken) set_bit(words, n.token);
    ++i;
  }
  spend(steps);
}

uint32_t SharedParser::after(uint32_t state, std::string_view bytes) {
  for (const char byte : bytes) {
    if (state == Parser::kDead) break;
    state = parser.next(state, static_cast<uint8_t>(byte));
  }
  return state;
}

uint32_t SharedParser::after(uint32_t state, Token token) {
  if (token < 0 || static_cast<size_t>(token) >= vocabulary_->trie.n_tokens()) {
    return Parser::kDead;
  }
  const std::string_view bytes = vocabulary_->trie.bytes(token);
  const bool in_trie = !bytes.empty() && bytes.size() <= TokenTrie::kMaxDepth;
  const uint32_t next = in_trie ? after(state, bytes) : Parser::kDead;
  return parser.takes_tokens(state) ? parser.either(next, parser.next_token(state, token)) : next;
}

bool SharedParser::goes_on(uint32_t state) {
  if (parser.takes_tokens(state)) return true;
  for (size_t c = 0; c < parser.n_classes(); ++c) {
    if (parser.step(state, static_cast<uint8_t>(c)) != Parser::kDead) return true;
  }
  return false;
}

bool SharedParser::is_end(Token token) const {
  const auto& ends = vocabulary_->end_tokens;
  return std::find(ends.begin(), ends.end(), token) != ends.end();
}

int SharedParser::only_byte(uint32_t state) {
  if (parser.accepts(state) || parser.takes_tokens(state)) return -1;
  int only = -1;
  for (int byte = 0; byte < 256; ++byte) {
    if (parser.next(state, static_cast<uint8_t>(byte)) == Parser::kDead) continue;
    if (only >= 0) return -1;
    only = byte;
  }
  return only;
}

}  // namespace sinter
