// See regex_text.h. The text becomes a tree, and the tree an expression: the tree is there for the
// anchors, which mean something only at the ends of what is around them.
#include "grammar/regex_text.h"

#include <algorithm>
#include <optional>

#include "text/utf8.h"

namespace sinter {
namespace {

constexpr char32_t kEnd = 0xFFFFFFFF;

class Parser {
 public:
  Parser(RegexSet& set, std::string_view text, std::string_view where, const RegexText& options,
         const GrammarLimits& limits)
      : set_(set), text_(text), where_(where), options_(options), limits_(limits) {}

  Regex parse() {
    const size_t tree = alternatives(0);
    if (peek() == ')') syntax("a ) without its (");
    const bool unanchored = options_.dialect == RegexDialect::ecma;
    const Edge edge = unanchored ? Edge::free : Edge::bound;
    return build(tree, edge, edge);
  }

 private:
  enum class Kind { chars, begin, end, sequence, choice, repeat };
  struct Tree {
    Kind kind = Kind::sequence;
    Regex chars;
    std::vector<size_t> children;
    uint32_t min = 0, max = 0;
    size_t offset = 0;
    bool anchors = false;  // somewhere inside
  };
  // What is beside a part of the expression.
  enum class Edge {
    inner,  // more of the expression
    bound,  // the end of the text
    free,   // any text
  };

  [[noreturn]] void syntax(std::string_view what) const { syntax(what, at_); }
  [[noreturn]] void syntax(std::string_view what, size_t offset) const {
    fail(Fault::bad_input, "grammar-syntax", "{}: regular expression, offset {}: {}", where_,
         offset, what);
  }
  [[noreturn]] void unsupported(std::string_view what, size_t offset) const {
    fail(Fault::unsupported, "grammar-unsupported", "{}: regular expression, offset {}: {}", where_,
         offset, what);
  }

  char32_t peek() const {
    if (at_ >= text_.size()) return kEnd;
    const Utf8Char c = utf8_at(text_, at_);
    if (!c.valid) syntax("not valid UTF-8");
    return c.code;
  }
  char32_t next() {
    const char32_t code = peek();
    if (code != kEnd) at_ += utf8_at(text_, at_).size;
    return code;
  }
  bool take(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }
  bool ecma() const { return options_.dialect == RegexDialect::ecma; }

  size_t add(Tree tree) {
    for (const size_t child : tree.children) tree.anchors |= trees_[child].anchors;
    trees_.push_back(std::move(tree));
    return trees_.size() - 1;
  }
  size_t add_chars(const CodePointSet& set, size_t offset) {
    return add({.kind = Kind::chars,
                .chars = set_.one_of(options_.ignore_case ? set.ignoring_case() : set),
                .children = {},
                .offset = offset});
  }

  size_t alternatives(uint32_t depth) {
    if (depth > limits_.nesting) {
      limit_reached("nesting", limits_.nesting, "a regular expression nests too deeply");
    }
    const RegexText before = options_;  // flags hold to the end of their group
    Tree choice{.kind = Kind::choice, .chars = {}, .children = {sequence(depth)}, .offset = at_};
    while (take("|")) choice.children.push_back(sequence(depth));
    options_ = before;
    return choice.children.size() == 1 ? choice.children[0] : add(std::move(choice));
  }

  void skip_verbose() {
    while (options_.verbose && at_ < text_.size()) {
      if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (!CodePointSet::white_space(false).has(peek())) {
        return;
      } else {
        next();
      }
    }
  }

  size_t sequence(uint32_t depth) {
    Tree made{.kind = Kind::sequence, .chars = {}, .children = {}, .offset = at_};
    for (skip_verbose(); peek() != kEnd && peek() != '|' && peek() != ')'; skip_verbose()) {
      if (const auto part = atom(depth)) made.children.push_back(quantified(*part));
    }
    return made.children.size() == 1 ? made.children[0] : add(std::move(made));
  }

