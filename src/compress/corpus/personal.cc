// See personal.h. Kinds run one after another, each over what the one before it left, so the order
// of the list decides who has a span; a stand-in is nothing that any kind would find.
#include "compress/corpus/personal.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "compress/corpus/number_kinds.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr size_t kMaxExpressionBytes = 4096;
constexpr uint32_t kMaxSteps = 50'000'000;

using Find = std::optional<FoundPart> (*)(std::string_view text, size_t from);
using Check = bool (*)(std::string_view text, FoundPart part);

bool has_digit(std::string_view s) {
  return std::any_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string lower(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// What stands behind "password:" in programs and forms without being one.
bool is_no_secret(std::string_view value) {
  static constexpr std::string_view kWords[] = {
      "string",   "str",      "text",   "bytes",      "none",   "null",   "true",      "false",
      "int",      "integer",  "number", "boolean",    "bool",   "object", "array",     "required",
      "optional", "password", "passwd", "passphrase", "secret", "self",   "undefined", "hidden",
      "redacted", "input",    "number", "token",      "key",    "apikey", "api_key",   "private"};
  const std::string word = lower(value);
  return value.size() < 4 ||
         std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords) ||
         value.starts_with('$') || value.starts_with("{{") || value.starts_with('<') ||
         value.starts_with('[') || value.starts_with("%(") ||
         value.find_first_not_of("*.x-_") == std::string_view::npos;
}

bool is_assigned_secret(std::string_view text, FoundPart part) {
  const std::string_view value = text.substr(part.begin, part.end - part.begin);
  const char before = text[part.begin - 1];  // of "password=" there is one
  if (is_no_secret(value)) return false;
  if (before == '"' || before == '\'' || before == '`') return true;
  if (has_digit(value) || value.find_first_of("!@#$%^*~+") != std::string_view::npos) return true;
  // Words alone: in "password=letmein" one, in "password: see below" and f(password=name) none.
  const char after = part.end < text.size() ? text[part.end] : '\n';
  return before == '=' && value.find('.') == std::string_view::npos &&
         std::string_view("()[],").find(after) == std::string_view::npos;
}

bool is_phone_part(std::string_view text, FoundPart part) {
  return is_phone(text.substr(part.begin, part.end - part.begin));
}

// Where a number or name may begin in text, escapes of strings in it included.
#define SINTER_FRESH R"((?:(?<![\w.+@-])|(?<=\\[nrtbf])))"

// The one list of built-in kinds. `needle` must occur in the text for a search to be worth while.
struct BuiltIn {
  const char* name;
  const char* needle;
  const char* expression;  // or
  Find find;
  Check check;
};
constexpr BuiltIn kBuiltIn[] = {
    {"private_key", "PRIVATE KEY",
     R"(-----BEGIN [^-\n]{0,40}PRIVATE KEY[^-\n]{0,10}-----(?:(?!-----)[A-Za-z0-9+/=\s\\:.,()-])*+(?:-----END [^-\n]{0,50}-----)?)",
     nullptr, nullptr},
    {"jwt", "eyJ",
     SINTER_FRESH R"(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?)", nullptr,
     nullptr},
    // AWS, GitHub, GitLab, OpenAI and those that follow it, Slack, Google, Stripe, Hugging Face,
    // npm, SendGrid: prefixes as their makers document them.
    {"access_key", "",
     SINTER_FRESH
     R"((?:(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{16}(?![A-Za-z0-9])|)"
     R"(gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|)"
     R"(glpat-[A-Za-z0-9_-]{20,}|sk-(?=[a-z_-]*[A-Z0-9])[A-Za-z0-9_-]{20,}|)"
     R"(xox[abeoprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}|)"
     R"([prs]k_(?:live|test)_[0-9A-Za-z]{10,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|)"
     R"(SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}))",
     nullptr, nullptr},
    {"secret", "",
     R"((?i)\b(?:bearer\s{1,3}|token\\*["']?\s{0,3}[:=]\s{0,3}\\*["']?)((?=[a-z._~+/-]*[0-9])[a-z0-9._~+/-]{16,}=*))",
     nullptr, nullptr},
    {"secret", "://", R"(://[^\s/:@"'<>]{0,64}:(?!\[SECRET\])([^\s/@"'<>]{3,128})@)", nullptr,
     nullptr},
    {"secret", "",
     R"((?i)(?:pass(?:word|wd|phrase|code)|pwd|(?:api|secret|access|private|signing|encryption)[_ -]?key|secret|)"
     R"((?:auth|access|refresh|api|bearer|session|security)[_ -]?token)(?:[_-]\w{0,16}|\d{0,2})\\*["']?)"
     R"((?:\s{0,3}(?:=>|:=|[:=])\s{0,3}|\s{1,3}is\s{1,3}(?:set to |now )?))"
     R"((?|\\*["'`]([^"'`\\\r\n]{4,200})(?=\\*["'`])|([^\s"'`,;(){}\[\]<>\\|&]{4,200})))",
     nullptr, is_assigned_secret},
    {"email", "@",
     R"((?:(?<=\\[nrtbf])|(?<![\p{L}\p{N}._%+-])(?!(?<=\\)[nrtbf]))[\p{L}\p{N}][\p{L}\p{N}._%+-]{0,63}@(?:[\p{L}\p{N}-]{1,63}\.)+\p{L}{2,24}(?![\p{L}\p{N}(]))",
     nullptr, nullptr},
    {"iban", "", nullptr, find_iban, nullptr},
    {"card", "", nullptr, find_card, nullptr},
    {"ip", ".", nullptr, find_ipv4, nullptr},
    {"ip", ":", nullptr, find_ipv6, nullptr},
    // International; North American; with a trunk zero; behind a word that says so.
    {"phone", "+",
     R"((?:(?<![\w.+)])|(?<=\\[nrtbf]))\+[1-9]\d{0,2}[ .\-/]{0,2}\(?\d{1,5}\)?(?:[ .\-/]{0,2}\d{1,5}){1,5}(?!\w))",
     nullptr, is_phone_part},
    {"phone", "",
     SINTER_FRESH
     R"((?<!\d[ -])(?:1[ .-])?(?:\([2-9]\d\d\) ?\d{3}[ .-]|[2-9]\d\d-\d{3}-|[2-9]\d\d\.\d{3}\.|[2-9]\d\d \d{3}[ -])\d{4}(?![\w-]))",
     nullptr, is_phone_part},
    {"phone", "0",
     SINTER_FRESH
     R"((?<!\d[ -])(?=(?:\D{0,2}\d){9,12}(?!\w))\(?0\d{1,4}\)?[ /-]\d{2,8}(?:[ -]\d{2,6}){0,3}(?![\w-]))",
     nullptr, is_phone_part},
    {"phone", "",
     R"((?i)\b(?:phone|tel|telephone|mobile|cell|fax|whatsapp|call)(?: ?(?:no|nr|number))?(?: (?:me|us))?(?: (?:at|on|is))?\.?[ ]{0,2}[:=#]?[ ]{0,2}(\(?\d[\d ()./-]{5,18}\d)(?!\w))",
     nullptr, is_phone_part},
};
#undef SINTER_FRESH

