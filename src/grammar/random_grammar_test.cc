// Random grammars against their definition: the set of all their words of up to six letters,
// computed bottom up with sets of words. It shares nothing with the compiler, the parser or the
// automata.
#include <gtest/gtest.h>

#include <bitset>
#include <deque>
#include <unordered_set>

#include "base/random.h"
#include "grammar/parser.h"

namespace sinter {
namespace {

constexpr size_t kLongest = 6, kWords = (1 << (kLongest + 1)) - 1;  // over {a, b}
using Language = std::bitset<kWords>;  // word w of length n is number 2^n - 1 + w

struct Word {
  size_t length, bits;
};

Word word_of(size_t number) {
  size_t length = 0;
  while (number + 1 >= size_t{2} << length) ++length;
  return {length, number + 1 - (size_t{1} << length)};
}

std::string text_of(size_t number) {
  const Word w = word_of(number);
  std::string text;
  for (size_t i = w.length; i-- > 0;) text += ((w.bits >> i) & 1) != 0 ? 'b' : 'a';
  return text;
}

Language concat(const Language& a, const Language& b) {
  Language out;
  for (size_t i = a._Find_first(); i < kWords; i = a._Find_next(i)) {
    const Word x = word_of(i);
    for (size_t j = b._Find_first(); j < kWords; j = b._Find_next(j)) {
      const Word y = word_of(j);
      const size_t length = x.length + y.length;
      if (length <= kLongest) out.set((size_t{1} << length) - 1 + ((x.bits << y.length) | y.bits));
    }
  }
  return out;
}

Language empty_word() {
  Language out;
  out.set(0);
  return out;
}

// A grammar twice: as the builder's node, and as an expression to evaluate.
struct Expression {
  enum Kind { words, sequence, choice, repeat, members, rule } kind = words;
  Language language{};  // of words
  std::vector<size_t> inner{};
  uint32_t min = 0, max = 0;
  std::vector<Member> list{};
  MemberOptions options{};
  bool separated = false;
};

class RandomGrammar {
 public:
  explicit RandomGrammar(uint64_t seed) : seed_(seed) {
    const size_t n_rules = 1 + below(4);
    for (size_t i = 0; i < n_rules; ++i) {
      rules_.push_back(add({.kind = Expression::rule, .min = static_cast<uint32_t>(i)},
                           b_.declare("rule" + std::to_string(i))));
    }
    if (below(3) == 0) b_.set_merge_weight(static_cast<uint32_t>(1 + below(60)));
    for (size_t i = 0; i < n_rules; ++i) {
      bodies_.push_back(random_expression(3));
      b_.define(nodes_[rules_[i]], nodes_[bodies_[i]]);
    }
  }

  Language language() {
    std::vector<Language> rules(rules_.size());
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = 0; i < rules.size(); ++i) {
        const Language now = evaluate(bodies_[i], rules);
        changed |= now != rules[i];
        rules[i] = now;
      }
    }
    return rules[0];
  }

  std::shared_ptr<const Grammar> compile() {
    const GrammarNode start = nodes_[rules_[0]];
    return Grammar::compile(std::move(b_), start);
  }

 private:
  size_t below(size_t n) { return random_bits(seed_, 1, draw_++) % n; }

  size_t add(Expression expression, GrammarNode node) {
    expressions_.push_back(std::move(expression));
    nodes_.push_back(node);
    return nodes_.size() - 1;
  }

  Regex random_regex(int depth) {
    RegexSet& r = b_.regexes();
    switch (depth == 0 ? below(3) : below(9)) {
      case 0:
        return r.byte('a');
      case 1:
        return r.byte('b');
      case 2:
        return r.bytes(ByteSet::range('a', 'b'));
      case 3:
      case 4:
        return r.concat(random_regex(depth - 1), random_regex(depth - 1));
      case 5:
        return r.either(random_regex(depth - 1), random_regex(depth - 1));
      case 6: {
        const auto min = static_cast<uint32_t>(below(3));
        return r.repeat(random_regex(depth - 1), min,
                        below(2) == 0 ? kUnbounded : min + static_cast<uint32_t>(below(3)));
      }
      case 7:
        return r.both(random_regex(depth - 1), random_regex(depth - 1));
      default:
        return r.both(r.star(r.bytes(ByteSet::range('a', 'b'))),
                      r.complement(random_regex(depth - 1)));
    }
  }

