// The rules of "task" and "structure": words and marks that are easy to explain, the first rule
// that applies. A classifier would know better and say less.
#include "compress/corpus/tasks.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>

#include "compress/corpus/coverage.h"

namespace sinter {
namespace {

constexpr size_t kSeenBytes = 16384;

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string lowered(std::string_view text) {
  std::string out(text.substr(0, kSeenBytes));
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Whether one of `words` begins a word of `text` (lower case): "summar" finds "Summarize".
bool mentions(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
      if (at == 0 || !is_letter(text[at - 1])) return true;
    }
    return false;
  });
}

bool begins_with(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return text.starts_with(word); });
}

std::string_view trimmed(std::string_view line) {
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  return line;
}

bool looks_like_code(std::string_view line) {
  return line.ends_with(';') || line.ends_with('{') || line == "}" || line == "});" ||
         (line.ends_with(':') && line.find('(') != std::string_view::npos) ||
         begins_with(line,
                     {"def ",  "class ", "import ", "#include", "return ", "public ", "private ",
                      "func ", "fn ",    "const ",  "let ",     "var ",    "SELECT ", "select ",
                      "if (",  "for (",  "while (", "elif ",    "async ",  "$ ",      ">>> "});
}

int count_numbers(std::string_view text) {
  int n = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    n += is_digit(text[i]) && (i == 0 || !is_digit(text[i - 1])) ? 1 : 0;
  }
  return n;
}

// "12 + 3", "x=4": an operator between two digits or brackets.
int count_operations(std::string_view text) {
  int n = 0;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (std::string_view("+*/=^").find(text[i]) == std::string_view::npos) continue;
    const char before = text[i - 1] == ' ' && i > 1 ? text[i - 2] : text[i - 1];
    const char after = text[i + 1] == ' ' && i + 2 < text.size() ? text[i + 2] : text[i + 1];
    n += (is_digit(before) || before == ')') && (is_digit(after) || after == '(') ? 1 : 0;
  }
  return n;
}

}  // namespace

Marks marks_of(std::string_view text) {
  text = text.substr(0, kSeenBytes);
  Marks m;
  int lines = 0, code = 0, items = 0, rows = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    if (line.empty()) continue;
    ++lines;
    code += looks_like_code(line) ? 1 : 0;
    items += begins_with(line, {"- ", "* ", "1. ", "2. ", "3. ", "1) ", "2) "}) ? 1 : 0;
    rows += line.starts_with('|') && line.ends_with('|') && line.size() > 2 ? 1 : 0;
  }
  m.code = text.find("```") != std::string_view::npos || (code >= 2 && 5 * code >= lines);
  m.list = items >= 2;
  m.table = rows >= 2;
  m.latex = text.find("\\frac") != std::string_view::npos ||
            text.find("\\sum") != std::string_view::npos ||
            text.find("\\int") != std::string_view::npos ||
            text.find("\\(") != std::string_view::npos || text.find("$$") != std::string_view::npos;
  m.formulas = m.latex || count_operations(text) >= 2;
  for (size_t at = text.find('{'); at != std::string_view::npos && !m.json;
       at = text.find('{', at + 1)) {
    size_t next = at + 1;
    while (next < text.size() && is_blank(text[next])) ++next;
    if (next >= text.size() || text[next] != '"') continue;
    const size_t close = text.find('"', next + 1);
    if (close == std::string_view::npos) break;
    next = close + 1;
    while (next < text.size() && is_blank(text[next])) ++next;
    m.json = next < text.size() && text[next] == ':';
  }
  for (size_t at = text.find("</"); at != std::string_view::npos && !m.xml;
       at = text.find("</", at + 1)) {
    m.xml = at + 2 < text.size() && is_letter(text[at + 2]);
  }
  return m;
}

std::string task_of(const CorpusSample& sample) {
  std::string asked, all;
  bool tools = sample.tools.is_array() && !sample.tools.empty();
  if (sample.is_chat()) {
    for (const Json& message : sample.messages) {
      const std::string role = message.value("role", "");
      tools |= role == "tool" || role == "function" || message.contains("tool_calls");
      const auto content = message.find("content");
      if (content == message.end() || !content->is_string()) continue;
      if (role == "user") asked = content->get<std::string>();
    }
  }
  if (tools) return "tool use";
  for_each_text(sample, false, [&](const std::string& text) {
    if (all.size() < kSeenBytes) all += text + "\n";
  });
  const Marks marks = marks_of(all);
  const std::string text = lowered(asked.empty() ? all : asked);
  const std::string start = text.substr(0, 200);
  const bool wants = mentions(start, {"write", "complete", "implement", "fix", "debug", "refactor",
                                      "create", "develop", "explain", "optimi", "convert"});
  const bool programs = mentions(text, {"python", "javascript", "java ", "c++", "sql", "function",
                                        "html", "program", "script", "code", "regex", "algorithm"});
  if (marks.code || (sample.is_chat() && wants && programs)) return "code";
  if (sample.is_chat() &&
      mentions(text, {"json", "xml", "yaml", "csv", "schema", "extract", "key-value", "fields"})) {
    return "structured output";
  }
  if (sample.is_chat() &&
      mentions(start, {"translat", "into french", "into german", "into spanish", "into english",
                       "in french", "in german", "in spanish"})) {
    return "translation";
  }
  const bool counts = mentions(text, {"how many", "how much", "calculate", "solve", "equation",
                                      "probability", "percent", "derivative", "integral", "prove",
                                      "what is the sum", "area of", "remainder", "average"});
  if (marks.latex || (counts && count_numbers(text) >= 2) || count_operations(all) >= 3) {
    return "mathematics";
  }
  if (marks.json || marks.xml) return "structured output";
  if (!sample.is_chat()) return "prose";
  if (mentions(start, {"summar", "tl;dr", "key points"})) return "summary";
  if (mentions(start, {"write", "compose", "draft", "rewrite", "essay", "story", "poem", "blog"})) {
    return "writing";
  }
  const std::string_view line = trimmed(text);
  if (line.ends_with('?') || begins_with(line, {"who ", "what ", "when ", "where ", "why ", "how ",
                                                "which ", "is ", "are ", "does ", "can "})) {
    return "question";
  }
  return "chat";
}

std::vector<std::string> task_names() {
  return {"tool use", "code",    "structured output", "translation", "mathematics",
          "prose",    "summary", "writing",           "question",    "chat"};
}

}  // namespace sinter