  size_t quantified(size_t inner) {
    for (uint32_t n_quantifiers = 0;; ++n_quantifiers) {
      if (n_quantifiers > limits_.nesting) {
        limit_reached("nesting", limits_.nesting, "repetitions of repetitions");
      }
      skip_verbose();
      uint32_t min = 0, max = kUnbounded;
      const size_t offset = at_;
      if (take("*")) {
      } else if (take("+")) {
        min = 1;
      } else if (take("?")) {
        max = 1;
      } else if (!counts(min, max)) {
        return inner;
      }
      if (trees_[inner].kind == Kind::begin || trees_[inner].kind == Kind::end) {
        syntax("nothing to repeat", offset);
      }
      if (max < min) syntax("the maximum of a repetition is less than its minimum", offset);
      take("?");  // which match is preferred does not change which texts match
      inner = add({.kind = Kind::repeat,
                   .chars = {},
                   .children = {inner},
                   .min = min,
                   .max = max,
                   .offset = offset});
    }
  }

  // {m}, {m,}, {m,n}; false, and nothing taken, if it is something else.
  bool counts(uint32_t& min, uint32_t& max) {
    const size_t start = at_;
    if (!take("{")) return false;
    const auto first = number();
    if (first) {
      min = max = *first;
      if (take(",")) max = number().value_or(kUnbounded);
      if (take("}")) return true;
    }
    at_ = start;
    if (!ecma()) syntax("{ begins a repetition {m,n}; write \\{ for the character");
    return false;
  }

  std::optional<uint32_t> number() {
    if (at_ >= text_.size() || text_[at_] < '0' || text_[at_] > '9') return std::nullopt;
    uint64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value =
          std::min<uint64_t>(value * 10 + static_cast<uint64_t>(text_[at_] - '0'), kUnbounded - 1);
    }
    if (value > limits_.repetition) {
      limit_reached("repetition", limits_.repetition, "a repetition counts too far");
    }
    return static_cast<uint32_t>(value);
  }

  std::optional<size_t> atom(uint32_t depth) {
    const size_t offset = at_;
    const char32_t c = next();
    switch (c) {
      case '(':
        return group(depth, offset);
      case '[':
        return add_chars(char_class(depth), offset);
      case '.': {
        if (options_.dot_matches_newline) return add_chars(CodePointSet::all(), offset);
        CodePointSet lines = CodePointSet::of('\n', '\n');
        if (ecma()) lines.insert('\r', '\r'), lines.insert(0x2028, 0x2029);
        return add_chars(lines.complement(), offset);
      }
      case '^':
        return add(
            {.kind = Kind::begin, .chars = {}, .children = {}, .offset = offset, .anchors = true});
      case '$':
        return add(
            {.kind = Kind::end, .chars = {}, .children = {}, .offset = offset, .anchors = true});
      case '*':
      case '+':
      case '?':
        syntax("nothing to repeat", offset);
      case '{':
        if (!ecma()) syntax("nothing to repeat", offset);
        return add_chars(CodePointSet::of(c, c), offset);
      case '\\': {
        if (!ecma() && take("A")) {
          return add({.kind = Kind::begin,
                      .chars = {},
                      .children = {},
                      .offset = offset,
                      .anchors = true});
        }
        if (!ecma() && take("z")) {
          return add(
              {.kind = Kind::end, .chars = {}, .children = {}, .offset = offset, .anchors = true});
        }
        return add_chars(escape(false), offset);
      }
      default:
        return add_chars(CodePointSet::of(c, c), offset);
    }
  }