  size_t random_words(bool not_empty) {
    RegexSet& r = b_.regexes();
    Regex regex = random_regex(static_cast<int>(below(4)));
    if (not_empty) regex = r.both(regex, r.plus(r.any_byte()));
    const bool lazy = below(6) == 0;
    Language all, language;
    for (size_t i = 0; i < kWords; ++i) all[i] = r.matches(regex, text_of(i));
    for (size_t i = 0; i < kWords; ++i) {
      bool sooner = false;
      for (size_t n = 0; lazy && n < text_of(i).size(); ++n) {
        sooner |= r.matches(regex, text_of(i).substr(0, n));
      }
      language[i] = all[i] && !sooner;
    }
    return add({.kind = Expression::words, .language = language}, b_.lexeme(regex, lazy));
  }

  size_t random_expression(int depth) {
    switch (depth == 0 ? below(3) : below(9)) {
      case 0:
      case 1:
        return random_words(false);
      case 2: {
        const size_t i = below(rules_.size());
        return add({.kind = Expression::rule, .min = static_cast<uint32_t>(i)}, nodes_[rules_[i]]);
      }
      case 3:
      case 4:
      case 5: {
        std::vector<size_t> inner;
        std::vector<GrammarNode> nodes;
        for (size_t n = below(4); n-- > 0;) {
          inner.push_back(random_expression(depth - 1));
          nodes.push_back(nodes_[inner.back()]);
        }
        const bool sequence = below(2) == 0;
        return add({.kind = sequence ? Expression::sequence : Expression::choice, .inner = inner},
                   sequence ? b_.sequence(nodes) : b_.choice(nodes));
      }
      case 6:
      case 7: {
        const size_t inner = random_expression(depth - 1);
        const auto min = static_cast<uint32_t>(below(4));
        const uint32_t max =
            below(2) == 0 ? kUnbounded : min + static_cast<uint32_t>(below(below(2) == 0 ? 3 : 40));
        return add({.kind = Expression::repeat, .inner = {inner}, .min = min, .max = max},
                   b_.repeat(nodes_[inner], min, max));
      }
      default:
        return random_members();
    }
  }

  size_t random_members() {
    Expression e{.kind = Expression::members};
    constexpr MemberOrder kOrders[] = {MemberOrder::any, MemberOrder::fixed, MemberOrder::no_gaps};
    e.options.order = kOrders[below(3)];
    for (size_t n = 1 + below(3), i = 0; i < n; ++i) {
      e.inner.push_back(random_words(true));
      Member m{nodes_[e.inner.back()], static_cast<uint32_t>(below(3)), 0};
      if (e.options.order == MemberOrder::no_gaps && i + 1 < n) m.min %= 2;
      m.max = e.options.order == MemberOrder::no_gaps && i + 1 < n ? 1
              : below(2) == 0                                      ? kUnbounded
                              : std::max(1u, m.min + static_cast<uint32_t>(below(3)));
      e.list.push_back(m);
    }
    e.options.min = static_cast<uint32_t>(below(4));
    e.options.max = below(2) == 0 ? kUnbounded : e.options.min + static_cast<uint32_t>(below(4));
    e.separated = below(2) == 0;
    if (e.separated) {
      e.inner.push_back(random_words(true));
      e.options.separator = nodes_[e.inner.back()];
    }
    const GrammarNode node = b_.members(e.list, e.options);
    return add(std::move(e), node);
  }

  Language evaluate(size_t index, const std::vector<Language>& rules) {
    const Expression& e = expressions_[index];
    if (e.kind == Expression::words) return e.language;
    if (e.kind == Expression::rule) return rules[e.min];
    Language out;
    if (e.kind == Expression::sequence) {
      out = empty_word();
      for (const size_t inner : e.inner) out = concat(out, evaluate(inner, rules));
    } else if (e.kind == Expression::choice) {
      for (const size_t inner : e.inner) out |= evaluate(inner, rules);
    } else if (e.kind == Expression::repeat) {
      Language once = evaluate(e.inner[0], rules), power = empty_word();
      for (uint32_t n = 0; n <= std::min(e.max, 60u); ++n) {
        if (n >= e.min) out |= power;
        power = concat(power, once);
      }
    } else {
      std::vector<size_t> chosen;
      evaluate_members(e, rules, chosen, empty_word(), out);
    }
    return out;
  }

