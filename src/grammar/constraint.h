// A grammar beside a text that grows token by token: which tokens may come next.
//
//   auto vocabulary = GrammarVocabulary::of(tokenizer, {eos});
//   GrammarEngine engine(Grammar::compile(...), vocabulary);   // once per grammar
//   Constraint constraint = engine.start();                    // once per sequence
//   constraint.mask(words);           // bit t of the mask: token t may come next
//   if (!constraint.accept(token)) ...
//   constraint.rollback(3);           // the last three tokens never were
//
// A token is allowed exactly if some text of the grammar begins with the bytes so far and its own.
// Special tokens never match by bytes, only where the grammar names them. When a whole text stands
// there, the end tokens are allowed; when nothing can follow it, only they are.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/lexeme_masks.h"
#include "grammar/token_trie.h"
#include "text/tokenizer.h"

namespace sinter {

// A tokenizer as grammars see it; made once, shared by all of them.
class GrammarVocabulary {
 public:
  static std::shared_ptr<GrammarVocabulary> of(const Tokenizer& tokenizer,
                                               std::vector<Token> end_tokens);
  // Bytes by id; empty for special tokens.
  GrammarVocabulary(std::span<const std::string> token_bytes, std::vector<Token> ends)
      : trie(token_bytes), end_tokens(std::move(ends)) {}

  const TokenTrie trie;
  const std::vector<Token> end_tokens;
  LexemeMaskCache lexeme_masks;
};

class SharedParser;
class Constraint;

class GrammarEngine {
 public:
  GrammarEngine(std::shared_ptr<const Grammar> grammar,
                std::shared_ptr<GrammarVocabulary> vocabulary);
  ~GrammarEngine();
  Constraint start() const;
  const Grammar& grammar() const;

 private:
  friend class Constraint;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

struct DraftNode {
  Token token = 0;
  int32_t parent = -1;  // an earlier node; -1: follows the text
};

// One thread at a time; constraints of one engine may be used by several threads.
// All may throw Error(exhausted, "grammar-limit"), and then leave the text as it was.
class Constraint {
 public:
  size_t n_words() const;  // of a mask
  void mask(std::span<uint64_t> words);
  bool is_allowed(Token token);
  bool accept(Token token);  // false: not allowed, and nothing has changed
  // Bytes that no token stands for, such as a prefix given by the caller; counts as one token.
  bool accept_bytes(std::string_view bytes);
  void rollback(size_t n_tokens);  // at most n_tokens()
  size_t n_tokens() const { return states_.size() - 1; }

  bool may_end();                            // a whole text stands here
  bool is_complete();                        // and nothing can follow it
  bool has_ended() const { return ended_; }  // an end token was accepted

  // The bytes that every text goes on with, at most max_bytes of them.
  std::string forced_bytes(size_t max_bytes = 4096);
  // The same as tokens, without those at the end that a longer token could replace.
  std::vector<Token> forced_tokens(const Tokenizer& tokenizer);

  // Masks after each node of a tree of drafts, masks[i * n_words()...] after nodes[i]; nodes that
  // the grammar refuses, and what hangs on them, get an empty mask. The text stays as it is.
  void draft_masks(std::span<const DraftNode> nodes, std::span<uint64_t> masks);

 private:
  friend class GrammarEngine;
  explicit Constraint(std::shared_ptr<GrammarEngine::Shared> shared);
  void make_room();

  std::shared_ptr<GrammarEngine::Shared> shared_;
  std::shared_ptr<SharedParser> parser_;
  std::vector<uint32_t> states_;  // before each token, and now
  struct Taken {
    Token token = -1;  // -1: bytes
    std::string bytes;
  };
  std::vector<Taken> taken_;
  bool ended_ = false;
};

}  // namespace sinter
