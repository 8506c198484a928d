// What a grammar may be written in, beside JSON Schema. Each adds its nodes to a builder, so that
// one may stand within another; the node that it gives back is the whole.
//
// `where` begins every message. They throw Error(bad_input, "grammar-syntax" |
// "grammar-undefined"), Error(unsupported, "grammar-unsupported"), Error(exhausted,
// "grammar-limit").
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "grammar/grammar.h"
#include "text/tokenizer.h"

namespace sinter {

// The whole text matches this regular expression (RegexDialect::rust).
GrammarNode add_regex(GrammarBuilder& builder, std::string_view pattern, std::string_view where);

// The text is one of these.
GrammarNode add_choice(GrammarBuilder& builder, std::span<const std::string> choices);

// Rules in extended Backus-Naur form, as llama.cpp reads them (GBNF), with the white space that
// XGrammar allows. The whole is the rule `root`. `tokenizer` knows the tokens <name>; may be null.
GrammarNode add_gbnf(GrammarBuilder& builder, std::string_view text, std::string_view where,
                     const Tokenizer* tokenizer = nullptr);

// Lark as llguidance reads it: rules and TERMINALS, /regex/ (RegexDialect::rust), & and ~ between
// terminals, %ignore (after any lexeme), %import common, [lazy], [suffix=...], <tokens>, %json and
// %regex. The whole is the rule `start`. As everywhere here lexemes are not greedy, which is Lark's
// lexer="dynamic". What is not understood is refused, not passed over.
struct LarkOptions {
  const Tokenizer* tokenizer = nullptr;
  // What %json {...} stands for; without it such a grammar is refused.
  std::function<GrammarNode(GrammarBuilder&, const Json& schema, const std::string& where)> json;
};
GrammarNode add_lark(GrammarBuilder& builder, std::string_view text, std::string_view where,
                     const LarkOptions& options = {});

// The same, compiled.
std::shared_ptr<const Grammar> compile_regex(std::string_view pattern, std::string_view where,
                                             const GrammarLimits& limits = {});
std::shared_ptr<const Grammar> compile_choice(std::span<const std::string> choices,
                                              const GrammarLimits& limits = {});
std::shared_ptr<const Grammar> compile_gbnf(std::string_view text, std::string_view where,
                                            const Tokenizer* tokenizer = nullptr,
                                            const GrammarLimits& limits = {});

std::shared_ptr<const Grammar> compile_lark(std::string_view text, std::string_view where,
                                            const LarkOptions& options = {},
                                            const GrammarLimits& limits = {});

// <name>, <[id]>, <[first-last,...]>, <[^...]>, <[*]>: from the < on. Shared by GBNF and Lark.
class TextCursor;
GrammarNode take_token(GrammarBuilder& builder, TextCursor& cursor, const Tokenizer* tokenizer,
                       bool negated = false);

}  // namespace sinter