  // Every order of members there is, judged by the definition.
  void evaluate_members(const Expression& e, const std::vector<Language>& rules,
                        std::vector<size_t>& chosen, const Language& words, Language& out) {
    if (words.none()) return;
    std::vector<uint32_t> counts(e.list.size());
    bool good = chosen.size() >= e.options.min && chosen.size() <= e.options.max;
    for (size_t i = 0; i < chosen.size(); ++i) {
      ++counts[chosen[i]];
      if (e.options.order != MemberOrder::any && i > 0) good &= chosen[i - 1] <= chosen[i];
      if (e.options.order == MemberOrder::no_gaps) {
        good &= i == 0 ? chosen[i] == 0 : chosen[i] <= chosen[i - 1] + 1;
      }
    }
    for (size_t i = 0; i < counts.size(); ++i) {
      good &= counts[i] >= e.list[i].min && counts[i] <= e.list[i].max;
    }
    if (good) out |= words;
    if (chosen.size() == kLongest) return;
    const Language before =
        e.separated && !chosen.empty() ? concat(words, evaluate(e.inner.back(), rules)) : words;
    for (size_t i = 0; i < e.list.size(); ++i) {
      chosen.push_back(i);
      evaluate_members(e, rules, chosen, concat(before, evaluate(e.inner[i], rules)), out);
      chosen.pop_back();
    }
  }

  uint64_t seed_, draw_ = 0;
  GrammarBuilder b_;
  std::vector<Expression> expressions_;
  std::vector<GrammarNode> nodes_;
  std::vector<size_t> rules_, bodies_;
};

// Some text leads on from here to the end of a whole text. Where thousands of states do not decide
// it, there are long counts and all is well as far as can be told.
bool leads_to_an_end(Parser& parser, uint32_t state) {
  std::deque<uint32_t> queue{state};
  std::unordered_set<uint32_t> seen{state};
  constexpr size_t kEnough = 200;
  while (!queue.empty()) {
    if (seen.size() > kEnough) return true;
    const uint32_t at = queue.front();
    queue.pop_front();
    if (parser.accepts(at)) return true;
    for (size_t c = 0; c < parser.n_classes(); ++c) {
      const uint32_t next = parser.step(at, static_cast<uint8_t>(c));
      if (next != Parser::kDead && seen.insert(next).second) queue.push_back(next);
    }
  }
  return false;
}

TEST(RandomGrammars, HaveTheWordsOfTheirDefinition) {
  constexpr uint64_t kGrammars = 500;
  size_t n_compiled = 0, n_words = 0;
  for (uint64_t seed = 1; seed <= kGrammars; ++seed) {
    RandomGrammar random(seed);
    const Language expected = random.language();
    std::shared_ptr<const Grammar> grammar;
    try {
      grammar = random.compile();
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), "grammar-empty") << e.what();
      ASSERT_TRUE(expected.none()) << "seed " << seed;
      continue;
    }
    ++n_compiled;
    Parser parser(grammar);
    std::vector<uint32_t> states(kWords, Parser::kDead);
    for (size_t i = 0; i < kWords; ++i) {
      const Word w = word_of(i);
      const size_t before = w.length == 0 ? 0 : (size_t{1} << (w.length - 1)) - 1 + (w.bits >> 1);
      states[i] = w.length == 0 ? parser.start()
                                : parser.next(states[before], (w.bits & 1) != 0 ? 'b' : 'a');
      ASSERT_EQ(parser.accepts(states[i]), expected[i])
          << "seed " << seed << ", \"" << text_of(i) << "\"\n"
          << grammar->to_text();
      n_words += expected[i];
      if (states[i] != Parser::kDead && i % 5 == 0) {
        ASSERT_TRUE(leads_to_an_end(parser, states[i]))
            << "seed " << seed << ", \"" << text_of(i) << "\"\n"
            << grammar->to_text();
      }
    }
  }
  EXPECT_GT(n_compiled, kGrammars / 2);
  EXPECT_GT(n_words, kGrammars * 5);
}

}  // namespace
}  // namespace sinter
