#include "compress/corpus/coverage.h"

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "compress/corpus/tasks.h"
#include "text/unicode_class.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr size_t kSeenBytes = 16384;
constexpr int64_t kLengths[] = {128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};

// Blocks of Unicode, coarsely: one name for all blocks of a script.
struct Block {
  char32_t first, last;
  const char* script;
};
constexpr Block kBlocks[] = {
    {0x41, 0x24F, "Latin"},       {0x370, 0x3FF, "Greek"},      {0x400, 0x52F, "Cyrillic"},
    {0x530, 0x58F, "Armenian"},   {0x590, 0x5FF, "Hebrew"},     {0x600, 0x77F, "Arabic"},
    {0x8A0, 0x8FF, "Arabic"},     {0x900, 0x97F, "Devanagari"}, {0x980, 0x9FF, "Bengali"},
    {0xA00, 0xA7F, "Gurmukhi"},   {0xA80, 0xAFF, "Gujarati"},   {0xB80, 0xBFF, "Tamil"},
    {0xC00, 0xC7F, "Telugu"},     {0xC80, 0xCFF, "Kannada"},    {0xD00, 0xD7F, "Malayalam"},
    {0xE00, 0xE7F, "Thai"},       {0xE80, 0xEFF, "Lao"},        {0x1000, 0x109F, "Myanmar"},
    {0x10A0, 0x10FF, "Georgian"}, {0x1100, 0x11FF, "Hangul"},   {0x1200, 0x137F, "Ethiopic"},
    {0x1780, 0x17FF, "Khmer"},    {0x1E00, 0x1EFF, "Latin"},    {0x1F00, 0x1FFF, "Greek"},
    {0x3040, 0x30FF, "Kana"},     {0x3400, 0x4DBF, "Han"},      {0x4E00, 0x9FFF, "Han"},
    {0xAC00, 0xD7AF, "Hangul"},   {0xF900, 0xFAFF, "Han"},      {0xFB50, 0xFDFF, "Arabic"},
    {0xFE70, 0xFEFF, "Arabic"},   {0xFF21, 0xFF5A, "Latin"},    {0xFF66, 0xFF9D, "Kana"},
    {0x20000, 0x3FFFF, "Han"},
};

const char* script_of(char32_t c) {
  const auto* const block =
      std::find_if(std::begin(kBlocks), std::end(kBlocks),
                   [&](const Block& b) { return c >= b.first && c <= b.last; });
  return block == std::end(kBlocks) ? "other" : block->script;
}

// Words that nearly every sentence of a language has and its neighbours have not.
struct FunctionWords {
  const char* language;
  std::initializer_list<std::string_view> words;
};
const FunctionWords kFunctionWords[] = {
    {"en",
     {"the", "and", "of", "to", "is", "that", "with", "for", "was", "are", "what", "how", "you",
      "this", "it"}},
    {"de",
     {"der", "die", "und", "das", "ist", "nicht", "ein", "eine", "mit", "den", "von", "ich", "wie",
      "auf", "zu"}},
    {"fr",
     {"le", "les", "et", "des", "est", "une", "dans", "pour", "que", "qui", "du", "vous", "je",
      "pas", "sur"}},
    {"es",
     {"el", "los", "y", "las", "del", "por", "con", "para", "una", "es", "como", "que", "cómo",
      "qué", "está"}},
    {"it",
     {"il", "che", "di", "per", "con", "gli", "una", "sono", "della", "è", "come", "nel", "questo",
      "non", "lo"}},
    {"pt",
     {"o", "os", "uma", "não", "para", "com", "do", "da", "em", "você", "que", "é", "como", "ao",
      "são"}},
    {"nl",
     {"het", "een", "van", "niet", "dat", "zijn", "met", "voor", "ik", "je", "wat", "hoe", "ook",
      "op", "naar"}},
    {"pl",
     {"nie", "się", "jest", "na", "do", "że", "jak", "co", "dla", "czy", "od", "przez", "po", "z",
      "w"}},
    {"tr",
     {"bir", "ve", "bu", "için", "ile", "ne", "nasıl", "çok", "daha", "olarak", "değil", "mi", "da",
      "gibi", "var"}},
    {"id",
     {"yang", "dan", "di", "untuk", "dengan", "ini", "itu", "dari", "apa", "adalah", "tidak", "ke",
      "pada", "bagaimana", "saya"}},
    {"vi",
     {"và", "của", "là", "có", "không", "cho", "một", "các", "được", "những", "trong", "với", "này",
      "tôi", "bạn"}},
    {"sv",
     {"och", "att", "det", "som", "en", "är", "på", "för", "med", "inte", "jag", "av", "till",
      "hur", "vad"}},
};

