#include "artifact/name_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"

namespace sinter {
namespace {

constexpr size_t kMaxPatternBytes = 4096;
constexpr uint32_t kMatchLimit = 100'000;  // backtracking steps; a module name needs a few hundred
constexpr uint32_t kHeapLimitKib = 4096;

// * is any run of characters, ? any one. Linear: the last star is the only one ever retried.
bool glob_matches(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

struct NamePattern::Regex {
  explicit Regex(pcre2_code* compiled)
      : code(compiled), context(pcre2_match_context_create(nullptr)) {
    SINTER_CHECK(context != nullptr);
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapLimitKib);
  }
  ~Regex() {
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;
  pcre2_code* code;
  pcre2_match_context* context;
};

NamePattern::NamePattern(std::string text, Globs globs, const std::string& where)
    : text_(std::move(text)) {
  if (text_.empty() || text_.size() > kMaxPatternBytes) {
    fail(Fault::bad_input, "pattern-syntax", "{}: expected a pattern of 1 to {} bytes, found {}",
         where, kMaxPatternBytes, text_.size());
  }
  if (!text_.starts_with("re:")) {
    const bool has_glob = text_.find_first_of("*?") != std::string::npos;
    if (globs == Globs::yes && has_glob) kind_ = Kind::glob;
    return;
  }
  kind_ = Kind::regex;
  int error = 0;
  size_t offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text_.data() + 3), text_.size() - 3,
                                   PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (code == nullptr) {
    PCRE2_UCHAR message[160] = {};
    pcre2_get_error_message(error, message, sizeof message);
    fail(Fault::bad_input, "pattern-syntax",
         "{}: \"{}\": not a regular expression: {} at character {}", where, text_.substr(0, 120),
         reinterpret_cast<const char*>(message), offset + 1);
  }
  regex_ = std::make_shared<const Regex>(code);
}

bool NamePattern::matches(std::string_view name) const {
  if (kind_ == Kind::exact) return name == text_;
  if (kind_ == Kind::glob) return glob_matches(text_, name);
  pcre2_match_data* match = pcre2_match_data_create_from_pattern(regex_->code, nullptr);
  SINTER_CHECK(match != nullptr);
  const int rc = pcre2_match(regex_->code, reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(),
                             0, PCRE2_ANCHORED, match, regex_->context);
  pcre2_match_data_free(match);
  if (rc >= 0) return true;
  if (rc == PCRE2_ERROR_NOMATCH) return false;
  fail(Fault::bad_input, "pattern-too-hard",
       "pattern \"{}\": gave up matching \"{}\" (PCRE2 error {}); write a simpler expression",
       text_.substr(0, 120), name.substr(0, 120), rc);
}

}  // namespace sinter
