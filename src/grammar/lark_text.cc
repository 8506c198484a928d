// See lark_text.h.
#include "grammar/lark_text.h"

#include <algorithm>

#include "base/json.h"

namespace sinter {
namespace {

constexpr std::string_view kNameChars = "_-";

struct CommonTerminal {
  std::string_view name, regex;
};

// What Lark's own library grammar calls by these names.
constexpr CommonTerminal kCommon[] = {
    {"DIGIT", "[0-9]"},
    {"HEXDIGIT", "[0-9a-fA-F]"},
    {"INT", "[0-9]+"},
    {"SIGNED_INT", "[+-]?[0-9]+"},
    {"DECIMAL", "[0-9]+\\.[0-9]*|\\.[0-9]+"},
    {"FLOAT", "[0-9]+[eE][+-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
    {"SIGNED_FLOAT", "[+-]?([0-9]+[eE][+-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?)"},
    {"NUMBER", "[0-9]+([eE][+-]?[0-9]+)?|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
    {"SIGNED_NUMBER",
     "[+-]?([0-9]+([eE][+-]?[0-9]+)?|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?)"},
    {"ESCAPED_STRING", "\"([^\"\\\\\\n]|\\\\.)*\""},
    {"LCASE_LETTER", "[a-z]"},
    {"UCASE_LETTER", "[A-Z]"},
    {"LETTER", "[A-Za-z]"},
    {"WORD", "[A-Za-z]+"},
    {"CNAME", "[A-Za-z_][A-Za-z0-9_]*"},
    {"WS_INLINE", "[ \\t]+"},
    {"WS", "[ \\t\\f\\r\\n]+"},
    {"CR", "\\r"},
    {"LF", "\\n"},
    {"NEWLINE", "(\\r?\\n)+"},
    {"SH_COMMENT", "#[^\\n]*"},
    {"CPP_COMMENT", "//[^\\n]*"},
    {"SQL_COMMENT", "--[^\\n]*"},
    {"C_COMMENT", "/\\*([^*]|\\*+[^*/])*\\*+/"},
};

class Reader {
 public:
  Reader(TextCursor& cursor, const GrammarLimits& limits) : c_(cursor), limits_(limits) {}

  LarkFile read() {
    for (blank(); !c_.at_end(); blank()) {
      if (c_.take("%")) {
        directive();
      } else {
        definition();
      }
    }
    return std::move(file_);
  }

 private:
  using Kind = LarkTree::Kind;

  void blank() {
    for (size_t before = c_.offset() + 1; before != c_.offset();) {
      before = c_.offset();
      c_.skip_blank("//");
      c_.skip_blank("#");
    }
  }

  size_t add(LarkTree tree) {
    if (file_.trees.size() >= limits_.grammar_nodes) {
      limit_reached("grammar_nodes", limits_.grammar_nodes, "the grammar is too large");
    }
    file_.trees.push_back(std::move(tree));
    return file_.trees.size() - 1;
  }

  std::string name() {
    const std::string_view name = c_.take_name(kNameChars);
    if (name.empty()) c_.syntax(fmt::format("expected a name, found {}", c_.found()));
    return std::string(name);
  }

  void definition() {
    const size_t start = c_.offset();
    while (c_.take("?") || c_.take("!")) {  // about the tree that Lark builds
    }
    LarkDefinition made;
    made.offset = start;
    made.name = name();
    if (c_.peek() == '{') c_.unsupported("templates", start);
    if (c_.peek() == '.') c_.unsupported("priorities", start);
    if (c_.starts_with("::")) c_.unsupported("rules with parameters", start);
    blank();
    if (c_.take("[")) attributes(made);
    blank();
    c_.expect(":");
    made.body = expansions(0);
    if (!file_.by_name.try_emplace(made.name, file_.definitions.size()).second) {
      c_.syntax(fmt::format("{} is defined twice", made.name), start);
    }
    file_.definitions.push_back(std::move(made));
  }

  // Whatever changes which texts match is done or refused; captures change nothing.
  void attributes(LarkDefinition& made) {
    do {
      blank();
      const size_t start = c_.offset();
      const std::string key = name();
      blank();
      const bool has_value = c_.take("=");
      blank();
      if (key == "lazy" && !has_value) {
        made.lazy = true;
      } else if (key == "suffix" && has_value) {
        made.has_suffix = true;
        made.suffix = atom(0);
      } else if (key == "capture" || key == "stop_capture") {
        if (has_value) c_.take_quoted();
      } else {
        c_.unsupported(fmt::format("the attribute {}; suffix=\"...\" and lazy are understood", key),
                       start);
      }
      blank();
    } while (c_.take(","));
    c_.expect("]");
  }

  void directive() {
    const size_t start = c_.offset() - 1;
    const std::string what = name();
    blank();
    if (what == "ignore") {
      file_.ignored.push_back(expansions(0));
    } else if (what == "import") {
      import(start);
    } else if (what == "llguidance") {
      const Json options = parse_json(json_text(), c_.place(start));
      for (const auto& [key, value] : options.items()) {
        if (key == "allow_initial_skip" && value.is_boolean()) {
          file_.skips_at_start = value.get<bool>();
        } else if (key != "no_forcing") {  // changes no text
          c_.unsupported(fmt::format("the option {}", key), start);
        }
      }
    } else {
      c_.unsupported(fmt::format("%{}", what), start);
    }
  }

  void import(size_t start) {
    if (name() != "common") c_.unsupported("imports of anything but common", start);
    c_.expect(".");
    if (c_.take("(")) c_.unsupported("a list behind common.; name it behind common", start);
    std::vector<std::string> names;
    blank();
    names.push_back(name());
    blank();
    std::string here = names[0];
    if (c_.take("->")) {
      blank();
      here = name();
    }
    if (lark_common(names[0]).empty()) {
      c_.unsupported(fmt::format("common has no {}", names[0]), start);
    }
    file_.imports.emplace_back(names[0], here);
  }

  // {...}, whole.
  std::string_view json_text() {
    const size_t start = c_.offset();
    if (c_.peek() != '{') c_.syntax("expected a JSON object");
    int depth = 0;
    for (bool in_string = false;;) {
      if (c_.at_end()) c_.syntax("a JSON object without its end", start);
      const char c = c_.peek();
      c_.go_to(c_.offset() + 1);
      if (in_string) {
        if (c == '\\' && !c_.at_end()) c_.go_to(c_.offset() + 1);
        if (c == '"') in_string = false;
      } else if (c == '"') {
        in_string = true;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if ((c == '}' || c == ']') && --depth == 0) {
        return c_.since(start);
      }
    }
  }

  bool at_next_statement() {
    if (c_.at_end() || c_.peek() == '%') return c_.at_end() || is_directive();
    const size_t start = c_.offset();
    while (c_.take("?") || c_.take("!")) {
    }
    bool is_one = !c_.take_name(kNameChars).empty();
    c_.skip_blank("#", false);
    if (is_one && c_.take("[")) {  // attributes, or an optional part
      const size_t close = c_.text().find(']', c_.offset());
      is_one = close != std::string_view::npos &&
               c_.text().substr(start, close - start).find('\n') == std::string_view::npos;
      if (is_one) c_.go_to(close + 1);
      c_.skip_blank("#", false);
    }
    is_one = is_one &&
             (c_.peek() == ':' || (c_.peek() == '.' && c_.peek(1) >= '0' && c_.peek(1) <= '9'));
    c_.go_to(start);
    return is_one;
  }

  bool is_directive() const {
    return !c_.starts_with("%json") && !c_.starts_with("%regex") && !c_.starts_with("%lark");
  }

  size_t expansions(uint32_t depth) {
    if (depth > limits_.nesting) {
      limit_reached("nesting", limits_.nesting, "a grammar nests too deeply");
    }
    LarkTree choice{.kind = Kind::choice, .offset = c_.offset()};
    do {
      choice.inner.push_back(intersection(depth));
    } while (c_.take("|"));
    return choice.inner.size() == 1 ? choice.inner[0] : add(std::move(choice));
  }

  size_t intersection(uint32_t depth) {
    LarkTree all{.kind = Kind::both, .offset = c_.offset()};
    do {
      all.inner.push_back(sequence(depth));
      blank();
    } while (c_.take("&"));
    if (c_.take("->")) {  // a name for Lark's tree
      blank();
      name();
      blank();
    }
    return all.inner.size() == 1 ? all.inner[0] : add(std::move(all));
  }

  size_t sequence(uint32_t depth) {
    LarkTree made{.kind = Kind::sequence, .offset = c_.offset()};
    for (blank(); !at_next_statement() &&
                  std::string_view("|&)]").find(c_.peek()) == std::string_view::npos &&
                  !c_.starts_with("->");
         blank()) {
      made.inner.push_back(repeated(depth));
    }
    return made.inner.size() == 1 ? made.inner[0] : add(std::move(made));
  }

  size_t repeated(uint32_t depth) {
    const size_t offset = c_.offset();
    uint32_t n_complements = 0;
    for (; c_.take("~"); ++n_complements) blank();
    size_t part = atom(depth);
    if (n_complements % 2 == 1)
      part = add({.kind = Kind::complement, .offset = offset, .inner = {part}});
    for (uint32_t n = 0;; ++n) {
      if (n > limits_.nesting) {
        limit_reached("nesting", limits_.nesting, "repetitions of repetitions");
      }
      c_.skip_blank("#", false);
      uint32_t min = 0, max = kUnbounded;
      if (c_.take("*")) {
      } else if (c_.take("+")) {
        min = 1;
      } else if (c_.peek() == '?' && !at_next_statement()) {
        c_.take("?");
        max = 1;
      } else if (c_.peek() == '{') {
        c_.take_counts(min, max, limits_);
      } else if (c_.peek() == '~') {
        c_.take("~");
        c_.skip_blank("#", false);
        const auto first = c_.take_number(limits_);
        if (!first) c_.syntax("expected a count behind ~");
        min = max = *first;
        if (c_.take("..")) max = c_.take_number(limits_).value_or(0);
        if (max < min) c_.syntax("the maximum of a repetition is less than its minimum");
      } else {
        return part;
      }
      part = add({.kind = Kind::repeat, .offset = offset, .inner = {part}, .min = min, .max = max});
    }
  }

  size_t atom(uint32_t depth) {
    const size_t offset = c_.offset();
    if (c_.peek() == '(' || c_.peek() == '[') {
      const bool optional = c_.take("[");
      if (!optional) c_.take("(");
      const size_t inner = expansions(depth + 1);
      blank();
      if (!c_.take(optional ? "]" : ")")) c_.syntax("a bracket without its end", offset);
      if (!optional) return inner;
      return add({.kind = Kind::repeat, .offset = offset, .inner = {inner}, .min = 0, .max = 1});
    }
    if (c_.peek() == '"') {
      LarkTree literal{.kind = Kind::literal, .offset = offset, .text = c_.take_quoted()};
      if (c_.take("i")) literal.other = "i";
      if (c_.take("..")) {
        literal.kind = Kind::range;
        literal.other = c_.take_quoted();
      }
      return add(std::move(literal));
    }
    if (c_.peek() == '/') return regex();
    if (c_.peek() == '<') {
      const size_t close = c_.text().find('>', offset);
      if (close == std::string_view::npos) c_.syntax("a < without its >", offset);
      c_.go_to(close + 1);
      return add({.kind = Kind::token, .offset = offset});
    }
    if (c_.take("%json")) {
      blank();
      return add({.kind = Kind::json, .offset = offset, .text = std::string(json_text())});
    }
    if (c_.take("%regex")) {
      blank();
      return add({.kind = Kind::substring, .offset = offset, .text = std::string(json_text())});
    }
    if (c_.peek() == '@' || c_.peek() == '%') c_.unsupported("grammars within grammars", offset);
    return add({.kind = Kind::name, .offset = offset, .text = name()});
  }

  size_t regex() {
    LarkTree made{.kind = Kind::regex, .offset = c_.offset()};
    c_.expect("/");
    const size_t start = c_.offset();
    while (c_.peek() != '/') {
      if (c_.at_end() || c_.peek() == '\n')
        c_.syntax("a regular expression without its /", made.offset);
      c_.go_to(c_.offset() + (c_.peek() == '\\' && !c_.at_end() ? 2 : 1));
    }
    made.text = c_.since(start);
    c_.expect("/");
    for (;
         c_.peek() != '\0' && std::string_view("imslux").find(c_.peek()) != std::string_view::npos;
         c_.go_to(c_.offset() + 1)) {
      if (c_.peek() == 'm' || c_.peek() == 'l') c_.unsupported("the flags m and l", c_.offset());
      made.other += c_.peek();
    }
    return add(std::move(made));
  }

  TextCursor& c_;
  const GrammarLimits& limits_;
  LarkFile file_;
};

}  // namespace

bool is_lark_terminal(std::string_view name) {
  const size_t first = name.find_first_not_of('_');
  return first != std::string_view::npos && name[first] >= 'A' && name[first] <= 'Z';
}

LarkFile read_lark(TextCursor& cursor, const GrammarLimits& limits) {
  return Reader(cursor, limits).read();
}

std::string_view lark_common(std::string_view name) {
  for (const CommonTerminal& terminal : kCommon) {
    if (terminal.name == name) return terminal.regex;
  }
  return {};
}

}  // namespace sinter