struct Letters {
  std::map<std::string, int64_t> scripts;
  int64_t n = 0;
};

Letters count_letters(std::string_view text) {
  Letters letters;
  int64_t ascii = 0;
  text = text.substr(0, kSeenBytes);
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) {
      ascii += (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ? 1 : 0;
      ++at;
      continue;
    }
    const Utf8Char c = utf8_at(text, at);
    at += c.size;
    if (!c.valid || (category_of(c.code) & kLetters) == 0) continue;
    ++letters.scripts[script_of(c.code)];
    ++letters.n;
  }
  if (ascii > 0) letters.scripts["Latin"] += ascii;
  letters.n += ascii;
  return letters;
}

std::string latin_language(std::string_view text) {
  std::vector<int> hits(std::size(kFunctionWords));
  int n_words = 0;
  std::string word;
  const auto close = [&] {
    if (word.empty()) return;
    ++n_words;
    for (size_t l = 0; l < hits.size(); ++l) {
      const auto& words = kFunctionWords[l].words;
      hits[l] += std::find(words.begin(), words.end(), word) != words.end() ? 1 : 0;
    }
    word.clear();
  };
  text = text.substr(0, 4096);
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    at += c.size;
    if (c.valid && (category_of(c.code) & (kLetters | kMarks)) != 0) {
      append_utf8(word, to_lowercase(c.code));
    } else {
      close();
    }
  }
  close();
  const auto best = std::max_element(hits.begin(), hits.end());
  // A function word among some fifteen is little for prose and much for chance.
  if (*best == 0 || 15 * *best < n_words) return "unknown (Latin)";
  return kFunctionWords[best - hits.begin()].language;
}

std::string shape_of(const CorpusSample& sample) {
  if (!sample.is_chat()) return "text";
  int turns = 0;
  bool system = false, answered = false;
  for (const Json& message : sample.messages) {
    const std::string role = message.value("role", "");
    turns += role == "user" ? 1 : 0;
    system |= role == "system" || role == "developer";
    answered = role == "assistant";
  }
  std::string name = turns <= 1   ? "1 turn"
                     : turns <= 3 ? "2-3 turns"
                     : turns <= 7 ? "4-7 turns"
                                  : "8+ turns";
  if (system) name += ", system";
  if (sample.tools.is_array() && !sample.tools.empty()) name += ", tools";
  if (answered) name += ", answered";
  return name;
}

size_t dimension(std::string_view name) {
  for (size_t d = 0; d < kDimensions.size(); ++d) {
    if (kDimensions[d].name == name) return d;
  }
  SINTER_CHECK(false);
}

}  // namespace

std::string language_of(std::string_view text) {
  const Letters letters = count_letters(text);
  if (letters.n < 8) return "none";
  const auto share = [&](const char* script) {
    const auto it = letters.scripts.find(script);
    return it == letters.scripts.end()
               ? 0.0
               : static_cast<double>(it->second) / static_cast<double>(letters.n);
  };
  if (share("Kana") + share("Han") >= 0.3) return share("Kana") >= 0.05 ? "ja" : "zh";
  if (share("Hangul") >= 0.3) return "ko";
  for (const auto& [script, n] : letters.scripts) {
    if (script != "Latin" && 10 * n >= 3 * letters.n) return script;
  }
  return latin_language(text);
}

std::vector<std::string> length_cells() {
  std::vector<std::string> names;
  for (const int64_t length : kLengths) names.push_back(fmt::format("<={}", length));
  names.push_back(fmt::format(">{}", kLengths[std::size(kLengths) - 1]));
  return names;
}