std::string stand_in_of(const std::string& kind) {
  std::string out = "[";
  for (const char c : kind) out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out + "]";
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// A number that is a value of JSON within text becomes a string: the quotes of its key, escaped as
// they are. Empty where it is no such value.
std::string quotes_of_key(std::string_view text, FoundPart part) {
  if (text[part.begin] == '+' || text[part.begin] == '(') return "";
  size_t at = part.begin;
  while (at > 0 && is_space(text[at - 1])) --at;
  if (at == 0 || text[at - 1] != ':') return "";
  --at;
  while (at > 0 && is_space(text[at - 1])) --at;
  if (at == 0 || text[at - 1] != '"') return "";
  const size_t end = at--;
  while (at > 0 && text[at - 1] == '\\') --at;
  return std::string(text.substr(at, end - at));
}

// What JSON calls a secret: the key decides, however the value looks, but for a mere "token", which
// is also a word of language models.
bool is_secret_member(std::string_view key, std::string_view value) {
  if (is_no_secret(value)) return false;
  static constexpr std::string_view kParts[] = {
      "password",     "passwd",    "passphrase",   "passcode",   "apikey",
      "secret",       "accesskey", "privatekey",   "authtoken",  "accesstoken",
      "refreshtoken", "apitoken",  "sessiontoken", "bearertoken"};
  std::string compact;
  for (const char c : lower(key)) {
    if (c != '_' && c != '-' && c != ' ') compact += c;
  }
  if (compact == "token" || compact == "authorization") {
    return value.size() >= 16 && has_digit(value) && value.find(' ') == std::string_view::npos;
  }
  return compact == "pwd" ||
         std::any_of(std::begin(kParts), std::end(kParts), [&](std::string_view part) {
           return compact.find(part) != std::string::npos;
         });
}

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

struct Redactor::Kind {
  std::string name, needle, source;
  std::shared_ptr<pcre2_code> code;
  Find find = nullptr;
  Check check = nullptr;

  void compile(const std::string& expression, const std::string& where) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    source = expression;
    if (expression.size() > kMaxExpressionBytes) {
      fail(Fault::bad_input, "corpus-redact",
           "{}: expected a regular expression of at most {} bytes, found {}", where,
           kMaxExpressionBytes, expression.size());
    }
    code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                             PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr),
               pcre2_code_free);
    if (code == nullptr) {
      PCRE2_UCHAR reason[256] = {};
      pcre2_get_error_message(error, reason, sizeof reason);
      fail(Fault::bad_input, "corpus-redact",
           "{}: expected a PCRE2 regular expression, found \"{}\": at byte {}: {}", where,
           expression, offset, reinterpret_cast<const char*>(reason));
    }
    pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // without it the interpreter matches
  }
};

