// See front_ends.h: the small ones, and what the others share.
#include "grammar/front_ends.h"

#include <algorithm>

#include "grammar/regex_text.h"
#include "grammar/text_cursor.h"

namespace sinter {

GrammarNode add_regex(GrammarBuilder& builder, std::string_view pattern, std::string_view where) {
  return builder.lexeme(parse_regex(builder.regexes(), pattern, where, {}, builder.limits()));
}

GrammarNode add_choice(GrammarBuilder& builder, std::span<const std::string> choices) {
  return builder.lexeme(builder.regexes().any_literal(choices));
}

std::shared_ptr<const Grammar> compile_regex(std::string_view pattern, std::string_view where,
                                             const GrammarLimits& limits) {
  GrammarBuilder builder(limits);
  const GrammarNode node = add_regex(builder, pattern, where);
  return Grammar::compile(std::move(builder), node);
}

std::shared_ptr<const Grammar> compile_choice(std::span<const std::string> choices,
                                              const GrammarLimits& limits) {
  GrammarBuilder builder(limits);
  const GrammarNode node = add_choice(builder, choices);
  return Grammar::compile(std::move(builder), node);
}

std::shared_ptr<const Grammar> compile_gbnf(std::string_view text, std::string_view where,
                                            const Tokenizer* tokenizer,
                                            const GrammarLimits& limits) {
  GrammarBuilder builder(limits);
  const GrammarNode node = add_gbnf(builder, text, where, tokenizer);
  return Grammar::compile(std::move(builder), node);
}

std::shared_ptr<const Grammar> compile_lark(std::string_view text, std::string_view where,
                                            const LarkOptions& options,
                                            const GrammarLimits& limits) {
  GrammarBuilder builder(limits);
  const GrammarNode node = add_lark(builder, text, where, options);
  return Grammar::compile(std::move(builder), node);
}

namespace {

constexpr Token kLastToken = (1 << 22) - 1;

std::vector<TokenRange> complement_of(std::vector<TokenRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const TokenRange& a, const TokenRange& b) { return a.first < b.first; });
  std::vector<TokenRange> out;
  Token next = 0;
  for (const TokenRange& r : ranges) {
    if (r.first > next) out.push_back({next, r.first - 1});
    next = std::max(next, r.last + 1);
  }
  if (next <= kLastToken) out.push_back({next, kLastToken});
  return out;
}

Token take_id(TextCursor& cursor, const GrammarLimits& limits) {
  const auto id = cursor.take_number(limits);
  if (!id || *id > static_cast<uint32_t>(kLastToken)) cursor.syntax("expected a token's id");
  return static_cast<Token>(*id);
}

}  // namespace

GrammarNode take_token(GrammarBuilder& builder, TextCursor& cursor, const Tokenizer* tokenizer,
                       bool negated) {
  const size_t start = cursor.offset();
  cursor.expect("<");
  std::vector<TokenRange> ranges;
  if (cursor.take("[")) {
    if (cursor.take("*")) {
      ranges.push_back({0, kLastToken});
    } else {
      if (cursor.take("^")) negated = !negated;
      do {
        const Token first = take_id(cursor, builder.limits());
        const Token last = cursor.take("-") ? take_id(cursor, builder.limits()) : first;
        if (last < first) cursor.syntax("a range of tokens that goes backwards", start);
        ranges.push_back({first, last});
      } while (cursor.take(","));
    }
    cursor.expect("]>");
  } else {
    const size_t close = cursor.text().find('>', start);
    if (close == std::string_view::npos) cursor.syntax("a < without its >", start);
    cursor.go_to(close + 1);
    const std::string_view name = cursor.since(start);  // with its brackets
    if (tokenizer == nullptr) {
      cursor.unsupported(
          fmt::format("the token {} is known to a tokenizer only; name one, or write "
                      "<[id]>",
                      name),
          start);
    }
    const auto id = tokenizer->token_id(name);
    if (!id) cursor.syntax(fmt::format("the tokenizer has no token {}", name), start);
    ranges.push_back({*id, *id});
  }
  return builder.token(negated ? complement_of(std::move(ranges)) : ranges);
}

}  // namespace sinter
