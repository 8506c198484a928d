#include "grammar/json/ecma_pattern.h"

#include <map>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"

namespace sinter {
namespace {

constexpr std::string_view kSpaces =
    "\\t\\n\\x0B\\f\\r \\u00A0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000\\uFEFF";

// PCRE2 knows general categories by their short names only.
std::string short_category(const std::string& name) {
  static const std::map<std::string, std::string> names = {{"Letter", "L"},
                                                           {"Lowercase_Letter", "Ll"},
                                                           {"Uppercase_Letter", "Lu"},
                                                           {"Titlecase_Letter", "Lt"},
                                                           {"Modifier_Letter", "Lm"},
                                                           {"Other_Letter", "Lo"},
                                                           {"Mark", "M"},
                                                           {"Number", "N"},
                                                           {"Decimal_Number", "Nd"},
                                                           {"digit", "Nd"},
                                                           {"Letter_Number", "Nl"},
                                                           {"Punctuation", "P"},
                                                           {"punct", "P"},
                                                           {"Symbol", "S"},
                                                           {"Separator", "Z"},
                                                           {"Space_Separator", "Zs"},
                                                           {"Other", "C"},
                                                           {"Control", "Cc"}};
  std::string key = name;
  for (const char* prefix : {"General_Category=", "gc=", "Script=", "sc="}) {
    if (key.rfind(prefix, 0) == 0) key.erase(0, std::string_view(prefix).size());
  }
  const auto found = names.find(key);
  return found == names.end() ? key : found->second;
}

// What ECMA-262 reads otherwise than PCRE2: \s, \p{long names}, and the dot.
std::string translated(std::string_view source) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < source.size(); ++i) {
    const char c = source[i];
    if (c == '\\' && i + 1 < source.size()) {
      const char next = source[++i];
      if (next == 's') {
        out += in_class ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
      } else if (next == 'S' && !in_class) {
        out += fmt::format("[^{}]", kSpaces);
      } else if ((next == 'p' || next == 'P') && i + 1 < source.size() && source[i + 1] == '{') {
        const size_t end = std::min(source.find('}', i), source.size());
        out += fmt::format("\\{}{{{}}}", next,
                           short_category(std::string(source.substr(i + 2, end - i - 2))));
        i = end;
      } else {
        out += c, out += next;
      }
    } else if (c == '.' && !in_class) {
      out += "[^\\n\\r\\u2028\\u2029]";
    } else {
      if (c == '[' && in_class) out += '\\';
      if (c == '[') in_class = true;
      if (c == ']') in_class = false;
      out += c;
    }
  }
  return out;
}

}  // namespace

struct EcmaPattern::Compiled {
  pcre2_code* code = nullptr;
  ~Compiled() { pcre2_code_free(code); }
};

EcmaPattern::EcmaPattern(std::string_view source, std::string_view where) {
  const std::string text = translated(source);
  auto compiled = std::make_shared<Compiled>();
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  SINTER_CHECK(context != nullptr);
  pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
  compiled->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                 PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS |
                                     PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C,
                                 &error, &offset, context);
  pcre2_compile_context_free(context);
  if (compiled->code == nullptr) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof(message));
    fail(Fault::bad_input, "schema-invalid", "schema: {}: {} is no regular expression: {}", where,
         source, reinterpret_cast<const char*>(message));
  }
  compiled_ = std::move(compiled);
}

bool EcmaPattern::finds(std::string_view text) const {
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  SINTER_CHECK(match != nullptr && context != nullptr);
  constexpr uint32_t kSteps = 5'000'000;
  pcre2_set_match_limit(context, kSteps);
  const int found = pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()),
                                text.size(), 0, 0, match, context);
  pcre2_match_context_free(context);
  pcre2_match_data_free(match);
  if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
    fail(Fault::exhausted, "grammar-limit",
         "a pattern takes too long (or finds invalid UTF-8) in a string of {} bytes; simplify it",
         text.size());
  }
  return found >= 0;
}

}  // namespace sinter