namespace {

// Memory of one search; the compiled expressions are shared between threads.
class Search {
 public:
  Search()
      : match_(pcre2_match_data_create(8, nullptr)), context_(pcre2_match_context_create(nullptr)) {
    SINTER_CHECK(match_ != nullptr && context_ != nullptr);
    pcre2_set_match_limit(context_, kMaxSteps);
  }
  ~Search() {
    pcre2_match_data_free(match_);
    pcre2_match_context_free(context_);
  }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  std::optional<FoundPart> next(const pcre2_code* code, const std::string& name,
                                std::string_view text, size_t from) {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    uint32_t options = PCRE2_NO_UTF_CHECK;
    int rc = pcre2_match(code, subject, text.size(), from, options, match_, context_);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
      options |= PCRE2_NO_JIT;
      rc = pcre2_match(code, subject, text.size(), from, options, match_, context_);
    }
    if (rc == PCRE2_ERROR_NOMATCH) return std::nullopt;
    if (rc < 0) {
      fail(Fault::exhausted, "corpus-redact-limit",
           "the expression for {} took more than {} steps on a text of {} bytes; write it without "
           "nested repetition, or split the text",
           name, kMaxSteps, text.size());
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(match_);
    const bool group = (rc > 1 || rc == 0) && ends[2] != PCRE2_UNSET && ends[3] > ends[2];
    return group ? FoundPart{ends[2], ends[3]} : FoundPart{ends[0], ends[1]};
  }

 private:
  pcre2_match_data* match_;
  pcre2_match_context* context_;
};

}  // namespace

Redactor::Redactor(const std::vector<std::string>& extra) {
  for (const std::string& rule : extra) {
    const size_t equals = rule.find('=');
    Kind kind;
    kind.name = lower(rule.substr(0, equals));
    const bool named =
        equals != std::string::npos && !kind.name.empty() && kind.name.size() <= 40 &&
        kind.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    if (!named) {
      fail(Fault::bad_input, "corpus-redact",
           "--redact {}: expected NAME=REGEX, the name of letters, digits and underscores", rule);
    }
    kind.compile(rule.substr(equals + 1), "--redact " + kind.name);
    Search search;
    if (const auto empty = search.next(kind.code.get(), kind.name, "", 0)) {
      fail(
          Fault::bad_input, "corpus-redact",
          "--redact {}: expected an expression that matches something, found \"{}\", which matches "
          "the empty text",
          kind.name, kind.source);
    }
    list_.push_back(std::move(kind));
  }
  for (const BuiltIn& b : kBuiltIn) {
    Kind kind;
    kind.name = b.name;
    kind.needle = b.needle;
    kind.find = b.find;
    kind.check = b.check;
    if (b.expression != nullptr) kind.compile(b.expression, b.name);
    list_.push_back(std::move(kind));
  }
  for (const Kind& kind : list_) {
    if (std::find(kinds_.begin(), kinds_.end(), kind.name) == kinds_.end()) {
      kinds_.push_back(kind.name);
    }
  }
}

