// See constraint.h.
#include "grammar/constraint.h"

#include <algorithm>

#include "grammar/shared_parser.h"
#include "text/utf8.h"

namespace sinter {

std::shared_ptr<GrammarVocabulary> GrammarVocabulary::of(const Tokenizer& tokenizer,
                                                         std::vector<Token> end_tokens) {
  std::vector<std::string> bytes(static_cast<size_t>(tokenizer.vocab_size()));
  for (Token id = 0; id < tokenizer.vocab_size(); ++id) {
    const bool is_end = std::find(end_tokens.begin(), end_tokens.end(), id) != end_tokens.end();
    if (tokenizer.has_token(id) && !is_end && !tokenizer.is_special(id)) {
      bytes[static_cast<size_t>(id)] = tokenizer.token_bytes(id);
    }
  }
  return std::make_shared<GrammarVocabulary>(bytes, std::move(end_tokens));
}

struct GrammarEngine::Shared {
  std::shared_ptr<const Grammar> grammar;
  std::shared_ptr<GrammarVocabulary> vocabulary;
  std::mutex mutex;
  std::shared_ptr<SharedParser> parser;  // what new texts begin with

  std::shared_ptr<SharedParser> current() {
    const std::lock_guard lock(mutex);
    return parser;
  }
  std::shared_ptr<SharedParser> renewed() {
    auto fresh = std::make_shared<SharedParser>(grammar, vocabulary);
    const std::lock_guard lock(mutex);
    parser = fresh;
    return fresh;
  }
};

GrammarEngine::GrammarEngine(std::shared_ptr<const Grammar> grammar,
                             std::shared_ptr<GrammarVocabulary> vocabulary)
    : shared_(std::make_shared<Shared>()) {
  const auto n_tokens = static_cast<Token>(vocabulary->trie.n_tokens());
  for (const Token end : vocabulary->end_tokens) {
    if (end < 0 || end >= n_tokens) {
      fail(Fault::bad_input, "grammar-token", "end token {} is outside of the vocabulary of {}",
           end, n_tokens);
    }
  }
  shared_->grammar = std::move(grammar);
  shared_->vocabulary = std::move(vocabulary);
  shared_->renewed();
}

GrammarEngine::~GrammarEngine() = default;

const Grammar& GrammarEngine::grammar() const { return *shared_->grammar; }

Constraint GrammarEngine::start() const { return Constraint(shared_); }

Constraint::Constraint(std::shared_ptr<GrammarEngine::Shared> shared)
    : shared_(std::move(shared)), parser_(shared_->current()), states_{parser_->parser.start()} {}

size_t Constraint::n_words() const { return shared_->vocabulary->trie.n_words(); }

// The parser only grows. Where it has grown beyond its limit, the text is read again by a fresh
// one; a text that fills even that is refused.
void Constraint::make_room() {
  const size_t limit = shared_->grammar->limits.automaton_bytes;
  for (bool fresh = false;;) {
    {
      const std::lock_guard lock(parser_->mutex);
      if (parser_->memory_bytes() <= limit) return;
    }
    if (fresh) limit_reached("automaton_bytes", limit, "this text needs too many states");
    std::shared_ptr<SharedParser> next = shared_->current();
    if (next == parser_) next = shared_->renewed(), fresh = true;
    const std::lock_guard lock(next->mutex);
    std::vector<uint32_t> states{next->parser.start()};
    for (const Taken& taken : taken_) {
      const bool is_end = ended_ && states.size() == taken_.size();
      states.push_back(is_end             ? Parser::kDead
                       : taken.token >= 0 ? next->after(states.back(), taken.token)
                                          : next->after(states.back(), taken.bytes));
    }
    parser_ = std::move(next);
    states_ = std::move(states);
  }
}

void Constraint::mask(std::span<uint64_t> words) {
  SINTER_CHECK(words.size() == n_words());
  if (ended_) {
    std::fill(words.begin(), words.end(), 0);
    for (const Token end : shared_->vocabulary->end_tokens) {
      words[static_cast<size_t>(end) / 64] |= 1ull << (end % 64);
    }
    return;
  }
  make_room();
  const std::lock_guard lock(parser_->mutex);
  parser_->mask(states_.back(), words);
}

bool Constraint::is_allowed(Token token) {
  if (ended_) return false;
  make_room();
  const std::lock_guard lock(parser_->mutex);
  if (parser_->is_end(token) && parser_->parser.accepts(states_.back())) return true;
  return parser_->after(states_.back(), token) != Parser::kDead;
}

bool Constraint::accept(Token token) {
  if (ended_) return false;
  make_room();
  const std::lock_guard lock(parser_->mutex);
  const bool ends = parser_->is_end(token) && parser_->parser.accepts(states_.back());
  const uint32_t next = ends ? Parser::kDead : parser_->after(states_.back(), token);
  if (!ends && next == Parser::kDead) return false;
  states_.push_back(next);
  taken_.push_back({token, {}});
  ended_ = ends;
  return true;
}

bool Constraint::accept_bytes(std::string_view bytes) {
  if (ended_) return false;
  make_room();
  const std::lock_guard lock(parser_->mutex);
  const uint32_t next = parser_->after(states_.back(), bytes);
  if (next == Parser::kDead) return false;
  states_.push_back(next);
  taken_.push_back({-1, std::string(bytes)});
  return true;
}

void Constraint::rollback(size_t n_tokens) {
  SINTER_CHECK(n_tokens <= this->n_tokens());
  if (n_tokens == 0) return;
  states_.resize(states_.size() - n_tokens);
  taken_.resize(taken_.size() - n_tokens);
  ended_ = false;
}

bool Constraint::may_end() {
  const std::lock_guard lock(parser_->mutex);
  return ended_ || parser_->parser.accepts(states_.back());
}

bool Constraint::is_complete() {
  if (ended_) return true;
  make_room();
  const std::lock_guard lock(parser_->mutex);
  return parser_->parser.accepts(states_.back()) && !parser_->goes_on(states_.back());
}

std::string Constraint::forced_bytes(size_t max_bytes) {
  std::string out;
  if (ended_) return out;
  make_room();
  const std::lock_guard lock(parser_->mutex);
  for (uint32_t state = states_.back(); out.size() < max_bytes;) {
    const int byte = parser_->only_byte(state);
    if (byte < 0) break;
    out += static_cast<char>(byte);
    state = parser_->parser.next(state, static_cast<uint8_t>(byte));
  }
  return out;
}

std::vector<Token> Constraint::forced_tokens(const Tokenizer& tokenizer) {
  std::string text = forced_bytes();
  // Only whole characters are text to a tokenizer.
  while (!text.empty() && !is_utf8(text)) text.pop_back();
  std::vector<Token> tokens =
      tokenizer.encode(text, {.add_special = false, .parse_special = false});
  constexpr size_t kMayChange = 4;  // tokens that what follows could draw into a longer one
  std::string tail;
  size_t n_dropped = 0;
  const TokenTrie& trie = shared_->vocabulary->trie;
  for (size_t n = 1; n <= std::min(kMayChange, tokens.size()); ++n) {
    tail.insert(0, trie.bytes(tokens[tokens.size() - n]));
    if (trie.can_extend(tail)) n_dropped = n;
  }
  tokens.resize(tokens.size() - n_dropped);
  return tokens;
}

void Constraint::draft_masks(std::span<const DraftNode> nodes, std::span<uint64_t> masks) {
  const size_t n = n_words();
  SINTER_CHECK(masks.size() == nodes.size() * n);
  std::fill(masks.begin(), masks.end(), 0);
  if (ended_) return;
  make_room();
  const std::lock_guard lock(parser_->mutex);
  std::vector<uint32_t> states;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const DraftNode& node = nodes[i];
    SINTER_CHECK(node.parent < static_cast<int32_t>(i));
    const uint32_t before =
        node.parent < 0 ? states_.back() : states[static_cast<size_t>(node.parent)];
    states.push_back(before == Parser::kDead ? before : parser_->after(before, node.token));
    if (states.back() != Parser::kDead) parser_->mask(states.back(), masks.subspan(i * n, n));
  }
}

}  // namespace sinter