  std::optional<size_t> group(uint32_t depth, size_t offset) {
    bool group_only = true;
    const RegexText before = options_;
    if (take("?")) {
      if (take("=") || take("!") || take("<=") || take("<!")) {
        unsupported("look-around is not regular here; say it with other means", offset);
      }
      if (take("<") || take("P<")) {
        const size_t close = text_.find('>', at_);
        if (close == std::string_view::npos) syntax("a group's name without its >", offset);
        at_ = close + 1;
      } else if (text_.substr(at_, 1) == "P" || text_.substr(at_, 1) == "(" ||
                 text_.substr(at_, 1) == ">" || text_.substr(at_, 1) == "|") {
        unsupported("a group of this kind is not regular", offset);
      } else if (!take(":")) {
        group_only = flags(offset);
      }
    }
    if (!group_only) return std::nullopt;  // (?i): for what follows
    const size_t inner = alternatives(depth + 1);
    if (!take(")")) syntax("a ( without its )", offset);
    options_ = before;
    return inner;
  }

  // (?flags) and (?flags:; true: a group follows.
  bool flags(size_t offset) {
    for (bool value = true;;) {
      const char32_t c = next();
      if (c == ':') return true;
      if (c == ')') return false;
      if (c == '-') {
        value = false;
      } else if (c == 'i') {
        options_.ignore_case = value;
      } else if (c == 's') {
        options_.dot_matches_newline = value;
      } else if (c == 'x') {
        options_.verbose = value;
      } else if (c == 'u' && value) {
      } else {
        unsupported("of flags, i, s, u and x are understood", offset);
      }
    }
  }

  char32_t hex(int n_digits) {
    char32_t value = 0;
    for (int i = 0; i < n_digits; ++i) {
      const char32_t c = next();
      const bool digit = c >= '0' && c <= '9';
      const char32_t lower = c | 0x20;
      if (!digit && (lower < 'a' || lower > 'f')) syntax("hexadecimal digits expected");
      value = value * 16 + (digit ? c - '0' : lower - 'a' + 10);
    }
    return value;
  }

  char32_t braced_hex() {
    char32_t value = 0;
    do {
      value = value * 16 + hex(1);
      if (value > 0x10FFFF) syntax("no such code point");
    } while (!take("}"));
    return value;
  }

  CodePointSet property(bool negated) {
    std::string name;
    const size_t offset = at_;
    if (take("{")) {
      const size_t close = text_.find('}', at_);
      if (close == std::string_view::npos) syntax("a property's name without its }", offset);
      name = text_.substr(at_, close - at_);
      at_ = close + 1;
    } else {
      append_utf8(name, next());
    }
    for (const std::string_view prefix : {"General_Category=", "gc=", "^"}) {
      if (!name.starts_with(prefix)) continue;
      name.erase(0, prefix.size());
      if (prefix == "^") negated = !negated;
    }
    CodePointSet set;
    if (const auto categories = category_set(name)) {
      set = CodePointSet::categories(*categories);
    } else if (name == "Any") {
      set = CodePointSet::all();
    } else if (name == "ASCII") {
      set = CodePointSet::of(0, 0x7F);
    } else if (name == "White_Space") {
      set = CodePointSet::white_space(false);
    } else if (name == "Script=Han" || name == "sc=Han" || name == "Han") {
      for (const CodeRange& r : han_ranges()) set.insert(r.first, r.last);
    } else {
      unsupported(fmt::format("the property {} is not known; general categories, Any, ASCII, "
                              "White_Space and Script=Han are",
                              name),
                  offset);
    }
    return negated ? set.complement() : set;
  }