Redactor::~Redactor() = default;
Redactor::Redactor(Redactor&&) noexcept = default;
Redactor& Redactor::operator=(Redactor&&) noexcept = default;

std::string Redactor::redact_plain(std::string text, KindCounts& counts) const {
  Search search;
  for (const Kind& kind : list_) {
    if (!kind.needle.empty() && text.find(kind.needle) == std::string::npos) continue;
    const std::string stand_in = stand_in_of(kind.name);
    std::string out;
    size_t copied = 0;
    for (size_t from = 0; from <= text.size();) {
      const auto part = kind.find != nullptr ? kind.find(text, from)
                                             : search.next(kind.code.get(), kind.name, text, from);
      if (!part) break;
      // A match may have begun before `from`, in what a look-behind or a group saw.
      const bool counts_as_one = part->begin >= copied && part->end > part->begin &&
                                 (kind.check == nullptr || kind.check(text, *part));
      if (counts_as_one) {
        const std::string quotes =
            kind.find == find_card || kind.name == "phone" ? quotes_of_key(text, *part) : "";
        out.append(text, copied, part->begin - copied);
        out.append(quotes).append(stand_in).append(quotes);
        copied = part->end;
        ++counts[kind.name];
      }
      from = std::max(part->end, from + 1);
      while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80) ++from;
    }
    if (copied == 0) continue;
    out.append(text, copied);
    text = std::move(out);
  }
  return text;
}

std::string Redactor::redact_document(std::string_view json, KindCounts& counts) const {
  std::string out, key;
  const auto value_of = [&](const std::string& value, bool number) {
    if (is_secret_member(key, value)) {
      ++counts["secret"];
      return std::string("[SECRET]");
    }
    return number ? redact_plain(value, counts) : redact(value, counts);
  };
  for (size_t at = 0; at < json.size();) {
    const char c = json[at];
    size_t end = at + 1;
    if (c == '"') {
      while (json[end] != '"') end += json[end] == '\\' ? 2 : 1;
      ++end;
      const std::string_view literal = json.substr(at, end - at);
      const auto text = Json::parse(literal).get<std::string>();
      size_t next = end;
      while (next < json.size() && is_space(json[next])) ++next;
      const bool is_key = next < json.size() && json[next] == ':';
      const std::string redacted = is_key ? redact_plain(text, counts) : value_of(text, false);
      if (is_key) key = text;
      out += redacted == text ? std::string(literal) : quoted(redacted);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      end = std::min(json.find_first_not_of("+-.0123456789eE", at), json.size());
      const std::string number(json.substr(at, end - at));
      const std::string redacted = value_of(number, true);
      out += redacted == number ? number : quoted(redacted);
    } else {
      if (c == '{' || c == '}') key.clear();
      out += c;
    }
    at = end;
  }
  return out;
}

std::string Redactor::redact(std::string_view text, KindCounts& counts) const {
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool document = first != std::string_view::npos &&
                        (text[first] == '{' || text[first] == '[') &&
                        Json::accept(text.begin(), text.end());
  return document ? redact_document(text, counts) : redact_plain(std::string(text), counts);
}

void Redactor::redact(Json& value, KindCounts& counts) const { redact_value(value, "", counts); }

void Redactor::redact_value(Json& value, std::string_view key, KindCounts& counts) const {
  const auto secret = [&](const std::string& text) {
    if (!is_secret_member(key, text)) return false;
    ++counts["secret"];
    value = "[SECRET]";
    return true;
  };
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if (!secret(text)) value = redact(text, counts);
  } else if (value.is_number()) {
    const std::string text = value.dump();
    if (secret(text)) return;
    const std::string redacted = redact_plain(text, counts);
    if (redacted != text) value = redacted;
  } else if (value.is_array()) {
    for (Json& element : value) redact_value(element, key, counts);
  } else if (value.is_object()) {
    Json out = Json::object();
    for (auto& [name, member] : value.items()) {
      redact_value(member, name, counts);
      const std::string base = redact_plain(name, counts);
      std::string free = base;
      for (int n = 2; out.contains(free); ++n) free = fmt::format("{}_{}", base, n);
      out[free] = std::move(member);
    }
    value = std::move(out);
  }
}

}  // namespace sinter