std::string length_cell(int64_t n_tokens) {
  const auto* const at = std::lower_bound(std::begin(kLengths), std::end(kLengths), n_tokens);
  return length_cells()[static_cast<size_t>(at - std::begin(kLengths))];
}

std::string template_of(const CorpusSample& sample) {
  if (!sample.is_chat()) return "";
  std::string fixed, first;
  for (const Json& message : sample.messages) {
    const std::string role = message.value("role", "");
    const auto content = message.find("content");
    if (content == message.end() || !content->is_string()) continue;
    if (role == "system" || role == "developer") fixed += content->get<std::string>() + "\n";
    if (role == "user" && first.empty()) first = content->get<std::string>();
  }
  if (sample.tools.is_array()) {
    std::set<std::string> names;
    for (const Json& tool : sample.tools) {
      const auto f = tool.find("function");
      if (f != tool.end() && f->is_object()) names.insert(f->value("name", ""));
    }
    fixed += fmt::format("{}", fmt::join(names, "\n"));
  }
  if (!fixed.empty()) {
    // Dates and numbers in it change from day to day; the template does not.
    std::erase_if(fixed, [](char c) { return c >= '0' && c <= '9'; });
    return "system " + sha256_hex(fixed).substr(0, 8);
  }
  size_t at = 0;
  for (int words = 0; at < first.size() && words < 4; ++at) words += first[at] == ' ' ? 1 : 0;
  return "prompt " + sha256_hex(std::string_view(first).substr(0, at)).substr(0, 8);
}

std::vector<Cell> cells_of(const CorpusSample& sample) {
  std::string said;
  for_each_text(sample, false, [&](const std::string& text) {
    if (said.size() < kSeenBytes) said += text + "\n";
  });
  std::vector<Cell> cells = {{dimension("task"), sample.kind},
                             {dimension("shape"), shape_of(sample)},
                             {dimension("language"), language_of(said)},
                             {dimension("length"), length_cell(sample.n_tokens)},
                             {dimension("source"), sample.source}};
  const Marks marks = marks_of(said);
  const size_t structure = dimension("structure");
  const auto mark = [&](bool there, const char* name) {
    if (there) cells.push_back({structure, name});
  };
  mark(marks.code, "code");
  mark(marks.formulas, "formulas");
  mark(marks.json, "JSON");
  mark(marks.xml, "XML");
  mark(marks.table, "tables");
  mark(marks.list, "lists");
  mark(sample.tools.is_array() && !sample.tools.empty(), "tools");
  const Letters letters = count_letters(said);
  for (const auto& [script, n] : letters.scripts) {
    cells.push_back(
        {dimension("script"), script, static_cast<double>(n) / static_cast<double>(letters.n)});
  }
  return cells;
}

void add_template_cells(const std::vector<std::string>& templates,
                        std::vector<SampleCoverage>& samples) {
  constexpr size_t kMost = 64;
  std::map<std::string, int64_t> counts;
  for (const std::string& name : templates) {
    if (!name.empty()) ++counts[name];
  }
  std::vector<std::pair<int64_t, std::string>> order;
  for (const auto& [name, n] : counts) {
    if (n >= 3 && 500 * n >= static_cast<int64_t>(templates.size())) order.emplace_back(-n, name);
  }
  std::sort(order.begin(), order.end());
  if (order.size() > kMost) order.resize(kMost);
  std::set<std::string> kept;
  for (const auto& [n, name] : order) kept.insert(name);
  for (size_t i = 0; i < samples.size(); ++i) {
    if (kept.contains(templates[i]))
      samples[i].cells.push_back({dimension("template"), templates[i]});
  }
}

CoverageTable tabulate(const std::vector<SampleCoverage>& samples,
                       const std::vector<size_t>& which) {
  CoverageTable table;
  for (const size_t i : which) {
    for (const Cell& cell : samples[i].cells) {
      CellCount& count = table[cell.dimension][cell.name];
      ++count.samples;
      count.tokens += cell.share * static_cast<double>(samples[i].n_tokens);
    }
  }
  return table;
}

}  // namespace sinter