  // After the backslash. In a class \b is a backspace.
  CodePointSet escape(bool in_class) {
    const size_t offset = at_ - 1;
    const char32_t c = next();
    const auto one = [](char32_t code) { return CodePointSet::of(code, code); };
    switch (c) {
      case kEnd:
        syntax("ends with a backslash", offset);
      case 'd':
        return CodePointSet::digits(!ecma());
      case 'D':
        return CodePointSet::digits(!ecma()).complement();
      case 'w':
        return CodePointSet::word(!ecma());
      case 'W':
        return CodePointSet::word(!ecma()).complement();
      case 's':
        return CodePointSet::white_space(ecma());
      case 'S':
        return CodePointSet::white_space(ecma()).complement();
      case 'p':
      case 'P':
        return property(c == 'P');
      case 't':
        return one('\t');
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case 'a':
        if (ecma()) break;
        return one('\a');
      case 'b':
        if (in_class && ecma()) return one('\b');
        unsupported("word boundaries look around, which is not regular here", offset);
      case 'B':
        unsupported("word boundaries look around, which is not regular here", offset);
      case 'c': {
        const char32_t letter = next();
        if (!ecma() || (letter | 0x20) < 'a' || (letter | 0x20) > 'z') break;
        return one(letter & 0x1F);
      }
      case '0':
        if (!ecma() || (peek() >= '0' && peek() <= '9')) break;
        return one(0);
      case 'x':
        return one(take("{") ? braced_hex() : hex(2));
      case 'U':
        if (ecma()) break;
        return one(take("{") ? braced_hex() : hex(8));
      case 'u': {
        if (take("{")) return one(braced_hex());
        char32_t code = hex(4);
        if (code >= 0xD800 && code < 0xDC00 && take("\\u")) {
          const char32_t low = hex(4);
          if (low < 0xDC00 || low > 0xDFFF) syntax("half a surrogate pair", offset);
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        if (code >= 0xD800 && code < 0xE000) syntax("half a surrogate pair", offset);
        return one(code);
      }
      default:
        if (c >= '1' && c <= '9') unsupported("back references are not regular", offset);
        if (c == 'k') unsupported("back references are not regular", offset);
        if (c < 0x80 && ((c | 0x20) < 'a' || (c | 0x20) > 'z') && (c < '0' || c > '9'))
          return one(c);
        if (ecma() && c >= 0x80) return one(c);
    }
    syntax("an unknown escape", offset);
  }

  CodePointSet posix_class(size_t offset) {
    struct Named {
      std::string_view name;
      std::string_view ranges;  // pairs
    };
    constexpr Named kNamed[] = {
        {"alpha", "AZaz"},    {"digit", "09"},       {"alnum", "09AZaz"}, {"upper", "AZ"},
        {"lower", "az"},      {"punct", "!/:@[`{~"}, {"space", "\t\r  "}, {"blank", "\t\t  "},
        {"xdigit", "09AFaf"}, {"word", "09AZ__az"},  {"print", " ~"},     {"graph", "!~"},
    };
    const bool negated = take("^");
    for (const Named& named : kNamed) {
      if (!take(std::string(named.name) + ":]")) continue;
      CodePointSet set;
      for (size_t i = 0; i < named.ranges.size(); i += 2) {
        set.insert(static_cast<unsigned char>(named.ranges[i]),
                   static_cast<unsigned char>(named.ranges[i + 1]));
      }
      return negated ? set.complement() : set;
    }
    unsupported("this [:class:] is not known", offset);
  }

  // After the bracket.
  CodePointSet char_class(uint32_t depth) {
    const size_t offset = at_ - 1;
    if (depth > limits_.nesting) {
      limit_reached("nesting", limits_.nesting, "a regular expression nests too deeply");
    }
    const bool negated = take("^");
    CodePointSet set;
    std::vector<CodeRange> ranges;
    for (bool first = true;; first = false) {
      const size_t start = at_;
      char32_t c = next();
      if (c == kEnd) syntax("a [ without its ]", offset);
      if (c == ']' && (ecma() || !first)) break;
      if (!ecma() && c == '[') {
        const CodePointSet inner = take(":") ? posix_class(start) : char_class(depth + 1);
        ranges.insert(ranges.end(), inner.ranges().begin(), inner.ranges().end());
        continue;
      }
      if (!ecma() && (text_.substr(start, 2) == "&&" || text_.substr(start, 2) == "--" ||
                      text_.substr(start, 2) == "~~")) {
        unsupported("set operations in a class", start);
      }
      if (c == '\\') {
        const CodePointSet escaped = escape(true);
        const auto r = escaped.ranges();
        if (r.size() != 1 || r[0].first != r[0].last) {
          ranges.insert(ranges.end(), r.begin(), r.end());
          continue;
        }
        c = r[0].first;
      }
      char32_t last = c;
      if (peek() == '-' && text_.substr(at_, 2) != "-]") {
        const size_t dash = at_;
        next();
        last = next();
        if (last == kEnd) syntax("a [ without its ]", offset);
        if (last == '\\') {
          const CodePointSet escaped = escape(true);
          const auto r = escaped.ranges();
          if (r.size() != 1 || r[0].first != r[0].last) {  // "a-\d": a dash is a dash
            ranges.insert(ranges.end(), r.begin(), r.end());
            ranges.push_back({c, c});
            ranges.push_back({'-', '-'});
            continue;
          }
          last = r[0].first;
        }
        if (last < c) syntax("a range of characters that goes backwards", dash);
      }
      ranges.push_back({c, last});
    }
    set.insert(ranges);
    if (options_.ignore_case) set = set.ignoring_case();
    return negated ? set.complement() : set;
  }

  Regex any_text() { return set_.star(set_.any_char()); }

  Regex padded(Regex inner, Edge left, Edge right) {
    if (left == Edge::free) inner = set_.concat(any_text(), inner);
    if (right == Edge::free) inner = set_.concat(inner, any_text());
    return inner;
  }

  Regex build(size_t index, Edge left, Edge right) {
    const Tree& tree = trees_[index];
    if (!tree.anchors) return padded(build_plain(index), left, right);
    if (tree.kind == Kind::choice) {
      std::vector<Regex> choices;
      for (const size_t child : tree.children) choices.push_back(build(child, left, right));
      return set_.either(choices);
    }
    if (tree.kind == Kind::repeat) {
      if (tree.max != 1) unsupported("a repetition with ^ or $ in it", tree.offset);
      const Regex once = build(tree.children[0], left, right);
      return tree.min == 1 ? once : set_.either(once, padded(set_.empty(), left, right));
    }
    std::vector<size_t> parts = tree.children;
    if (tree.kind != Kind::sequence) parts.assign(1, index);
    // Anchors at the ends fix the edges; what is left of them may have more inside.
    size_t first = 0, last = parts.size();
    for (; first < last && trees_[parts[first]].kind == Kind::begin; ++first) {
      if (left == Edge::inner) unsupported("^ can only begin the expression", tree.offset);
      left = Edge::bound;
    }
    for (; last > first && trees_[parts[last - 1]].kind == Kind::end; --last) {
      if (right == Edge::inner) unsupported("$ can only end the expression", tree.offset);
      right = Edge::bound;
    }
    if (first == last) return padded(set_.empty(), left, right);
    std::vector<Regex> built;
    for (size_t i = first; i < last; ++i) {
      const Kind kind = trees_[parts[i]].kind;
      if (kind == Kind::begin || kind == Kind::end) {
        unsupported("^ can only begin the expression and $ only end it", trees_[parts[i]].offset);
      }
      built.push_back(
          build(parts[i], i == first ? left : Edge::inner, i + 1 == last ? right : Edge::inner));
    }
    return set_.concat(built);
  }

  Regex build_plain(size_t index) {
    const Tree& tree = trees_[index];
    if (tree.kind == Kind::chars) return tree.chars;
    std::vector<Regex> parts;
    for (const size_t child : tree.children) parts.push_back(build_plain(child));
    if (tree.kind == Kind::repeat) return set_.repeat(parts[0], tree.min, tree.max);
    return tree.kind == Kind::choice ? set_.either(parts) : set_.concat(parts);
  }

  RegexSet& set_;
  std::string_view text_;
  std::string_view where_;
  RegexText options_;
  const GrammarLimits& limits_;
  size_t at_ = 0;
  std::vector<Tree> trees_;
};

}  // namespace

Regex parse_regex(RegexSet& set, std::string_view text, std::string_view where,
                  const RegexText& options, const GrammarLimits& limits) {
  return Parser(set, text, where, options, limits).parse();
}

}  // namespace sinter
