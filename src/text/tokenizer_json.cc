#include "text/tokenizer_json.h"

#include "base/error.h"
#include "text/utf8.h"

namespace sinter {
namespace {

// Walks over JSON text. Knows strings, integers and brackets; complains with a byte offset.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  [[noreturn]] void wrong(std::string_view expected) const {
    fail(Fault::corrupt, "json-syntax", "{}: byte {}: expected {}, found {}", where_, at_, expected,
         at_ < text_.size() ? "\"" + to_valid_utf8(text_.substr(at_, 16)) + "\"" : "the end");
  }

  size_t at() const { return at_; }

  char peek() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  void expect(char c, std::string_view expected) {
    if (!take(c)) wrong(expected);
  }

  // Appends the string to `out`.
  void string(std::string& out) {
    expect('"', "a string");
    const size_t begin = out.size();
    bool ascii = true;
    for (;; ++at_) {
      if (at_ >= text_.size()) wrong("the end of a string");
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') break;
      if (c < 0x20) wrong("no control character in a string");
      if (c == '\\') {
        escape(out);
        continue;
      }
      ascii = ascii && c < 0x80;
      out.push_back(text_[at_]);
    }
    ++at_;
    if (!ascii && !is_utf8(std::string_view(out).substr(begin)))
      wrong("valid UTF-8 in the string before");
  }

  Token token_id() {
    if (peek() < '0' || peek() > '9') wrong("a token id");
    int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value = value * 10 + (text_[at_] - '0');
      if (value > kMaxToken) {
        fail(Fault::unsupported, "tokenizer-vocabulary",
             "{}: byte {}: expected token ids up to {}, found a larger one", where_, at_,
             kMaxToken);
      }
    }
    return static_cast<Token>(value);
  }

  // Passes over a value, well formed or not, as far as its brackets and strings go.
  void skip_value() {
    size_t depth = 0;
    do {
      const char c = peek();
      if (c == '"') {
        skip_string();
      } else if (c == '{' || c == '[') {
        ++depth;
        ++at_;
      } else if (c == '}' || c == ']') {
        if (depth == 0) wrong("a value");
        --depth;
        ++at_;
      } else if (c == ',' || c == ':') {
        if (depth == 0) wrong("a value");
        ++at_;
      } else {
        const size_t begin = at_;
        while (at_ < text_.size() &&
               std::string_view("\"{}[],: \n\r\t").find(text_[at_]) == std::string_view::npos) {
          ++at_;
        }
        if (at_ == begin) wrong("a value");
      }
    } while (depth > 0);
  }

 private:
  void skip_string() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    if (at_ >= text_.size()) wrong("the end of a string");
    ++at_;
  }

  // At a backslash; leaves at_ on the last character of the escape.
  void escape(std::string& out) {
    if (++at_ >= text_.size()) wrong("an escape");
    static constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
    if (const size_t i = kFrom.find(text_[at_]); i != std::string_view::npos) {
      out.push_back(kTo[i]);
      return;
    }
    if (text_[at_] != 'u') wrong("an escape");
    char32_t code = hex4();
    if (code >= 0xD800 && code <= 0xDBFF && text_.substr(at_ + 1).starts_with("\\u")) {
      at_ += 2;
      const char32_t low = hex4();
      if (low < 0xDC00 || low > 0xDFFF) wrong("the second half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0xD800 && code <= 0xDFFF) wrong("a whole surrogate pair");
    append_utf8(out, code);
  }

  char32_t hex4() {
    char32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      if (++at_ >= text_.size()) wrong("four hex digits");
      const char c = text_[at_];
      const int v = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
      if (v < 0) wrong("four hex digits");
      code = code * 16 + static_cast<char32_t>(v);
    }
    return code;
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

// Calls member(key) at each value of an object; it must consume the value.
template <typename Member>
void each_member(Scanner& scan, Member member) {
  scan.expect('{', "an object");
  if (scan.take('}')) return;
  std::string key;
  do {
    key.clear();
    scan.string(key);
    scan.expect(':', "a colon");
    member(std::string_view(key));
  } while (scan.take(','));
  scan.expect('}', "a comma or the end of an object");
}

}  // namespace

TokenizerJson split_tokenizer_json(std::string_view json, const std::string& where) {
  TokenizerJson out;
  std::string rest;
  size_t copied = 0;
  Scanner scan(json, where);
  const auto split_off = [&](std::string_view& part) {
    scan.peek();
    const size_t begin = scan.at();
    scan.skip_value();
    part = json.substr(begin, scan.at() - begin);
    rest += json.substr(copied, begin - copied);
    rest += "null";
    copied = scan.at();
  };
  each_member(scan, [&](std::string_view key) {
    if (key != "model" || scan.peek() != '{') return scan.skip_value();
    each_member(scan, [&](std::string_view field) {
      if (field == "vocab" && scan.peek() == '{') return split_off(out.vocab);
      if (field == "merges" && scan.peek() == '[') return split_off(out.merges);
      scan.skip_value();
    });
  });
  rest += json.substr(copied);
  out.rest = parse_json(rest, where);  // refuses keys that occur twice, too
  return out;
}

void read_vocabulary(std::string_view json, const std::string& where, Vocabulary& out) {
  Scanner scan(json, where);
  each_member(scan, [&](std::string_view spelling) {
    const Token id = scan.token_id();
    if (!out.add(spelling, id)) {
      fail(Fault::corrupt, "tokenizer-vocabulary",
           "{}: expected every token and every id once, found the token {} with the id {} again",
           where, spelling, id);
    }
  });
}

std::vector<std::pair<std::string_view, std::string_view>> read_merges(std::string_view json,
                                                                       const std::string& where,
                                                                       std::string& memory) {
  struct Place {
    size_t a, b, end;
  };
  std::vector<Place> places;
  Scanner scan(json, where);
  scan.expect('[', "an array");
  memory.clear();
  if (!scan.take(']')) {
    do {
      const size_t a = memory.size();
      if (scan.take('[')) {
        scan.string(memory);
        scan.expect(',', "a comma");
        const size_t b = memory.size();
        scan.string(memory);
        scan.expect(']', "the end of a pair");
        places.push_back({a, b, memory.size()});
        continue;
      }
      scan.string(memory);
      const std::string_view text = std::string_view(memory).substr(a);
      if (text.starts_with("#version")) continue;
      const size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        fail(Fault::corrupt, "tokenizer-merge",
             "{}: merge {}: expected two tokens with one space between them, found \"{}\"", where,
             places.size(), text);
      }
      memory.erase(a + space, 1);
      places.push_back({a, a + space, memory.size()});
    } while (scan.take(','));
    scan.expect(']', "a comma or the end of an array");
  }
  std::vector<std::pair<std::string_view, std::string_view>> merges;
  merges.reserve(places.size());
  const std::string_view all = memory;
  for (const Place& p : places) {
    merges.emplace_back(all.substr(p.a, p.b - p.a), all.substr(p.b, p.end - p.b));
  }
  return merges;
}

}  // namespace sinter
